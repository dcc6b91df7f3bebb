"""Values of a wrong type, by every way in: counted by column, on /metrics and in the drift report."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import InputError
from tidegate.monitoring.page import render_html
from tidegate.runtime import Runtime
from tidegate.server import Server

ROWS = "/v1/models/tiny:predict"
INFER = "/v2/models/tiny/infer"
ROW = {"x": 1.25, "colour": "red"}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def mistyped(runtime: Runtime) -> dict[str, int]:
    return {column.name: column.requests for column in runtime.drift("tiny").mistyped}


def instances(**wrong: object) -> dict[str, object]:
    return {"instances": [ROW, {**ROW, **wrong}]}


def tensors(*more: tuple[str, str, object]) -> dict[str, object]:
    every = (("colour", "BYTES", "red"), *more)
    return {
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [1, 1], "data": [value]}
            for name, datatype, value in every
        ]
    }


def test_over_http(runtime: Runtime, client: httpx.Client) -> None:
    assert mistyped(runtime) == {}
    assert "column=" not in counter(client)
    wrong: list[tuple[str, dict[str, object]]] = [
        (ROWS, instances(x="one")),
        (ROWS, instances(x=[1])),
        (ROWS, instances(colour=3)),
        (ROWS, instances(at="yesterday")),
        (INFER, tensors(("x", "BYTES", "one"))),
        # The datatype is right, the element is not.
        (INFER, tensors(("x", "FP64", "one"))),
        (INFER, {"inputs": [{**tensors()["inputs"][0], "datatype": "FP64"}]}),  # type: ignore[index]
    ]
    for path, body in wrong:
        reply = client.post(path, json=body)
        assert reply.status_code == 400, reply.text
    table = pa.table({"x": ["one"], "colour": ["red"]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    arrow = {"content-type": "application/vnd.apache.arrow.stream"}
    assert client.post(ROWS, content=sink.getvalue(), headers=arrow).status_code == 400
    due = {"x": 5, "colour": 2, "at": 1}
    assert mistyped(runtime) == due
    # What is wrong otherwise counts nothing, and what is right goes on being answered.
    for rows in ([{**ROW, "nothing": 1}], [{"x": 1.0}], []):
        assert client.post(ROWS, json={"instances": rows}).status_code == 400
    assert client.post(ROWS, json={"instances": [ROW]}).status_code == 200
    assert mistyped(runtime) == due
    page = counter(client)
    for column, count in due.items():
        assert f'{{model="tiny",version="1.0.0",column="{column}"}} {count}' in page
    found = client.get("/v1/models/tiny/drift").json()["mistyped"]
    assert {column["name"]: column["requests"] for column in found} == due
    # Refused rows are in no window.
    assert [window.rows for window in runtime.drift("tiny").windows] == [1]
    assert "<b>x</b> 5" in render_html(runtime.drift("tiny"))


def counter(client: httpx.Client) -> str:
    name = "tidegate_mistyped_requests_total"
    lines = client.get("/metrics").text.splitlines()
    return "\n".join(line for line in lines if line.startswith(name))


def test_in_the_pieces_of_a_stream(runtime: Runtime, client: httpx.Client) -> None:
    rows: list[dict[str, object]] = [dict(ROW) for _ in range(60_000)]
    rows[-1]["x"] = "one"
    body = json.dumps({"instances": rows}).encode()
    assert len(body) > 1 << 20
    # Most of it is answered before the wrong row is read.
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(ROWS, content=body)
    assert mistyped(runtime) == {"x": 1}
    rows[0]["colour"] = 7
    reply = client.post(ROWS, content=json.dumps({"instances": rows}).encode())
    assert reply.status_code == 400
    assert mistyped(runtime) == {"x": 1, "colour": 1}


def test_embedded(runtime: Runtime) -> None:
    wrong: list[Callable[[], Any]] = [
        lambda: runtime.predict("tiny", {**ROW, "x": "one"}),
        lambda: runtime.predict("tiny", {**ROW, "x": [1]}),
        lambda: runtime.predict_many("tiny", [ROW, {**ROW, "colour": 3}]),
        lambda: runtime.predict_many("tiny", pa.table({"x": ["one"], "colour": ["red"]})),
        lambda: runtime.predict_many("tiny", np.zeros((2, 3))),
    ]
    for ask in wrong:
        with pytest.raises(InputError, match="column"):
            ask()
    assert mistyped(runtime) == {"x": 3, "colour": 2}
    with pytest.raises(InputError, match="nothing"):
        runtime.predict("tiny", {**ROW, "nothing": 1})
    with pytest.raises(InputError, match="missing"):
        runtime.predict("tiny", {"x": 1.0})
    runtime.predict("tiny", ROW)
    assert mistyped(runtime) == {"x": 3, "colour": 2}


def test_from_a_coroutine(runtime: Runtime) -> None:
    async def ask() -> None:
        await runtime.apredict("tiny", {**ROW, "x": "one"})

    with pytest.raises(InputError, match='column "x"'):
        asyncio.run(ask())
    assert mistyped(runtime) == {"x": 1}


def test_over_grpc(runtime: Runtime, server: Server) -> None:
    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    def tensor(name: bytes, datatype: bytes, contents: bytes) -> bytes:
        shape = field(3, b"\x01\x01")
        return field(5, field(1, name) + field(2, datatype) + shape + field(5, contents))

    red = tensor(b"colour", b"BYTES", field(8, b"red"))
    text = tensor(b"x", b"BYTES", field(8, b"one"))
    number = tensor(b"x", b"FP64", field(7, struct.pack("<d", 1.25)))
    assert server.grpc_address is not None
    with grpc.insecure_channel(server.grpc_address) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        assert infer(field(1, b"tiny") + red + number, timeout=60)
        with pytest.raises(grpc.RpcError) as caught:
            infer(field(1, b"tiny") + red + text, timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert mistyped(runtime) == {"x": 1}


def test_the_command_names_them(server: Server, client: httpx.Client) -> None:
    client.post(ROWS, json=instances(x="one"))
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "drift", "tiny", "--url", server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Requests refused for a value of a wrong type: x (1)" in done.stdout
