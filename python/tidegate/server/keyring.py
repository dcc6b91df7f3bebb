"""The file of API keys: made, listed and revoked here, read by the native half."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from tidegate import _core
from tidegate.errors import AlreadyExistsError, InputError, NotFoundError, StateError, StorageError

__all__ = ["KeyRecord", "Keyring"]

FORMAT: Final = 1
SECRET_BYTES: Final = 32
"""256 random bits: nobody can find a key by its digest, so one round of SHA-256 is enough."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key.

    Attributes:
        id: What the key's text begins with, after `tg_`.
        name: Whose it is.
        sha256: The digest of the key's text.
        grants: What it may do, such as `predictor:flight-*`.
        created: When it was made, in RFC 3339.
        expires: When it ends, in seconds since 1970; `None` for never.
    """

    id: str
    name: str
    sha256: str
    grants: tuple[str, ...]
    created: str
    expires: int | None

    @property
    def expired(self) -> bool:
        """Whether it has ended."""
        return self.expires is not None and time.time() >= self.expires


class Keyring:
    """A file of API keys; only digests are in it. Its mode is 0600.

    Args:
        file: Where it is; it need not exist yet.

    Raises:
        StateError: If it is no such file.
        StorageError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     keyring = Keyring(Path(folder) / "keys.json")
        ...     key = keyring.new("ci", ["predictor:flight-*"])
        ...     key.startswith("tg_"), [record.name for record in keyring.records]
        (True, ['ci'])
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file: Final = Path(file)
        self._records = self._read()

    @property
    def records(self) -> tuple[KeyRecord, ...]:
        """The keys, in the order in which they were made."""
        return tuple(self._records)

    def new(self, name: str, grants: Sequence[str], *, days: float | None = None) -> str:
        """Makes a key and writes its digest.

        Args:
            name: Whose it is; letters, digits, `.`, `_` and `-`.
            grants: What it may do.
            days: When it ends; never by default.

        Returns:
            The key. It cannot be shown again.

        Raises:
            InputError: If the name, a grant or the number of days is wrong.
            AlreadyExistsError: If there is a key of this name.
            StorageError: If the file cannot be written.
        """
        if not _NAME.match(name):
            raise InputError(
                f"key name {name[:40]!r}: use up to 128 letters, digits, '.', '_' and '-', "
                "beginning with a letter or digit"
            )
        if any(record.name == name for record in self._records):
            raise AlreadyExistsError(f"there is a key {name!r} already: revoke it, or name another")
        if not grants:
            raise InputError(f"key {name!r} may do nothing: give it a role")
        if days is not None and not 0 < days < float("inf"):
            raise InputError(f"days is {days}: give a number above 0")
        now = time.time()
        identifier = secrets.token_hex(8)
        key = f"tg_{identifier}_{secrets.token_urlsafe(SECRET_BYTES)}"
        record = KeyRecord(
            id=identifier,
            name=name,
            sha256=hashlib.sha256(key.encode()).hexdigest(),
            grants=tuple(grants),
            created=datetime.fromtimestamp(int(now), UTC).isoformat().replace("+00:00", "Z"),
            expires=None if days is None else int(now + days * _SECONDS_A_DAY),
        )
        self._write([*self._records, record])
        return key

    def revoke(self, name: str) -> None:
        """Takes a key out. Running servers see it within seconds.

        Args:
            name: Whose it is.

        Raises:
            NotFoundError: If there is no key of this name.
            StorageError: If the file cannot be written.
        """
        left = [record for record in self._records if record.name != name]
        if len(left) == len(self._records):
            raise NotFoundError(f"there is no key {name!r} in {self.file}: see tidegate keys list")
        self._write(left)

    def _read(self) -> list[KeyRecord]:
        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"the keys file {self.file} cannot be read ({error}): name another"
            ) from error
        # The native half decides what a file of keys is.
        _core.Access().set_keys(text)
        entries: list[dict[str, Any]] = orjson.loads(text)["keys"]
        return [KeyRecord(**{**entry, "grants": tuple(entry["grants"])}) for entry in entries]

    def _write(self, records: list[KeyRecord]) -> None:
        document = {
            "format": FORMAT,
            "keys": [
                {
                    "id": record.id,
                    "name": record.name,
                    "sha256": record.sha256,
                    "grants": list(record.grants),
                    "created": record.created,
                    "expires": record.expires,
                }
                for record in records
            ],
        }
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        try:
            _core.Access().set_keys(data.decode())
        except StateError as error:
            raise InputError(str(error)) from None
        try:
            # A reader sees the old file or the new one; the mode of temporary files is 0600.
            with tempfile.NamedTemporaryFile(dir=self.file.parent, delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(self.file)
        except OSError as error:
            raise StorageError(
                f"the keys file {self.file} cannot be written ({error}): name another"
            ) from error
        self._records = records
