"""The thread that stores the files of the prediction log."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from pathlib import Path
from typing import Final

from tidegate import _core
from tidegate.errors import AlreadyExistsError, ConfigurationError, TidegateError
from tidegate.monitoring.log.settings import Log
from tidegate.storage import Store, open_store

__all__ = ["LogWriter"]

LOG: Final = logging.getLogger("tidegate.log")

PATIENCE_SECONDS: Final = 0.5
"""How long the thread waits for a file before it looks whether it is to end."""

FIRST_PAUSE_SECONDS: Final = 0.5
"""Pause after a file could not be stored; it doubles with each further failure."""

LONGEST_PAUSE_SECONDS: Final = 30.0
"""Longest pause: storage that comes back is noticed within it."""

CLOSE_SECONDS: Final = 10.0
"""How long the last files may take at the end."""


class LogWriter:
    """Stores the files of a log, one after the other, in a thread of its own.

    Rows, columns and files are made in Rust; Python holds a file for as long as its store takes
    to accept it. While storage does not answer, the file waits and is tried again, rows gather up
    to `queue_bytes`, and what comes beyond is dropped and counted. Nothing waits on the path of
    a request.

    Args:
        settings: What is logged, and where.
        store: Where; the one at the settings' location by default.

    Raises:
        ConfigurationError: If there is no location, or the key of hashes cannot be read.

    Example:
        >>> import tempfile
        >>> writer = LogWriter(Log(location=tempfile.mkdtemp()))
        >>> writer.close()
        >>> writer.core.statistics()
        (0, 0, 0, 0)
    """

    def __init__(self, settings: Log, store: Store | None = None) -> None:
        if settings.location is None and store is None:
            raise ConfigurationError("the log has no location: set one, or leave the log out")
        self._settings = settings
        self._store = store
        self.core: Final = _core.PredictionLog(
            f"{int(time.time())}-{uuid.uuid4().hex[:12]}",
            sample=settings.sample,
            shares=settings.shares,
            slower=settings.slower,
            redact=settings.redact,
            hashed=settings.hash,
            key=_key(settings.hash_key_file),
            file_bytes=settings.file_bytes,
            file_seconds=settings.file_seconds,
            queue_bytes=settings.queue_bytes,
        )
        self._ending = threading.Event()
        self._until = 0.0
        self._thread = threading.Thread(target=self._run, name="tidegate-log", daemon=True)
        self._thread.start()

    def close(self, patience: float = CLOSE_SECONDS) -> None:
        """Store what waits, for at most `patience` seconds. Twice does no harm."""
        self._until = time.monotonic() + patience
        self.core.close()
        self._ending.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            try:
                file = self.core.next(PATIENCE_SECONDS)
            except TidegateError as error:
                LOG.error("a file of the prediction log could not be made: %s", error)
                continue
            if file is not None:
                self._keep(file)
            elif self._ending.is_set():
                return

    def _keep(self, file: _core.LogFile) -> None:
        """Tries until the file is stored; at the end for as long as there is time."""
        pause = FIRST_PAUSE_SECONDS
        data = file.data()
        failures = 0
        while True:
            try:
                self._opened().create(file.key, data)
            except AlreadyExistsError:
                LOG.error("another process has stored %s: %d rows are lost", file.key, file.rows)
                return
            except (TidegateError, OSError) as error:
                failures += 1
                if failures == 1:
                    LOG.warning("the prediction log waits for its storage: %s", error)
                if self._ending.is_set() and time.monotonic() >= self._until:
                    LOG.error("%d rows of the prediction log are lost: %s", file.rows, error)
                    return
                self._ending.wait(pause)
                if self._ending.is_set():
                    time.sleep(min(pause, FIRST_PAUSE_SECONDS))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                file.stored()
                if failures:
                    LOG.warning("the prediction log is stored again")
                return

    def _opened(self) -> Store:
        if self._store is None:
            # Names of files are this process's own, so nothing has to be arbitrated: no proof.
            self._store = open_store(self._settings.location or "", read_only=True)
        return self._store


def _key(file: str | None) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read hash_key_file {file}: {error.strerror}") from error
