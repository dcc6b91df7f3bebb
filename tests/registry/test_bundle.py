"""A bundle notices every change of its bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import InputError, IntegrityError, NotFoundError, StateError, StorageError
from tidegate.registry import BuildOptions, Bundle

Make = Callable[..., Bundle]


def test_a_bare_folder_says_that_its_manifest_is_unverified(make: Make) -> None:
    bundle = Bundle.open(make().path)
    found = bundle.verify()
    assert not found.manifest_verified
    assert "the manifest itself is unverified" in found.summary
    assert bundle.digest in found.summary
    known = Bundle.open(bundle.path, digest=bundle.digest).verify()
    assert known.manifest_verified
    assert "registered digest" in known.summary
    assert known.files == 2


def test_what_was_built_is_what_is_opened(make: Make) -> None:
    built = make(model=b"bytes")
    opened = Bundle.open(built.path)
    assert opened.manifest == built.manifest
    assert opened.digest == built.digest
    assert opened.manifest.created == "2026-01-02T03:04:05Z"
    assert opened.read("model.onnx") == b"bytes"
    assert opened.read("manifest.json") == opened.manifest.to_json()
    with pytest.raises(NotFoundError):
        opened.read("absent")


def test_building_twice_gives_one_digest(make: Make) -> None:
    assert make().digest == make().digest
    assert make(model=b"x").digest != make(model=b"y").digest


def flipped(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.onnx", "card.md"])
@pytest.mark.parametrize("position", [0, -1])
def test_one_flipped_byte_in_a_file_is_named(make: Make, name: str, position: int) -> None:
    bundle = make()
    flipped(bundle.path / name, position)
    with pytest.raises(IntegrityError, match=rf"{name} in .* was changed .*fetch it again"):
        Bundle.open(bundle.path).verify()
    with pytest.raises(IntegrityError, match=name):
        bundle.read(name)


def test_every_flipped_byte_of_the_manifest_is_noticed(make: Make) -> None:
    bundle = make()
    path = bundle.path / "manifest.json"
    original = path.read_bytes()
    for position in range(len(original)):
        flipped(path, position)
        with pytest.raises(IntegrityError, match="is registered"):
            Bundle.open(bundle.path, digest=bundle.digest)
        path.write_bytes(original)


def test_a_manifest_changed_after_opening_is_noticed(make: Make) -> None:
    bundle = make()
    flipped(bundle.path / "manifest.json", 5)
    with pytest.raises(IntegrityError, match="open it again"):
        bundle.verify()


def test_truncated_missing_and_strange_files_are_all_named(make: Make) -> None:
    bundle = make()
    (bundle.path / "model.onnx").write_bytes(b"a m")
    (bundle.path / "card.md").unlink()
    (bundle.path / "stranger").write_bytes(b"")
    with pytest.raises(IntegrityError) as raised:
        bundle.verify()
    text = str(raised.value)
    assert "model.onnx" in text
    assert "truncated (3 bytes, not 7)" in text
    assert "card.md is missing" in text
    assert "'stranger'" in text


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="name the folder of a bundle"):
        Bundle.open(tmp_path)
    with pytest.raises(NotFoundError):
        Bundle.open(tmp_path / "absent")
    (tmp_path / "manifest.json").write_bytes(b"{}")
    with pytest.raises(StateError, match="version_of_format"):
        Bundle.open(tmp_path)
    with pytest.raises(InputError, match="sha256:"):
        Bundle.open(tmp_path, digest="md5:1")


def test_a_file_that_cannot_be_read_is_named(make: Make) -> None:
    bundle = make()
    (bundle.path / "card.md").unlink()
    (bundle.path / "card.md").mkdir()
    with pytest.raises(IntegrityError, match=r"card\.md"):
        bundle.verify()


def test_bad_input_is_refused_before_any_work(tmp_path: Path) -> None:
    def build(name: str = "m", version: str = "1.0.0", **changes: object) -> None:
        Bundle.build(name, version, **{"model": b"x", **changes})  # type: ignore[arg-type]

    with pytest.raises(InputError, match="model name"):
        build(name="a/b")
    with pytest.raises(InputError, match="semantic version"):
        build(version="1")
    with pytest.raises(InputError, match="golden_rows is 0"):
        build(golden_rows=0)
    with pytest.raises(InputError, match="empty"):
        build(model=b"")
    with pytest.raises(InputError, match="cannot read model"):
        build(model=tmp_path / "absent.onnx")
    with pytest.raises(InputError, match="time zone"):
        BuildOptions(created=datetime(2026, 1, 1))
    with pytest.raises(InputError, match="finite"):
        build(options=BuildOptions(metrics={"auc": float("nan")}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"")
    with pytest.raises(InputError, match="not empty"):
        build(directory=tmp_path / "full")
    with pytest.raises(StorageError, match="cannot make folder"):
        build(directory=tmp_path / "full" / "x" / "below")


def test_a_model_without_a_sample_is_refused() -> None:
    from sklearn.linear_model import Ridge

    model = Ridge().fit(np.eye(3, dtype=np.float32), np.arange(3))
    with pytest.raises(InputError, match="give sample="):
        Bundle.build("m", "1.0.0", model=model)


def test_a_temporary_bundle_goes_with_its_object() -> None:
    bundle = Bundle.build("m", "1.0.0", model=b"x")
    path = bundle.path
    assert path.is_dir()
    del bundle
    assert not path.exists()


def test_an_estimator_without_a_feature_set(tmp_path: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    X = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(
        X, np.where(X[:, 0] > 0, "a", "b")
    )
    bundle = Bundle.build("m", "1.0.0", model=model, sample=X, directory=tmp_path / "b")
    assert bundle.manifest.kind == "classifier"
    assert bundle.manifest.classes == ("a", "b")
    export = bundle.manifest.lineage["export"]
    assert isinstance(export, dict)
    assert export["rows"] == 10_000
    card = bundle.read("card.md").decode()
    assert "`a`, `b`" in card
    assert "| export.rows | 10000 |" in card
