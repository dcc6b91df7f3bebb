"""Examples of requests that failed, for incidents: from the end of the access log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from tidegate.errors import StorageError

__all__ = ["AccessLogTail"]

TAIL_BYTES: Final = 1 << 20
"""How much of the log is read, from its end."""

LEAST_STATUS: Final = 400

OURS: Final = 500
"""Statuses from here on are the server's fault, and come first."""


class AccessLogTail:
    """The newest failed requests of an access log. Nothing of who asked is in what it gives.

    Args:
        path: The file.

    Example:
        >>> list(AccessLogTail("/dev/null")("m", 0.0))
        []
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def __call__(self, model: str | None, since: float) -> Iterator[Mapping[str, Any]]:
        """The failed requests of a model, those by the server's fault first, then the newest.

        Args:
            model: The served name; `None` for all.
            since: Seconds since 1970.

        Raises:
            StorageError: If the log cannot be read.
        """
        name = r"[^/:]+" if model is None else re.escape(quote(model, safe=""))
        path = re.compile(rf"/models/{name}(?:[/:]|$)")
        found = [
            line
            for line in map(_read, self._lines())
            if line is not None and line["at"] >= since and path.search(line["path"])
        ]
        for line in sorted(found, key=lambda line: (line["status"] < OURS, -line["at"])):
            why = (
                f"{line['method']} {line['path']} answered {line['status']} after "
                f"{line['seconds'] * 1e3:.3g} ms"
            )
            yield {"at": line["at"], "why": why, "request": line["id"]}

    def _lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(size - TAIL_BYTES, 0))
                return file.read(TAIL_BYTES).splitlines()
        except OSError as error:
            raise StorageError(
                f"the access log {self._path} cannot be read: {error.strerror}"
            ) from error


def _read(text: bytes) -> dict[str, Any] | None:
    """A line that says that a request failed; the first one may be cut."""
    try:
        line = orjson.loads(text)
        if not isinstance(line["status"], int) or line["status"] < LEAST_STATUS:
            return None
        return {
            "at": datetime.fromisoformat(line["time"]).timestamp(),
            "status": line["status"],
            "method": str(line["method"]),
            "path": str(line["path"]),
            "seconds": float(line["seconds"]),
            "id": str(line["id"])[:64],
        }
    except (KeyError, TypeError, ValueError):
        return None
