"""What the drivers share: each runs all cases that its client can say, and prints what it found."""

from __future__ import annotations

import json
import sys
import time
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


READY = 20.0
"""Seconds that a server which says it is not ready is asked again."""


def settled(case: Case, ask: Callable[[Case, str], Found], version: str) -> Found:
    """What a client finds; of a server that is not ready, what it finds when that has passed.

    Triton's Python backend learns by a heartbeat that its model lives, and says for a moment that it is
    not ready where a busy machine has kept the beat waiting.
    """
    until = time.monotonic() + READY
    while True:
        found = ask(case, version)
        waits = case.fields is True and found.fields is False
        if not waits or time.monotonic() > until:
            return found
        time.sleep(0.2)


def run(client: str, ask: Callable[[Case, str], Found]) -> None:
    """Asks every case; the arguments are address, name of the server, version of its models."""
    _, _, server, version = sys.argv
    found: dict[str, Any] = {}
    for case in CASES:
        difference = case.difference(server, client)
        if not case.is_said_by(client) or (difference and difference.status == DIES):
            continue
        try:
            version_asked = case.version.replace("{version}", version)
            found[case.name] = asdict(settled(case, ask, version_asked))
        except Exception as error:  # A client that breaks on an answer is a finding.
            found[case.name] = asdict(Found("broken", f"{type(error).__name__}: {error}"))
    json.dump(found, sys.stdout)
