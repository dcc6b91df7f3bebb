"""Granian over RSGI with orjson: HTTP in Rust, the prediction in one Python worker.

python service.py MODEL.onnx PORT
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import onnxruntime
import orjson
from granian import Granian
from granian.constants import Interfaces, Loops

MODEL = "PEER_MODEL"
"""The environment variable by which the worker learns its model."""
NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}
HEADERS = [("content-type", "application/json")]


class Service:
    """The application; its model is loaded in the worker."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            os.environ[MODEL], options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.method == "GET":
            protocol.response_bytes(200, HEADERS, b'{"ready":true}')
            return
        try:
            raw = orjson.loads(await protocol())["inputs"][0]
            rows = np.array(raw["data"], dtype=np.float32).reshape(raw["shape"])
            outputs = self.session.run(None, {self.entry: rows})
        except Exception as error:
            protocol.response_bytes(400, HEADERS, orjson.dumps({"error": str(error)}))
            return
        answer = {
            "model_name": scope.path.split("/")[3],
            "model_version": "1",
            "outputs": [
                {
                    "name": name,
                    "datatype": NAMES[output.dtype],
                    "shape": output.shape,
                    "data": output.ravel(),
                }
                for name, output in zip(self.outputs, outputs, strict=True)
            ],
        }
        content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        protocol.response_bytes(200, HEADERS, content)


if __name__ == "__main__":
    os.environ[MODEL] = sys.argv[1]
    Granian(
        "service:Service",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[2]),
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        log_enabled=False,
    ).serve()
