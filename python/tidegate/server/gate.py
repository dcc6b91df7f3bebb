"""The gate: access and rates as they are in force, kept up to date while a server runs."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tidegate import _core
from tidegate.errors import ConfigurationError, TidegateError
from tidegate.server.access import Access, Rates
from tidegate.server.keyset import fetch, is_address
from tidegate.server.tls import Certificate, Tls

__all__ = ["POLL_SECONDS", "Gate"]

POLL_SECONDS: Final = 5.0
"""How often the files are looked at: a key that is revoked counts no longer after this time."""

LOG: Final = logging.getLogger("tidegate.server")


class Gate:
    """Reads keys, key sets and certificates, and reads them again when they change.

    A thread looks at the files every few seconds, fetches a key set that has an address, and
    fetches it early when a token names a key that is not in it. What cannot be read then leaves in
    force what was, and is logged.

    Args:
        access: Who is let in.
        rates: How often.
        tls: The certificate.

    Raises:
        ConfigurationError: If a file cannot be read.
        StateError: If a file of keys or a key set is wrong.
        InputError: If a rate or the certificate is wrong.

    Example:
        >>> with Gate(Access(), Rates(caller="100/s"), Tls()) as gate:
        ...     gate.core.required
        False
    """

    def __init__(
        self, access: Access | None = None, rates: Rates | None = None, tls: Tls | None = None
    ) -> None:
        self._access = access or Access()
        self._tls = tls or Tls()
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._seen: dict[Path, tuple[int, int, int] | None] = {}
        self._fetched = 0.0
        self._wanted = False
        self.core: Final = _core.Access(allow_anonymous=self._access.allow_anonymous)
        self.certificate: Final = Certificate(self._tls)
        self._apply(self._access, rates or Rates())
        self._thread = threading.Thread(target=self._keep, name="tidegate-gate", daemon=True)
        # A thread that waits in the core must be gone before the interpreter is.
        self._finalizer = weakref.finalize(self, _end, self._closed, self.core, self._thread)
        self._thread.start()

    def reload(self, access: Access, rates: Rates, tls: Tls) -> None:
        """Takes other settings, and reads every file again.

        Args:
            access: Who is let in from now on.
            rates: How often.
            tls: The certificate.

        Raises:
            ConfigurationError: If a file cannot be read, or the change needs a restart.
            TidegateError: If something is wrong; what was in force stays.
        """
        opened = not (access.keys or access.jwks) and self.core.required
        if opened or access.allow_anonymous != self._access.allow_anonymous:
            raise ConfigurationError(
                "whether callers must say who they are cannot be turned off while the server runs: "
                "start it again"
            )
        with self._guard:
            self.certificate.replace(tls)
            self._apply(access, rates)
            self._access, self._tls = access, tls

    def _apply(self, access: Access, rates: Rates) -> None:
        keys = None if access.keys is None else _text(access.keys)
        tokens = None if access.jwks is None else fetch(access.jwks)
        # Tried on a gate of nobody's first, so that what is wrong changes nothing here.
        for core in (_core.Access(), self.core):
            core.set_rates(
                caller=rates.caller, model=rates.model, caller_and_model=rates.caller_and_model
            )
            # What is new comes before what goes, so that the gate stands open at no time.
            if tokens is not None:
                _set_tokens(core, access, tokens)
            core.set_keys(keys)
            if tokens is None:
                core.clear_tokens()
        self._fetched = time.monotonic()
        self._seen = {path: _stamp(path) for path in self._files(access)}

    def _files(self, access: Access) -> list[Path]:
        files = [*self.certificate.files]
        if access.keys is not None:
            files.append(Path(access.keys))
        if access.jwks is not None and not is_address(access.jwks):
            files.append(Path(access.jwks))
        return files

    # ---- the thread

    def _keep(self) -> None:
        while not self._closed.is_set():
            unknown = self.core.wait_for_unknown_key(min(POLL_SECONDS, self._access.refetch))
            if self._closed.is_set():
                return
            with self._guard:
                self._look()
                self._wanted |= unknown
                self._refresh()

    def _look(self) -> None:
        """Reads what has changed on disk."""
        for path, before in list(self._seen.items()):
            now = _stamp(path)
            if now == before:
                continue
            self._seen[path] = now
            try:
                self._read_again(path)
            except (TidegateError, OSError) as error:
                LOG.warning("%s has changed and is not taken: %s", path, error)
            else:
                LOG.info("%s has changed and is read again", path)

    def _read_again(self, path: Path) -> None:
        if path in self.certificate.files:
            self.certificate.replace(self._tls)
        elif self._access.keys is not None and path == Path(self._access.keys):
            self.core.set_keys(_text(self._access.keys))
        elif self._access.jwks is not None:
            _set_tokens(self.core, self._access, fetch(self._access.jwks))

    def _refresh(self) -> None:
        """Fetches the key set when it is due."""
        place = self._access.jwks
        if place is None or not is_address(place):
            return
        age = time.monotonic() - self._fetched
        if age < (self._access.refetch if self._wanted else self._access.refresh):
            return
        self._fetched, self._wanted = time.monotonic(), False
        try:
            _set_tokens(self.core, self._access, fetch(place))
        except TidegateError as error:
            LOG.warning("the keys of tokens stay as they are: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread. Twice does no harm."""
        self._finalizer()


def _end(closed: threading.Event, core: _core.Access, thread: threading.Thread) -> None:
    closed.set()
    core.interrupt()
    thread.join()


def _set_tokens(core: _core.Access, access: Access, text: str) -> None:
    core.set_tokens(
        text,
        issuer=access.issuer or "",
        audience=access.audience or "",
        algorithms=access.algorithms,
        claim=access.claim,
        leeway=access.leeway,
    )


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the keys file {file} cannot be read ({error}): make it with tidegate keys new"
        ) from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
