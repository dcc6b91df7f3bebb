"""patito: a model whose fields carry the rules."""

import sys
from pathlib import Path
from typing import Literal

import patito as pt
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from contest import LENGTH, MISSING, PATTERN, RANGES, VALUES, serve


def between(name):
    low, high = RANGES[name]
    return pt.Field(ge=low, le=high)


class Flight(pt.Model):
    month: int = between("month")
    day: int = between("day")
    dep_time: int | None = between("dep_time")
    arr_time: int | None = between("arr_time")
    distance: int = between("distance")
    air_time: int | None = between("air_time")
    origin: Literal[tuple(VALUES["origin"])]
    carrier: Literal[tuple(VALUES["carrier"])]
    tailnum: str | None = pt.Field(pattern=PATTERN)
    dest: str = pt.Field(min_length=LENGTH, max_length=LENGTH)
    dep_delay: int | None = pt.Field(constraints=pt.field.is_null().mean() <= MISSING)
    sched_dep_time: int = pt.Field(
        constraints=pl.col("hour") * 100 + pl.col("minute") == pl.col("sched_dep_time")
    )


def validate(table):
    try:
        Flight.validate(table, allow_superfluous_columns=True)
    except pt.exceptions.DataFrameValidationError as error:
        return {str(e["loc"][0]): str(e["msg"]) for e in error.errors()}
    return {}


serve(pl.read_parquet, validate)
