"""Bundles with a feature set: what is written, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tidegate import Bundle, FeatureSet, Registry, Schema, col
from tidegate.errors import ExportError, InputError, IntegrityError
from tidegate.export import Proof
from tidegate.registry import BuildOptions

FILES = ["baseline.json", "card.md", "features.json", "golden.arrow", "model.onnx", "schema.json"]


@dataclass(frozen=True)
class Trained:
    table: pl.DataFrame
    features: FeatureSet
    matrix: Any
    model: Any


@pytest.fixture(scope="module")
def trained() -> Trained:
    random = np.random.default_rng(3)
    rows = 2_000
    table = pl.DataFrame(
        {
            "x": random.normal(size=rows),
            "y": pl.Series([None if r < 0.1 else r for r in random.random(rows)], dtype=pl.Float64),
            "colour": random.choice(["red", "green", "blue"], rows),
            "label": random.integers(0, 2, rows),
        }
    )
    features = FeatureSet(
        schema=Schema.infer(table),
        features=[
            col("x").standardize(),
            col("y").fill_null("median"),
            col("y").is_null(),
            col("colour").one_hot(),
        ],
    )
    matrix = features.fit_transform(table)
    late = (table["x"].to_numpy() > 0) | (table["colour"].to_numpy() == "red")
    model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1).fit(matrix, late)
    return Trained(table, features, matrix, model)


@pytest.fixture(scope="module")
def bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.build(
        "m",
        "1.0.0",
        features=trained.features,
        model=trained.model,
        sample=trained.table,
        golden_rows=20,
        options=BuildOptions(metrics={"auc": 0.9}),
        directory=tmp_path_factory.mktemp("built") / "bundle",
    )


def test_all_files_are_written(bundle: Bundle, trained: Trained) -> None:
    assert sorted(bundle.manifest.files) == FILES
    assert bundle.manifest.kind == "classifier"
    assert bundle.manifest.golden is not None
    assert bundle.manifest.golden.rows == 20
    schema = Schema.from_json(bundle.read("schema.json").decode())
    assert bundle.manifest.schema_fingerprint == schema.fingerprint
    # The label is a column of the sample, and no input of the model.
    assert schema.names == ["x", "y", "colour"]
    restored = FeatureSet.from_json(bundle.read("features.json").decode())
    np.testing.assert_array_equal(restored.transform(trained.table), trained.matrix)
    card = bundle.read("card.md").decode()
    assert "| auc | 0.9 |" in card
    assert "- `colour=red`" in card


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_flipped_byte_in_any_published_file_is_found(
    name: str, bundle: Bundle, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry")
    registry.publish(bundle)
    path = registry.open("m").path / name
    original = path.read_bytes()
    for position in (0, len(original) // 2, len(original) - 1):
        data = bytearray(original)
        data[position] ^= 1
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
            registry.verify("m")
    path.write_bytes(original[:-1])
    with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
        registry.verify("m")
    path.write_bytes(original)
    registry.verify("m")


def test_golden_rows_may_be_given(trained: Trained) -> None:
    masked = trained.table.head(3).with_columns(colour=pl.lit("masked"))
    bundle = Bundle.build(
        "m",
        "1.0.0",
        features=trained.features,
        model=trained.model,
        sample=trained.table,
        golden_rows=masked,
    )
    assert bundle.manifest.golden is not None
    assert bundle.manifest.golden.rows == 3
    rows = pa.ipc.open_file(bundle.path / "golden.arrow").read_all()
    assert rows.column("colour").to_pylist() == ["masked"] * 3


def test_a_model_of_another_width_is_refused(trained: Trained) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1)
    model.fit(trained.matrix[:, :3], np.arange(len(trained.matrix)) % 2)
    with pytest.raises(InputError, match=r"fitted on 3 features and the feature set makes \d"):
        Bundle.build("m", "1.0.0", features=trained.features, model=model, sample=trained.table)


def test_a_sample_of_the_wrong_kind_is_refused(trained: Trained) -> None:
    with pytest.raises(InputError, match="as an Arrow table"):
        Bundle.build(
            "m", "1.0.0", features=trained.features, model=trained.model, sample=trained.matrix
        )
    with pytest.raises(InputError, match="there is no feature set"):
        Bundle.build("m", "1.0.0", model=trained.model, sample=trained.table)


def test_an_export_that_is_not_near_enough_fails_the_build(
    trained: Trained, tmp_path: Path
) -> None:
    options = BuildOptions(proof=Proof(tolerance=1e-12))
    with pytest.raises(ExportError, match=r"differs from it by .* more than 1e-12"):
        Bundle.build(
            "m",
            "1.0.0",
            features=trained.features,
            model=trained.model,
            sample=trained.table,
            options=options,
            directory=tmp_path / "bundle",
        )
    assert not (tmp_path / "bundle" / "manifest.json").exists()
