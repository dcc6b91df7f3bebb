"""Feature expressions: written once, fitted once, and run by the same Rust code on a table and a row.

A `FeatureSet` is a `Schema` and expressions made with `col`. What each expression does, and what it
does with missing values, is listed in `docs/features.md`.
"""

from __future__ import annotations

from tidegate.features.constraints import Constraint
from tidegate.features.dates import DatePart
from tidegate.features.expression import Expr, coalesce, col, lit
from tidegate.features.feature_set import FeatureSet
from tidegate.features.geo import Point, point
from tidegate.features.lists import ItemList
from tidegate.features.rows import (
    polynomial,
    row_all,
    row_any,
    row_count_null,
    row_max,
    row_mean,
    row_median,
    row_min,
    row_std,
    row_sum,
    when,
)
from tidegate.features.schema import Field, Schema
from tidegate.features.selection import (
    booleans,
    cols,
    every,
    matching,
    numeric,
    of_dtype,
    others,
    strings,
    timestamps,
)
from tidegate.features.text import Text

__all__ = [
    "Constraint",
    "DatePart",
    "Expr",
    "FeatureSet",
    "Field",
    "ItemList",
    "Point",
    "Schema",
    "Text",
    "booleans",
    "coalesce",
    "col",
    "cols",
    "every",
    "lit",
    "matching",
    "numeric",
    "of_dtype",
    "others",
    "point",
    "polynomial",
    "row_all",
    "row_any",
    "row_count_null",
    "row_max",
    "row_mean",
    "row_median",
    "row_min",
    "row_std",
    "row_sum",
    "strings",
    "timestamps",
    "when",
]
