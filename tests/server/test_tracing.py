"""Spans arrive at a collector: a real receiver of OTLP's JSON on loopback."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest

from tidegate import __version__
from tidegate.errors import ConfigurationError
from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Server, Settings, Tracing, exporter
from tidegate.server.keyring import Keyring

PATIENCE: Final = 180.0
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
SAMPLED: Final = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
UNSAMPLED: Final = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
ROWS: Final = {"instances": [{"x": 0.5, "colour": "red"}]}


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes as a dictionary; numbers are texts in OTLP's JSON."""
    found: dict[str, Any] = {}
    for attribute in attributes:
        ((kind, value),) = attribute["value"].items()
        assert isinstance(value, str)
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found


class Collector:
    """Takes what is posted; answers with the next of `answers`, or 200."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.answers: list[tuple[int, bytes]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = collector.answers.pop(0) if collector.answers else (200, b"{}")
                collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                collector.paths.append(self.path)
                if status == 200:
                    collector.messages.append(json.loads(body))
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                if status == 307:
                    self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def spans(self) -> list[dict[str, Any]]:
        found = []
        for message in list(self.messages):
            (resource,) = message["resourceSpans"]
            (scope,) = resource["scopeSpans"]
            assert scope["scope"] == {"name": "tidegate", "version": __version__}
            for span in scope["spans"]:
                assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
                assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
                assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
                assert span["kind"] == 2
                found.append({**span, "attributes": plain(span["attributes"])})
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@contextlib.contextmanager
def traced(runtime: Runtime, tracing: Tracing, gate: Gate | None = None) -> Iterator[Server]:
    with Server(runtime, Settings(port=0), gate=gate, tracing=tracing) as server:
        yield server


def ask(server: Server, path: str = "/v1/models/tiny:predict", **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", timeout=PATIENCE, **{"json": ROWS, **options})


def metric(server: Server, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics", timeout=PATIENCE, headers=UNSAMPLED).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


EXPORTED: Final = "tidegate_trace_spans_exported_total"
LOST: Final = 'tidegate_trace_spans_dropped_total{reason="export"}'


def test_spans_of_both_protocols_arrive(
    runtime: Runtime, collector: Collector, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "keys.json")
    key = keyring.new("ci", ["admin:*"])
    tracing = Tracing(
        endpoint=collector.url, ratio=0, service="flights", headers=("authorization=Bearer x=y",)
    )
    with (
        Gate(Access(keys=str(keyring.file))) as gate,
        traced(runtime, tracing, gate) as server,
    ):
        headers = {"x-api-key": key, **SAMPLED}
        assert ask(server, headers=headers).status_code == 200
        assert ask(server, headers={"x-api-key": key}).status_code == 200
        assert ask(server, headers={**headers, **UNSAMPLED}).status_code == 200
        assert ask(server, headers=SAMPLED).status_code == 401
        assert server.grpc_address is not None
        with grpc.insecure_channel(server.grpc_address) as channel:
            for method, code in (
                ("ServerMetadata", grpc.StatusCode.OK),
                ("Nothing", grpc.StatusCode.UNIMPLEMENTED),
            ):
                call = channel.unary_unary(
                    f"/inference.GRPCInferenceService/{method}",
                    request_serializer=bytes,
                    response_deserializer=bytes,
                )
                future = call.future(b"", timeout=PATIENCE, metadata=tuple(headers.items()))
                assert future.code() is code
    # The end of the server has sent the last of them.
    predicted, refused, called, unknown = collector.spans()
    for span in (predicted, refused, called, unknown):
        assert (span["traceId"], span["parentSpanId"]) == (TRACE, SPAN)
    assert predicted["name"] == "POST /v1/models/{model}:predict"
    said = predicted["attributes"]
    assert said["http.route"] == "/v1/models/{model}:predict"
    assert said["url.path"] == "/v1/models/tiny:predict"
    assert said["http.response.status_code"] == 200
    assert said["enduser.id"] == "key:ci"
    assert refused["attributes"]["http.response.status_code"] == 401
    assert "enduser.id" not in refused["attributes"]
    assert "status" not in refused
    assert called["name"] == "inference.GRPCInferenceService/ServerMetadata"
    said = called["attributes"]
    assert said["rpc.system"] == "grpc"
    assert said["rpc.service"] == "inference.GRPCInferenceService"
    assert said["rpc.method"] == "ServerMetadata"
    assert said["rpc.grpc.status_code"] == 0
    assert "status" not in called
    assert unknown["status"] == {"code": 2}
    assert unknown["attributes"]["rpc.grpc.status_code"] == 12
    assert set(collector.paths) == {"/v1/traces"}
    for sent in collector.headers:
        assert sent["content-type"] == "application/json"
        assert sent["authorization"] == "Bearer x=y"
    resource = plain(collector.messages[0]["resourceSpans"][0]["resource"]["attributes"])
    assert resource["service.name"] == "flights"
    assert resource["service.version"] == __version__
    assert resource["process.pid"] == os.getpid()


def test_spans_arrive_while_the_server_runs(runtime: Runtime, collector: Collector) -> None:
    with traced(runtime, Tracing(endpoint=collector.url)) as server:
        replies = [ask(server) for _ in range(20)]
        assert {reply.status_code for reply in replies} == {200}
        until(lambda: len(collector.spans()) == 20)
        until(lambda: metric(server, EXPORTED) == 20)
        said = [span["attributes"]["tidegate.request.id"] for span in collector.spans()]
        assert said == [reply.headers["x-request-id"] for reply in replies]
        assert len({span["traceId"] for span in collector.spans()}) == 20
        assert not any("parentSpanId" in span for span in collector.spans())


def test_it_is_off_by_default(runtime: Runtime) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with Server(runtime, Settings(port=0)) as server:
        assert ask(server, headers=SAMPLED).status_code == 200
        assert "tidegate_trace" not in httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
        assert "tidegate-spans" not in {t.name for t in threading.enumerate()} - before


def test_a_dead_collector_costs_spans_only(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "PAUSES", (0.01,))
    with socket.socket() as bound:  # it is taken, and nobody listens
        bound.bind(("127.0.0.1", 0))
        tracing = Tracing(endpoint=f"http://127.0.0.1:{bound.getsockname()[1]}")
        with traced(runtime, tracing) as server:
            for _ in range(10):
                assert ask(server).status_code == 200
            until(lambda: metric(server, LOST) == 10)
            assert metric(server, EXPORTED) == 0
            assert ask(server).status_code == 200


def test_a_collector_that_hangs_holds_up_nobody(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "LAST_SECONDS", 0.5)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(PATIENCE)
        tracing = Tracing(endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}")
        with traced(runtime, tracing) as server:
            assert ask(server).status_code == 200
            # The message is on its way and is never answered.
            connection, _ = listening.accept()
            for _ in range(10):
                assert ask(server).status_code == 200
        # The end of the server did not wait for it.
        connection.close()


@pytest.mark.parametrize(
    ("answers", "posts", "arrived"),
    [
        ([(503, b"")], 2, 1),
        ([(429, b""), (502, b"")], 3, 1),
        ([(503, b"")] * 3, 3, 0),
        ([(400, b"no")], 1, 0),
        ([(307, b"")], 1, 0),
        ([(200, b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}')], 1, 0),
        ([(200, b"no JSON")], 1, 1),
        ([(200, b"[]")], 1, 1),
    ],
)
def test_what_a_collector_answers(
    runtime: Runtime,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[tuple[int, bytes]],
    posts: int,
    arrived: int,
) -> None:
    monkeypatch.setattr(exporter, "PAUSES", (0.01, 0.01))
    collector.answers = list(answers)
    with traced(runtime, Tracing(endpoint=collector.url, ratio=0)) as server:
        assert ask(server, headers=SAMPLED).status_code == 200
        until(lambda: metric(server, EXPORTED) + metric(server, LOST) == 1)
        assert metric(server, EXPORTED) == arrived
    assert len(collector.paths) == posts
    assert set(collector.paths) == {"/v1/traces"}


def test_sigterm_sends_the_last_spans(
    registry_folder: Path, collector: Collector, tmp_path: Path
) -> None:
    address = tmp_path / "address"
    command = [
        *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion"),
        *("--registry", str(registry_folder), "--port", "0", "--address-file", str(address)),
        *("--trace-ratio", "1"),
    ]
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b, x-other=c",
        "OTEL_SERVICE_NAME": "from-outside",
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: address.exists() or process.poll() is not None)
        url = address.read_text().strip()
        # Each of them is answered before the signal.
        for _ in range(3):
            reply = httpx.post(f"{url}/v1/models/tiny:predict", json=ROWS, timeout=PATIENCE)
            assert reply.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
    assert [span["name"] for span in collector.spans()] == ["POST /v1/models/{model}:predict"] * 3
    assert collector.headers[0]["x-tenant"] == "a b"
    assert collector.headers[0]["x-other"] == "c"
    resource = plain(collector.messages[0]["resourceSpans"][0]["resource"]["attributes"])
    assert resource["service.name"] == "from-outside"


def test_wrong_settings_are_named() -> None:
    wrong: list[tuple[Callable[[], Tracing], str]] = [
        (lambda: Tracing(endpoint="collector:4318"), "give the address of a collector"),
        (lambda: Tracing(endpoint="file:///etc/passwd"), "give the address of a collector"),
        (lambda: Tracing(endpoint="http://h:port"), "give the address of a collector"),
        (lambda: Tracing(ratio=1.5), "share from 0 to 1"),
        (lambda: Tracing(ratio=float("nan")), "share from 0 to 1"),
        (lambda: Tracing(timeout=0), "seconds above 0"),
        (lambda: Tracing(headers=("secret",)), "NAME=VALUE"),
        (lambda: Tracing(headers=("a=b\r\nc: d",)), "NAME=VALUE"),
        (lambda: Tracing().completed({"OTEL_EXPORTER_OTLP_ENDPOINT": "no"}), "OTEL_"),
    ]
    for make, message in wrong:
        with pytest.raises(ConfigurationError, match=message):
            make()


def test_settings_come_before_the_environment() -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://outside:1",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=outside",
        "OTEL_SERVICE_NAME": "outside",
    }
    set_ = Tracing(endpoint="http://inside:1/v1/traces", service="inside", headers=("a=inside",))
    assert set_.completed(variables) == set_
    assert set_.url == "http://inside:1/v1/traces"
    assert Tracing().completed({}).url is None
