"""Bodies mutated from what clients write, each followed by a valid request that must be answered
right, on connections that are kept alive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tidegate.features import FeatureSet, Field, Schema, col
from tidegate.registry import Bundle
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

CORPUS: Final = Path(__file__).parents[1] / "golden" / "protocol" / "corpus"
BODIES: Final = 10_000
CONNECTIONS: Final = 8
SEED: Final = 20130101
ROW: Final = {"float64": 0.5, "int64": 3, "bool": True, "string": "b", "timestamp": 0}
"""The valid request; its answer is known before the storm."""

STATUSES: Final = {200, 400, 413, 501}
"""What a mutated body may be answered with: never a 500, and never nothing."""

SCALARS: Final = [
    *("0", "-1", "1", "255", "256", "65536", "4294967296", "9223372036854775807"),
    *("18446744073709551615", "18446744073709551616", "-0.0", "0.5", "1e39", "1e308", "1e-400"),
    *("null", "true", "false", '""', '"x"', '"\\ud83e\\udd80"', '"\\ud83e"', '"é"', "[]", "[1]"),
    *("[[1,2],[3]]", "{}", '{"a":1}', '"FP32"', '"BYTES"', '"INT64"', '"2013-07-01T05:15:00Z"'),
]
KEYS: Final = [
    *("name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "id", "instances"),
    *("binary_data_size", "binary_data", "binary_data_output", "float64", "maybe_string"),
]
TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[a-z]+')


@dataclass(frozen=True)
class Body:
    """A body of the corpus: its text, what follows it, and where it is sent."""

    path: str
    text: bytes
    tail: bytes | None


def corpus() -> list[Body]:
    bodies = []
    for file in sorted(CORPUS.iterdir()):
        match file.name.split("."):
            case [_, "json"]:
                bodies.append(Body("/v2/models/every/infer", file.read_bytes(), None))
            case [_, "rows", "json"]:
                bodies.append(Body("/v1/models/every:predict", file.read_bytes(), None))
            case [_, length, "bin"]:
                body, cut = file.read_bytes(), int(length)
                bodies.append(Body("/v2/models/every/infer", body[:cut], body[cut:]))
            case _:
                assert "reply" in file.name, file
    return bodies


def mutate_json(text: bytes, rng: random.Random) -> bytes:
    """Changes a JSON text; mostly it stays one."""
    for _ in range(rng.randint(1, 3)):
        tokens = list(TOKEN.finditer(text))
        if not tokens:
            return text
        token = rng.choice(tokens)
        is_key = text[token.end() : token.end() + 1] == b":"
        put = token.group()
        match rng.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                put = (json.dumps(rng.choice(KEYS)) if is_key else rng.choice(SCALARS)).encode()
            case 5 | 6:
                other = rng.choice(tokens).group()
                put = other if not is_key or other.startswith(b'"') else put
            case 7 if not is_key:
                put = put + b"," + put
            case 8:
                at = rng.randrange(len(text))
                text = text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1 :]
                continue
            case 9 if rng.random() < 0.25:
                text = text[: rng.randrange(len(text))]
                continue
        text = text[: token.start()] + put + text[token.end() :]
    return text


def mutate_bytes(tail: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return tail[: rng.randint(0, len(tail))]
        case 1:
            return tail + rng.randbytes(rng.randint(1, 8))
        case _ if tail:
            at = rng.randrange(len(tail))
            return tail[:at] + rng.choice([b"\0", b"\1", b"\x7f", b"\xff"]) + tail[at + 1 :]
    return tail


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def request(path: str, body: bytes, length: int | None = None) -> bytes:
    header = "" if length is None else f"Inference-Header-Content-Length: {length}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def mutated(bodies: list[Body], count: int, rng: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Requests, and whether their JSON is still JSON."""
    for i in range(count):
        body = bodies[i % len(bodies)]
        if body.tail is None:
            text = mutate_json(body.text, rng)
            yield request(body.path, text), is_json(text)
            continue
        text, tail = body.text, body.tail
        if rng.random() < 0.5:
            text = mutate_json(text, rng)
        else:
            tail = mutate_bytes(tail, rng)
        length = len(text) if rng.random() < 0.95 else rng.randrange(2 * len(text))
        yield request(body.path, text + tail, length), is_json((text + tail)[:length])


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model over a column of each type, nullable and not: what the corpus is made for."""
    import polars as pl
    from sklearn.linear_model import LogisticRegression

    fields = []
    for dtype in ("bool", "int64", "float64", "string", "timestamp"):
        fields.append(Field(dtype, dtype, nullable=False))
        fields.append(Field(f"maybe_{dtype}", dtype, nullable=True))
    rng = np.random.default_rng(1)
    rows = 300
    times = np.datetime64("2024-01-01", "us") + rng.integers(0, 9000, rows) * np.timedelta64(1, "h")
    columns: dict[str, Any] = {}
    for name, values in {
        "bool": rng.random(rows) < 0.5,
        "int64": rng.integers(-100, 100, rows),
        "float64": rng.normal(size=rows),
        "string": rng.choice(["a", "b", "c"], rows),
        "timestamp": times,
    }.items():
        there = pl.Series(rng.random(rows) < 0.9)
        columns[name] = pl.Series(values)
        columns[f"maybe_{name}"] = pl.select(pl.when(there).then(columns[name])).to_series()
    table = pl.DataFrame(columns)

    def expressions(prefix: str) -> list[Any]:
        return [
            col(f"{prefix}bool").is_null(),
            col(f"{prefix}int64").fill_null(0).clip(-1e6, 1e6),
            col(f"{prefix}float64").fill_null("mean").clip(-10, 10),
            col(f"{prefix}string").one_hot(),
            col(f"{prefix}timestamp").dt.hour().fill_null(0).cyclical(24),
        ]

    features = FeatureSet(schema=Schema(fields), features=expressions("") + expressions("maybe_"))
    matrix = features.fit_transform(table)
    model = LogisticRegression(max_iter=1000).fit(matrix, rng.integers(0, 2, rows))
    folder = tmp_path_factory.mktemp("every") / "bundle"
    return Bundle.build(
        "every", "1.0.0", model=model, features=features, sample=table, directory=folder
    )


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: *(\d+)", head, re.IGNORECASE)
    assert length is not None, head
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length[1]))


async def converse(
    server: Server, requests: list[bytes], valid: bytes, expected: Any
) -> Counter[int]:
    """Sends each request and the valid one behind it without waiting, then reads both answers."""
    statuses: Counter[int] = Counter()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    with contextlib.closing(writer):
        for bad in requests:
            writer.write(bad + valid)
            status, body = await answer(reader)
            statuses[status] += 1
            assert status in STATUSES, (bad, body)
            assert status == 200 or list(json.loads(body)) == ["error"], (bad, body)
            status, body = await answer(reader)
            assert status == 200, (bad, body)
            prediction = json.loads(body)["predictions"]
            np.testing.assert_allclose(
                prediction[0]["probabilities"], expected, atol=1e-6, err_msg=repr(bad)
            )
    await writer.wait_closed()
    return statuses


@pytest.mark.slow
def test_mutated_bodies_leave_the_server_right(every: Bundle) -> None:
    rng = random.Random(SEED)
    made = list(mutated(corpus(), BODIES, rng))
    well_formed = sum(is_text for _, is_text in made) / BODIES
    assert well_formed >= 0.5, "too few bodies pass the first stage of parsing"
    valid = request("/v1/models/every:predict", json.dumps({"instances": [ROW]}).encode())
    with Runtime() as runtime:
        runtime.deploy(every)
        expected = runtime.predict("every", ROW).outputs["probabilities"]
        with Server(runtime, Settings(port=0)) as server:

            async def storm() -> list[Counter[int]]:
                shares = ([body for body, _ in made[i::CONNECTIONS]] for i in range(CONNECTIONS))
                return await asyncio.gather(
                    *(converse(server, share, valid, expected) for share in shares)
                )

            statuses = sum(asyncio.run(asyncio.wait_for(storm(), 300)), Counter[int]())
    assert statuses.total() == BODIES
    # Of all kinds: what is still a request, and what is none.
    assert statuses[200] > BODIES / 50, statuses
    assert statuses[400] > BODIES / 4, statuses
