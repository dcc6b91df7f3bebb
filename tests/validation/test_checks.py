"""Every check against polars, over the layouts that producers of tables use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tidegate import Rules, col
from tidegate.types import ArrowTable
from tidegate.validation import (
    Rule,
    aggregate,
    distribution,
    foreign_key,
    freshness,
    in_range,
    length,
    matches,
    monotone,
    not_null,
    one_of,
    outliers,
    rule,
    unique,
    volume,
)

ROWS = 5_000
START = datetime(2013, 1, 1, tzinfo=UTC)


def frame(seed: int = 7) -> pl.DataFrame:
    draw = np.random.default_rng(seed)

    def holes(values: list[Any]) -> list[Any]:
        return [
            None if hole else v for v, hole in zip(values, draw.random(ROWS) < 0.1, strict=True)
        ]

    codes = ["UA", "AA", "é", "", "a text of more than seven bytes"]
    return pl.DataFrame(
        {
            "x": holes([float(v) for v in draw.normal(0, 10, ROWS)]),
            "n": holes([int(v) for v in draw.integers(-50, 50, ROWS)]),
            "m": holes([int(v) for v in draw.integers(-50, 50, ROWS)]),
            "s": holes([codes[int(v)] for v in draw.integers(0, 5, ROWS)]),
            "t": holes([START + timedelta(hours=int(v)) for v in draw.integers(0, 2_000, ROWS)]),
        },
        schema_overrides={"t": pl.Datetime("us", "UTC")},
    )


def arrow(strings: pa.DataType) -> Callable[[pl.DataFrame], ArrowTable]:
    def convert(data: pl.DataFrame) -> ArrowTable:
        table = data.to_arrow()
        column = pa.chunked_array([pa.array(data["s"].to_list(), pa.string()).cast(strings)])
        # Two batches that do not begin on a byte of the validity.
        table = table.set_column(table.schema.get_field_index("s"), "s", column)
        cut: ArrowTable = pa.concat_tables([table.slice(0, 1_003), table.slice(1_003)])
        return cut

    return convert


LAYOUTS: dict[str, Callable[[pl.DataFrame], ArrowTable]] = {
    "polars": lambda data: data,
    "pandas": lambda data: data.to_pandas(),
    "string": arrow(pa.string()),
    "large_string": arrow(pa.large_string()),
    "string_view": arrow(pa.string_view()),
    "dictionary": arrow(pa.dictionary(pa.int32(), pa.string())),
}

X, N, M, S, T = (pl.col(name) for name in "xnmst")

ROW_RULES: dict[str, tuple[Rule, pl.Expr]] = {
    "present": (not_null("s"), S.is_null()),
    "range of floats": (in_range("x", -5, 5), (X < -5) | (X > 5)),
    "range of integers": (in_range("n", -20, 20.5), (N < -20) | (N > 20.5)),
    "half a range": (in_range("n", high=col("m")), N > M),
    "open range": (rule(col("x") > 0.25), X <= 0.25),
    "two columns": (rule(col("n") != col("m")), N == M),
    "arithmetic": (rule(col("n") + col("m") >= 0), (N + M) < 0),
    "values": (one_of("s", ["UA", "AA", ""]), ~S.is_in(["UA", "AA", ""])),
    "numbers": (one_of("n", [1, 2, 3]), ~N.is_in([1, 2, 3])),
    "pattern": (matches("s", "^[A-Z]*$"), ~S.str.contains("^[A-Z]*$")),
    "length": (length("s", 1, 2), (S.str.len_chars() < 1) | (S.str.len_chars() > 2)),
    "exact length": (length("s", 2, 2), S.str.len_chars() != 2),
    "times": (
        rule(col("t") < START + timedelta(hours=900)),
        pl.lit(START + timedelta(hours=900)) <= T,
    ),
    "logic": (rule((col("s") == "UA") | ~(col("x") < 0)), (S != "UA") & (X < 0)),
    "missing fails": (rule(col("n") > 0, missing="fail"), (N <= 0) | N.is_null()),
    "monotone": (monotone("t"), T.forward_fill().shift(1) > T),
    "unique": (
        unique("s", "n"),
        pl.int_range(pl.len()).over("s", "n") > 0,
    ),
    "foreign key": (
        foreign_key(["n"], "known", ["id"]),
        N.is_not_null() & ~N.is_in(list(range(0, 50, 2))),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_that_break_a_rule_are_those_of_polars(layout: str) -> None:
    data = frame()
    rules = Rules(*(Rule(r.check, name=name, allow=1.0) for name, (r, _) in ROW_RULES.items()))
    known = pl.DataFrame({"id": [float(v) for v in range(0, 50, 2)]})
    report = rules.validate(LAYOUTS[layout](data), references={"known": known}, samples=ROWS)
    for name, (_, broken) in ROW_RULES.items():
        expected = data.select(broken.fill_null(value=False)).to_series().arg_true().to_list()
        result = report[name]
        assert result.failures == len(expected), name
        assert [row.row for row in result.rows] == expected, name


def test_numbers_of_the_whole_table_are_those_of_polars() -> None:
    data = frame()
    now = (START + timedelta(hours=3_000)).timestamp()
    expected: dict[str, tuple[Rule, float]] = {
        "rows": (aggregate("rows", low=0), ROWS),
        "count": (aggregate("count", "x", low=0), data["x"].count()),
        "missing": (aggregate("missing_share", "s", low=0), data["s"].null_count() / ROWS),
        "distinct": (aggregate("distinct", "s", low=0), 5),
        "distinct numbers": (aggregate("distinct", "n", low=0), data["n"].drop_nulls().n_unique()),
        "mean": (aggregate("mean", "x", low=0), float(data["x"].mean())),  # type: ignore[arg-type]
        "std": (aggregate("std", "x", low=0), float(data["x"].std(ddof=0) or 0)),  # type: ignore[arg-type]
        "sum": (aggregate("sum", "n", low=0), float(data["n"].sum())),
        "min": (aggregate("min", "n", low=0), float(data["n"].min())),  # type: ignore[arg-type]
        "max": (aggregate("max", "n", low=0), float(data["n"].max())),  # type: ignore[arg-type]
        "median": (aggregate("median", "x", low=0), float(data["x"].median())),  # type: ignore[arg-type]
        "quantile": (
            aggregate("quantile", "x", at=0.9, low=0),
            float(data["x"].quantile(0.9, "linear") or 0),
        ),
        "age": (freshness("t", 1), now - data["t"].max().timestamp()),  # type: ignore[union-attr]
    }
    rules = Rules(*(Rule(r.check, name=name) for name, (r, _) in expected.items()))
    report = rules.validate(data, now=now)
    for name, (_, value) in expected.items():
        assert report[name].value == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("method", ["zscore", "iqr", "mad"])
def test_outliers_are_those_of_numpy(method: Any) -> None:
    data = frame()
    values = data["x"].drop_nulls().to_numpy()
    if method == "zscore":
        low, high = values.mean() - 2 * values.std(), values.mean() + 2 * values.std()
    elif method == "iqr":
        q1, q3 = np.quantile(values, [0.25, 0.75])
        low, high = q1 - 2 * (q3 - q1), q3 + 2 * (q3 - q1)
    else:
        median = np.median(values)
        reach = 2 * np.median(np.abs(values - median)) / 0.6745
        low, high = median - reach, median + reach
    result = Rules(outliers("x", method, 2, name="o")).validate(data)["o"]
    assert result.failures == int(((values < low) | (values > high)).sum())
    assert result.min == pytest.approx(low)
    assert result.max == pytest.approx(high)
    broken = data.with_row_index().filter(~X.is_between(float(low), float(high)))["index"].to_list()
    assert {row.row for row in result.rows} <= set(broken)


def test_a_distribution_is_held_against_a_reference() -> None:
    reference, same = frame(1), frame(2)
    moved = same.with_columns(X + 20, s=pl.lit("new"))
    rules = Rules(
        distribution("x", reference, max=0.1, name="psi of x"),
        distribution("s", reference, distance="jensen_shannon", max=0.1, name="js of s"),
        distribution("n", reference, max=0.1, name="psi of n"),
    )
    assert rules.validate(same).passed
    # Integers with holes are floats in pandas: the same values all the same.
    assert rules.validate(same.with_columns(N.cast(pl.Float64))).passed
    report = rules.validate(moved)
    assert [r.status for r in report.rules] == ["failed", "failed", "passed"]
    assert (report["js of s"].value or 0) > 0.8


def test_volume_follows_history() -> None:
    usual = Rules(volume(history=[5_100, 4_900, 5_000, 5_050]))
    assert usual.validate(frame()).passed
    assert not usual.validate(frame().head(2_000)).passed


def test_keys_in_bounded_memory_are_the_same_keys() -> None:
    data = pl.DataFrame({"k": [v * 7919 % 60_000 for v in range(100_000)]})
    rules = Rules(unique("k", name="u"))
    wide = rules.validate(data)["u"]
    narrow = rules.validate(data, distinct_bytes=100_000)["u"]
    assert wide.failures == narrow.failures == 40_000
    assert [r.row for r in wide.rows] == [r.row for r in narrow.rows] == list(range(60_000, 60_005))
