"""Types of columns from end to end: every Arrow type that is taken, rows from dicts, JSON state."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Field, Schema, col, lit

DAY = date(2013, 7, 1)
ROWS: list[dict[str, Any]] = [
    {"d": DAY, "e": timedelta(seconds=90), "l": [1.0, None, 4.0], "w": ["a", None, "é"]},
    {"d": date(1969, 12, 31), "e": timedelta(-1), "l": [], "w": []},
    {"d": None, "e": None, "l": None, "w": None},
]
SCHEMA = pa.schema(
    [
        ("d", pa.date32()),
        ("e", pa.duration("us")),
        ("l", pa.list_(pa.float64())),
        ("w", pa.list_(pa.string())),
    ]
)
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)
FEATURES: list[Expr] = [
    col("d").dt.year(),
    col("d").dt.weekday(),
    (col("d") - lit(DAY)).alias("age"),
    col("e"),
    col("l").list.len(),
    col("l").list.mean(),
    col("l").list.min(),
    col("l").list.max(),
    col("l").list.sum(),
    col("l").list.last(),
    col("l").list.contains(4),
    col("l").is_null(),
    col("w").list.len().alias("words"),
    col("w").list.contains("é").alias("accent"),
    col("w").list.first().fill_null("none").ordinal(categories=["none", "a"]),
]
NAN = float("nan")
EXPECTED = [
    [2013, 0, 0, 90, 3, 2.5, 1, 4, 5, 4, 1, 0, 3, 1, 1],
    [1969, 2, -1_372_723_200, -86_400, 0, NAN, NAN, NAN, 0, NAN, 0, 0, 0, 0, 0],
    [NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 1, NAN, NAN, 0],
]


def fitted(table: pa.Table = TABLE, features: list[Expr] = FEATURES) -> FeatureSet:
    return FeatureSet(Schema.infer(table, nullable=True), features, dtype="float64").fit(table)


def same(left: npt.NDArray[np.floating[Any]], right: Any) -> None:
    np.testing.assert_array_equal(left, np.asarray(right, dtype=np.float64))


def test_values_of_each_type() -> None:
    features = fitted()
    assert [f.dtype for f in features.input_schema] == [
        "date",
        "duration",
        "list[float64]",
        "list[string]",
    ]
    same(features.transform(TABLE), EXPECTED)
    same(features.transform(ROWS), EXPECTED)
    for row, expected in zip(ROWS, EXPECTED, strict=True):
        same(features.transform_row(row), expected)
    same(features.transform_row({**ROWS[0], "e": "PT1M30S"}), EXPECTED[0])
    again = FeatureSet.from_json(features.to_json())
    assert again.fingerprint == features.fingerprint
    same(again.transform(TABLE, dtype="float64"), EXPECTED)


def cast(**types: pa.DataType) -> pa.Table:
    table = TABLE
    for name, kind in types.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(kind))
    return table


def test_every_layout_gives_the_same() -> None:
    features = fitted()
    for unit in ("s", "ms", "ns"):
        same(features.transform(cast(e=pa.duration(unit))), EXPECTED)
    same(features.transform(cast(d=pa.date64())), EXPECTED)
    large = cast(l=pa.large_list(pa.float32()), w=pa.large_list(pa.large_string()))
    same(features.transform(large), EXPECTED)
    same(features.transform(cast(w=pa.list_(pa.string_view()))), EXPECTED)
    frame = pl.from_arrow(TABLE)
    assert isinstance(frame, pl.DataFrame)
    same(features.transform(frame), EXPECTED)
    chunked = pa.concat_tables([TABLE.slice(1, 1), TABLE.slice(0, 0), TABLE.slice(2), TABLE])
    same(features.transform(chunked), [*EXPECTED[1:], *EXPECTED])
    same(features.transform(TABLE.slice(1, 1)), EXPECTED[1:2])
    assert features.transform(TABLE.slice(0, 0)).shape == (0, len(FEATURES))
    fixed = pa.table({"l": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2))})
    sums = fitted(fixed, [col("l").list.sum(), col("l").list.get(-2).alias("first")])
    same(sums.transform(fixed), [[3, 1], [NAN, NAN], [7, 3]])
    same(sums.transform(fixed.slice(2)), [[7, 3]])


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()],
    ids=str,
)
def test_integers_of_all_widths(kind: pa.DataType) -> None:
    table = pa.table({"n": pa.array([1, None, 100], kind)})
    assert Schema.infer(table).fields == [Field("n", "int64", nullable=True)]
    same(fitted(table, [col("n")]).transform(table), [[1], [NAN], [100]])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_timestamps_of_all_units_and_zones(unit: str, zone: str | None) -> None:
    moment = datetime(2013, 7, 1, 12, tzinfo=UTC)
    kind = pa.timestamp(unit, zone)
    table = pa.table({"t": pa.array([moment if zone else moment.replace(tzinfo=None), None], kind)})
    same(fitted(table, [col("t").dt.hour()]).transform(table), [[12], [NAN]])


def test_beyond_microseconds_is_an_error_that_names_the_row() -> None:
    far = 2**62
    cases = [
        (pa.array([0, far], pa.timestamp("s")), col("c").dt.year(), "beyond"),
        (pa.array([0, far], pa.duration("s")), col("c"), "a time span in row 1 beyond"),
        (pa.array([0, 2**31 - 1], pa.date32()), col("c").dt.year(), "a date in row 1 beyond"),
    ]
    for array, feature, message in cases:
        table = pa.table({"c": array})
        with pytest.raises(InputError, match=f'"c".*{message}'):
            fitted(table, [feature])


def test_bytes_are_text_if_they_are_utf8() -> None:
    table = pa.table({"s": pa.array(["é".encode(), None, b""], pa.binary())})
    same(fitted(table, [col("s").str.len_chars()]).transform(table), [[1], [NAN], [0]])
    wrong = pa.table({"s": pa.array([b"ok", b"\xff"], pa.large_binary())})
    with pytest.raises(InputError, match=r'"s", row 1: the bytes are not valid UTF-8.*decode'):
        fitted(table, [col("s").str.len_chars()]).transform(wrong)


def test_types_that_are_not_taken_say_so() -> None:
    nested = pa.table({"c": pa.array([[[1]]], pa.list_(pa.list_(pa.int8())))})
    with pytest.raises(InputError, match=r'"c" has lists of .*numbers or strings'):
        Schema.infer(nested)
    with pytest.raises(InputError, match=r'"c" has type Struct.*which is none of bool, int64'):
        Schema.infer(pa.table({"c": [{"a": 1}]}))
    for feature, message in [
        (col("l"), r"is a list of numbers.*\.list\.len\(\)"),
        (col("l").log1p(), r"takes a number but gets a list of numbers: take .*\.list\.mean\(\)"),
        (col("w").list.mean(), "takes a list of numbers but gets a list of strings"),
        (col("w").one_hot(), "but gets a list of strings"),
        (col("l").list.contains("a"), "looks for a string in a list of numbers"),
        (col("d").list.len(), "takes a list but gets a timestamp"),
    ]:
        with pytest.raises(InputError, match=message):
            FeatureSet(Schema.infer(TABLE), [feature])


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"d": np.datetime64("2013-07-01")}, 0),
        ({"d": "2013-07-01"}, 0),
        ({"d": (DAY - date(1970, 1, 1)).days}, 0),
        ({"e": pd.Timedelta(seconds=90)}, 3),
        ({"e": np.timedelta64(90, "s")}, 3),
        ({"e": 90_000_000}, 3),
        ({"l": (1, np.float32("nan"), 4)}, 8),
        ({"l": np.array([1, 4], dtype=np.int8)}, 9),
        ({"w": np.array(["x", "é"])}, 13),
        ({"w": ("é", None)}, 13),
    ],
    ids=str,
)
def test_rows_take_what_the_page_says(values: dict[str, Any], place: int) -> None:
    assert fitted().transform_row(values)[place] == EXPECTED[0][place]


@pytest.mark.parametrize(
    "values",
    [
        {"d": datetime(2013, 7, 1)},
        {"d": "2013-02-30"},
        {"d": 1.5},
        {"d": True},
        {"d": 2**60},
        {"e": "90"},
        {"e": 1.5},
        {"l": "text"},
        {"l": {"a": 1}},
        {"l": [True]},
        {"l": ["1"]},
        {"l": [1.0, float("inf")]},
        {"l": [[1.0]]},
        {"w": [1]},
        {"w": "text"},
        {"w": 5},
    ],
    ids=str,
)
def test_rows_refuse_the_rest_by_column(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(InputError, match=f'column "{name}"'):
        fitted().transform_row(values)


def test_missing_values_of_dicts() -> None:
    features = fitted()
    for missing in (None, pd.NaT, pd.NA, float("nan")):
        row = features.transform_row({"d": missing, "e": missing})
        assert np.isnan(row[:4]).all()
    same(features.transform_row({}), EXPECTED[2])


def test_constants_of_every_type_fill() -> None:
    moment = datetime(2013, 7, 1, 6, tzinfo=UTC)
    table = pa.table(
        {
            "t": pa.array([moment, None], pa.timestamp("us", "UTC")),
            "d": pa.array([None, DAY], pa.date32()),
            "e": pa.array([timedelta(seconds=5), None], pa.duration("us")),
            "b": pa.array([None, True]),
            "s": pa.array(["a", None]),
            "n": pa.array([None, 3]),
        }
    )
    filled = [
        col("t").fill_null(datetime(2020, 2, 29, 23, tzinfo=UTC)).dt.hour(),
        col("t").fill_null(date(2020, 2, 29)).dt.year(),
        col("d").fill_null(date(2020, 2, 29)).dt.day(),
        col("d").fill_null(moment).dt.hour(),
        col("e").fill_null(timedelta(minutes=1)),
        col("b").fill_null(False),
        col("s").fill_null("z").ordinal(categories=["z", "a"]),
        col("n").fill_null(np.int64(7)),
    ]
    named = [feature.alias(f"f{place}") for place, feature in enumerate(filled)]
    features = fitted(table, named)
    same(features.transform(table), [[6, 2013, 29, 6, 5, 0, 1, 7], [23, 2020, 1, 0, 60, 1, 0, 3]])
    assert FeatureSet.from_json(features.to_json()).fingerprint == features.fingerprint
    for feature, message in [
        (col("t").fill_null(0), "fills a timestamp with a number"),
        (col("n").fill_null(moment), "fills a number with a timestamp"),
        (col("b").fill_null(0), "fills a bool with a number"),
        (col("t").fill_null("median").dt.hour(), "a number, string or bool to learn from"),
    ]:
        with pytest.raises(InputError, match=message):
            FeatureSet(Schema.infer(table), [feature])
