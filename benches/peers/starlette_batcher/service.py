"""Starlette with a batcher without a timer: what the requests of one turn of the loop brought runs as one batch.

python service.py MODEL.onnx PORT
"""

from __future__ import annotations

import asyncio
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

NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}


class Batcher:
    """Gathers rows until the loop has read all that was readable."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.waiting: list[tuple[np.ndarray, asyncio.Future[list[np.ndarray]]]] = []

    def predict(self, rows: np.ndarray) -> asyncio.Future[list[np.ndarray]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[np.ndarray]] = loop.create_future()
        if not self.waiting:
            loop.call_soon(self.run)
        self.waiting.append((rows, future))
        return future

    def run(self) -> None:
        batch, self.waiting = self.waiting, []
        try:
            rows = np.concatenate([rows for rows, _ in batch])
            outputs = self.session.run(None, {self.entry: rows})
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        at = 0
        for rows, future in batch:
            end = at + len(rows)
            if not future.done():
                future.set_result([output[at:end] for output in outputs])
            at = end


def application(path: str) -> Starlette:
    batcher = Batcher(path)

    async def infer(request: Request) -> Response:
        try:
            raw: dict[str, Any] = orjson.loads(await request.body())["inputs"][0]
            rows = np.array(raw["data"], dtype=np.float32).reshape(raw["shape"])
            outputs = await batcher.predict(rows)
        except Exception as error:
            content = orjson.dumps({"error": str(error)})
            return Response(content, status_code=400, media_type="application/json")
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
                for name, output in zip(batcher.outputs, outputs, strict=True)
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
