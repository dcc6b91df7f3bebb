"""What every summary must do; a new one inherits these checks by one entry in the table."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tidegate.sketch as sketch
from tidegate.errors import StateError

RNG = np.random.default_rng(0)
NUMBERS = np.where(RNG.random(2000) < 0.05, np.nan, RNG.normal(3, 2, 2000))
TEXTS = [None if i % 17 == 0 else f"v{i * i % 23}" for i in range(2000)]


@dataclass(frozen=True)
class Case:
    make: Callable[[], Any]
    values: Any
    # Values that the others do not hold.
    more: Any = None


CASES = {
    "Moments": Case(sketch.Moments, NUMBERS),
    "Quantiles": Case(sketch.Quantiles, NUMBERS),
    "Frequencies": Case(sketch.Frequencies, TEXTS),
    "Histogram": Case(lambda: sketch.Histogram([0.0, 1.0, 5.0]), NUMBERS),
    "RelativeQuantiles": Case(sketch.RelativeQuantiles, NUMBERS),
    "Distinct": Case(sketch.Distinct, NUMBERS, [-1.5, np.nan]),
    "FrequentItems": Case(sketch.FrequentItems, TEXTS),
    "Reservoir": Case(lambda: sketch.Reservoir(50, 2, seed=3), NUMBERS.reshape(-1, 2)),
    "Covariance": Case(lambda: sketch.Covariance(2), NUMBERS.reshape(-1, 2)),
}


def test_every_summary_is_checked() -> None:
    assert sorted(CASES) == sorted(sketch.__all__)


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def filled(case: Case, part: slice = slice(None)) -> Any:
    summary = case.make()
    summary.update(case.values[part])
    return summary


def test_pickles_and_copies(case: Case) -> None:
    summary = filled(case)
    for again in (pickle.loads(pickle.dumps(summary)), copy.deepcopy(summary)):
        assert again == summary
        assert repr(again) == repr(summary)
        again.update(case.values[:10] if case.more is None else case.more)
        assert again != summary


def test_json_round_trips(case: Case) -> None:
    summary = filled(case)
    assert type(summary).from_json(summary.to_json()).to_json() == summary.to_json()


@pytest.mark.parametrize("cut", [0, 1, 777, 2000])
def test_merged_pieces_equal_the_whole(case: Case, cut: int) -> None:
    whole = filled(case)
    merged = filled(case, slice(cut, None))
    merged.merge(filled(case, slice(None, cut)))
    if isinstance(whole, sketch.Moments):
        assert (merged.count, merged.missing) == (whole.count, whole.missing)
        assert merged.mean == pytest.approx(whole.mean, rel=1e-12)
        assert merged.variance() == pytest.approx(whole.variance(), rel=1e-12)
    elif isinstance(whole, sketch.Covariance):
        assert (merged.count, merged.incomplete) == (whole.count, whole.incomplete)
        np.testing.assert_allclose(merged.matrix(), whole.matrix(), rtol=1e-10, atol=1e-12)
    elif isinstance(whole, sketch.Reservoir):
        # Another sample, but one of the whole.
        assert (merged.count, merged.rows.shape) == (whole.count, whole.rows.shape)
        rows = {row.tobytes() for row in case.values}
        assert all(row.tobytes() in rows for row in merged.rows)
    else:
        assert merged == whole


def test_merging_with_itself_does_not_lock_up(case: Case) -> None:
    summary = filled(case)
    summary.merge(summary)
    once = filled(case)
    name = next(name for name in ("missing", "incomplete", "count") if hasattr(once, name))
    assert getattr(summary, name) == 2 * getattr(once, name) > 0


def test_damaged_state_is_refused(case: Case) -> None:
    good = filled(case).to_json()
    future = good.replace('"version":1', '"version":2')
    assert future != good
    for bad in ("", "{}", good[:-1], good.replace("{", '{"more":1,', 1)):
        with pytest.raises(StateError):
            type(case.make()).from_json(bad)
    with pytest.raises(StateError, match="upgrade tidegate"):
        type(case.make()).from_json(future)


def test_not_hashable(case: Case) -> None:
    with pytest.raises(TypeError):
        hash(case.make())
