"""Sending finished spans to a collector: OTLP over HTTP, in its JSON encoding."""

from __future__ import annotations

import http.client
import logging
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
import weakref
from typing import IO, Any, Final

import orjson

from tidegate import __version__, _core
from tidegate.server.tracing import Tracing

__all__ = ["LAST_SECONDS", "Exporter"]

LOG: Final = logging.getLogger("tidegate.server")

INTERVAL_SECONDS: Final = 0.25
"""How long finished spans gather before they are sent."""

MOST_SPANS: Final = 2048
"""Most spans of one message: about 2 MB, where collectors take 20."""

PAUSES: Final = (1.0, 2.0)
"""Seconds before a message is sent again that the collector could not take just then."""

LAST_SECONDS: Final = 5.0
"""How long the last spans may take once the server has ended."""

MOST_REPLY_BYTES: Final = 64 * 1024

AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which OTLP has a message sent again."""


class Exporter:
    """Takes finished spans from the core and sends them, in a thread.

    What does not arrive after three attempts is dropped and counted on `/metrics`.

    Args:
        tracing: Where to, and what share.

    Example:
        >>> exporter = Exporter(Tracing(endpoint="http://127.0.0.1:4318"))
        >>> exporter.core.take(1)
        []
        >>> exporter.close()
    """

    def __init__(self, tracing: Tracing) -> None:
        self.core: Final = _core.Tracer(tracing.ratio)
        sending = _Sending(tracing, self.core)
        thread = threading.Thread(target=sending.run, name="tidegate-spans", daemon=True)
        # The thread must not be in the core when the interpreter ends.
        self._finalizer = weakref.finalize(self, _end, sending, thread)
        thread.start()

    def close(self) -> None:
        """Sends what waits, for at most `LAST_SECONDS`. Twice does no harm."""
        self._finalizer()


def _end(sending: _Sending, thread: threading.Thread) -> None:
    sending.close()
    # A collector that neither takes nor refuses is not waited for.
    thread.join(LAST_SECONDS + 1)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a message would be lost on its way, and headers told to others."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Sending:
    def __init__(self, tracing: Tracing, core: _core.Tracer) -> None:
        self._tracing = tracing
        self._core = core
        self._closing = threading.Event()
        self._end = float("inf")
        self._failing = False
        self._opener = urllib.request.build_opener(_Stay)
        resource: dict[str, str | int] = {
            "service.name": tracing.service or "tidegate",
            "service.version": __version__,
            "service.instance.id": str(uuid.uuid4()),
            "process.pid": os.getpid(),
        }
        scope = {"name": "tidegate", "version": __version__}
        attributes = orjson.dumps({"attributes": [_attribute(*item) for item in resource.items()]})
        self._before = b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[' % (
            attributes,
            orjson.dumps(scope),
        )
        self._headers = {
            "content-type": "application/json",
            "user-agent": f"tidegate/{__version__}",
            **dict(header.split("=", 1) for header in tracing.headers),
        }

    def close(self) -> None:
        self._end = time.monotonic() + LAST_SECONDS
        self._closing.set()

    def run(self) -> None:
        closing = False
        while not closing:
            # What has finished before the end is all taken after it was said.
            closing = self._closing.wait(INTERVAL_SECONDS)
            while spans := self._core.take(MOST_SPANS):
                rejected, problem = self._send(spans)
                self._core.count(len(spans) - rejected, rejected)
                self._say(problem)

    def _say(self, problem: str | None) -> None:
        """Logs the first of several problems, and that it is over."""
        if problem is not None and not self._failing:
            LOG.warning("spans do not arrive at %s: %s", self._tracing.url, problem)
        elif problem is None and self._failing:
            LOG.info("spans arrive at %s again", self._tracing.url)
        self._failing = problem is not None

    def _send(self, spans: list[str]) -> tuple[int, str | None]:
        """How many spans did not arrive, and why not."""
        body = self._before + ",".join(spans).encode() + b"]}]}]}"
        problem = "there was no time left"
        for pause in (*PAUSES, None):
            left = self._end - time.monotonic()
            if left <= 0:
                break
            try:
                return self._post(body, min(left, self._tracing.timeout))
            except urllib.error.HTTPError as error:
                error.close()
                problem = f"it answers {error.code} {error.reason}"
                if error.code not in AGAIN:
                    break
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = str(error)
            # Whoever waits for the end gets one more attempt, at once.
            if pause is None or self._closing.is_set():
                break
            self._closing.wait(pause)
        return len(spans), problem

    def _post(self, body: bytes, timeout: float) -> tuple[int, str | None]:
        url = self._tracing.url
        assert url is not None
        request = urllib.request.Request(url, body, self._headers, method="POST")
        reply: IO[bytes]
        with self._opener.open(request, timeout=timeout) as reply:
            return _rejected(reply.read(MOST_REPLY_BYTES))


def _rejected(reply: bytes) -> tuple[int, str | None]:
    """What a collector says that it did not take, of a message that it took."""
    try:
        partial = orjson.loads(reply)["partialSuccess"]
        count = int(partial["rejectedSpans"])
    except (KeyError, TypeError, ValueError):
        return 0, None
    return count, f"it rejects some: {partial.get('errorMessage', '')}" if count else None


def _attribute(key: str, value: str | int) -> dict[str, object]:
    # Numbers of 64 bits are texts in the JSON of protobuf.
    said = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
    return {"key": key, "value": said}
