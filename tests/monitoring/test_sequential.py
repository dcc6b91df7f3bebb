"""The tests behind alarms, from Python: what they say, what they refuse, and how they round-trip."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tidegate.errors import InputError, StateError
from tidegate.monitoring.sequential import (
    CellsTest,
    Difference,
    Mean,
    Proportion,
    Quantile,
    discoveries,
)


def test_intervals_narrow_and_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    values = rng.beta(2, 6, 40_000)
    mean, median, share = Mean(0, 1), Quantile(0.5), Proportion()
    widths = []
    for piece in np.split(values, 8):
        mean.update(piece)
        median.update(piece)
        share.update(piece > 0.5)
        lower, upper = mean.interval(alpha=0.01)
        assert lower <= 0.25 <= upper
        widths.append(upper - lower)
    assert all(later < before for before, later in pairwise(widths))
    lower, upper = median.interval(alpha=0.01)
    assert lower <= np.median(values) <= upper
    assert share.estimate == pytest.approx(np.mean(values > 0.5))
    assert mean.rows == median.rows == share.rows == 40_000


@pytest.mark.parametrize("make", [lambda: Mean(0, 1), Proportion, lambda: Quantile(0.9)])
def test_states_merge_and_round_trip(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(2)
    left, right = make().update(rng.uniform(size=500)), make().update(rng.uniform(size=300))
    left.merge(right)
    assert left.rows == 800
    again = type(left).from_json(left.to_json())
    assert again.to_json() == left.to_json()
    assert again.interval() == left.interval()
    with pytest.raises(StateError):
        type(left).from_json(left.to_json()[:-3])
    with pytest.raises(StateError, match="newer"):
        type(left).from_json(left.to_json().replace('"version":1', '"version":9'))


def test_evidence_of_a_difference() -> None:
    rng = np.random.default_rng(3)
    old, new = Mean(0, 10).update(rng.uniform(0, 5, 20_000)), Mean(0, 10)
    new.update(rng.uniform(0.5, 5.5, 20_000))
    worse = Difference(old, new)
    assert worse.estimate == pytest.approx(0.5, abs=0.05)
    assert worse.e_value(at_most=0.2) > 1e3
    assert worse.e_value(at_least=0.8) > 1e3
    assert worse.e_value(at_least=0.4, at_most=0.6) < 1
    lower, upper = worse.interval()
    assert 0.3 < lower < 0.5 < upper < 0.7
    assert worse.rows_to_go(alpha=0.01, at_most=0.2) == 0
    assert worse.rows_to_go(alpha=0.01, at_most=0.9) is None


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="range"):
        Mean(1, 1)
    with pytest.raises(InputError, match="share"):
        Quantile(90)
    share = Proportion().update([1, 0, math.nan])
    assert share.rows == 2
    with pytest.raises(InputError, match="harmless"):
        share.e_value()
    with pytest.raises(InputError, match="nothing"):
        share.e_value(at_least=0.6, at_most=0.4)
    with pytest.raises(InputError, match="alpha"):
        share.interval(alpha=0)
    with pytest.raises(InputError, match="kinds"):
        Difference(share, Mean(0, 1))  # type: ignore[type-var]
    for baseline in ([], [5], [0, 0]):
        with pytest.raises(InputError, match="cells"):
            CellsTest(baseline)
    test = CellsTest([10, 20])
    with pytest.raises(InputError, match="cells"):
        test.e_value([1, 2, 3], tolerance=0.1)
    with pytest.raises(InputError, match="tolerance"):
        test.e_value([1, 2], tolerance=0)
    assert test.distance([0, 0]) is None
    with pytest.raises(InputError, match="alpha"):
        discoveries([1.0], alpha=1)


def test_discoveries() -> None:
    assert discoveries([0.0, 1e9, 30.0], alpha=0.1) == [1, 2]
    assert discoveries([0.0, 29.0, 14.0], alpha=0.1) == []
    assert discoveries([]) == []
