"""polars by hand: what somebody writes who needs no library for twelve rules."""

import sys
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from contest import LENGTH, MISSING, PATTERN, RANGES, VALUES, serve

BROKEN = {
    **{name: ~pl.col(name).is_between(low, high) for name, (low, high) in RANGES.items()},
    **{name: ~pl.col(name).is_in(values) for name, values in VALUES.items()},
    "tailnum": ~pl.col("tailnum").str.contains(PATTERN),
    "dest": pl.col("dest").str.len_chars() != LENGTH,
    "clock": pl.col("hour") * 100 + pl.col("minute") != pl.col("sched_dep_time"),
}
RULES = [broken.sum().alias(name) for name, broken in BROKEN.items()]
RULES.append((pl.col("dep_delay").is_null().mean() > MISSING).cast(pl.Int64).alias("dep_delay"))


def validate(table):
    return table.select(RULES).row(0, named=True)


def validate_duplicates(table):
    names = ["year", "month", "day", "flight", "carrier"]
    return {"duplicates": int(table.select(names).is_duplicated().sum())}


serve(pl.read_parquet, validate_duplicates if sys.argv[2:] == ["duplicates"] else validate)
