"""What a feature set gives: matrices of both widths, sparse ones, Arrow tables and frames."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tidegate.errors import InputError
from tidegate.features import FeatureSet, Schema, col

TABLE = pa.table(
    {
        "x": [1.5, None, -2.0, 0.0, 1e40],
        "s": ["a", "b", None, "", "a"],
        "y": [0, 1, 1, 0, 1],
    }
)
FEATURES = [
    col("x"),
    col("s").one_hot(),
    (col("y") * 1.1).alias("tenth"),
    col("y").cyclical(3),
    col("s").target_mean(),
]


def feature_set(**options: Any) -> FeatureSet:
    return FeatureSet(Schema.infer(TABLE), FEATURES, **options)


def test_double_precision_has_all_digits() -> None:
    features = feature_set().fit(TABLE, [0, 1, 0, 1, 1])
    single: Any = features.transform(TABLE)
    double: Any = features.transform(TABLE, dtype="float64")
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert double[:, 0].tolist()[2:] == [-2.0, 0.0, 1e40]
    # What 32 bits cannot hold is missing in them.
    assert np.isnan(single[4, 0])
    np.testing.assert_array_equal(double[1:4].astype(np.float32), single[1:4])
    assert double[1, 5] == 1.1
    double_set = feature_set(dtype="float64").fit(TABLE, [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(double_set.transform(TABLE), double)
    row = double_set.transform_row({"x": 1.5, "s": "a", "y": 0})
    np.testing.assert_array_equal(row, double[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_equals_dense(dtype: Any) -> None:
    features = feature_set(dtype=dtype).fit(TABLE, [0, 1, 0, 1, 1])
    chunked = pa.concat_tables([TABLE.slice(0, 2), TABLE.slice(2, 0), TABLE.slice(2)])
    dense = features.transform(TABLE)
    for table in (TABLE, chunked, TABLE.to_pylist()):
        sparse = features.transform(table, output="sparse")
        assert isinstance(sparse, csr_array)
        assert sparse.dtype == dtype
        sparse.check_format(full_check=True)
        assert sparse.has_sorted_indices
        np.testing.assert_array_equal(sparse.toarray(), dense)
        assert sparse.nnz == np.count_nonzero(dense)
    assert features.transform(TABLE.slice(0, 0), output="sparse").shape == (0, dense.shape[1])


def test_fit_transform_gives_every_output() -> None:
    y = [0, 1, 0, 1, 1]
    expected = feature_set().fit_transform(TABLE, y)
    sparse: Any = feature_set(output="sparse").fit_transform(TABLE, y)
    np.testing.assert_array_equal(sparse.toarray(), expected)
    arrow = pa.table(feature_set(output="arrow", dtype="float64").fit_transform(TABLE, y))
    assert set(arrow.schema.types) == {pa.float64()}
    assert arrow.num_columns == expected.shape[1]
    named = Schema.infer(TABLE), [col("s").one_hot()]
    pieces = [TABLE.slice(0, 3), TABLE.slice(3)]
    whole = FeatureSet(*named).fit_transform(TABLE)
    joined: Any = FeatureSet(*named, output="sparse").fit_transform(pieces)
    np.testing.assert_array_equal(joined.toarray(), whole)
    table = pa.table(FeatureSet(*named, output="arrow").fit_transform(lambda: iter(pieces)))
    assert table.num_rows == 5


def test_a_wide_sparse_matrix_is_made_without_a_dense_one() -> None:
    rows = 200_000
    table = pa.table({"id": [f"user {row % 5_000}" for row in range(rows)]})
    features = FeatureSet(Schema.infer(table), [col("id").one_hot()], output="sparse")
    # Dense it would take four gigabytes.
    matrix: Any = features.fit_transform(table)
    assert matrix.shape == (rows, 5_001)
    assert matrix.nnz == rows
    assert matrix.sum(axis=1).tolist() == [1.0] * rows


def test_set_output_gives_frames() -> None:
    frame = TABLE.to_pandas().set_index(pd.Index(list("vwxyz")))
    features = FeatureSet(Schema.infer(TABLE), FEATURES[:4]).set_output(transform="pandas")
    made: Any = features.fit_transform(frame)
    assert isinstance(made, pd.DataFrame)
    assert made.columns.tolist() == features.get_feature_names_out().tolist()
    assert made.index.tolist() == list("vwxyz")
    for again in (clone(features).fit(frame), pickle.loads(pickle.dumps(features))):
        pd.testing.assert_frame_equal(again.transform(frame), made)
    polars: Any = features.set_output(transform="polars").transform(frame)
    assert isinstance(polars, pl.DataFrame)
    assert polars.columns == made.columns.tolist()
    assert isinstance(features.transform(frame, output="matrix"), np.ndarray)
    default: Any = features.set_output(transform="default").transform(frame)
    assert isinstance(default, np.ndarray)
    with pytest.raises(InputError, match="'default', 'pandas' or 'polars'"):
        features.set_output(transform="arrow")  # type: ignore[arg-type]
    pipeline = make_pipeline(FeatureSet(Schema.infer(TABLE), [col("y")]), StandardScaler())
    pipeline.set_output(transform="pandas")
    assert pipeline.fit_transform(frame).columns.tolist() == ["y"]


def test_a_sparse_set_stands_in_a_pipeline() -> None:
    features = FeatureSet(Schema.infer(TABLE), [col("s").one_hot()], output="sparse")
    pipeline = make_pipeline(features, LogisticRegression())
    pipeline.fit(TABLE, [0, 1, 0, 1, 0])
    assert pipeline.predict(TABLE).shape == (5,)
    features.set_params(output="matrix")
    with pytest.raises(InputError, match="'float32' or 'float64'"):
        features.set_params(dtype="float16")
