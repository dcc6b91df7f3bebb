"""The service inside somebody's own ASGI application: the same bytes in, the same bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote

from tidegate import _core
from tidegate.monitoring.alerts.watch import Watch
from tidegate.runtime import Runtime
from tidegate.runtime.channel import channel
from tidegate.server.control import control_app
from tidegate.server.gate import Gate

__all__ = ["TidegateApp", "mount"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of a body that are held here; the core refuses at its own limit."""


def _flush(name: str) -> None:
    """The service flushes by itself at the end of its own turn."""
    del name


class TidegateApp:
    """An ASGI application that serves a runtime, inference and control plane alike.

    Inference goes through the same native service as behind `tidegate serve`: the body's bytes are
    handed over and the answer's bytes come back. Nothing of the protocol is done in Python. The
    application may be mounted at any path.

    Args:
        runtime: What is served. The application does not close it.
        limits: Bounds on clients by name; see `docs/configuration.md`.
        gate: Who is let in; by default everybody, since the outer service knows its users.
        watch: What looks at the rules of alerts; whoever made it starts and closes it.

    Raises:
        InputError: If a limit is unknown or not above 0.

    Example:
        >>> import asyncio, httpx
        >>> from starlette.applications import Starlette
        >>> from starlette.routing import Mount
        >>> from tidegate.runtime import Runtime
        >>> async def live(app):
        ...     transport = httpx.ASGITransport(Starlette(routes=[Mount("/ml", app=app)]))
        ...     async with httpx.AsyncClient(transport=transport) as client:
        ...         return (await client.get("http://service/ml/v2/health/live")).json()
        >>> with Runtime() as runtime:
        ...     app = TidegateApp(runtime)
        ...     asyncio.run(live(app))
        ...     app.close()
        {'live': True}
    """

    def __init__(
        self,
        runtime: Runtime,
        limits: Mapping[str, float] | None = None,
        *,
        gate: Gate | None = None,
        watch: Watch | None = None,
    ) -> None:
        limits = dict(limits or {})
        access = None if gate is None else gate.core
        self._core = _core.Mount(runtime.core, limits=limits, access=access)
        self._guarded = gate is not None
        self._body_bytes = int(limits.get("body_bytes", BODY_BYTES))
        self._control = control_app(runtime, watch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI says."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "http":
            path = _path(scope)
            if self._core.knows(scope["method"], path):
                await self._serve(scope, path, receive, send)
                return
            send = _named(send, self._core.request_id(scope["headers"]))
            if self._guarded:
                target = _target(scope, path)
                refusal = self._core.refusal(scope["method"], target, scope["headers"])
                if refusal is not None:
                    await _answer(scope, send, *refusal)
                    return
        await self._control(scope, receive, send)

    async def _serve(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        body = await _body(receive, self._body_bytes)
        if body is None:
            return
        target = _target(scope, path)
        answer = channel().submit(
            lambda completions, token: self._core.ask(
                completions, token, scope["method"], target, scope["headers"], body
            ),
            _flush,
            "",
        )
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                # The client has gone: its work is dropped if it has not begun.
                answer.cancel()
                return
            status, headers, data = answer.result()
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
        await _answer(scope, send, status, headers, data)

    def close(self) -> None:
        """End the service's thread; requests under way are dropped. Twice does no harm."""
        self._core.close()


def mount(
    runtime: Runtime,
    *,
    limits: Mapping[str, float] | None = None,
    gate: Gate | None = None,
    watch: Watch | None = None,
) -> TidegateApp:
    """The ASGI application of a runtime, to be mounted in somebody's own service.

    Args:
        runtime: What is served.
        limits: Bounds on clients by name; see `docs/configuration.md`.
        gate: Who is let in; by default everybody, since the outer service knows its users.
        watch: What looks at the rules of alerts; whoever made it starts and closes it.

    Returns:
        The application; `Mount("/ml", app=mount(runtime))` serves it below `/ml`.

    Raises:
        InputError: If a limit is unknown or not above 0.

    Example:
        >>> from tidegate.runtime import Runtime
        >>> with Runtime() as runtime:
        ...     mount(runtime).close()
    """
    return TidegateApp(runtime, limits, gate=gate, watch=watch)


def _path(scope: Scope) -> str:
    """The path below the mount, still percent-encoded where the server tells it so."""
    root = scope.get("root_path", "")
    raw = scope.get("raw_path")
    path = (
        raw.decode("latin-1").partition("?")[0]
        if raw
        else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
    )
    for prefix in (root, quote(root)):
        if prefix and path.startswith(prefix):
            return path[len(prefix) :] or "/"
    return path


def _target(scope: Scope, path: str) -> str:
    """The path with its query."""
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def _named(send: Send, request_id: bytes | None) -> Send:
    """Adds the request's id to what is answered, as the core does to its own answers."""

    async def named(message: Message) -> None:
        if request_id is not None and message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
        await send(message)

    return named


async def _answer(
    scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], data: bytes
) -> None:
    headers.append((b"content-length", str(len(data)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, cut just above the limit; `None` when the client has gone."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        # One byte too many is kept, by which the core sees that it is too large.
        if size <= limit:
            pieces.append(piece[: limit + 1 - size])
        size += len(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
