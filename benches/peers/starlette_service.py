"""A hand-written prediction service: Starlette, uvicorn on uvloop, orjson, ONNX Runtime.

What a careful engineer writes in an hour, and the peer that the benchmarks compare with: one
process, one event loop, the model called in it with the rows of one request. It answers the same
V2 JSON for the same ONNX file as tidegate does.

    python starlette_service.py MODEL.onnx PORT
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DATATYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}


def application(path: str) -> Starlette:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def tensor(raw: dict[str, Any]) -> np.ndarray:
        return np.array(raw["data"], dtype=DATATYPES[raw["datatype"]]).reshape(raw["shape"])

    async def infer(request: Request) -> Response:
        body = orjson.loads(await request.body())
        try:
            feed = {raw["name"]: tensor(raw) for raw in body["inputs"]}
            outputs = session.run(None, feed)
        except Exception as error:
            return Response(
                orjson.dumps({"error": str(error)}), status_code=400, media_type="application/json"
            )
        answer = {
            "model_name": request.path_params["name"],
            "model_version": "1",
            "outputs": [
                {
                    "name": name,
                    "datatype": NAMES[output.dtype],
                    "shape": output.shape,
                    "data": output.ravel(),
                }
                for name, output in zip(names, outputs, strict=True)
            ],
        }
        content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(content, media_type="application/json")

    async def ready(_: Request) -> Response:
        return Response(b'{"ready":true}', media_type="application/json")

    return Starlette(
        routes=[
            Route("/v2/models/{name}/infer", infer, methods=["POST"]),
            Route("/v2/health/ready", ready),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
