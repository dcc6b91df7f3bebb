"""Semantic versions, strictly as Semantic Versioning 2.0.0 writes and orders them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from tidegate.errors import InputError

__all__ = ["SemanticVersion"]

MAX_CHARACTERS: Final = 128
"""Longest version; it becomes the name of a file."""

_NUMBER: Final = r"0|[1-9][0-9]*"
_PRE: Final = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PATTERN: Final = re.compile(
    rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<pre>{_PRE}(?:\.{_PRE})*))?"
    r"(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?\Z",
    re.ASCII,
)


@total_ordering
@dataclass(frozen=True, slots=True)
class SemanticVersion:
    """A version `major.minor.patch`, perhaps with a pre-release and build metadata.

    Versions order by precedence. Build metadata has none, so that versions which differ in it only
    are ordered by its text, to have one order everywhere.

    Attributes:
        major: incompatible changes.
        minor: additions.
        patch: corrections.
        pre: dot-separated identifiers of a pre-release, or empty.
        build: dot-separated identifiers of build metadata, or empty.

    Source: https://semver.org/spec/v2.0.0.html, items 2, 9, 10 and 11.

    Example:
        >>> texts = ["1.0.0", "1.0.0-rc.1", "1.0.0-alpha.beta", "1.0.0-alpha.1", "1.0.0-rc.11"]
        >>> [str(version) for version in sorted(map(SemanticVersion.parse, texts))]
        ['1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-rc.1', '1.0.0-rc.11', '1.0.0']
        >>> SemanticVersion.parse("1.0")
        Traceback (most recent call last):
            ...
        tidegate.errors.InputError: version '1.0' is not a semantic version: ...
    """

    major: int
    minor: int
    patch: int
    pre: str = ""
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> SemanticVersion:
        """Reads a version.

        Raises:
            InputError: the text is no semantic version: leading zeros, a `v`, missing parts, ….
        """
        match = _PATTERN.match(text) if len(text) <= MAX_CHARACTERS else None
        if match is None:
            raise InputError(
                f"version {text[:40]!r} is not a semantic version: write it as 1.4.2, "
                "1.4.2-rc.1 or 1.4.2+build.5"
            )
        return cls(
            int(match["major"]),
            int(match["minor"]),
            int(match["patch"]),
            match["pre"] or "",
            match["build"] or "",
        )

    @property
    def is_release(self) -> bool:
        """True unless it is a pre-release."""
        return not self.pre

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.pre:
            text += f"-{self.pre}"
        return f"{text}+{self.build}" if self.build else text

    def __lt__(self, other: SemanticVersion) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[object, ...]:
        # Numbers come before words and compare as numbers; a release comes after its pre-releases.
        parts = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in (self.pre.split(".") if self.pre else [])
        )
        return (self.major, self.minor, self.patch, self.is_release, parts, self.build)
