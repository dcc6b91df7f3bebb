"""Tokens: signed elsewhere, verified here, with keys that change."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import ConfigurationError, StateError, StorageError
from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Server, Settings

PREDICT = "/v1/models/tiny:predict"
INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}
GOLDEN = Path(__file__).parent.parent / "golden" / "access"


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of tokens with a key set on HTTP."""

    def __init__(self) -> None:
        self.keys: dict[str, Ed25519PrivateKey] = {}
        self.fetches = 0
        self.broken = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                body = b"<html>" if issuer.broken else issuer.jwks().encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def rotate(self, kid: str, *, keep: bool = True) -> None:
        self.keys = {**(self.keys if keep else {}), kid: Ed25519PrivateKey.generate()}

    def jwks(self) -> str:
        return json.dumps(
            {
                "keys": [
                    {
                        "kty": "OKP",
                        "crv": "Ed25519",
                        "kid": kid,
                        "x": text(key.public_key().public_bytes_raw()),
                    }
                    for kid, key in self.keys.items()
                ]
            }
        )

    def token(self, kid: str, **claims: object) -> dict[str, str]:
        payload = {
            "iss": "https://login",
            "aud": "tidegate",
            "sub": "alice",
            "exp": time.time() + 600,
            "tidegate": "predictor:tiny",
            **claims,
        }
        parts = [{"alg": "EdDSA", "kid": kid}, payload]
        message = ".".join(text(json.dumps(part).encode()) for part in parts)
        signature = text(self.keys[kid].sign(message.encode()))
        return {"authorization": f"Bearer {message}.{signature}"}

    def access(self, **changes: Any) -> Access:
        settings = {"jwks": self.url, "issuer": "https://login", "audience": "tidegate"}
        return Access(**{**settings, **changes})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.rotate("first")
    thread = threading.Thread(target=issuer.server.serve_forever)
    thread.start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()
    thread.join()


def ask(server: Server, headers: dict[str, str]) -> int:
    return httpx.post(f"{server.url}{PREDICT}", json=INSTANCES, headers=headers).status_code


def until(server: Server, headers: dict[str, str], status: int) -> None:
    end = time.monotonic() + 60
    while ask(server, headers) != status:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_keys_are_rotated(runtime: Runtime, issuer: Issuer) -> None:
    access = issuer.access(refetch=0.1)
    with Gate(access) as gate, Server(runtime, Settings(port=0), gate=gate) as server:
        first = issuer.token("first")
        assert ask(server, first) == 200
        assert ask(server, issuer.token("first", tidegate="viewer:tiny")) == 403
        assert ask(server, issuer.token("first", exp=time.time() - 60)) == 401
        assert ask(server, issuer.token("first", aud="other")) == 401
        # The issuer signs with a key that the server has not seen: it asks for the keys anew.
        issuer.rotate("second")
        until(server, issuer.token("second"), 200)
        assert ask(server, first) == 200
        # A key that is taken out counts no longer, once the set is fetched again.
        issuer.rotate("third", keep=False)
        until(server, issuer.token("third"), 200)
        assert ask(server, first) == 401
        # A set that cannot be read leaves the keys as they are.
        issuer.broken = True
        issuer.rotate("fourth")
        before = issuer.fetches
        while issuer.fetches < before + 2:
            assert ask(server, issuer.token("fourth")) == 401
        assert ask(server, issuer.token("third")) == 200


def test_unknown_keys_do_not_flood_the_issuer(runtime: Runtime, issuer: Issuer) -> None:
    access = issuer.access(refetch=600.0)
    with Gate(access) as gate, Server(runtime, Settings(port=0), gate=gate) as server:
        assert issuer.fetches == 1
        issuer.rotate("second")
        for _ in range(20):
            assert ask(server, issuer.token("second")) == 401
        assert issuer.fetches == 1
        gate.reload(access, *_rest())
        assert issuer.fetches == 2
        assert ask(server, issuer.token("second")) == 200


def _rest() -> tuple[Any, Any]:
    from tidegate.server import Rates, Tls

    return Rates(), Tls()


def test_a_set_in_a_file_is_read_again(runtime: Runtime, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(issuer.jwks())
    access = issuer.access(jwks=str(file))
    with Gate(access) as gate, Server(runtime, Settings(port=0), gate=gate) as server:
        assert ask(server, issuer.token("first")) == 200
        issuer.rotate("second")
        file.write_text(issuer.jwks())
        until(server, issuer.token("second"), 200)


def test_sets_that_are_wrong_are_refused(issuer: Issuer, tmp_path: Path) -> None:
    issuer.broken = True
    with pytest.raises(StateError, match="list `keys`"):
        Gate(issuer.access())
    for place, error in (
        ("http://example.invalid/jwks.json", ConfigurationError),
        ("ftp://127.0.0.1/jwks.json", ConfigurationError),
        (str(tmp_path / "none.json"), StorageError),
        ("http://127.0.0.1:9/jwks.json", StorageError),
    ):
        with pytest.raises(error):
            Gate(issuer.access(jwks=place))


def test_the_golden_set_is_read() -> None:
    with Gate(
        Access(jwks=str(GOLDEN / "jwks.json"), issuer="https://login", audience="tidegate")
    ) as gate:
        assert gate.core.required
