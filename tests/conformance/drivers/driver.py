"""What the drivers share: each runs all cases that its client can say, and prints what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from tests.conformance.case import DIES, Case, Found, Tensor
from tests.conformance.cases import CASES

__all__ = ["NUMPY", "array", "run", "tensor"]

NUMPY: dict[str, Any] = {
    "BOOL": np.bool_,
    **{
        f"{sign}INT{bits}": f"{sign.lower()}int{bits}"
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


def array(tensor: Tensor) -> Any:
    """The elements as NumPy holds them."""
    if tensor.datatype == "BF16":
        # NumPy has none of its own, and not every client's environment has this one.
        import ml_dtypes

        kind = ml_dtypes.bfloat16
    else:
        kind = NUMPY[tensor.datatype]
    data = [x.encode() for x in tensor.data] if tensor.datatype == "BYTES" else tensor.data
    made = np.empty(len(data), kind)
    made[:] = data
    return made.reshape(tensor.shape) if made.size == np.prod(tensor.shape) else made


def tensor(name: str, datatype: str, shape: Any, values: Any) -> Tensor:
    """An output, from what a client gives for it."""
    flat = np.asarray(values).reshape(-1).tolist()
    data = tuple(x.decode() if isinstance(x, bytes) else x for x in flat)
    return Tensor(name, datatype, tuple(int(extent) for extent in shape), data)


def run(client: str, ask: Callable[[Case, str], Found]) -> None:
    """Asks every case; the arguments are address, name of the server, version of its models."""
    _, _, server, version = sys.argv
    found: dict[str, Any] = {}
    for case in CASES:
        difference = case.difference(server, client)
        if not case.is_said_by(client) or (difference and difference.status == DIES):
            continue
        try:
            found[case.name] = asdict(ask(case, case.version.replace("{version}", version)))
        except Exception as error:  # A client that breaks on an answer is a finding.
            found[case.name] = asdict(Found("broken", f"{type(error).__name__}: {error}"))
    json.dump(found, sys.stdout)
