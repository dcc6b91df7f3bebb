"""pandera on pandas, lazily, so that every rule is looked at."""

import sys
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

sys.path.insert(0, str(Path(__file__).parents[1]))
from contest import LENGTH, MISSING, PATTERN, RANGES, VALUES, serve

SCHEMA = pa.DataFrameSchema(
    {
        **{
            name: pa.Column(checks=pa.Check.in_range(low, high, name=name), nullable=True)
            for name, (low, high) in RANGES.items()
        },
        **{
            name: pa.Column(checks=pa.Check.isin(values, name=name))
            for name, values in VALUES.items()
        },
        "tailnum": pa.Column(checks=pa.Check.str_matches(PATTERN, name="tailnum"), nullable=True),
        "dest": pa.Column(checks=pa.Check.str_length(LENGTH, LENGTH, name="dest")),
        "dep_delay": pa.Column(
            checks=pa.Check(lambda s: s.isna().mean() <= MISSING, ignore_na=False), nullable=True
        ),
    },
    checks=pa.Check(lambda t: t["hour"] * 100 + t["minute"] == t["sched_dep_time"], name="clock"),
)


def validate(table):
    try:
        SCHEMA.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        return {str(k): int(v) for k, v in error.failure_cases["column"].value_counts().items()}
    return {}


serve(pd.read_parquet, validate)
