"""Rules proposed from data."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tidegate import Rules, Schema
from tidegate.errors import InputError
from tidegate.validation import infer

TIMES = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(1_000)]
TABLE = pl.DataFrame(
    {
        "key": list(range(1_000)),
        "month": [row % 12 + 1 for row in range(1_000)],
        "distance": [103.0 + row * 4.9 for row in range(1_000)],
        "delay": [None if row % 10 == 0 else -0.031 * row for row in range(1_000)],
        "origin": [("EWR", "JFK", "LGA")[row % 3] for row in range(1_000)],
        "tail": [f"N{row:04}" for row in range(1_000)],
        "at": TIMES,
        "flag": [row % 2 == 0 for row in range(1_000)],
    }
)


def test_a_table_keeps_what_was_proposed_from_it() -> None:
    proposal = infer(TABLE)
    assert proposal.validate(TABLE).passed
    assert proposal.texts() == {
        "key unique": "unique(key)",
        "key range": '((col("key") >= 0) & (col("key") <= 1000))',
        "month range": '((col("month") >= 1) & (col("month") <= 12))',
        "distance range": '((col("distance") >= 100.0) & (col("distance") <= 5000.0))',
        "delay missing": '~col("delay").is_null(), allow 0.15',
        "delay range": '((col("delay") >= -31.0) & (col("delay") <= -0.031))',
        "origin values": 'col("origin").is_in(values=["EWR","JFK","LGA"])',
        "tail unique": "unique(tail)",
        "tail length": '(col("tail").str.len_chars() == 5)',
        "at order": 'col("at") ascending',
    }


def test_the_schema_carries_the_proposal() -> None:
    schema = Schema.infer(TABLE, constraints=True)
    assert infer(TABLE) == Rules(schema=schema)
    assert schema == Schema.infer(TABLE)
    assert Schema.infer(TABLE).constraints == ()
    few = schema.select(["origin", "key"])
    assert [c.name for c in few.constraints] == ["key unique", "key range", "origin values"]
    assert schema.drop(["origin"]).constraints == schema.constraints[:6] + schema.constraints[7:]
    assert pickle.loads(pickle.dumps(schema)).constraints == schema.constraints
    falling = TABLE.with_columns(at=pl.col("at").reverse())
    assert "at order" not in Rules(schema=Schema.infer(falling, constraints=True)).names


def test_the_next_table_shows_as_a_small_diff() -> None:
    before = infer(TABLE)
    after = infer(
        TABLE.with_columns(
            origin=pl.when(pl.col("key") < 50).then(pl.lit("HPN")).otherwise("origin")
        ).drop("flag")
    )
    lines = str(before.diff(after)).splitlines()
    assert lines == [
        "~ schema flag: removed",
        '~ origin values: col("origin").is_in(values=["EWR","JFK","LGA"]) -> '
        'col("origin").is_in(values=["EWR","HPN","JFK","LGA"])',
    ]


def test_few_rows_propose_little() -> None:
    assert infer(TABLE.head(3)).names == []
    with pytest.raises(InputError, match="without rows"):
        infer(TABLE.head(0))
    assert Rules().diff(infer(TABLE.head(3)))
