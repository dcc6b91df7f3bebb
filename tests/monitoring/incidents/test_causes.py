"""Causes by what moved first: on histories whose order is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.monitoring import DriftReport
from tidegate.monitoring.alarm import Alarm, Alarms
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.exposition import Sample, labels_of
from tidegate.monitoring.incidents.causes import Cause, first_move, ranked
from tidegate.monitoring.incidents.moves import column_moves, moves
from tidegate.monitoring.incidents.redaction import redacted_row, redacted_text

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "drift" / "report-1.json"


def test_the_first_mover_stands_first() -> None:
    """The queue grows at 60 min, errors follow at 70, after a deployment at 55."""
    rng = np.random.default_rng(2)
    history = History(7_200.0)
    own = {"model": "m", "version": "1.0.0"}
    ok = bad = count = total = 0.0
    for minute in range(90):
        now = 60.0 * minute
        ok += 600 + rng.normal(0, 10)
        bad += 50 if minute > 70 else 0
        count += 600
        total += 600 * (0.002 if minute <= 65 else 0.02)
        rows = 500.0 if minute >= 60 else 3.0 + rng.random()
        history.take(
            now,
            [
                Sample("tidegate_requests_total", labels_of(**own, outcome="ok"), ok),
                Sample("tidegate_requests_total", labels_of(**own, outcome="backend"), bad),
                Sample("tidegate_stage_seconds_sum", labels_of(**own, stage="backend"), total),
                Sample("tidegate_stage_seconds_count", labels_of(**own, stage="backend"), count),
                Sample("tidegate_queue_rows", labels_of(**own), rows),
            ],
        )
    opened = 60.0 * 80
    changes = [
        {"at": 3_300.0, "what": "deployment", "name": "m", "before": "0.9.0", "after": "1.0.0"},
        {"at": 3_300.0, "what": "deployment", "name": "other", "before": "1", "after": "2"},
        {"at": 5_000.0, "what": "setting", "name": "late", "before": "1", "after": "2"},
    ]
    found = ranked(moves(history, changes, {}, opened, "m"), opened)
    assert [cause.kind for cause in found] == ["change", "queue", "stage", "errors"]
    assert [cause.at / 60 for cause in found] == [55, 60, 66, 71]
    assert found[2].detail == "2 ms → 20 ms"


def test_what_does_not_move_is_no_cause() -> None:
    rng = np.random.default_rng(4)
    points: list[tuple[float, float]] = []
    for _ in range(50):
        points = [(60.0 * i, value) for i, value in enumerate(rng.normal(100, 5, 100))]
        assert first_move(points, 6_000.0) is None
    assert first_move([(0.0, 1.0)], 0.0) is None
    assert first_move([], 0.0) is None
    # A single outlier, and one that has passed, are no moves.
    assert first_move([*points[:-1], (5_940.0, 1_000.0)], 6_000.0) is None


@pytest.mark.parametrize("opened", [1_100.0, 1e9])
def test_columns_move_from_their_first_drifted_window_on(opened: float) -> None:
    report = DriftReport.from_json(GOLDEN.read_bytes())
    found = {cause.what: cause for cause in column_moves(report, 0.0, opened, "")}
    for name, role in report.columns():
        windows = [
            (window.start, window.column(name, role))
            for window in report.windows
            if window.start <= opened
        ]
        far = [
            (column.psi or 0.0) >= max(0.1, 5 * (column.psi_noise or 0.0)) for _, column in windows
        ]
        assert (name in found) == far[-1]
        if name in found:
            begin = len(far) - 1
            while begin and far[begin - 1]:
                begin -= 1
            assert found[name].at == windows[begin][0]
    empty = replace(report, windows=())
    assert list(column_moves(empty, 0.0, opened, "")) == []


def test_an_alarm_moves_a_column_that_no_window_does() -> None:
    report = DriftReport.from_json(GOLDEN.read_bytes())
    alarm = Alarm(
        name="slow", role="feature", alarm=True, since=900.0, e_value=1e6, log_e=14.0, due=3.0,
        distance=0.1, lower=0.06, upper=0.2, start=500.0, rows=10_000, rows_to_go=0, cells=(),
    )  # fmt: skip
    alarms = Alarms(0.05, 0.05, 3, (alarm, replace(alarm, name="quiet", alarm=False)))
    found = list(column_moves(replace(report, windows=(), alarms=alarms), 0.0, 1_000.0, ""))
    assert found == [Cause(500.0, "feature", "slow", "at least 6.0% of its rows have moved")]


def test_ties_go_to_what_is_more_likely_the_others_cause() -> None:
    kinds = ["errors", "stage", "change", "feature"]
    causes = [Cause(1.0, kind, "x", "") for kind in kinds]  # type: ignore[arg-type]
    assert [cause.kind for cause in ranked(causes, 1.0)] == ["change", "feature", "stage", "errors"]


def test_values_are_taken_out() -> None:
    row = {"amount": -1234.56, "tiny": 0.00123, "zero": 0, "name": "Ada", "nan": float("nan")}
    plain = redacted_row({**row, "flags": [1, 2], "yes": True, "none": None}, "s")
    assert plain["amount"] == -1200.0
    assert plain["tiny"] == 0.0012
    assert (plain["zero"], plain["nan"], plain["flags"]) == (0, "nan", "list of 2")
    assert "Ada" not in str(plain)
    assert redacted_row({"name": "Ada"}, "s") != redacted_row({"name": "Ada"}, "t")
    text = redacted_text("column 'card': \"4111 1111\" of 'Ada' with id 123456789 is wrong")
    assert text == "column 'card': \"…\" of '…' with id … is wrong"
