"""Data in pieces: the same report as the whole, and good rows apart from bad ones."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import Rules, col
from tidegate.errors import InputError, StorageError
from tidegate.validation import (
    aggregate,
    in_range,
    matches,
    monotone,
    not_null,
    outliers,
    rule,
    unique,
)
from tidegate.validation.quarantine import Quarantine

RULES = Rules(
    in_range("x", 0, 5, name="range"),
    rule(col("x") + 1 > 1, name="engine", severity="warning"),
    matches("s", "^a", name="pattern", allow=0.5),
    not_null("s", name="there"),
    unique("x", "s", name="unique"),
    monotone("x", name="order"),
    outliers("x", "mad", name="outliers"),
    aggregate("median", "x", low=1, name="median"),
    aggregate("min", "x", low=-1, name="least"),
    aggregate("max", "x", low=0, high=7, name="greatest"),
)
VALUES = st.lists(
    st.tuples(
        st.none() | st.integers(-2, 8), st.none() | st.sampled_from(["a", "b", "a long text"])
    ),
    max_size=60,
)


def table(rows: list[tuple[int | None, str | None]]) -> pa.Table:
    return pa.table(
        {
            "x": pa.array([x for x, _ in rows], pa.int64()),
            "s": pa.array([s for _, s in rows], pa.string()),
        }
    )


@given(VALUES, st.lists(st.integers(0, 60), max_size=3))
def test_pieces_give_the_report_of_the_whole(
    rows: list[tuple[int | None, str | None]], cuts: list[int]
) -> None:
    whole = table(rows)
    expected = RULES.validate(whole)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [whole.slice(a, b - a) for a, b in itertools.pairwise(bounds)]
    streamed = RULES.start()
    for piece in pieces:
        streamed.update(piece)
    assert streamed.rows == len(rows)
    assert streamed.finish().to_json() == expected.to_json()
    # Apart, and merged.
    total = RULES.start()
    total.update(pieces[0])
    for piece in pieces[1:]:
        part = total.fork()
        part.update(piece)
        total.merge(part)
    merged = total.finish()
    assert merged.verdict == expected.verdict
    assert [r.failures for r in merged.rules] == [r.failures for r in expected.rules]


@given(VALUES)
def test_good_rows_and_bad_rows_are_the_rows(rows: list[tuple[int | None, str | None]]) -> None:
    validation = RULES.start()
    good, bad = (pa.table(part) for part in validation.split(table(rows)))
    report = validation.finish()
    assert good.num_rows + bad.num_rows == len(rows)
    kept = [row for row in range(len(rows)) if row not in bad["_row"].to_pylist()]
    assert good.to_pylist() == table(rows).take(pa.array(kept, pa.int64())).to_pylist()
    said = [name for names in bad["_broken_rules"].to_pylist() for name in names.split("; ")]
    for name in ("range", "pattern", "there", "unique", "order"):
        assert said.count(name) == report[name].failures, name
    # Rows are to blame for a least or greatest value, and shown.
    for name, blamed in {"least": {-2}, "greatest": {8}}.items():
        numbers = [row for row, (x, _) in enumerate(rows) if x in blamed]
        assert said.count(name) == len(numbers)
        assert [row.row for row in report[name].rows] == numbers[:5]
        assert {row.values["x"] for row in report[name].rows} <= blamed
    # A warning and any other rule about the whole table take no row out.
    assert not {"engine", "outliers", "median"} & set(said)


def test_rows_are_numbered_across_pieces() -> None:
    validation = Rules(in_range("x", 0, name="r")).start()
    bad = [pa.table(validation.split(pa.table({"x": [1, -1]}))[1]) for _ in range(3)]
    assert [piece["_row"].to_pylist() for piece in bad] == [[1], [3], [5]]
    assert [row.row for row in validation.finish()["r"].rows] == [1, 3, 5]


def test_a_piece_with_other_columns_is_refused() -> None:
    validation = Rules(in_range("x", 0)).start()
    validation.update(pa.table({"x": [1]}))
    with pytest.raises(InputError, match='column "x"'):
        validation.update(pa.table({"x": ["text"]}))


def test_an_end_is_an_end() -> None:
    validation = Rules(in_range("x", 0)).start()
    with pytest.raises(InputError, match="cannot be forked"):
        validation.fork()
    with pytest.raises(InputError, match="has seen no table"):
        validation.finish()
    with pytest.raises(InputError, match="is finished"):
        validation.update(pa.table({"x": [1]}))


def test_quarantine_writes_both_files(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    validation = Rules(in_range("x", 0, name="r")).start()
    with Quarantine(good, bad) as quarantine:
        for piece in ([1, -1], [-2], [3]):
            quarantine.write(*validation.split(pa.table({"x": piece})))
    assert pq.read_table(good).to_pydict() == {"x": [1, 3]}
    assert pq.read_table(bad)["_row"].to_pylist() == [1, 2]
    with (
        pytest.raises(StorageError, match="cannot write"),
        Quarantine(tmp_path / "no" / "folder.parquet", None) as quarantine,
    ):
        quarantine.write(pa.table({"x": [1]}), pa.table({"x": [1]}))


def test_what_fails_midway_leaves_no_half_a_table(tmp_path: Path) -> None:
    good = tmp_path / "good.parquet"
    validation = Rules(in_range("x", 0)).start()

    def write() -> None:
        with Quarantine(good, None) as quarantine:
            for piece in (pa.table({"x": [1]}), pa.table({"x": ["text"]})):
                quarantine.write(*validation.split(piece))

    with pytest.raises(InputError, match='column "x"'):
        write()
    assert not good.exists()
