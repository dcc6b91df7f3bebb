"""Starlette with a batcher without a timer: what the requests of one turn of the loop brought runs as one batch.

python service.py MODEL.onnx PORT [--features FEATURES.json]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, apart, arguments


class Batcher:
    """Gathers rows until the loop has read all that was readable."""

    def __init__(self, served: Served) -> None:
        self.served = served
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
            made = self.served.run(np.concatenate([rows for rows, _ in batch]))
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        parts = apart(made, (len(rows) for rows, _ in batch))
        for part, (_, future) in zip(parts, batch, strict=True):
            if not future.done():
                future.set_result(part)


def application(served: Served) -> Starlette:
    batcher = Batcher(served)

    async def infer(request: Request) -> Response:
        try:
            rows = served.rows(orjson.loads(await request.body())["inputs"])
            made = await batcher.predict(rows)
        except Exception as error:
            content = orjson.dumps({"error": str(error)})
            return Response(content, status_code=400, media_type="application/json")
        answer = {
            "model_name": request.path_params["name"],
            "model_version": "1",
            "outputs": served.outputs(made),
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
    given = arguments()
    uvicorn.run(
        application(Served(given)),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
