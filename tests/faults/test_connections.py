"""Clients that go, stall, flood and come in thousands."""

from __future__ import annotations

import gzip
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.faults.models import write_times
from tests.faults.serving import PATIENCE, Served, infer, request, reset, serving

INFER = "/v2/models/twice/infer"
IDLE = 10_000
"""Connections that do nothing."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_times(tmp_path_factory.mktemp("model") / "twice.onnx", 2.0)


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = (
        "--limit",
        "body_timeout=1",
        "--limit",
        "head_timeout=1",
        "--limit",
        "write_timeout=1",
    )
    with serving(tmp_path_factory.mktemp("server"), model, *limits) as server:
        yield server


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    connection.settimeout(PATIENCE)
    parts: list[bytes] = []
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def test_clients_that_go_in_the_middle(server: Served) -> None:
    """Of the head, of the body, of the batch; who stays gets its own answer."""
    whole = request(INFER, infer([float(i) for i in range(50)]))
    results: dict[int, bool] = {}

    def stay(i: int) -> None:
        values = [float(1000 * i + j) for j in range(20)]
        right = True
        for _ in range(10):
            status, reply = server.infer("twice", *values)
            right &= status == 200 and reply["outputs"][0]["data"] == [2 * v for v in values]
        results[i] = right

    def go(i: int) -> None:
        for cut in range(20, len(whole) + 1, 13):
            connection = server.connect()
            connection.sendall(whole[: cut if i % 2 else len(whole)])
            reset(connection) if i % 3 else connection.close()

    threads = [threading.Thread(target=stay, args=(i,)) for i in range(6)]
    threads += [threading.Thread(target=go, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(6), True)
    # Its own connection is the last.
    server.until("all are gone", lambda: server.metric("tidegate_http_connections ") <= 1)


def test_slow_writers_and_readers(server: Served) -> None:
    rows = [float(i) for i in range(400_000)]
    large = request(INFER, infer(rows))
    with ExitStack() as stack:
        writers = [stack.enter_context(server.connect()) for _ in range(50)]
        for i, writer in enumerate(writers):
            writer.sendall(large[: 20 + i])
        readers = []
        for _ in range(3):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((server.host, server.port))
            reader.sendall(large)
            readers.append(reader)
        for _ in range(20):
            assert server.is_right()
        # Each is cut by the server, not for ever waited for.
        for writer in writers:
            answer(writer)
        server.until("all are cut", lambda: server.metric("tidegate_http_connections ") <= 1)
    assert server.is_right()


def test_half_closed_sockets(server: Served) -> None:
    """Who says no more is taken to have gone: let go at once, with its work, and not waited for."""
    whole = request(INFER, infer([21.0]))
    for said in (whole, whole[:-5], whole[:30], b""):
        with server.connect() as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            reply = answer(connection)
            # Nothing, a refusal, or what was ready before the end was seen.
            assert reply[9:12] in ((b"200", b"") if said == whole else (b"400", b"")), reply
    server.until("all are gone", lambda: server.metric("tidegate_http_connections ") <= 1)
    assert server.is_right()


def test_header_and_body_bombs(server: Served) -> None:
    before = server.memory
    start = f"POST {INFER} HTTP/1.1\r\nHost: t\r\n".encode()
    bombs = {
        "one long header": start + b"X-A: " + b"a" * 2**20,
        "many headers": start + b"".join(b"X-%d: a\r\n" % i for i in range(5000)) + b"\r\n",
        "a long path": b"GET /" + b"a" * 2**20,
        "a body of a terabyte": start + b"Content-Length: 1099511627776\r\n\r\n",
        "a length that overflows": start + b"Content-Length: 99999999999999999999999\r\n\r\n",
        "a chunk of a terabyte": start + b"Transfer-Encoding: chunked\r\n\r\n10000000000\r\n",
        "both lengths": start + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    }
    for name, bomb in bombs.items():
        with server.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(bomb)
            reply = answer(connection)
            assert not reply or reply[9:12] in (b"400", b"413", b"414", b"431"), (name, reply)
        assert server.is_right()
    assert server.memory < before + 2**26


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression_bombs(server: Served, coding: str) -> None:
    """A thousand times what is sent: refused by the limit on what comes out, at the limit's cost."""
    before = server.memory
    spaces = b" " * 2**29
    packed = gzip.compress(spaces, 1)
    if coding == "deflate":
        import zlib

        packed = zlib.compress(spaces, 1)
    for _ in range(3):
        with server.connect() as connection:
            head = f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Encoding: {coding}\r\n"
            # It is refused before all of it is read, which may reset the connection.
            reply = b""
            with suppress(BrokenPipeError, ConnectionResetError):
                head += f"Content-Length: {len(packed)}\r\n\r\n"
                connection.sendall(head.encode() + packed)
                reply = connection.recv(4096)
            assert reply[:12] in (b"HTTP/1.1 413", b"")
    assert server.is_right()
    assert server.memory < before + len(spaces)


def test_ten_thousand_idle_connections(model: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this process may open {hard} files, and the test needs {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    limits = ("--limit", f"connections={IDLE + 100}", "--limit", "head_timeout=600")
    try:
        with serving(tmp_path, model, *limits, files=needed) as server, ExitStack() as stack:
            before = server.memory
            idle = [stack.enter_context(server.connect()) for _ in range(IDLE)]
            server.until(
                "all are accepted", lambda: server.metric("tidegate_http_connections ") > IDLE
            )
            grown = server.memory - before
            # 22 kB measured: the buffers of HTTP, and the memory of one request.
            assert grown / IDLE < 32_768, f"{grown / IDLE:.0f} bytes a connection"
            for _ in range(100):
                assert server.is_right()
            # They were idle, not forgotten.
            for i, connection in enumerate(idle[::500]):
                connection.sendall(request(INFER, infer([float(i)])))
                reply = connection.recv(4096)
                assert reply.startswith(b"HTTP/1.1 200"), reply
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_file_descriptors_exhausted(model: Path, tmp_path: Path) -> None:
    with serving(tmp_path, model, files=96) as server:
        kept = server.connect()
        kept.sendall(request(INFER, infer([1.0])))
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        with ExitStack() as stack:
            # The kernel completes these; the server has no descriptors for all of them.
            for _ in range(200):
                stack.enter_context(server.connect())
            for _ in range(20):
                kept.sendall(request(INFER, infer([1.0])))
                assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        kept.close()
        server.until("it accepts again", lambda: _is_right(server))


def _is_right(server: Served) -> bool:
    try:
        return server.is_right()
    except OSError:
        return False
