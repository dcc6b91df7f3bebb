from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tidegate.errors import StateError
from tidegate.monitoring import DriftReport

GOLDEN = Path(__file__).parent.parent / "golden" / "drift" / "report-1.json"


@pytest.fixture(scope="module")
def report() -> DriftReport:
    return DriftReport.from_json(GOLDEN.read_bytes())


def test_reads_what_the_core_writes(report: DriftReport) -> None:
    assert report.baseline_rows == 300
    assert [window.rows for window in report.windows] == [200, 50, 40]
    assert [window.label for window in report.windows] == [None, "July", None]
    assert [window.closed for window in report.windows] == [True, True, False]
    for window in report.windows:
        assert [column.role for column in window.columns] == ["feature"] * 6 + ["prediction"]
        for column in window.columns:
            assert sum(cell.live for cell in column.cells) == window.rows
            assert sum(cell.baseline for cell in column.cells) == 300
    carrier = report.windows[2].column("carrier")
    assert (carrier.kind, carrier.moments, carrier.out_of_range) == ("categorical", None, None)
    assert carrier.unseen is not None
    assert carrier.unseen.live > 0
    assert {column.level for column in report.history("seats")} <= {"stable", "moderate", "major"}


def test_tables_show_the_most_drifted_first(report: DriftReport) -> None:
    header, rows = report.to_table()
    assert header == ["column", "01-01 00:16", "July", "01-01 00:17"]
    assert rows[0] == ["rows", "200", "50", "40"]
    assert rows[1][0] == "probabilities[1] (prediction)"
    worst = [max(float(x) for x in row[1:]) for row in rows[2:]]
    assert worst == sorted(worst, reverse=True)
    assert len(report.to_table("js", limit=1)[0]) == 2


def test_records_are_flat(report: DriftReport) -> None:
    records = report.to_records()
    assert len(records) == 3 * 7
    assert all(
        not isinstance(value, dict | list) for record in records for value in record.values()
    )


def test_unknown_column_names_the_columns(report: DriftReport) -> None:
    with pytest.raises(LookupError, match="the columns are rain, seats"):
        report.windows[0].column("snow")
    with pytest.raises(LookupError):
        report.windows[0].column("rain", "prediction")


def test_damaged_reports_are_refused() -> None:
    good = orjson.loads(GOLDEN.read_bytes())
    with pytest.raises(StateError, match="upgrade tidegate"):
        DriftReport.from_json(orjson.dumps(good | {"version": 2}))
    for bad in (b"", b"[]", b'{"version":1}', orjson.dumps(good | {"windows": [{}]})):
        with pytest.raises(StateError, match="not a drift report"):
            DriftReport.from_json(bad)
