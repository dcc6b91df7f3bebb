from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tidegate.cli.remote import call
from tidegate.errors import BackendError, InputError, NotFoundError, StorageError


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/ok": (200, b'{"a": 1}'),
            "/empty": (200, b""),
            "/html": (200, b"<html>"),
            "/unknown": (404, b'{"error": "no model m"}'),
            "/bad": (400, b'{"error": "bad"}'),
            "/teapot": (418, b"short and stout"),
        }[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Tests are quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_answers(address: str) -> None:
    assert call(f"{address}/ok") == {"a": 1}
    assert call(f"http://{address}/empty") is None


def test_errors_are_the_servers_own(address: str) -> None:
    with pytest.raises(NotFoundError, match="no model m"):
        call(f"{address}/unknown")
    with pytest.raises(InputError, match="bad"):
        call(f"{address}/bad")
    with pytest.raises(BackendError, match="418"):
        call(f"{address}/teapot")
    with pytest.raises(StorageError, match="not in JSON"):
        call(f"{address}/html")


def test_another_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="http://host:port"):
        call("file:///etc/passwd")
