"""Bad requests: each gets the right status and a sentence that names the thing, and the next
request on the same connection is served."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.registry import Bundle
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

INFER = "/v2/models/tiny/infer"
PREDICT = "/v1/models/tiny:predict"
BODY_LIMIT = 20_000


@pytest.fixture(scope="module")
def server(bundle: Bundle) -> Iterator[Server]:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        with Server(runtime, Settings(port=0, limits={"body_bytes": BODY_LIMIT})) as server:
            yield server


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    yield connection
    connection.close()


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    **headers: str,
) -> tuple[int, dict[str, str], Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body or None, headers=named)
    reply = connection.getresponse()
    text = reply.read()
    found = {name.lower(): value for name, value in reply.getheaders()}
    return reply.status, found, json.loads(text) if text else None


def tensor(
    name: str = "colour", datatype: str = "BYTES", data: Any = ("red",), **more: Any
) -> dict[str, Any]:
    made = {"name": name, "shape": [len(data or ()), 1], "datatype": datatype, "data": data, **more}
    return {key: value for key, value in made.items() if value is not None}


def inputs(*tensors: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **more}).encode()


def rows(*instances: Any, **more: Any) -> bytes:
    return json.dumps({"instances": list(instances), **more}).encode()


ROW = {"x": 1.25, "colour": "red"}

RAW = inputs(tensor(data=None, shape=[1, 1], parameters={"binary_data_size": 7}))

BAD: dict[str, tuple[str, bytes, int, str]] = {
    # Not what was due at all.
    "empty": (INFER, b"", 400, "malformed JSON"),
    "not JSON": (INFER, b"colour=red", 400, "malformed JSON"),
    "cut off": (INFER, inputs(tensor())[:-3], 400, "malformed JSON"),
    "not an object": (INFER, b"[1]", 400, "an inference request as an object"),
    "not UTF-8": (INFER, b'{"id":"\xe9"}', 400, "UTF-8"),
    "no inputs": (INFER, b'{"inputs":[]}', 400, "no inputs"),
    "too deep": (INFER, b'{"x":' + b"[" * 200 + b"]" * 200 + b"}", 400, "100 levels"),
    # Columns.
    "unknown column": (INFER, inputs(tensor(), tensor("y")), 400, 'unknown column "y"'),
    "misspelt column": (INFER, inputs(tensor("color")), 400, 'did you mean "colour"'),
    "missing column": (INFER, inputs(tensor("x", "FP64", [1.0])), 400, '"colour"'),
    "wrong type": (INFER, inputs(tensor(datatype="FP64", data=[1.0])), 400, '"colour"'),
    "string for number": (INFER, inputs(tensor(), tensor("x", "FP64", ["1"])), 400, '"x"'),
    "NaN as JSON": (INFER, inputs(tensor(), tensor("x", "FP64", [float("nan")])), 400, "JSON"),
    "infinity as JSON": (
        INFER,
        inputs(tensor(), tensor("x", "FP64", [0])).replace(b"[0]", b"[1e999]"),
        400,
        "out of range",
    ),
    "null": (INFER, inputs(tensor(data=[None])), 400, "element 0 is null"),
    "flagged as missing": (
        INFER,
        inputs(tensor(), tensor("colour.is_null", "BOOL", [True])),
        400,
        '"colour"',
    ),
    "twice": (INFER, inputs(tensor(), tensor()), 400, "appears twice"),
    # Shapes.
    "count": (INFER, inputs(tensor(shape=[2, 1])), 400, "needs 2 elements but data has 1"),
    "negative extent": (INFER, inputs(tensor(shape=[-1, 1])), 400, "shape"),
    "unequal rows": (INFER, inputs(tensor(), tensor("x", "FP64", [1.0, 2.0])), 400, "rows"),
    "wrong shape": (INFER, inputs(tensor(data=["a", "b"], shape=[1, 2])), 400, "[n, 1]"),
    "ragged": (
        INFER,
        inputs(tensor("x", "FP64", [[1.0], [2.0, 3.0], [4.0]], shape=[4, 1])),
        400,
        "unevenly",
    ),
    "empty table": (INFER, inputs(tensor(data=[])), 400, "no rows"),
    "unknown datatype": (INFER, inputs(tensor(datatype="TEXT")), 400, 'unknown datatype "TEXT"'),
    "no data": (INFER, inputs(tensor(data=None, shape=[1, 1])), 400, "neither data nor"),
    "binary without header": (INFER, RAW + struct.pack("<I", 3) + b"red", 400, "malformed JSON"),
    "binary without bytes": (INFER, RAW, 400, "expecting 7 additional bytes"),
    "huge shape": (INFER, inputs(tensor(shape=[1, 2**62])), 400, "needs"),
    "too many rows": (INFER, inputs(tensor(shape=[2**40, 1])), 413, "rows exceed the limit"),
    # Outputs and parameters.
    "unknown output": (INFER, inputs(tensor(), outputs=[{"name": "z"}]), 400, 'output "z"'),
    "parameter": (INFER, inputs(tensor(), parameters={"timeout": "soon"}), 400, '"timeout"'),
    "reserved": (INFER, inputs(tensor(), parameters={"triton_x": 1}), 400, "reserved"),
    "shared memory": (
        INFER,
        inputs(tensor(data=None, shape=[1, 1], parameters={"shared_memory_region": "r"})),
        501,
        "not offered",
    ),
    # Rows.
    "no rows": (PREDICT, rows(), 400, "no rows"),
    "no instances": (PREDICT, b"{}", 400, "instances"),
    "unknown key": (PREDICT, rows({**ROW, "color": 1}), 400, 'did you mean "colour"'),
    "absent": (PREDICT, rows(ROW, {"x": 1}), 400, '"colour" is missing in row 1'),
    "null in a row": (PREDICT, rows({"colour": None}), 400, '"colour" is missing in row 0'),
    "text for number": (PREDICT, rows({**ROW, "x": "1.25"}), 400, '"x" is the text "1.25"'),
    "number for text": (PREDICT, rows({"colour": 3}), 400, '"colour" is 3 in row 0'),
    "list for number": (PREDICT, rows({**ROW, "x": [1]}), 400, '"x" is an array'),
    "no time": (PREDICT, rows({**ROW, "at": "noon"}), 400, '"noon" is not an RFC 3339 time'),
    "time without offset": (PREDICT, rows({**ROW, "at": "2024-01-01T00:00:00"}), 400, "RFC 3339"),
    "key twice": (PREDICT, b'{"instances":[{"colour":"a","colour":"b"}]}', 400, "twice"),
    # Addresses.
    "unknown model": ("/v2/models/nobody/infer", inputs(tensor()), 404, "nobody"),
    "unknown version": ("/v2/models/tiny/versions/2.0.0/infer", inputs(tensor()), 404, "2.0.0"),
    "version is exact": ("/v2/models/tiny/versions/1/infer", inputs(tensor()), 404, "1"),
    "unknown model of rows": ("/v1/models/nobody:predict", rows(ROW), 404, "nobody"),
    "path not UTF-8": ("/v2/models/%ff/infer", inputs(tensor()), 400, "UTF-8"),
    "unknown path": ("/v2/nothing", b"{}", 404, "nothing"),
    # Size.
    "oversized": (PREDICT, rows(*[ROW] * 1_000), 413, "body_bytes"),
}


def is_served(connection: http.client.HTTPConnection) -> None:
    status, _, reply = ask(connection, "POST", PREDICT, rows(ROW))
    assert status == 200, reply
    (prediction,) = reply["predictions"]
    assert prediction["label"] == 1
    assert prediction["probabilities"][1] > 0.9


@pytest.mark.parametrize("what", BAD)
def test_it_is_refused_and_the_next_request_served(
    connection: http.client.HTTPConnection, what: str
) -> None:
    path, body, due, part = BAD[what]
    status, headers, reply = ask(connection, "POST", path, body)
    assert (status, headers["content-type"]) == (due, "application/json"), reply
    assert list(reply) == ["error"]
    assert part in reply["error"]
    is_served(connection)


@pytest.mark.parametrize(
    ("length", "part"),
    [
        (str(len(RAW) + 100), "the body has"),
        ("-1", "number of bytes"),
        ("many", "number of bytes"),
        ("0", "one input"),
        (str(len(RAW) - 1), "malformed JSON"),
    ],
)
def test_wrong_header_lengths(
    connection: http.client.HTTPConnection, length: str, part: str
) -> None:
    body = RAW + struct.pack("<I", 3) + b"red"
    status, _, reply = ask(connection, "POST", INFER, body, Inference_Header_Content_Length=length)
    assert status == 400
    assert part in reply["error"]
    right = str(len(RAW))
    status, _, reply = ask(connection, "POST", INFER, body, Inference_Header_Content_Length=right)
    assert status == 200, reply


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", INFER, "POST"),
        ("PUT", PREDICT, "POST"),
        ("POST", "/v2/models/tiny", "GET"),
        ("DELETE", "/v2/health/live", "GET"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_wrong_methods(
    connection: http.client.HTTPConnection, method: str, path: str, allowed: str
) -> None:
    status, headers, reply = ask(connection, method, path)
    assert (status, headers["allow"]) == (405, allowed)
    assert method in reply["error"]
    is_served(connection)


def test_a_coding_that_is_not_offered(connection: http.client.HTTPConnection) -> None:
    status, _, reply = ask(connection, "POST", PREDICT, rows(ROW), Content_Encoding="br")
    assert status == 501
    assert "br" in reply["error"]
    is_served(connection)


def test_a_body_that_is_not_what_its_coding_says(connection: http.client.HTTPConnection) -> None:
    status, _, reply = ask(connection, "POST", PREDICT, rows(ROW), Content_Encoding="gzip")
    assert status == 400
    assert "gzip" in reply["error"]
    is_served(connection)


def test_an_unseen_category_is_no_error(connection: http.client.HTTPConnection) -> None:
    status, _, reply = ask(connection, "POST", PREDICT, rows({"x": 1.0, "colour": "ultraviolet"}))
    assert status == 200, reply


def test_a_closed_runtime_is_unavailable(bundle: Bundle) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        with Server(runtime, Settings(port=0)) as server:
            connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
            is_served(connection)
            runtime.close()
            status, headers, reply = ask(connection, "POST", PREDICT, rows(ROW))
            assert status == 503, reply
            assert int(headers["retry-after"]) > 0
            assert ask(connection, "GET", "/v2/health/ready")[0] == 503
            assert ask(connection, "GET", "/v2/health/live")[0] == 200
            connection.close()
