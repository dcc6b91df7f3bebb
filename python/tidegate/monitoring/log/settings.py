"""What is logged, where, and what of it nobody may read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.errors import ConfigurationError

__all__ = ["Log"]


@dataclass(frozen=True, slots=True)
class Log:
    """The log of predictions and feedback, as Parquet files.

    Attributes:
        location: A folder or an object store, such as `s3://bucket/log`; nothing is logged without.
        sample: The share of predictions that are logged, decided by their ids.
        rules: Shares of models by pattern, such as `fraud=1` and `flight-*=0.05`; the first that
            fits counts, `sample` otherwise.
        slower: Predictions that took at least so many seconds are always logged.
        redact: Columns that are left out, `caller` among them.
        hash: Columns whose values are replaced by keyed hashes (HMAC with SHA-256).
        hash_key_file: A file with the key of the hashes, of at least 16 bytes.
        file_bytes: A file is complete at so many bytes.
        file_seconds: A file is complete after so many seconds, and that much a killed process may
            lose.
        queue_bytes: Most bytes that wait to be stored; beyond, rows are dropped and counted.

    Raises:
        ConfigurationError: If a share is not between 0 and 1, or columns are to be hashed without
            a key.

    Example:
        >>> Log(location="./log", rules=("flight-*=0.05",)).shares
        [('flight-*', 0.05)]
    """

    location: str | None = None
    sample: float = 1.0
    rules: tuple[str, ...] = ()
    slower: float | None = None
    redact: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    hash_key_file: str | None = None
    file_bytes: int = 16 << 20
    file_seconds: float = 60.0
    queue_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for name, share in [("sample", self.sample), *self.shares]:
            if not 0 <= share <= 1:
                raise ConfigurationError(f"share {share:g} of {name}: give a number from 0 to 1")
        if self.hash and self.hash_key_file is None:
            raise ConfigurationError(
                f"hash names {', '.join(self.hash)} without a key, so that values could be "
                "guessed: set hash_key_file"
            )
        if not (self.file_seconds > 0 and math.isfinite(self.file_seconds)):
            raise ConfigurationError(
                f"file_seconds is {self.file_seconds}: give a number of seconds above 0"
            )
        if self.file_bytes < 1 or self.queue_bytes < 1:
            raise ConfigurationError("file_bytes and queue_bytes must be at least 1")

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Pattern and share of each rule."""
        found = []
        for rule in self.rules:
            pattern, equals, share = rule.rpartition("=")
            try:
                found.append((pattern.strip(), float(share)))
            except ValueError:
                equals = ""
            if not equals or not pattern.strip():
                raise ConfigurationError(
                    f"rule {rule!r}: write a pattern of models and a share, such as flight-*=0.05"
                )
        return found
