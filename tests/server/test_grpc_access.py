"""gRPC with keys and TLS, asked by grpcio; every decision is held against HTTP's."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send
from tests.server import certificates

from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Rates, Server, Settings, Tls
from tidegate.server.keyring import Keyring

PATIENCE: Final = 60.0
SERVICE: Final = "/inference.GRPCInferenceService"
INFER: Final = f"{SERVICE}/ModelInfer"
LIVE: Final = f"{SERVICE}/ServerLive"

TINY: Final = b"\x0a\x04tiny"
"""A message whose first field says `tiny`: the model, in most requests."""

LOAD: Final = b"\x12\x04tiny"
"""The same for loading, where it is the second field."""

SETTING: Final = b"\x0a\x0a\x0a\x04none\x12\x02\x08\x01"
"""A message that sets `none` to true."""

CASES: Final = (
    (f"{SERVICE}/ServerMetadata", b"", "GET", "/v2"),
    (f"{SERVICE}/ModelReady", TINY, "GET", "/v2/models/tiny/ready"),
    (f"{SERVICE}/ModelMetadata", TINY, "GET", "/v2/models/tiny"),
    (f"{SERVICE}/ModelConfig", TINY, "GET", "/v2/models/tiny/config"),
    (f"{SERVICE}/ModelStatistics", TINY, "GET", "/v2/models/tiny/stats"),
    (f"{SERVICE}/ModelStatistics", b"", "GET", "/v2/models/stats"),
    (f"{SERVICE}/RepositoryIndex", b"", "POST", "/v2/repository/index"),
    (INFER, TINY, "POST", "/v2/models/tiny/infer"),
    (f"{SERVICE}/RepositoryModelLoad", LOAD, "POST", "/v2/repository/models/tiny/load"),
    (f"{SERVICE}/RepositoryModelLoad", b"", "POST", "/v2/repository/models//load"),
    (f"{SERVICE}/LogSettings", b"", "GET", "/v2/logging"),
    # To change something takes more: a setting that there is not, so that nothing changes.
    (f"{SERVICE}/LogSettings", SETTING, "POST", "/v2/logging"),
    # A method that there is not takes a known caller, as `/v2` does.
    (f"{SERVICE}/TraceSetting", b"", "GET", "/v2"),
)
"""A method and its message, and what asks the same over HTTP."""

OPEN: Final = (LIVE, f"{SERVICE}/ServerReady", "/grpc.health.v1.Health/Check")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys.json")


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    certificate, key = certificates.write(tmp_path, "first")
    return Tls(certificate=str(certificate), key=str(key))


@contextmanager
def guarded(
    runtime: Runtime, keyring: Keyring, rates: Rates | None = None
) -> Iterator[tuple[Server, Any]]:
    with (
        Gate(Access(keys=str(keyring.file)), rates) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        yield server, channel


def status(channel: Any, path: str, message: bytes = b"", key: str | None = None) -> str:
    """How a call ends, by the name of its status."""
    return str(call(channel, path, message, key).code().name)


def call(channel: Any, path: str, message: bytes, key: str | None) -> Any:
    """The call when it has ended, or its error: both have the same methods."""
    metadata = None if key is None else (("authorization", f"Bearer {key}"),)
    ask = channel.unary_unary(path)
    try:
        return ask.with_call(message, metadata=metadata, timeout=PATIENCE)[1]
    except grpc.RpcError as error:
        return error


def test_each_role_reaches_what_it_may_over_http(runtime: Runtime, keyring: Keyring) -> None:
    grants = [f"{role}:*" for role in ("viewer", "predictor", "operator", "admin")]
    grants += ["viewer:tiny", "predictor:tin*", "operator:other-*"]
    keys = {grant: keyring.new(f"k{i}", [grant]) for i, grant in enumerate(grants)}
    refusals = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
    seen = set()
    with guarded(runtime, keyring) as (server, channel), httpx.Client(base_url=server.url) as http:
        for path in OPEN:
            assert status(channel, path) == "OK"
        for path, message, method, route in CASES:
            for grant, key in (("nobody", None), ("wrong", "tg_0_0"), *keys.items()):
                headers = {} if key is None else {"authorization": f"Bearer {key}"}
                due = refusals.get(http.request(method, route, headers=headers).status_code)
                got = status(channel, path, message, key)
                if due is None:
                    assert got not in refusals.values(), (path, grant, got)
                else:
                    assert got == due, (path, grant)
                seen.add(due)
    assert seen == {None, *refusals.values()}


def test_the_control_plane_is_told_who_asks(runtime: Runtime, keyring: Keyring) -> None:
    key = keyring.new("ci", ["operator:tiny"])
    told: list[tuple[str, dict[str, str]]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told.append((scope["path"], headers))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    with (
        Gate(Access(keys=str(keyring.file))) as gate,
        Server(runtime, Settings(port=0), gate=gate, app=app) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert status(channel, f"{SERVICE}/RepositoryModelUnload", LOAD, key) == "OK"
        assert status(channel, f"{SERVICE}/RepositoryModelUnload", LOAD) == "UNAUTHENTICATED"
    ((path, headers),) = told
    assert path == "/v2/repository/models/tiny/unload"
    assert headers["x-tidegate-caller"] == "key:ci"
    assert headers["x-tidegate-roles"] == "operator:tiny"
    assert key not in str(headers)


def test_rates_are_shared_with_http(runtime: Runtime, keyring: Keyring) -> None:
    key = keyring.new("ci", ["viewer"])
    path = f"{SERVICE}/ServerMetadata"
    with guarded(runtime, keyring, Rates(caller="2/h")) as (server, channel):
        first = call(channel, path, b"", key)
        assert first.code() is grpc.StatusCode.OK
        assert dict(first.initial_metadata())["ratelimit-remaining"] == "1"
        bearer = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/v2", headers=bearer).status_code == 200
        refused = call(channel, path, b"", key)
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        told = dict(refused.trailing_metadata())
        assert told["ratelimit-limit"] == "2"
        assert 0 < int(told["grpc-retry-pushback-ms"]) <= 1_800_000
        assert "rate limit caller" in refused.details()
        assert status(channel, LIVE) == "OK"


def test_a_revoked_key_ends_while_the_server_runs(runtime: Runtime, keyring: Keyring) -> None:
    key = keyring.new("ci", ["viewer"])
    path = f"{SERVICE}/RepositoryIndex"
    with guarded(runtime, keyring) as (_, channel):
        assert status(channel, path, b"", key) == "OK"
        keyring.revoke("ci")
        until = time.monotonic() + PATIENCE
        while (now := status(channel, path, b"", key)) == "OK":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert now == "UNAUTHENTICATED"


@contextmanager
def encrypted(runtime: Runtime, tls: Tls, **settings: Any) -> Iterator[tuple[Server, Gate]]:
    with (
        Gate(tls=tls) as gate,
        Server(runtime, Settings(port=0, **settings), gate=gate) as server,
    ):
        yield server, gate


def connect(server: Server) -> socket.socket:
    assert server.grpc_address is not None
    host, _, port = server.grpc_address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def trusting(tls: Tls) -> Any:
    assert tls.certificate is not None
    return grpc.ssl_channel_credentials(Path(tls.certificate).read_bytes())


def test_requests_go_through_tls(runtime: Runtime, tls: Tls) -> None:
    with encrypted(runtime, tls) as (server, _):
        with grpc.secure_channel(server.grpc_address, trusting(tls)) as channel:
            assert status(channel, LIVE) == "OK"
            assert status(channel, f"{SERVICE}/ModelMetadata", TINY) == "OK"
            assert status(channel, INFER, TINY) == "INVALID_ARGUMENT"
        with grpc.secure_channel(server.grpc_address, grpc.ssl_channel_credentials()) as channel:
            assert status(channel, LIVE) == "UNAVAILABLE"


def test_nothing_is_spoken_in_plain_text_beside_tls(runtime: Runtime, tls: Tls) -> None:
    with encrypted(runtime, tls) as (server, _):
        with grpc.insecure_channel(server.grpc_address) as channel:
            assert status(channel, LIVE) == "UNAVAILABLE"
        with connect(server) as stream:
            stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            said = b""
            try:
                while piece := stream.recv(4096):
                    said += piece
            except ConnectionResetError:
                pass
            # At most the alert of TLS that this was no handshake.
            assert said[:1] in (b"", b"\x15")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http2_is_agreed_on_and_nothing_else(
    runtime: Runtime, tls: Tls, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=tls.certificate)
    context.minimum_version = context.maximum_version = version
    with encrypted(runtime, tls) as (server, _):
        context.set_alpn_protocols(["http/1.1", "h2"])
        with (
            connect(server) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
        ):
            assert stream.selected_alpn_protocol() == "h2"
        context.set_alpn_protocols(["http/1.1"])
        with (
            connect(server) as plain,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
        ):
            # TLS 1.3's client may be at its end before it hears of the refusal.
            stream.recv(1)


def name(server: Server) -> str:
    """The name in the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with connect(server) as plain, context.wrap_socket(plain) as stream:
        shown = stream.getpeercert(binary_form=True)
    assert shown is not None
    subject = x509.load_der_x509_certificate(shown).subject
    (common,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common.value)


