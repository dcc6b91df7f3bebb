"""Conditions: polars has the same logic of missing values, and is the reference."""

from __future__ import annotations

import itertools
import operator
from datetime import UTC, datetime

import polars as pl
import pytest

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Schema, coalesce, col, lit

STATES = [True, False, None]
PAIRS = pl.DataFrame(list(itertools.product(STATES, STATES)), schema=["a", "b"], orient="row")
VALUES = pl.DataFrame(
    {
        "x": [1.5, None, -2.0, 0.0, 8.0],
        "y": [None, None, 3.0, 4.0, 5.0],
        "n": [1, 2, None, 4, 5],
        "s": ["a", None, "", "a longer text than sixteen bytes", "b"],
        "t": [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)] + [None],
    }
)


def run(table: pl.DataFrame, feature: Expr) -> list[float | None]:
    features = FeatureSet(Schema.infer(table, nullable=True), [feature.alias("out")])
    out = pl.DataFrame(features.fit(table).transform(table, output="arrow"))
    return out["out"].to_list()


def expected(table: pl.DataFrame, feature: pl.Expr) -> list[float | None]:
    return table.select(feature.cast(pl.Float64)).to_series().to_list()


@pytest.mark.parametrize("sign", [operator.and_, operator.or_, operator.xor])
def test_conditions_agree_with_polars(sign: object) -> None:
    assert callable(sign)
    ours, theirs = sign(col("a"), col("b")), sign(pl.col("a"), pl.col("b"))
    assert run(PAIRS, ours) == expected(PAIRS, theirs)
    for constant in (True, False):
        ours, theirs = sign(constant, col("b")), sign(constant, pl.col("b"))
        assert run(PAIRS, ours) == expected(PAIRS, theirs)
    assert run(PAIRS, ~col("a")) == expected(PAIRS, ~pl.col("a"))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("n", [1, 5, 7]),
        ("n", list(range(4, 400))),
        ("x", [0.0, 1.5]),
        ("s", ["a", "a longer text than sixteen bytes"]),
        ("t", [datetime(2013, 1, 3, tzinfo=UTC)]),
    ],
)
def test_is_in(column: str, values: list[object]) -> None:
    assert run(VALUES, col(column).is_in(values)) == expected(
        VALUES, pl.col(column).is_in(pl.Series(values, dtype=VALUES[column].dtype).implode())
    )


def test_missing_values() -> None:
    for column in VALUES.columns:
        assert run(VALUES, col(column).is_not_null()) == expected(
            VALUES, pl.col(column).is_not_null()
        )
    reference = expected(VALUES, pl.coalesce("x", "y", "n"))
    assert run(VALUES, coalesce(col("x"), col("y"), col("n"))) == reference
    assert run(VALUES, col("x").fill_null(col("y")).fill_null(col("n"))) == reference
    between = expected(VALUES, pl.col("x").is_between(pl.col("n") - 2, 1.5))
    assert run(VALUES, col("x").between(col("n") - 2, 1.5)) == between


def test_wide_inputs() -> None:
    wide = pl.DataFrame({f"c{i}": [float(i), None, None] for i in range(256)})
    wide = wide.with_columns(c255=pl.Series([1.0, 7.0, None]))
    columns = [col(name) for name in wide.columns]
    assert run(wide, coalesce(*columns)) == [0.0, 7.0, None]
    with pytest.raises(InputError, match="coalesce: takes 1 to 256 inputs but gets 257"):
        run(wide, coalesce(*columns, 0))


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (col("x") & col("a"), "takes conditions but gets a number: compare it first"),
        (~col("s"), "takes conditions but gets a string"),
        (col("n").is_in(["a"]), "looks for a string in a number"),
        (col("n").is_in([1, "a"]), "a number and a string among its values"),
        (col("n").is_in([]), "has no values"),
        (col("t").is_in([5]), "looks for a number in a timestamp"),
        (coalesce(col("x"), col("s")), "values of one type but gets a number and a string"),
        (coalesce(), "takes 1 to 256 inputs but gets 0"),
        (Expr({"op": "coalesce", "inputs": 3}), "inputs is 3 where an array"),
        (Expr({"op": "coalesce"}), "inputs is left out"),
    ],
)
def test_bad_input(feature: Expr, message: str) -> None:
    table = VALUES.with_columns(a=pl.lit(True))
    with pytest.raises(InputError, match=message):
        FeatureSet(Schema.infer(table), [feature])
    with pytest.raises(InputError, match="combine conditions with `&`"):
        assert col("x") > 1
    with pytest.raises(InputError, match="datetimes stand beside others"):
        col("t").is_in([datetime(2013, 1, 1), 5])


def test_crosses_of_any_arity() -> None:
    three = col("s").cross(col("n"), col("x")).ordinal()
    assert run(VALUES, three) == [0.0, None, None, 1.0, 2.0]
    assert str(three) == 'col("s").cross(col("n"), col("x")).ordinal()'
    again = FeatureSet.from_json(FeatureSet(Schema.infer(VALUES), [three]).to_json())
    assert (
        str((again.features or [])[0]) == 'col("s").cross(col("n"), col("x")).ordinal(min_count=1)'
    )
    assert run(VALUES, lit(True) & (col("n") < 3)) == [1.0, 1.0, None, 0.0, 0.0]
