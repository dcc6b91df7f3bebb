"""Selectors become columns of the schema, and what is stored holds the columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

from tidegate.errors import InputError
from tidegate.features import (
    Expr,
    FeatureSet,
    Schema,
    booleans,
    col,
    cols,
    every,
    matching,
    numeric,
    of_dtype,
    others,
    row_mean,
    strings,
    timestamps,
    when,
)

TABLE = pa.table(
    {
        "dep_delay": [1.0, None, 3.0, 8.0],
        "carrier": ["UA", "AA", None, "UA"],
        "arr_delay": [2.0, 4.0, None, 9.0],
        "seats": [150, 180, 150, 9],
        "direct": [True, False, None, True],
        "departure": pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")),
        "late": [0, 1, 1, 0],
    }
)
SCHEMA = Schema.infer(TABLE)


def expanded(*features: Expr, target: str | None = None) -> list[str]:
    again = FeatureSet.from_json(FeatureSet(SCHEMA, features, target=target).to_json())
    return [str(feature) for feature in again.features or []]


def test_one_feature_for_each_column_in_the_order_of_the_schema() -> None:
    assert expanded(numeric().is_null()) == [
        f'col("{name}").is_null()' for name in ("dep_delay", "arr_delay", "seats", "late")
    ]
    assert expanded(numeric(drop=["late"]).is_null(), target="late") == expanded(
        numeric().is_null(), target="late"
    )
    assert expanded(cols("seats", "dep_delay")) == ['col("dep_delay")', 'col("seats")']
    assert expanded(matching("(dep|arr)_delay")) == ['col("dep_delay")', 'col("arr_delay")']
    assert expanded(strings().is_null()) == ['col("carrier").is_null()']
    assert expanded(booleans()) == ['col("direct")']
    assert expanded(of_dtype("int64", "bool")) == ['col("seats")', 'col("direct")', 'col("late")']
    assert len(expanded(every().is_null())) == 7
    chained = timestamps().dt.in_zone("UTC").hour()
    assert len(expanded(chained)) == 1
    aliased = expanded(matching(".*_delay").log1p().alias("log of {}"))
    assert aliased[0] == 'col("dep_delay").log1p().alias("log of dep_delay")'


def test_others_are_those_that_nobody_names() -> None:
    named = [col("seats") / 2, matching(".*_delay"), strings().is_null()]
    assert expanded(*named, others(drop=["departure"])) == [
        '(col("seats") / 2.0)',
        'col("dep_delay")',
        'col("arr_delay")',
        'col("carrier").is_null()',
        'col("direct")',
        'col("late")',
    ]
    assert expanded(every().is_null(), others()) == expanded(every().is_null())


def test_selections_below_functions_and_beside_each_other() -> None:
    delays = matching(".*_delay")
    assert expanded(row_mean(delays, 1))[0] == 'row_mean(col("dep_delay"), col("arr_delay"), 1.0)'
    assert expanded(row_mean(delays.is_null() * 2, col("seats")).alias("m")) == [
        'row_mean((col("dep_delay").is_null() * 2.0), (col("arr_delay").is_null() * 2.0),'
        ' col("seats")).alias("m")'
    ]
    both = expanded((delays - cols("seats", "late")).alias("{}"))
    assert both[0] == '(col("dep_delay") - col("seats")).alias("dep_delay")'
    assert len(expanded(when(delays > 0).then(delays).otherwise(0).alias("{}"))) == 2
    assert expanded(col("seats").cross(strings(), booleans()).hash(8).alias("h")) == [
        'col("seats").cross(col("carrier"), col("direct")).hash(buckets=8).alias("h")'
    ]


def test_a_selected_set_fits_clones_and_round_trips() -> None:
    features = FeatureSet(
        SCHEMA,
        [
            numeric().fill_null("median").standardize(),
            others(drop=["departure"]).one_hot(unknown=False),
        ],
        target="late",
    )
    matrix = features.fit_transform(TABLE)
    assert features.get_feature_names_out().tolist() == [
        "dep_delay",
        "arr_delay",
        "seats",
        "carrier=AA",
        "carrier=UA",
        "direct=false",
        "direct=true",
    ]
    np.testing.assert_array_equal(clone(features).fit_transform(TABLE), matrix)
    again = FeatureSet.from_json(features.to_json())
    np.testing.assert_array_equal(again.transform(TABLE), matrix)
    assert "select" not in features.to_json()


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (cols("seat"), r'cols\("seat"\): unknown column "seat": did you mean "seats"\?'),
        (matching("x.*"), r'matching\("x\.\*"\) selects no column'),
        (matching("("), "cannot be used"),
        (numeric(drop=["nothing"]), 'unknown column "nothing"'),
        (of_dtype("decimal"), 'unknown dtype "decimal"'),  # type: ignore[arg-type]
        (numeric() - matching(".*_delay"), "selections of 4 and of 2 columns"),
        (every().standardize(), 'col\\("carrier"\\).standardize\\(\\): takes a number'),
        (numeric().alias("x"), 'are both named "x"'),
        (cols(), "selects no column"),
    ],
)
def test_bad_input(feature: Expr, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeatureSet(SCHEMA, [feature])
    with pytest.raises(InputError, match="is the target and cannot be a feature"):
        FeatureSet(SCHEMA, [cols("late", "seats")], target="late")
