"""The Python face: tables from anybody, rows from dicts, state, and scikit-learn's contract."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tidegate.errors import InputError, StateError
from tidegate.features import Expr, FeatureSet, Field, Schema, col, lit

GOLDEN = Path(__file__).parent.parent / "golden" / "features"
T0 = datetime(2013, 1, 1, 10, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"x": 1.5, "n": 3, "b": True, "s": "UA", "k": "EWR", "t": T0},
    {"x": None, "n": 4, "b": False, "s": "AA", "k": None, "t": T0 + timedelta(hours=7)},
    {"x": -2.0, "n": None, "b": None, "s": "", "k": "JFK", "t": None},
    {"x": 8.25, "n": 3, "b": True, "s": None, "k": "EWR", "t": T0 + timedelta(days=40)},
    {"x": 0.0, "n": -1, "b": True, "s": "a long category", "k": "LGA", "t": T0},
]


def table() -> pa.Table:
    schema = pa.schema(
        [
            ("x", pa.float64()),
            ("n", pa.int64()),
            ("b", pa.bool_()),
            ("s", pa.string()),
            ("k", pa.string()),
            ("t", pa.timestamp("us", "UTC")),
        ]
    )
    return pa.Table.from_pylist(ROWS, schema)


def every_kind() -> list[Expr]:
    return [
        col("x"),
        col("x").fill_null("median").standardize().alias("z"),
        col("x").bucketize(3),
        col("n").fill_null("most_frequent").one_hot(),
        col("b").fill_null("most_frequent").alias("b_filled"),
        col("s").fill_null("none").one_hot(),
        col("k").ordinal(),
        col("s").cross(col("k")).hash(64),
        col("t").dt.hour().cyclical(24),
        (col("t") - lit(T0)).alias("age"),
        (col("k") == "EWR").alias("newark"),
        col("x").is_null(),
    ]


def feature_set() -> FeatureSet:
    return FeatureSet(Schema.infer(table(), nullable=True), every_kind())


def same(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(left, right)


def test_a_row_is_a_table_of_one_row() -> None:
    features = feature_set().fit(table())
    matrix = features.transform(table())
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    for row, expected in zip(ROWS, matrix, strict=True):
        same(features.transform_row(row), expected)
    same(features.transform(ROWS), matrix)
    absent = {key: value for key, value in ROWS[2].items() if value is not None}
    same(features.transform_row(absent), matrix[2])


def test_tables_from_anybody_give_one_matrix() -> None:
    features = feature_set().fit(table())
    expected = features.transform(table())
    frame = pl.from_arrow(table())
    assert isinstance(frame, pl.DataFrame)
    same(features.transform(frame), expected)
    same(features.transform(frame.with_columns(pl.col("s").cast(pl.Categorical))), expected)
    same(features.transform(table().to_pandas()), expected)
    same(features.transform(table().to_batches()[0]), expected)
    dictionary = table().set_column(3, "s", table()["s"].dictionary_encode())
    same(features.transform(dictionary), expected)
    chunked = pa.concat_tables([table().slice(0, 2), table().slice(2, 0), table().slice(2)])
    assert chunked["x"].num_chunks > 1
    same(features.transform(chunked), expected)
    reordered = table().select(["t", "k", "s", "b", "n", "x"]).append_column("more", [[0] * 5])
    same(features.transform(reordered), expected)
    same(features.transform(table().slice(1, 3)), expected[1:4])


def test_fit_in_pieces_equals_fit_in_one() -> None:
    whole = feature_set().fit(table())
    pieces = [table().slice(0, 1), table().slice(1, 3), table().slice(4)]
    assert whole.passes == 2

    def anew() -> Iterator[pa.Table]:
        yield from pieces

    for data in (pieces, anew, pa.concat_tables(pieces)):
        fitted = feature_set().fit(data)
        np.testing.assert_allclose(
            fitted.transform(table()), whole.transform(table()), rtol=1e-6, equal_nan=True
        )
    with pytest.raises(InputError, match=r"read the data 2 times.*list of tables"):
        feature_set().fit(iter(pieces))
    once = FeatureSet(Schema.infer(table()), [col("x").standardize()])
    same(once.fit(iter(pieces)).transform(table()), once.fit(table()).transform(table()))


def test_arrow_output_has_null_for_missing() -> None:
    features = feature_set().fit(table())
    out = pa.table(features.transform(table(), output="arrow"))
    assert out.column_names == features.get_feature_names_out().tolist()
    assert set(out.schema.types) == {pa.float32()}
    assert out["x"].to_pylist() == [1.5, None, -2.0, 8.25, 0.0]
    with pytest.raises(InputError, match="'matrix', 'sparse' or 'arrow'"):
        features.transform(table(), output="pandas")  # type: ignore[call-overload]


def test_state_round_trips() -> None:
    features = feature_set()
    unfitted = FeatureSet.from_json(features.to_json())
    assert unfitted.to_json() == features.to_json()
    with pytest.raises(StateError, match="not fitted"):
        unfitted.transform(table())
    expected = features.fit(table()).transform(table())
    for again in (
        FeatureSet.from_json(features.to_json()),
        pickle.loads(pickle.dumps(features)),
        copy.deepcopy(features),
    ):
        same(again.transform(table()), expected)
        assert again.to_json() == features.to_json()
        assert again.fingerprint == features.fingerprint
        assert again.input_schema == features.input_schema
    assert json.loads(features.to_json())["version"] == 1
    newer = json.dumps({**json.loads(features.to_json()), "version": 2})
    with pytest.raises(StateError, match="upgrade tidegate"):
        FeatureSet.from_json(newer)
    with pytest.raises(StateError):
        FeatureSet.from_json("no JSON")


def test_golden_files_are_read() -> None:
    features = FeatureSet.from_json((GOLDEN / "plan.v1.json").read_text())
    kept = json.loads((GOLDEN / "matrix.v1.json").read_text())
    assert features.get_feature_names_out().tolist() == kept["names"]
    row = features.transform_row(
        {
            "distance": 100.5,
            "seats": 180,
            "carrier": "AA",
            "origin": "LGA",
            "direct": False,
            "departure": 1_357_034_400_000_000 + 5_400_000_000,
        }
    )
    np.testing.assert_allclose(row, kept["matrix"][1], rtol=1e-6)


def test_schema() -> None:
    schema = Schema.infer(table())
    assert schema.fields[0] == Field("x", "float64", nullable=True)
    assert [f.nullable for f in schema] == [True] * 6
    assert not any(f.nullable for f in Schema.infer(table().slice(0, 1)))
    assert [f.nullable for f in Schema.infer(table().slice(0, 1), nullable=["s"])].count(True) == 1
    assert schema.drop(["t", "x"]).names == ["n", "b", "s", "k"]
    assert schema.select(["t", "x"]).names == ["t", "x"]
    assert Schema.from_json(schema.to_json()) == schema == pickle.loads(pickle.dumps(schema))
    assert schema.fingerprint == Schema(schema.fields).fingerprint
    with pytest.raises(InputError, match=r'unknown column "tt".*"t"'):
        schema.drop(["tt"])
    with pytest.raises(InputError, match="twice"):
        Schema([Field("a", "bool", nullable=True), Field("a", "bool", nullable=True)])
    with pytest.raises(InputError, match="unknown dtype"):
        Schema([Field("a", "int32", nullable=True)])  # type: ignore[arg-type]


def test_unused_columns_are_not_asked_for() -> None:
    features = FeatureSet(Schema.infer(table()), [col("x")]).fit(table())
    assert features.input_schema.names == ["x"]
    assert features.transform_row({"x": 2.0}).tolist() == [2.0]


@pytest.mark.parametrize(
    "time",
    [
        T0,
        T0.replace(tzinfo=None),
        T0.astimezone(timezone(timedelta(hours=-5))),
        np.datetime64("2013-01-01T10:00:00"),
        pd.Timestamp("2013-01-01T10:00:00Z"),
        "2013-01-01T10:00:00Z",
        1_357_034_400_000_000,
    ],
)
def test_times_of_rows(time: object) -> None:
    features = FeatureSet(Schema.infer(table()), [col("t").dt.epoch() - 1_357_000_000]).fit(table())
    assert features.transform_row({"t": time}).tolist() == [34_400.0]


def test_coercions_are_the_documented_ones() -> None:
    columns = [col("x"), col("n"), col("b"), col("k").is_null()]
    features = FeatureSet(Schema.infer(table()), columns).fit(table())

    def row(**values: object) -> list[float]:
        first: list[float] = features.transform_row(values)[:3].tolist()
        return first

    assert row(x=np.float32(1.5), n=np.int16(3), b=np.bool_(True)) == [1.5, 3.0, 1.0]
    assert row(x=2, n=3.0, b=False) == [2.0, 3.0, 0.0]
    assert row(x=np.int64(2), n=np.float64(3.0), b=True) == [2.0, 3.0, 1.0]
    for missing in (None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT):
        assert np.isnan(row(x=missing, n=missing, b=missing)).all()
    refused: list[tuple[str, object]] = [
        ("x", "1.5"),
        ("x", True),
        ("x", [1.0]),
        ("x", np.array([1.0])),
        ("x", np.array([1.0, 2.0])),
        ("x", float("inf")),
        ("n", 1.5),
        ("n", "3"),
        ("n", False),
        ("n", 2**70),
        ("b", 1),
        ("b", "true"),
        ("k", 5),
        ("k", b"EWR"),
    ]
    for name, value in refused:
        with pytest.raises(InputError, match=f'column "{name}"'):
            features.transform_row({name: value})


def test_scikit_learn_takes_it_as_a_transformer() -> None:
    features = FeatureSet(
        Schema.infer(table()), [col("x").fill_null(0), col("k").fill_null("?").one_hot()]
    )
    copied = clone(features)
    assert copied is not features
    assert copied.get_params(deep=False) == {
        "schema": copied.schema,
        "features": copied.features,
        "target": None,
        "output": "matrix",
        "dtype": "float32",
    }
    pipeline = make_pipeline(features, LogisticRegression())
    pipeline.fit(table(), [0, 1, 0, 1, 0])
    assert pipeline.predict(table()).shape == (5,)
    features.set_params(features=[col("n")])
    with pytest.raises(StateError):
        features.transform(table())
    with pytest.raises(InputError, match="no parameter"):
        features.set_params(columns=[])


def test_describe_and_repr() -> None:
    features = feature_set()
    assert repr(features) == "FeatureSet(12 features)"
    assert 'col("x").bucketize(buckets=3)' in features.describe()
    features.fit(table())
    said = features.describe()
    assert 'col("t").dt.hour().cyclical(period=24' in said
    assert "\n    bucketize: edges [" in said
    assert "columns)" in repr(features)


def test_threads_share_a_fitted_set() -> None:
    from concurrent.futures import ThreadPoolExecutor

    features = feature_set().fit(table())
    expected = features.transform(table())

    def work(_: int) -> bool:
        rows = np.stack([features.transform_row(row) for row in ROWS])
        return np.array_equal(rows, expected, equal_nan=True)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(100)))
