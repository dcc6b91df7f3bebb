"""The real Triton through PyTriton: the model stays in this process.

python service.py MODEL.onnx PORT [--batch]
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def main(path: str, port: int, batching: bool) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    outputs = session.get_outputs()

    @batch
    def infer(**given: np.ndarray) -> dict[str, np.ndarray]:
        made = session.run(None, given)
        return {output.name: values for output, values in zip(outputs, made, strict=True)}

    config = ModelConfig(batching=True, max_batch_size=256)
    if batching:
        config.batcher = DynamicBatcher()
    settings = TritonConfig(
        http_address="127.0.0.1", http_port=port, allow_grpc=False, allow_metrics=False
    )
    workspace = Path(tempfile.mkdtemp(prefix="pytriton", dir=Path(path).parent)) / "workspace"
    with Triton(config=settings, workspace=workspace) as triton:
        triton.bind(
            model_name="trees",
            infer_func=infer,
            inputs=[Tensor(name=entry.name, dtype=np.float32, shape=(entry.shape[1],))],
            outputs=[
                Tensor(name=one.name, dtype=TYPES[one.type], shape=tuple(one.shape[1:]) or (1,))
                for one in outputs
            ],
            config=config,
        )
        triton.serve()


if __name__ == "__main__":
    # The backend's stub is linked with libpython, and must find that of this interpreter first.
    found = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{sysconfig.get_config_var('LIBDIR')}:{found}"
    main(sys.argv[1], int(sys.argv[2]), "--batch" in sys.argv)
