"""The real Triton through PyTriton: the model stays in this process.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, apart, arguments

TYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "int64": np.int64,
    "timestamp": np.int64,
    "float64": np.float64,
    "string": np.bytes_,
}


def main(given: argparse.Namespace) -> None:
    served = Served(given)

    @batch
    def tensors(**given: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(served.names, served.run(given[served.entry]), strict=True))

    def raw_columns(requests: list[Any]) -> list[dict[str, np.ndarray]]:
        # Not `batch`, which wants the same columns in all requests.
        rows = served.features.rows(
            [{name: value.item() for name, value in request.items()} for request in requests]
        )
        parts = apart(served.run(rows), [1] * len(requests))
        return [dict(zip(served.names, part, strict=True)) for part in parts]

    if served.features is None:
        infer = tensors
        inputs = [
            Tensor(name=one.name, dtype=TYPES[one.type], shape=(one.shape[1],))
            for one in served.session.get_inputs()
        ]
    else:
        infer = raw_columns
        inputs = [
            Tensor(
                name=field["name"],
                dtype=TYPES[field["dtype"]],
                shape=(1,),
                optional=field["nullable"],
            )
            for field in served.features.fields
        ]
    config = ModelConfig(batching=True, max_batch_size=256)
    if given.batch:
        config.batcher = DynamicBatcher()
    settings = TritonConfig(
        http_address="127.0.0.1", http_port=given.port, allow_grpc=False, allow_metrics=False
    )
    place = Path(tempfile.mkdtemp(prefix="pytriton", dir=Path(given.model).parent))
    with Triton(config=settings, workspace=place / "workspace") as triton:
        triton.bind(
            model_name=given.name,
            infer_func=infer,
            inputs=inputs,
            outputs=[
                Tensor(name=one.name, dtype=TYPES[one.type], shape=tuple(one.shape[1:]) or (1,))
                for one in served.session.get_outputs()
            ],
            config=config,
        )
        triton.serve()


if __name__ == "__main__":
    # The backend's stub is linked with libpython, and must find that of this interpreter first.
    found = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{sysconfig.get_config_var('LIBDIR')}:{found}"
    main(arguments())
