"""Bodies of rows that are too large to hold: read, predicted and answered piece by piece."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

URL = "/v1/models/tiny:predict"
ROWS = 30_000
"""Rows of a body of about two megabytes, twice what is read in pieces."""


def rows(count: int) -> list[dict[str, object]]:
    values = np.random.default_rng(7).normal(size=count).round(4)
    colours = ("red", "blue", "gr\\ün[]{}", "")
    return [
        {"x": float(value), "colour": colours[i % 4], "at": "2024-03-01T10:00:00Z"}
        for i, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def body() -> bytes:
    return json.dumps({"instances": rows(ROWS)}).encode()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def late(runtime: Runtime) -> list[float]:
    """The probabilities that the embedded runtime gives."""
    outputs = runtime.predict_many("tiny", rows(ROWS)).outputs
    return [float(value) for value in np.asarray(outputs["probabilities"])[:, 1]]


def test_a_large_body_is_answered_as_a_small_one(
    runtime: Runtime, client: httpx.Client, body: bytes
) -> None:
    expected = late(runtime)
    packed = gzip.compress(body, 1)
    # Of unknown length, in chunks that end anywhere.
    chunks = (body[i : i + 9973] for i in range(0, len(body), 9973))
    for reply in (client.post(URL, content=body), client.post(URL, content=chunks)):
        assert reply.status_code == 200, reply.text
        assert reply.headers["transfer-encoding"] == "chunked"
        assert reply.headers["content-type"] == "application/json"
        answer = reply.json()
        assert answer["model_version"] == "1.0.0"
        found = [prediction["probabilities"][1] for prediction in answer["predictions"]]
        assert found == pytest.approx(expected, abs=1e-6)
    reply = client.post(URL, content=packed, headers={"content-encoding": "gzip"})
    assert len(reply.json()["predictions"]) == ROWS


def test_a_compressed_body_is_unpacked_piece_by_piece(client: httpx.Client) -> None:
    # Barely compressible, so that it is large packed too.
    texts = np.random.default_rng(1).integers(0, 2**63, size=(20_000, 8)).tolist()
    instances = [{"x": 1.0, "colour": "-".join(map(str, row))} for row in texts]
    packed = gzip.compress(json.dumps({"instances": instances}).encode(), 1)
    assert len(packed) > 1 << 20
    reply = client.post(URL, content=packed, headers={"content-encoding": "gzip"})
    assert reply.status_code == 200
    assert len(reply.json()["predictions"]) == 20_000
    cut = packed[: len(packed) // 50 * 49]
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(URL, content=cut, headers={"content-encoding": "gzip"})


def test_more_than_a_body_may_hold_is_streamed(runtime: Runtime, body: bytes) -> None:
    limits = {"body_bytes": 1_200_000}
    with (
        Server(runtime, Settings(port=0, limits=limits)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        assert len(body) > limits["body_bytes"]
        reply = client.post(URL, content=body)
        assert len(reply.json()["predictions"]) == ROWS
        # Tensors are held whole.
        assert client.post("/v2/models/tiny/infer", content=body).status_code == 413


def test_an_early_mistake_has_its_status(client: httpx.Client, body: bytes) -> None:
    for content, status, part in [
        (body.replace(b'"x"', b'"y"', 1), 400, '"y"'),
        (b'{"rows":' + body[13:], 400, "instances"),
        (b"[" + body, 400, "JSON"),
        (b'{"instances":[{"colour":"' + b"x" * (1 << 21) + b'"}]}', 413, "a row"),
    ]:
        reply = client.post(URL, content=content)
        assert reply.status_code == status, reply.text
        assert part in reply.json()["error"]
    reply = client.post("/v1/models/none:predict", content=body)
    assert reply.status_code == 404
    assert client.post(URL, content=body[:-2] + b"]}").status_code == 200


def test_a_late_mistake_breaks_the_answer_off(server: Server, body: bytes) -> None:
    wrong = body[:-2] + b', {"x": "one"}]}'
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        head = f"POST {URL} HTTP/1.1\r\nhost: t\r\ncontent-length: {len(wrong)}\r\n\r\n"
        connection.sendall(head.encode() + wrong)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    # The text says why, and the last chunk never comes.
    assert b'"error":"' in answer[-600:]
    assert b"one" in answer[-600:]
    assert not answer.endswith(b"0\r\n\r\n")
