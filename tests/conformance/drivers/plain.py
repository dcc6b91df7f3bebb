"""The cases as plain HTTP: what any client in any language sends."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
from tests.conformance.case import Case, Found, Tensor, kind
from tests.conformance.drivers.driver import NUMPY, array, run, tensor

LENGTH = "Inference-Header-Content-Length"
GETS = {
    "live": "/v2/health/live",
    "ready": "/v2/health/ready",
    "server": "/v2",
    "model_ready": "/v2/models/{model}/ready",
    "model": "/v2/models/{model}",
    "config": "/v2/models/{model}/config",
    "statistics": "/v2/models/{model}/stats",
}
POSTS = {
    "index": "/v2/repository/index",
    "load": "/v2/repository/models/{model}/load",
    "unload": "/v2/repository/models/{model}/unload",
}


def main() -> None:
    host, _, port = sys.argv[1].partition(":")

    def send(
        method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            reply = connection.getresponse()
            content, text = {k.lower(): v for k, v in reply.getheaders()}, reply.read()
            coding = content.get("content-encoding", "identity")
            if coding != "identity":
                text = gzip.decompress(text) if coding == "gzip" else zlib.decompress(text)
            return reply.status, content, text
        finally:
            connection.close()

    def ask(case: Case, version: str) -> Found:
        model = quote(case.model) + (f"/versions/{quote(version)}" if version else "")
        if case.call == "http":
            return judged(case, *send(case.method, case.path, case.body, dict(case.headers)))
        if case.call == "infer":
            body, headers = infer_body(case)
            return judged(case, *send("POST", f"/v2/models/{model}/infer", body, headers))
        if case.call == "logging":
            settings = json.dumps(dict(case.parameters)).encode() if case.parameters else b""
            method = "POST" if settings else "GET"
            return judged(case, *send(method, "/v2/logging", settings, {}))
        if case.call in POSTS:
            path = POSTS[case.call].format(model=quote(case.model))
            return judged(case, *send("POST", path, b"", {}))
        found = judged(case, *send("GET", GETS[case.call].format(model=model), b"", {}))
        if case.call in ("live", "ready", "model_ready"):
            # What a probe looks at is the status alone.
            return Found("ok", fields=found.status == "ok")
        return found

    run("plain", ask)


def infer_body(case: Case) -> tuple[bytes, dict[str, str]]:
    tails = []
    inputs: list[dict[str, Any]] = []
    for given in case.inputs:
        made: dict[str, Any] = {
            "name": given.name,
            "datatype": given.datatype,
            "shape": given.shape,
        }
        if case.binary:
            tail = raw(given)
            tails.append(tail)
            made["parameters"] = {"binary_data_size": len(tail)}
        else:
            made["data"] = given.data
        inputs.append(made)
    request: dict[str, Any] = {"inputs": inputs}
    if case.id:
        request["id"] = case.id
    if case.parameters:
        request["parameters"] = dict(case.parameters)
    elif case.binary and not case.outputs:
        request["parameters"] = {"binary_data_output": True}
    if case.outputs:
        request["outputs"] = [
            {
                "name": o.name,
                "parameters": {"classification": o.classes}
                if o.classes
                else {"binary_data": o.binary},
            }
            for o in case.outputs
        ]
    text = json.dumps(request).encode()
    body = b"".join([text, *tails])
    headers = {LENGTH: str(len(text))} if case.binary else {}
    if case.compression:
        body = gzip.compress(body) if case.compression == "gzip" else zlib.compress(body)
        headers["Content-Encoding"] = headers["Accept-Encoding"] = case.compression
    return body, headers


def raw(given: Tensor) -> bytes:
    values = array(given)
    if given.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(x)) + x for x in values.reshape(-1))
    return bytes(values.tobytes())


def judged(case: Case, status: int, headers: dict[str, str], body: bytes) -> Found:
    length = headers.get(LENGTH.lower())
    text = body[: int(length)] if length else body
    fields = (
        json.loads(text)
        if text
        and headers.get("content-type", "").startswith(
            ("application/json", "application/octet-stream")
        )
        else None
    )
    if status != 200:
        message = fields.get("error", "") if isinstance(fields, dict) else ""
        return Found(kind(status), message)
    if case.call == "index":
        return Found("ok", fields={"models": fields})
    if not isinstance(fields, dict) or "outputs" not in fields or "model_name" not in fields:
        return Found("ok", fields=fields)
    due = "application/octet-stream" if length else "application/json"
    assert headers["content-type"] == due, headers
    outputs = list(read(fields["outputs"], body[len(text) :]))
    rest = {name: value for name, value in fields.items() if name != "outputs"}
    return Found("ok", outputs=outputs, fields={"id": "", "is_binary": bool(length), **rest})


def read(outputs: list[Any], tail: bytes) -> Iterator[Tensor]:
    for output in outputs:
        size = output.get("parameters", {}).get("binary_data_size")
        name, datatype, shape = output["name"], output["datatype"], output["shape"]
        if size is None:
            yield tensor(name, datatype, shape, np.array(output["data"], NUMPY.get(datatype)))
            continue
        part, tail = tail[:size], tail[size:]
        assert len(part) == size, f"{name} has {len(part)} of {size} bytes"
        yield tensor(name, datatype, shape, elements(datatype, part))
    assert not tail, f"{len(tail)} bytes are left over"


def elements(datatype: str, part: bytes) -> Any:
    if datatype == "BF16":
        return (np.frombuffer(part, np.uint16).astype(np.uint32) << 16).view(np.float32)
    if datatype != "BYTES":
        return np.frombuffer(part, NUMPY[datatype])
    found = []
    while part:
        (length,) = struct.unpack_from("<I", part)
        found.append(part[4 : 4 + length])
        part = part[4 + length :]
    return np.array(found, np.object_)


if __name__ == "__main__":
    main()
