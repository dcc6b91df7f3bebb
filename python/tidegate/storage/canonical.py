"""Canonical JSON: sorted keys, no white space, UTF-8; one value has exactly one text.

A digest of the bytes is then a digest of the value, on every machine and in every language.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NoReturn

from tidegate.errors import InputError, StateError
from tidegate.types import Json, JsonObject

__all__ = ["decode", "encode"]


def encode(document: JsonObject) -> bytes:
    """The canonical bytes of a JSON object.

    Args:
        document: the object; without NaN and infinity, which JSON cannot hold.

    Raises:
        InputError: the object holds NaN, infinity, or something that is no JSON.

    Example:
        >>> encode({"b": 1, "a": [True, None]})
        b'{"a":[true,null],"b":1}'
    """
    try:
        text = json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
        raise InputError(f"cannot be written as JSON: {error}: use plain, finite values") from error


def decode(
    data: bytes,
    place: str,
    *,
    keys: set[str],
    newest: int,
    tag: str = "version",
    optional: Collection[str] = (),
) -> dict[str, Json]:
    """Reads what `encode` wrote, of this or any earlier version.

    Args:
        data: the bytes.
        place: what they are and where, for messages.
        keys: exactly the keys that the object must have.
        newest: the newest version that the caller reads.
        tag: the key that holds the version.
        optional: keys that it may have besides.

    Raises:
        StateError: the bytes are no such object, or of a later version.

    Example:
        >>> decode(b'{"a":1,"version":1}', "the note", keys={"a", "version"}, newest=1)
        {'a': 1, 'version': 1}
        >>> decode(b'{"a":1,"version":2}', "the note", keys={"a", "version"}, newest=1)
        Traceback (most recent call last):
            ...
        tidegate.errors.StateError: the note has version 2, newer than 1, ...: upgrade tidegate
    """
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{place} is not valid JSON ({error}): restore it") from error
    if not isinstance(document, dict):
        raise StateError(f"{place} is not a JSON object: restore it")
    version = document.get(tag)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StateError(f"{place} has no {tag!r}: restore it")
    if version > newest:
        raise StateError(
            f"{place} has version {version}, newer than {newest}, the newest this tidegate "
            "reads: upgrade tidegate"
        )
    if document.keys() - set(optional) != keys:
        absent = ", ".join(sorted(keys - document.keys())) or "none"
        unknown = ", ".join(sorted(document.keys() - keys - set(optional))) or "none"
        raise StateError(f"{place} has the wrong keys (absent: {absent}; unknown: {unknown})")
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
