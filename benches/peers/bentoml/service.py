"""BentoML: one worker, the model in it.

python service.py MODEL.onnx PORT [--batch]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime

MODEL, BATCH = "PEER_MODEL", "PEER_BATCH"
"""The environment variables by which the worker learns its model and its setting."""

NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}
BATCHING = {"batchable": True, "max_batch_size": 32, "max_latency_ms": 1_000}


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False})
class Peer:
    """The model; the server gathers batches for it if it is told to."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            os.environ[MODEL], options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    @bentoml.api(**(BATCHING if BATCH in os.environ else {}))
    async def infer(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One tensor a request; in a batch, those of several requests."""
        rows = [np.array(raw["data"], dtype=np.float32).reshape(raw["shape"]) for raw in inputs]
        outputs = self.session.run(None, {self.entry: np.concatenate(rows)})
        answers, at = [], 0
        for part in rows:
            end = at + len(part)
            answers.append({"outputs": [self.tensor(i, o[at:end]) for i, o in enumerate(outputs)]})
            at = end
        return answers

    def tensor(self, at: int, values: np.ndarray) -> dict[str, Any]:
        return {
            "name": self.names[at],
            "datatype": NAMES[values.dtype],
            "shape": list(values.shape),
            "data": values.ravel().tolist(),
        }


if __name__ == "__main__":
    os.environ[MODEL] = sys.argv[1]
    if "--batch" in sys.argv:
        os.environ[BATCH] = "1"
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ["BENTOML_HOME"] = tempfile.mkdtemp(prefix="bentoml", dir=Path(sys.argv[1]).parent)
    os.chdir(Path(__file__).parent)
    program = str(Path(sys.executable).with_name("bentoml"))
    where = ["--host", "127.0.0.1", "--port", sys.argv[2]]
    os.execv(program, [program, "serve", "service:Peer", *where])
