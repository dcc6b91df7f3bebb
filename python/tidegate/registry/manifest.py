"""`manifest.json`: what belongs to a bundle, and what each file must be.

The bundle's digest is the sha256 of this file's bytes, which are canonical JSON.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.errors import InputError, StateError
from tidegate.registry.reference import DIGEST_PREFIX, check_name
from tidegate.registry.semver import SemanticVersion
from tidegate.storage.canonical import decode, encode
from tidegate.types import Json, JsonObject

__all__ = ["FILE", "FileEntry", "GoldenEntry", "Manifest", "digest_of"]

VERSION: Final = 2
"""The newest format that this tidegate reads."""

PLAIN_VERSION: Final = 1
"""The format of bundles that say nothing of watching, which earlier releases read as well."""

FILE: Final = "manifest.json"

MAX_BYTES: Final = 16 << 20
"""Largest manifest."""

MAX_FILES: Final = 1_000
"""Most files of a bundle."""

KINDS: Final = ("classifier", "regressor", "tensors")

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_KEYS: Final = {
    "created",
    "files",
    "golden",
    "lineage",
    "metrics",
    "model",
    "name",
    "schema_fingerprint",
    "version",
    "version_of_format",
}


def digest_of(data: bytes) -> str:
    """`sha256:` and the hexadecimal digest of these bytes."""
    return DIGEST_PREFIX + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What one file must be.

    Attributes:
        sha256: 64 lower-case hexadecimal digits.
        size: bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class GoldenEntry:
    """How golden rows are compared: `|found - expected| <= atol + rtol * |expected|`.

    Attributes:
        rows: how many there are.
        rtol: relative tolerance.
        atol: absolute tolerance.
        onnxruntime: the version that computed them.
    """

    rows: int
    rtol: float
    atol: float
    onnxruntime: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle is.

    Attributes:
        name: the model's name.
        version: its semantic version.
        created: when it was built, RFC 3339 in UTC.
        files: every file but the manifest itself.
        kind: `classifier`, `regressor`, or `tensors` for any other ONNX model.
        classes: the labels of a classifier, in the order of its probabilities.
        schema_fingerprint: of `schema.json`; None without a feature set.
        golden: how the golden rows are compared; None without golden rows.
        lineage: where the model came from: free.
        metrics: what was measured when it was trained: free.
        watching: how it is watched where nothing else is said; None where the bundle says nothing.
    """

    name: str
    version: str
    created: str
    files: Mapping[str, FileEntry]
    kind: str
    classes: tuple[int | str, ...] | None
    schema_fingerprint: str | None
    golden: GoldenEntry | None
    lineage: JsonObject
    metrics: JsonObject
    watching: JsonObject | None = None

    def to_json(self) -> bytes:
        """The canonical bytes of the file.

        Raises:
            InputError: lineage or metrics hold something that is no JSON, such as NaN.
        """
        golden = self.golden
        document: dict[str, Json] = {
            "created": self.created,
            "files": {
                name: {"sha256": entry.sha256, "size": entry.size}
                for name, entry in self.files.items()
            },
            "golden": None
            if golden is None
            else {
                "atol": golden.atol,
                "onnxruntime": golden.onnxruntime,
                "rows": golden.rows,
                "rtol": golden.rtol,
            },
            "lineage": self.lineage,
            "metrics": self.metrics,
            "model": {
                "classes": None if self.classes is None else list(self.classes),
                "kind": self.kind,
            },
            "name": self.name,
            "schema_fingerprint": self.schema_fingerprint,
            "version": self.version,
            "version_of_format": PLAIN_VERSION if self.watching is None else VERSION,
        }
        if self.watching is not None:
            document["watching"] = self.watching
        try:
            return encode(document)
        except InputError as error:
            raise InputError(f"the lineage or the metrics of {self.name!r}: {error}") from error

    @classmethod
    def parse(cls, data: bytes, *, place: str = FILE) -> Manifest:
        """Reads a manifest of this or any earlier version of the format.

        Args:
            data: the bytes of the file.
            place: where they come from, for messages.

        Raises:
            StateError: they are no manifest, or of a later version.
        """
        document = decode(
            data,
            place,
            keys=_KEYS,
            optional={"watching"},
            newest=VERSION,
            tag="version_of_format",
        )
        try:
            return cls(
                name=check_name(_text(document, "name")),
                version=str(SemanticVersion.parse(_text(document, "version"))),
                created=_text(document, "created"),
                files=_files(document["files"]),
                kind=_kind(document["model"]),
                classes=_classes(document["model"]),
                schema_fingerprint=_optional_text(document, "schema_fingerprint"),
                golden=_golden(document["golden"]),
                lineage=_object(document, "lineage"),
                metrics=_object(document, "metrics"),
                watching=_object(document, "watching") if "watching" in document else None,
            )
        except (InputError, TypeError, KeyError, AttributeError) as error:
            raise StateError(
                f"{place} is not a manifest ({error}): build the bundle again"
            ) from error


def _text(document: JsonObject, key: str) -> str:
    value = document[key]
    if not isinstance(value, str):
        raise TypeError(f"{key!r} is not a string")
    return value


def _optional_text(document: JsonObject, key: str) -> str | None:
    return None if document[key] is None else _text(document, key)


def _object(document: JsonObject, key: str) -> JsonObject:
    value = document[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key!r} is not an object")
    return value


def _files(value: Json) -> dict[str, FileEntry]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_FILES:
        raise TypeError(f"'files' does not name 1 to {MAX_FILES} files")
    files: dict[str, FileEntry] = {}
    for name, entry in value.items():
        # A name must stay inside the bundle's folder, on every system.
        if not _FILE_NAME.match(name) or name == FILE:
            raise TypeError(f"the file name {name!r} is not plain")
        if not isinstance(entry, dict) or entry.keys() != {"sha256", "size"}:
            raise TypeError(f"the entry of file {name!r} is not a digest and a size")
        sha256, size = entry["sha256"], entry["size"]
        if not isinstance(sha256, str) or not _SHA256.match(sha256):
            raise TypeError(f"the digest of file {name!r} is not a sha256")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise TypeError(f"the size of file {name!r} is not a number of bytes")
        files[name] = FileEntry(sha256, size)
    if "model.onnx" not in files:
        raise TypeError("it names no model.onnx")
    return files


def _kind(value: Json) -> str:
    if not isinstance(value, dict) or value.keys() != {"classes", "kind"}:
        raise TypeError("'model' is not a kind and classes")
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise TypeError(f"the kind {kind!r} is none of {', '.join(KINDS)}")
    return kind


def _classes(value: Json) -> tuple[int | str, ...] | None:
    classes = value["classes"] if isinstance(value, dict) else None
    if classes is None:
        return None
    if not isinstance(classes, list) or not all(
        isinstance(label, int | str) and not isinstance(label, bool) for label in classes
    ):
        raise TypeError("'classes' is not a list of whole numbers or strings")
    return tuple(label for label in classes if isinstance(label, int | str))


def _golden(value: Json) -> GoldenEntry | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"atol", "onnxruntime", "rows", "rtol"}:
        raise TypeError("'golden' is not rows, tolerances and a version")
    rows, rtol, atol = value["rows"], value["rtol"], value["atol"]
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise TypeError("'golden' has no rows")
    if not isinstance(rtol, int | float) or not isinstance(atol, int | float):
        raise TypeError("'golden' has no tolerances")
    return GoldenEntry(rows, float(rtol), float(atol), _text(value, "onnxruntime"))
