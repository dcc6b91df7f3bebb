"""How a bundle is called: `name`, `name@1.4.2`, `name@champion` or `name@sha256:…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from tidegate.errors import InputError
from tidegate.registry.semver import SemanticVersion

__all__ = ["DIGEST_PREFIX", "Reference", "check_alias", "check_digest", "check_name"]

DIGEST_PREFIX: Final = "sha256:"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z", re.ASCII)
_ALIAS: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}\Z", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z", re.ASCII)


def check_name(name: str) -> str:
    """The name itself, if a model can have it; otherwise `InputError`.

    Example:
        >>> check_name("flight-delay")
        'flight-delay'
        >>> check_name("flight delay")
        Traceback (most recent call last):
            ...
        tidegate.errors.InputError: model name 'flight delay': use up to 128 letters, ...
    """
    if not _NAME.match(name):
        raise InputError(
            f"model name {name[:40]!r}: use up to 128 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return name


def check_alias(alias: str) -> str:
    """The alias itself, if it can be one; it begins with a letter, so it never reads as a version.

    Example:
        >>> check_alias("champion")
        'champion'
        >>> check_alias("1st")
        Traceback (most recent call last):
            ...
        tidegate.errors.InputError: alias '1st': use up to 64 letters, ...
    """
    if not _ALIAS.match(alias):
        raise InputError(
            f"alias {alias[:40]!r}: use up to 64 letters, digits, '.', '_' and '-', "
            "beginning with a letter"
        )
    return alias


def check_digest(digest: str) -> str:
    """The digest itself, if it is `sha256:` and 64 hexadecimal digits; otherwise `InputError`."""
    if not _DIGEST.match(digest):
        raise InputError(
            f"digest {digest[:80]!r}: write sha256: and 64 lower-case hexadecimal digits"
        )
    return digest


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference to a bundle.

    Attributes:
        name: the model's name.
        kind: what the selector is; `newest` if there is none.
        selector: the version, alias or digest; empty for `newest`.
    """

    name: str
    kind: Literal["newest", "version", "alias", "digest"]
    selector: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Reads a reference.

        Raises:
            InputError: a part of it cannot be what it should be.

        Example:
            >>> Reference.parse("flight-delay@1.4.2").kind
            'version'
            >>> Reference.parse("flight-delay@champion").kind
            'alias'
            >>> Reference.parse("flight-delay").kind
            'newest'
        """
        name, at, selector = text.partition("@")
        check_name(name)
        if not at:
            return cls(name, "newest", "")
        if selector.startswith(DIGEST_PREFIX):
            return cls(name, "digest", check_digest(selector))
        if selector[:1].isdigit():
            return cls(name, "version", str(SemanticVersion.parse(selector)))
        return cls(name, "alias", check_alias(selector))

    def __str__(self) -> str:
        return f"{self.name}@{self.selector}" if self.selector else self.name
