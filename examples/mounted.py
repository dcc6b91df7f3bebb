"""A service of your own, with a model mounted at /ml.

Your routes stay yours. Below /ml the same native code answers as behind `tidegate serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from tidegate import Runtime
from tidegate.demo.tiny import tiny_bundle
from tidegate.server import mount

runtime = Runtime()
with tempfile.TemporaryDirectory() as folder:
    runtime.deploy(tiny_bundle(folder))
model_service = mount(runtime)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Closes the runtime with the service."""
    del app
    yield
    model_service.close()
    runtime.close()


async def decide(request: Request) -> JSONResponse:
    """Your own logic, with the model in the same process."""
    row = await request.json()
    prediction = await runtime.apredict("tiny", row)
    return JSONResponse({"accept": prediction.label == 1, "because": prediction.id})


app = Starlette(
    routes=[Route("/decide", decide, methods=["POST"]), Mount("/ml", app=model_service)],
    lifespan=lifespan,
)


async def main() -> None:
    """Asks both without a port; a server of yours would be `uvicorn mounted:app`."""
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://me") as me:
        answer = await me.post("/decide", json={"x": 1.5, "colour": "red"})
        print(answer.json())
        rows = {"instances": [{"x": None, "colour": "blue"}]}
        answer = await me.post("/ml/v1/models/tiny:predict", json=rows)
        print(answer.json())


if __name__ == "__main__":
    asyncio.run(main())
