"""Summaries take what holds numbers or texts: NumPy, Arrow, polars, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import tidegate.sketch as sketch
from tidegate.errors import InputError

NUMBERS = [1.0, None, 3.5, -2.0, 3.5]
TEXTS = ["UA", None, "AA", "", "UA"]

FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "pyarrow": pa.array,
    "chunks": lambda values: pa.chunked_array([values[:2], values[2:]]),
    "sliced": lambda values: pa.array([values[0], *values])[1:],
    "polars": pl.Series,
}


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Callable[[list[Any]], Any]:
    return FORMS[request.param]


@pytest.mark.parametrize(
    "make",
    [
        sketch.Moments,
        sketch.Quantiles,
        sketch.RelativeQuantiles,
        sketch.Distinct,
        lambda values=None: sketch.Histogram([0.0, 2.0, 4.0], values),
    ],
)
def test_nulls_of_arrow_are_nan(form: Callable[[list[Any]], Any], make: Any) -> None:
    due = make(np.array([np.nan if x is None else x for x in NUMBERS]))
    assert make(form(NUMBERS)) == due
    assert due.missing == 1


@pytest.mark.parametrize("make", [sketch.Frequencies, sketch.FrequentItems, sketch.Distinct])
def test_texts_of_arrow_are_lists_of_texts(form: Callable[[list[Any]], Any], make: Any) -> None:
    due = make(TEXTS)
    assert make(form(TEXTS)) == due
    assert make(np.array(TEXTS, dtype=object)) == due
    assert due.missing == 1


@pytest.mark.parametrize("dtype", [pa.int8(), pa.uint32(), pa.int64(), pa.float32()])
def test_widths_of_numbers_do_not_matter(dtype: pa.DataType) -> None:
    values = pa.array([1, None, 2], dtype)
    assert sketch.Moments(values) == sketch.Moments([1.0, np.nan, 2.0])


def test_dictionaries_are_texts() -> None:
    values = pa.array(TEXTS).dictionary_encode()
    assert sketch.Frequencies(values) == sketch.Frequencies(TEXTS)


def test_whole_numbers_beyond_floats_are_told_apart() -> None:
    near = np.array([2**53, 2**53 + 1, 2**53 + 2])
    assert round(sketch.Distinct(near).estimate) == 3
    assert round(sketch.Distinct([1, 1.0, True]).estimate) == 1
    assert round(sketch.Distinct(["1", "1"]).estimate) == 1


def test_rows_come_as_matrices_and_single_values() -> None:
    values = sketch.Reservoir(10)
    values.update([1.0, 2.0])
    values.update(pa.array([3.0, None]))
    found = np.sort(values.rows.reshape(-1))
    np.testing.assert_array_equal(found, [1.0, 2.0, 3.0, np.nan])
    columns = sketch.Covariance(3)
    columns.update(np.asfortranarray(np.arange(12.0).reshape(4, 3)))
    assert columns.count == 4
    np.testing.assert_allclose(columns.correlation(), np.ones((3, 3)))


@pytest.mark.parametrize(
    ("summary", "values"),
    [
        (sketch.Moments(), ["a"]),
        (sketch.Moments(), pa.array(["a"])),
        (sketch.Moments(), pa.table({"a": [1], "b": [2]})),
        (sketch.Frequencies(), [1, 2]),
        (sketch.Frequencies(), "text"),
        (sketch.FrequentItems(), pa.array([1, 2])),
        (sketch.Distinct(), [b"bytes"]),
        (sketch.Reservoir(5, 2), np.zeros((3, 3))),
        (sketch.Reservoir(5, 2), np.zeros((2, 2, 2))),
        (sketch.Covariance(2), [1.0]),
    ],
)
def test_what_does_not_fit_is_refused(summary: Any, values: Any) -> None:
    with pytest.raises(InputError):
        summary.update(values)
