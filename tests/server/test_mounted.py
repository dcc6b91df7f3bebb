"""The service mounted in somebody's own ASGI application answers what the server answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tidegate.runtime import Runtime
from tidegate.server import Server, TidegateApp, mount

pytestmark = pytest.mark.anyio

ROW = {"x": 1.25, "colour": "red", "at": "2024-03-01T10:00:00Z"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app(runtime: Runtime) -> Iterator[TidegateApp]:
    app = mount(runtime, limits={"body_bytes": 1_000_000})
    yield app
    app.close()


def requests() -> list[tuple[str, str, dict[str, str], bytes]]:
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": "FP64",
                    "shape": [1, 1],
                    "parameters": {"binary_data_size": 8},
                },
                {
                    "name": "colour",
                    "datatype": "BYTES",
                    "shape": [1, 1],
                    "parameters": {"binary_data_size": 7},
                },
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    binary = head + bytes(8) + (3).to_bytes(4, "little") + b"red"
    length = {"inference-header-content-length": str(len(head))}
    rows = json.dumps({"instances": [ROW]}).encode()
    return [
        ("GET", "/v2", {}, b""),
        ("GET", "/v2/", {}, b""),
        ("GET", "/v2/health/live", {}, b""),
        ("GET", "/v2/health/ready", {}, b""),
        ("GET", "/v2/models/tiny", {}, b""),
        ("GET", "/v2/models/tiny/versions/1.0.0", {}, b""),
        ("GET", "/v2/models/t%69ny/ready", {}, b""),
        ("GET", "/v2/models/none", {}, b""),
        ("GET", "/v2/models/tiny/infer", {}, b""),
        ("POST", "/v2/repository/index", {}, b""),
        ("POST", "/v1/models/tiny:predict", {}, rows),
        ("POST", "/v1/models/tiny:predict?extra=ignore", {}, rows),
        ("POST", "/v1/models/tiny:predict", {"accept-encoding": "gzip"}, rows),
        ("POST", "/v1/models/tiny:predict", {}, b"{"),
        ("POST", "/v1/models/tiny:predict", {"content-encoding": "br"}, rows),
        ("POST", "/v2/models/tiny/infer", length, binary),
        ("GET", "/v1/models/tiny", {}, b""),
        ("GET", "/v1/models/tiny/drift?x=1", {}, b""),
        ("GET", "/nowhere", {}, b""),
        ("GET", "/openapi.json", {}, b""),
    ]


def comparable(reply: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    body = re.sub(rb'"prediction_id":"[^"]*"', b'"prediction_id":"-"', reply.content)
    body = re.sub(rb'"(start|end|now)":[0-9.e]+', b'"time":0', body)
    headers = {k: v for k, v in reply.headers.items() if k != "date"}
    return reply.status_code, headers, body


async def test_every_byte_is_the_same(app: TidegateApp, server: Server) -> None:
    outer = Starlette(
        routes=[Route("/mine", lambda _: PlainTextResponse("mine")), Mount("/ml", app=app)]
    )
    transport = httpx.ASGITransport(app=outer)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://test/ml") as mounted,
        httpx.AsyncClient(base_url=server.url) as direct,
    ):
        for number, (method, path, own, body) in enumerate(requests()):
            headers = {**own, "x-request-id": f"request-{number}"}
            ours = comparable(await mounted.request(method, path, headers=headers, content=body))
            theirs = comparable(await direct.request(method, path, headers=headers, content=body))
            if b"nothing is served" in theirs[2]:
                # The mounted application names the whole path.
                assert ours[0] == theirs[0]
                continue
            assert ours == theirs, (method, path)


async def test_large_bodies_are_refused_alike(app: TidegateApp) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://test"
    ) as client:
        reply = await client.post("/v1/models/tiny:predict", content=b" " * 1_000_001)
        assert reply.status_code == 413
        assert "body_bytes" in reply.json()["error"]


async def test_tasks_that_run_at_once_are_all_answered(app: TidegateApp) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://test", timeout=30
    ) as client:

        async def ask(i: int) -> float:
            body = {"instances": [{"x": i / 50, "colour": "red"}]}
            reply = await client.post("/v1/models/tiny:predict", json=body)
            probability: float = reply.json()["predictions"][0]["probabilities"][1]
            return probability

        got = await asyncio.gather(*(ask(i) for i in range(200)))
        rows = [{"x": i / 50, "colour": "red"} for i in range(200)]
        whole = await client.post("/v1/models/tiny:predict", json={"instances": rows})
        expected = [p["probabilities"][1] for p in whole.json()["predictions"]]
        assert got == pytest.approx(expected, abs=1e-6)


async def test_a_client_that_goes_leaves_nothing_behind(app: TidegateApp) -> None:
    sent: list[Any] = []
    body = json.dumps({"instances": [ROW]}).encode()
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/models/tiny:predict",
        "query_string": b"",
        "headers": [],
    }
    await asyncio.wait_for(app(scope, receive, send), 10)
    assert [m["type"] for m in sent] in ([], ["http.response.start", "http.response.body"])
    await asyncio.sleep(0.1)


async def test_a_closed_service_says_so(app: TidegateApp) -> None:
    app.close()
    app.close()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://test"
    ) as client:
        assert (await client.get("/v2/health/live")).status_code == 404
