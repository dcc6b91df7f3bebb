"""The report of `tidegate check`: objects, text, canonical JSON, a page."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.check.result import Outcome, Result
from tidegate.errors import StateError, StorageError
from tidegate.storage.canonical import decode, encode

if TYPE_CHECKING:
    from rich.console import Group

    from tidegate.registry import Registry

__all__ = ["KIND", "CheckReport"]

VERSION: Final = 1
"""The newest format of a report that this tidegate reads and the one that it writes."""

KIND: Final = "check"
"""Under which reports lie beside a bundle."""

_KEYS: Final = {
    "began",
    "candidate",
    "champion",
    "champion_digest",
    "digest",
    "machine",
    "outcome",
    "results",
    "seconds",
    "version",
}


@dataclass(frozen=True)
class CheckReport:
    """What every check said of a bundle.

    Attributes:
        candidate: the bundle, as `name@version`.
        digest: its digest.
        champion: what it was compared with, if anything.
        champion_digest: the digest of that.
        began: when, in seconds since 1970.
        seconds: how long it took.
        machine: where: figures of latency hold there.
        results: of each check, in order.
    """

    candidate: str
    digest: str
    champion: str | None
    champion_digest: str | None
    began: float
    seconds: float
    machine: str
    results: tuple[Result, ...]

    @property
    def outcome(self) -> Outcome:
        """`fail` if one check failed, else `warn` if one warned, else `pass`."""
        outcomes = {result.outcome for result in self.results}
        return "fail" if "fail" in outcomes else "warn" if "warn" in outcomes else "pass"

    @property
    def verdict(self) -> str:
        """One line."""
        against = "" if self.champion is None else f" against {self.champion}"
        named = [result for result in self.results if result.outcome == self.outcome]
        if self.outcome == "pass":
            return f"{self.candidate}{against} passes: {len(named)} checks"
        word = "fails" if self.outcome == "fail" else "passes with warnings"
        return f"{self.candidate}{against} {word}: {', '.join(each.name for each in named)}"

    @property
    def time(self) -> str:
        """When it began, RFC 3339 in UTC."""
        found = datetime.fromtimestamp(self.began, UTC).isoformat(timespec="seconds")
        return found.replace("+00:00", "Z")

    def __bool__(self) -> bool:
        return self.outcome != "fail"

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"the report has no check {name!r}")

    def __str__(self) -> str:
        return self.verdict

    def __rich__(self) -> Group:
        from tidegate.check.table import rendered

        return rendered(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON's values, with `version`; what is no number is null."""
        document: dict[str, Any] = _finite(
            {
                "began": self.began,
                "candidate": self.candidate,
                "champion": self.champion,
                "champion_digest": self.champion_digest,
                "digest": self.digest,
                "machine": self.machine,
                "outcome": self.outcome,
                "results": [result.to_dict() for result in self.results],
                "seconds": self.seconds,
                "version": VERSION,
            }
        )
        return document

    def to_json(self) -> bytes:
        """The report as canonical JSON."""
        return encode(self.to_dict())

    @classmethod
    def from_json(cls, data: bytes, *, place: str = "the report of a check") -> CheckReport:
        """Reads what `to_json` wrote, of this or any earlier version.

        Raises:
            StateError: the bytes are no report, or of a later version.
        """
        document: dict[str, Any] = decode(data, place, keys=_KEYS, newest=VERSION)
        try:
            return cls(
                candidate=document["candidate"],
                digest=document["digest"],
                champion=document["champion"],
                champion_digest=document["champion_digest"],
                began=float(document["began"]),
                seconds=float(document["seconds"]),
                machine=document["machine"],
                results=tuple(Result.from_dict(result) for result in document["results"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"{place} is damaged: {error}") from error

    def store(self, registry: Registry) -> int:
        """Stores the report beside the bundle, for good.

        Returns:
            Its number, 1 for the bundle's first.

        Raises:
            StorageError: the registry is read-only, full, or out of reach.
        """
        return registry.add_report(self.digest, KIND, self.to_dict())

    @classmethod
    def stored(cls, registry: Registry, digest: str) -> tuple[CheckReport, ...]:
        """The reports that lie beside a bundle, oldest first.

        Raises:
            StateError: one was changed, or is of a later version.
        """
        return tuple(
            cls.from_json(encode(record.body), place=f"report {record.number} of {digest}")
            for record in registry.reports(digest, KIND)
        )

    def to_html(self) -> str:
        """The report as one HTML page that opens offline: no script, nothing loaded."""
        from tidegate.check.page import render_html

        return render_html(self)

    def write_html(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_html` into a file, which is replaced if it is there.

        Raises:
            StorageError: the file cannot be written.
        """
        try:
            Path(path).write_text(self.to_html(), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
