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
    CellsDifference,
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


def test_counts_are_rows() -> None:
    assert Proportion().count(3, 10).to_json() == Proportion().update([1] * 3 + [0] * 7).to_json()
    with pytest.raises(InputError, match="true of 4 of 3 rows"):
        Proportion().count(4, 3)


def test_a_stretched_quantile_is_that_of_stretched_values() -> None:
    values = np.random.default_rng(4).lognormal(size=2_000)
    found = Quantile(0.9).update(values).stretched(ratio=1.2, plus=0.5)
    due = Quantile(0.9).update(np.maximum(1.2 * values, values + 0.5))
    assert found.estimate == due.estimate
    assert found.interval() == due.interval()
    with pytest.raises(InputError, match="ratio above 0"):
        Quantile(0.9).stretched(ratio=0.0)


def test_two_growing_streams_over_cells() -> None:
    rng = np.random.default_rng(5)
    shares = np.full(10, 0.1)
    moved = shares + np.linspace(-0.06, 0.06, 10)
    far, near = [], []
    for rows in (500, 2_000, 8_000):
        base = rng.multinomial(2 * rows, shares)
        other = CellsDifference(base.tolist(), rng.multinomial(rows, moved).tolist())
        same = CellsDifference(base.tolist(), rng.multinomial(rows, shares).tolist())
        lower, upper = other.interval(alpha=0.05)
        assert lower <= 0.1667 <= upper
        far.append(other.e_value(at_most=0.08))
        near.append(same.e_value(at_least=0.08))
        assert same.e_value(at_most=0.05) < 1
    assert far[-1] > 1e6
    assert near[-1] > 20
    assert sorted(far) == far
    with pytest.raises(InputError, match="same two cells"):
        CellsDifference([1, 2], [1, 2, 3])


def test_differences_of_cells_are_seldom_found_at_the_bound() -> None:
    """Streams that are exactly the bound apart, looked at after every hundred rows."""
    rng, found = np.random.default_rng(6), 0
    shares, moved = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    for _ in range(200):
        old = np.cumsum(rng.multinomial(100, shares, 40), axis=0).tolist()
        new = np.cumsum(rng.multinomial(100, moved, 40), axis=0).tolist()
        looks = (CellsDifference(a, b) for a, b in zip(old, new, strict=True))
        found += any(
            look.e_value(at_most=0.1) >= 10 or look.e_value(at_least=0.1) >= 10 for look in looks
        )
    # Either one has a chance of at most a tenth; of 200 streams 40 are expected at most, and 60
    # are beyond what chance does once in a thousand times.
    assert found <= 60
