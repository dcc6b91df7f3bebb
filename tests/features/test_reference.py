"""scikit-learn as the reference: the same transforms give the same float32 values."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from tidegate.features import Expr, FeatureSet, Schema, col

ROWS = 5_000
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    holes = rng.random(ROWS) < 0.1
    return pd.DataFrame(
        {
            "full": rng.normal(1e4, 3.0, ROWS),
            "holes": np.where(holes, np.nan, np.round(rng.gamma(2.0, 10.0, ROWS), 1)),
            "constant": np.full(ROWS, 0.1),
            "count": rng.integers(0, 9, ROWS),
            "code": rng.choice(["UA", "AA", "DL", "a longer name", ""], ROWS),
            "rare": np.where(rng.random(ROWS) < 0.003, "odd", "usual"),
        }
    )


def ours(frame: pd.DataFrame, feature: Expr) -> npt.NDArray[np.float32]:
    return FeatureSet(Schema.infer(frame), [feature]).fit_transform(frame)


def same(left: npt.NDArray[np.float32], right: Any) -> None:
    expected = np.asarray(right, dtype=np.float32).reshape(left.shape)
    np.testing.assert_allclose(left, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("column", ["full", "holes", "constant", "count"])
def test_standardize(frame: pd.DataFrame, column: str) -> None:
    same(ours(frame, col(column).standardize()), StandardScaler().fit_transform(frame[[column]]))


@pytest.mark.parametrize("column", ["full", "holes", "constant", "count"])
def test_min_max(frame: pd.DataFrame, column: str) -> None:
    same(ours(frame, col(column).min_max()), MinMaxScaler().fit_transform(frame[[column]]))


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
@pytest.mark.parametrize("column", ["full", "holes", "count"])
def test_fill_null(frame: pd.DataFrame, column: str, strategy: str) -> None:
    imputer = SimpleImputer(strategy=strategy)
    same(ours(frame, col(column).fill_null(strategy)), imputer.fit_transform(frame[[column]]))


def test_fill_null_with_a_constant(frame: pd.DataFrame) -> None:
    imputer = SimpleImputer(strategy="constant", fill_value=-1.5)
    same(ours(frame, col("holes").fill_null(-1.5)), imputer.fit_transform(frame[["holes"]]))


@pytest.mark.parametrize("column", ["code", "count", "rare"])
def test_one_hot(frame: pd.DataFrame, column: str) -> None:
    encoder = OneHotEncoder(sparse_output=False)
    expected = encoder.fit_transform(frame[[column]])
    same(ours(frame, col(column).one_hot(unknown=False)), expected)
    with_unknown = ours(frame, col(column).one_hot())
    same(with_unknown[:, :-1], expected)
    assert not with_unknown[:, -1].any()


def test_one_hot_of_rare_and_unseen_categories(frame: pd.DataFrame) -> None:
    encoder = OneHotEncoder(
        sparse_output=False, min_frequency=100, handle_unknown="infrequent_if_exist"
    ).fit(frame[["rare"]])
    features = FeatureSet(Schema.infer(frame), [col("rare").one_hot(min_count=100)]).fit(frame)
    live = pd.DataFrame({"rare": ["usual", "odd", "never seen"]})
    same(features.transform(live), encoder.transform(live))


@pytest.mark.parametrize("column", ["code", "count"])
def test_ordinal(frame: pd.DataFrame, column: str) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encoder.fit(frame[[column]])
    features = FeatureSet(Schema.infer(frame), [col(column).ordinal()]).fit(frame)
    same(features.transform(frame), encoder.transform(frame[[column]]))
    live = pd.DataFrame({"code": ["ZZ", "UA"], "count": [99, 3]})
    same(features.transform(live), encoder.transform(live[[column]]))


@pytest.mark.parametrize("buckets", [2, 7, 50])
@pytest.mark.parametrize("column", ["full", "count"])
def test_bucketize_by_quantiles(frame: pd.DataFrame, column: str, buckets: int) -> None:
    reference = KBinsDiscretizer(
        buckets, encode="ordinal", strategy="quantile", quantile_method="linear", subsample=None
    )
    values = frame[[column]].astype(float)
    with warnings.catch_warnings():
        # Quantiles of few distinct values coincide, which the reference warns of.
        warnings.simplefilter("ignore", UserWarning)
        expected = reference.fit_transform(values)
    same(ours(frame, col(column).bucketize(buckets)), expected)


@pytest.mark.parametrize("buckets", [2, 7, 50])
def test_bucketize_uniformly(frame: pd.DataFrame, buckets: int) -> None:
    reference = KBinsDiscretizer(buckets, encode="ordinal", strategy="uniform", subsample=None)
    same(
        ours(frame, col("full").bucketize(buckets, method="uniform")),
        reference.fit_transform(frame[["full"]]),
    )


def test_bucketize_by_edges(frame: pd.DataFrame) -> None:
    edges = [5.0, 10.5, 40.0]
    holes = frame["holes"].to_numpy()
    expected = np.where(np.isnan(holes), np.nan, np.digitize(holes, edges))
    same(ours(frame, col("holes").bucketize(edges=edges)), expected)


def test_hash_is_the_column_of_the_feature_hasher(frame: pd.DataFrame) -> None:
    hasher = FeatureHasher(32, input_type="string")
    columns = hasher.transform([[code] for code in frame["code"]]).toarray()
    assert (np.abs(columns).sum(axis=1) == 1).all()
    same(ours(frame, col("code").hash(32)), np.abs(columns).argmax(axis=1))


def test_dates_agree_with_pandas() -> None:
    rng = np.random.default_rng(3)
    micros = rng.integers(-5_000_000_000_000_000, 9_000_000_000_000_000, 20_000)
    times = pd.Series(micros.astype("datetime64[us]"))
    table = pa.table({"t": pa.array(micros, pa.timestamp("us"))})
    parts = ["year", "quarter", "month", "day", "day_of_year", "hour", "minute", "second"]
    names = {part: part for part in parts} | {"weekday": "day_of_week"}
    features = [getattr(col("t").dt, part)() for part in names]
    matrix = FeatureSet(Schema.infer(table), features).fit_transform(table)
    for place, name in enumerate(names.values()):
        np.testing.assert_array_equal(matrix[:, place], getattr(times.dt, name).to_numpy())


def test_arithmetic_agrees_with_numpy(frame: pd.DataFrame) -> None:
    x, n = frame["holes"].to_numpy(), frame["count"].to_numpy().astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = x / n
    quotient[~np.isfinite(quotient)] = np.nan
    a, b = col("holes"), col("count")
    same(ours(frame, a / b), quotient)
    same(ours(frame, 2 - a * b + 1), 2 - x * n + 1)
    same(ours(frame, -(a - b)), -(x - n))
    same(ours(frame, a.log1p()), np.log1p(x))
    same(ours(frame, a.clip(3, 12)), np.clip(x, 3, 12))
    same(ours(frame, (b >= 4) * 10), (n >= 4) * 10)
    turns = b.cyclical(9)
    same(
        ours(frame, turns), np.column_stack([np.sin(n / 9 * 2 * np.pi), np.cos(n / 9 * 2 * np.pi)])
    )
