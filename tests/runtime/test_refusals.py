"""Bundles and models that must not go live."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tidegate.errors import (
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
    TidegateError,
)
from tidegate.registry import Bundle
from tidegate.runtime import Runtime


def copy(bundle: Bundle, to: Path) -> Path:
    shutil.copytree(bundle.path, to)
    return to


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_flipped_byte_in_any_file_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        for name in files(bundle.path):
            folder = copy(bundle, tmp_path / name)
            data = bytearray((folder / name).read_bytes())
            data[len(data) // 2] ^= 1
            (folder / name).chmod(0o644)
            (folder / name).write_bytes(data)
            # The registry's record holds the digest of the manifest.
            model = runtime.core
            with pytest.raises(TidegateError) as caught:
                model.load(folder, bundle.digest)
            assert name in str(caught.value) or "manifest" in str(caught.value), caught.value
            assert isinstance(caught.value, IntegrityError | StateError)
        # Whatever was refused, what is deployed goes on.
        assert runtime.predict("tiny", {"colour": "red"}).version == "1.0.0"


def test_truncated_and_incomplete_bundles_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    with Runtime() as runtime:
        for name in files(bundle.path):
            folder = copy(bundle, tmp_path / f"short-{name}")
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data[: len(data) // 2])
            with pytest.raises(TidegateError, match=name):
                runtime.deploy(folder)
            folder = copy(bundle, tmp_path / f"without-{name}")
            (folder / name).unlink()
            with pytest.raises(TidegateError, match=name):
                runtime.deploy(folder)
        folder = copy(bundle, tmp_path / "more")
        (folder / "extra.bin").write_bytes(b"?")
        with pytest.raises(TidegateError, match=r"extra\.bin"):
            runtime.deploy(folder)
        with pytest.raises(NotFoundError):
            runtime.core.load(tmp_path / "nowhere", None)


def test_a_bare_folder_is_served_unverified(bundle: Bundle) -> None:
    with Runtime() as runtime:
        assert not runtime.core.load(bundle.path, None).verified
        assert runtime.core.load(bundle.path, bundle.digest).verified


def reseal(folder: Path) -> None:
    """Makes the manifest agree with the files again, as whoever edits a bundle would."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (folder / "manifest.json").write_text(text)


def test_golden_rows_that_do_not_reproduce_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    folder = copy(bundle, tmp_path / "other")
    model = onnx.load(folder / "model.onnx")
    changed = False
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("coefficients", "intercepts"):
                for place, value in enumerate(attribute.floats):
                    attribute.floats[place] = value + 0.5
                    changed = True
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == "float32" and values.size > 1:
            tensor.CopyFrom(numpy_helper.from_array(values * 1.5, tensor.name))
            changed = True
    assert changed
    onnx.save(model, folder / "model.onnx")
    reseal(folder)
    with Runtime() as runtime, pytest.raises(IntegrityError, match="golden"):
        runtime.deploy(folder)


def test_models_that_are_none_or_of_another_width(
    bundle: Bundle, linear: Path, tmp_path: Path
) -> None:
    with Runtime() as runtime:
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"this is no model")
        with pytest.raises(TidegateError, match="ONNX"):
            runtime.deploy(broken)
        with pytest.raises(NotFoundError, match="nowhere"):
            runtime.deploy(tmp_path / "nowhere.onnx")
        folder = copy(bundle, tmp_path / "width")
        shutil.copyfile(linear, folder / "model.onnx")
        reseal(folder)
        with pytest.raises((InputError, StateError), match="3"):
            runtime.deploy(folder)
