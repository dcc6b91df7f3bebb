"""A hand-written prediction service: Starlette, uvicorn on uvloop, orjson, ONNX Runtime.

What a careful engineer writes in an hour, and the peer that the benchmarks compare with: one
process, one event loop, the model called in it with the rows of one request. It answers the same
V2 JSON for the same ONNX file as tidegate does.

    python service.py MODEL.onnx PORT [--features FEATURES.json]
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, arguments


def application(served: Served) -> Starlette:
    async def infer(request: Request) -> Response:
        try:
            inputs = orjson.loads(await request.body())["inputs"]
            made = served.run(served.rows(inputs))
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
