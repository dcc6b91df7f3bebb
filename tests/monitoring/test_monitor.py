"""What monitors report equals NumPy's figures from the same raw rows."""

from __future__ import annotations

import math
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from tests.monitoring.reference import Floats, counts_of, edges_of, js_of, psi_of

from tidegate.errors import InputError, StateError
from tidegate.monitoring import Baseline, DriftColumn, Monitor, Watching


def sample(rng: np.random.Generator, rows: int, shift: float) -> dict[str, Floats]:
    missing = rng.random(rows) < 0.05 + shift / 10
    return {
        "distance": np.where(missing, np.nan, rng.lognormal(6 + shift, 0.7, rows)),
        "rain": np.where(rng.random(rows) < 0.93 - shift / 5, 0.0, rng.exponential(size=rows)),
        "engines": rng.choice([1.0, 2.0, 2.0, 2.0, 4.0], rows) + (rng.random(rows) < shift / 8),
        "constant": np.full(rows, 7.0) + (rng.random(rows) < shift / 9),
        "never": np.full(rows, np.nan),
        "wild": np.where(rng.random(rows) < 0.02, np.inf, rng.normal(shift, 1, rows)),
        "late": rng.beta(2 + shift, 5, rows),
    }


def check(column: DriftColumn, baseline: Floats, live: Floats) -> None:
    assert [cell.baseline for cell in column.cells] == baseline.tolist()
    assert [cell.live for cell in column.cells] == live.tolist()
    assert column.psi == pytest.approx(psi_of(baseline, live), abs=1e-9)
    assert column.js == pytest.approx(js_of(baseline, live), abs=1e-7)
    assert (column.js or 0.0) ** 2 == pytest.approx(js_of(baseline, live) ** 2, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_numeric_figures_are_numpys(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    before, after = sample(rng, 20_000, 0.0), sample(rng, 3_000, shift)
    monitor = Monitor(Baseline(pa.table(before), predictions=["late"]), now=0.0)
    monitor.observe(pa.table(after), now=1.0)
    (window,) = monitor.report(now=2.0).windows
    assert (window.rows, window.closed) == (3_000, False)
    for name, values in before.items():
        column = window.column(name)
        edges = edges_of(values)
        check(column, counts_of(values, edges), counts_of(after[name], edges))
        assert column.missing.live == np.isnan(after[name]).mean()
        assert column.role == ("prediction" if name == "late" else "feature")
        finite = after[name][np.isfinite(after[name])]
        if column.moments and len(finite):
            assert column.moments.live.mean == pytest.approx(finite.mean(), rel=1e-12)
            assert column.moments.live.std == pytest.approx(finite.std(), rel=1e-12, abs=1e-12)


def test_categorical_figures_are_counted() -> None:
    rng = np.random.default_rng(5)
    # A long tail: 200 values, of which 50 are named.
    weights = 1 / np.arange(1, 201)
    names = np.array([f"v{i:03}" for i in range(200)])
    before = rng.choice(names, 50_000, p=weights / weights.sum()).tolist()
    after = [*rng.choice(names[::-1], 800, p=weights / weights.sum()), None, "new", "new"]
    flags = rng.random(len(after)) < 0.5
    baseline = Baseline(pa.table({"code": before, "flag": [True, False] * 25_000}))
    monitor = Monitor(baseline, now=0.0)
    monitor.observe(pa.table({"code": after, "flag": flags}), now=0.0)
    window = monitor.report(now=0.0).windows[0]

    was, now = Counter(before), Counter(after)
    top = sorted(was, key=lambda name: (-was[name], name))[:50]
    known = set(was) - set(top)
    cells = [
        np.array(
            [*(c[name] for name in top), sum(c[name] for name in known), unseen, c[None]], float
        )
        for c, unseen in ((was, 0), (now, sum(n for x, n in now.items() if x and x not in was)))
    ]
    column = window.column("code")
    check(column, *cells)
    assert [cell.label for cell in column.cells[:50]] == top
    assert column.unseen is not None
    assert column.unseen.live == cells[1][-2] / len(after)
    assert column.moments is None
    check(
        window.column("flag"),
        np.array([25_000, 25_000, 0, 0, 0.0]),
        np.array([(~flags).sum(), flags.sum(), 0, 0, 0.0]),
    )


def test_windows_close_by_count_and_by_label() -> None:
    rng = np.random.default_rng(6)
    table = pa.table({"x": rng.normal(size=1000)})
    monitor = Monitor(
        Baseline(table), watching=Watching(rows=300, seconds=math.inf), history=5, now=0.0
    )
    monitor.observe(table, now=1.0)
    assert monitor.close(label="rest", now=2.0)
    assert not monitor.close(label="nothing", now=3.0)
    windows = monitor.report(now=4.0).windows
    assert [window.rows for window in windows] == [300, 300, 300, 100]
    assert [window.name for window in windows] == ["01-01 00:00"] * 3 + ["rest"]
    assert all(window.closed for window in windows)
    total = sum(np.array([c.live for c in w.columns[0].cells]) for w in windows)
    assert np.array_equal(total, [cell.baseline for cell in windows[0].columns[0].cells])


def test_baselines_round_trip() -> None:
    table = pa.table({"x": [1.0, 2.0, None], "s": ["a", None, "b"]})
    baseline = Baseline(table, bins=4)
    for again in (Baseline.from_json(baseline.to_json()), pickle.loads(pickle.dumps(baseline))):
        assert again.to_json() == baseline.to_json()
        assert again.rows == 3
    with pytest.raises(StateError, match="upgrade tidegate"):
        Baseline.from_json(
            baseline.to_json().replace('"rows":3,"version":1', '"rows":3,"version":3')
        )


def test_bad_input_is_refused() -> None:
    table = pa.table({"x": [1.0, 2.0]})
    with pytest.raises(InputError, match='unknown column "y"'):
        Baseline(table, predictions=["y"])
    with pytest.raises(InputError, match="no rows"):
        Baseline(table.slice(0, 0))
    with pytest.raises(InputError, match="bins"):
        Baseline(table, bins=1)
    baseline = Baseline(table)
    with pytest.raises(InputError):
        Monitor(baseline, watching=Watching(rows=0))
    with pytest.raises(InputError):
        Monitor(baseline, watching=Watching(seconds=-1.0))
    monitor = Monitor(baseline, now=0.0)
    with pytest.raises(InputError, match='no column "x"'):
        monitor.observe(pa.table({"z": [1.0]}))
    with pytest.raises(InputError):
        monitor.observe(pa.table({"x": ["text"]}))
    with pytest.raises(InputError, match="label"):
        monitor.close(label="x" * 201)
    assert monitor.report(now=0.0).windows == ()