def test_a_changed_certificate_is_shown_to_new_connections(
    runtime: Runtime, tls: Tls, tmp_path: Path
) -> None:
    with (
        encrypted(runtime, tls) as (server, gate),
        grpc.secure_channel(server.grpc_address, trusting(tls)) as channel,
    ):
        assert status(channel, LIVE) == "OK"
        certificates.write(tmp_path, "second")
        gate.reload(Access(), Rates(), tls)
        assert name(server) == "second"
        # The connection that is open goes on.
        assert status(channel, LIVE) == "OK"


def test_a_handshake_that_stops_is_cut(runtime: Runtime, tls: Tls) -> None:
    limits = {"head_timeout": 0.2}
    with encrypted(runtime, tls, limits=limits) as (server, _), connect(server) as stream:
        stream.sendall(b"\x16\x03\x01")
        assert stream.recv(1) == b""
        page = httpx.get(
            f"{server.url}/metrics", verify=ssl.create_default_context(cafile=tls.certificate)
        )
        assert "tidegate_http_connections_cut_total 1" in page.text


def test_keys_and_tls_together(runtime: Runtime, tls: Tls, keyring: Keyring) -> None:
    key = keyring.new("ci", ["viewer"])
    with (
        Gate(Access(keys=str(keyring.file)), tls=tls) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
    ):
        token = grpc.access_token_call_credentials(key)
        both = grpc.composite_channel_credentials(trusting(tls), token)
        with grpc.secure_channel(server.grpc_address, both) as channel:
            assert status(channel, f"{SERVICE}/RepositoryIndex") == "OK"
            assert status(channel, INFER, TINY) == "PERMISSION_DENIED"
        with grpc.secure_channel(server.grpc_address, trusting(tls)) as channel:
            assert status(channel, f"{SERVICE}/RepositoryIndex") == "UNAUTHENTICATED"
