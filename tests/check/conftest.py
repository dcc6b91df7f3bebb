"""Bundles that are right and bundles with one real defect each, over the rows of the tiny demo."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from tidegate.demo.tiny import tiny_table
from tidegate.features import FeatureSet, Field, Schema, col
from tidegate.registry import BuildOptions, Bundle, Requirements
from tidegate.registry.manifest import FileEntry, Manifest
from tidegate.validation import Rules

Make = Callable[..., Bundle]


def holdout(rows: int = 4_000, seed: int = 99) -> pl.DataFrame:
    """Rows of the same world that no bundle was trained on."""
    return tiny_table(rows, seed=seed)


def trained(
    directory: Path,
    version: str,
    *,
    stretch: float = 1.0,
    coefficient_of_x: float | None = None,
    shuffled: bool = False,
    nullable: bool = True,
    dtype: str = "float64",
    extra: bool = False,
    without_at: bool = False,
    texts: bool = False,
    regressor: bool = False,
    offset: float = 0.0,
    rules: Rules | None = None,
    requirements: Requirements | None = None,
    broken_feature: bool = False,
    shift: float = 0.0,
) -> tuple[Bundle, Any]:
    """A bundle of the tiny task, and the model that it was exported from.

    Args:
        directory: where to write it.
        version: its version.
        stretch: factor of the coefficients: above 1 the model is surer of itself than it may be.
        coefficient_of_x: another coefficient of x.
        shuffled: trained on labels in another order: worthless.
        nullable: may x be missing?
        dtype: of x.
        extra: one more required column.
        without_at: one column less.
        texts: classes that are texts.
        regressor: predicts a number.
        offset: added to a regressor's predictions.
        rules: guard of the bundle.
        requirements: what it requires of itself.
        broken_feature: x is ten times as large in the features that are served as in those that
            were trained on.
        shift: added to x, so that 1 % of x is much.
    """
    table = tiny_table(2_000).with_columns(pl.col("x") + shift)
    if dtype == "int64":
        table = table.with_columns(pl.col("x").fill_null(0).round().cast(pl.Int64))
    if not nullable:
        table = table.with_columns(pl.col("x").fill_null(0))
    fields = [Field("x", dtype, nullable), Field("colour", "string", nullable=False)]  # type: ignore[arg-type]
    x = col("x").fill_null("median") if nullable else col("x")
    features = [x.standardize(), col("colour").one_hot()]
    if not without_at:
        fields.append(Field("at", "timestamp", nullable=True))
        features.append(col("at").dt.hour().fill_null(0).cyclical(24))
    if extra:
        table = table.with_columns(size=pl.lit(1.0) + pl.int_range(pl.len()) % 7)
        fields.append(Field("size", "float64", nullable=False))
        features.append(col("size").standardize())
    features_of = FeatureSet(schema=Schema(fields), features=features)
    matrix = features_of.fit_transform(table)
    label = table["label"].to_numpy().astype(np.int64)
    if shuffled:
        label = np.random.default_rng(0).permutation(label)
    model: Any
    if regressor:
        model = LinearRegression().fit(matrix, label + offset)
    else:
        named = np.array(["no", "yes"])[label] if texts else label
        model = LogisticRegression().fit(matrix, named)
        model.coef_ = model.coef_ * stretch
        model.intercept_ = model.intercept_ * stretch
        if coefficient_of_x is not None:
            model.coef_[0, 0] = coefficient_of_x
        if broken_feature:
            model.coef_[0, 0] *= 10
    bundle = Bundle.build(
        "tiny",
        version,
        model=model,
        features=features_of,
        sample=table,
        options=BuildOptions(rules=rules, requirements=requirements),
        directory=directory,
    )
    return bundle, model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="session")
def make(folder: Path) -> Make:
    """Builds bundles; equal arguments give the same one."""
    made: dict[str, Bundle] = {}
    count = itertools.count()

    def build(version: str = "1.1.0", **options: Any) -> Bundle:
        key = repr((version, sorted(options.items(), key=lambda item: item[0])))
        if key not in made:
            made[key] = trained(folder / str(next(count)), version, **options)[0]
        return made[key]

    return build


@pytest.fixture(scope="session")
def champion(make: Make) -> Bundle:
    return make("1.0.0")


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    return holdout()


def forged(bundle: Bundle, directory: Path, name: str, data: bytes) -> Bundle:
    """The same bundle with another file, and a manifest that agrees with it."""
    import hashlib

    shutil.copytree(bundle.path, directory)
    (directory / name).unlink()
    (directory / name).write_bytes(data)
    document = json.loads((directory / "manifest.json").read_bytes())
    entry = FileEntry(hashlib.sha256(data).hexdigest(), len(data))
    document["files"][name] = {"sha256": entry.sha256, "size": entry.size}
    manifest = Manifest.parse(json.dumps(document).encode())
    (directory / "manifest.json").unlink()
    (directory / "manifest.json").write_bytes(manifest.to_json())
    return Bundle.open(directory)
