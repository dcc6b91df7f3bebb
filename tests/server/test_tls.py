"""TLS: versions, certificates that change, handshakes that stop."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.server import certificates

from tidegate.errors import ConfigurationError, InputError
from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Rates, Server, Settings, Tls

PREDICT = "/v1/models/tiny:predict"
INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    certificate, key = certificates.write(tmp_path, "first")
    return Tls(certificate=str(certificate), key=str(key))


def client(tls: Tls) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=tls.certificate)


def name(server: Server) -> str:
    """The name in the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((server.host, server.port), timeout=30) as plain,
        context.wrap_socket(plain) as stream,
    ):
        shown = stream.getpeercert(binary_form=True)
    assert shown is not None
    (common,) = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    return str(common.value)


def test_requests_go_through_it(runtime: Runtime, tls: Tls) -> None:
    with Gate(tls=tls) as gate, Server(runtime, Settings(port=0), gate=gate) as server:
        assert server.url.startswith("https://")
        with httpx.Client(base_url=server.url, verify=client(tls)) as https:
            for _ in range(3):
                assert https.post(PREDICT, json=INSTANCES).status_code == 200
            assert https.get("/docs").status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(server.url.replace("https", "http"))
        assert httpx.get(f"{server.url}/v2", verify=client(tls)).status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(runtime: Runtime, tls: Tls, version: ssl.TLSVersion) -> None:
    context = client(tls)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["http/1.1"])
    with (
        Gate(tls=tls) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
        socket.create_connection((server.host, server.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
    ):
        assert stream.version() == version.name.replace("_", ".")
        assert stream.selected_alpn_protocol() == "http/1.1"


def test_http_2_is_chosen_by_name(runtime: Runtime, tls: Tls) -> None:
    context = client(tls)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        Gate(tls=tls) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
        socket.create_connection((server.host, server.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
    ):
        assert stream.selected_alpn_protocol() == "h2"
        # The preface and an empty frame of settings; the server sends its own settings first.
        stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04" + b"\0" * 5)
        frame = b""
        while len(frame) < 9:
            piece = stream.recv(9 - len(frame))
            assert piece
            frame += piece
        assert frame[3] == 4


def test_a_changed_certificate_is_shown_to_new_connections(
    runtime: Runtime, tls: Tls, tmp_path: Path
) -> None:
    with Gate(tls=tls) as gate, Server(runtime, Settings(port=0), gate=gate) as server:
        with httpx.Client(base_url=server.url, verify=client(tls)) as https:
            assert https.get("/v2").status_code == 200
            certificates.write(tmp_path, "second")
            gate.reload(Access(), Rates(), tls)
            assert name(server) == "second"
            # The connection that is open goes on.
            assert https.get("/v2").status_code == 200
        certificates.write(tmp_path, "third")
        until = time.monotonic() + 60
        while name(server) != "third":
            assert time.monotonic() < until
            time.sleep(0.1)
        (tmp_path / "server.key").write_text("no key")
        with pytest.raises(InputError, match="TLS key"):
            gate.reload(Access(), Rates(), tls)
        assert name(server) == "third"
        with pytest.raises(ConfigurationError, match="start it again"):
            gate.reload(Access(), Rates(), Tls())


def test_a_key_of_another_certificate_is_refused(tls: Tls, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    _, key = certificates.write(other, "other")
    with pytest.raises(InputError, match="certificate or its key"):
        Gate(tls=Tls(certificate=tls.certificate, key=str(key)))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Gate(tls=Tls(certificate=str(tmp_path / "none.pem"), key=tls.key))


def test_a_handshake_that_stops_is_cut(runtime: Runtime, tls: Tls) -> None:
    settings = Settings(port=0, limits={"head_timeout": 0.2})
    with (
        Gate(tls=tls) as gate,
        Server(runtime, settings, gate=gate) as server,
        socket.create_connection((server.host, server.port), timeout=30) as stream,
    ):
        stream.sendall(b"\x16\x03\x01")
        assert stream.recv(1) == b""
        assert "tidegate_http_connections_cut_total 1" in (
            httpx.get(f"{server.url}/metrics", verify=client(tls)).text
        )
