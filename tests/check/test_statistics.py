"""The closed forms against other implementations, and their intervals against what they promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tidegate.check.bias import disparities
from tidegate.check.budget import quantile
from tidegate.check.calibration import calibration_error
from tidegate.check.statistics import (
    Estimate,
    area_under_curve,
    difference_of_areas,
    difference_of_means,
    difference_of_roots,
    difference_of_shares,
    share,
)

RUNS = 1_500
LEVEL = 0.95


def world(random: np.random.Generator, rows: int) -> tuple[np.ndarray, ...]:
    """Labels and the scores of two models that look at the same thing, one less closely."""
    truth = random.normal(size=rows)
    label = random.random(rows) < 1 / (1 + np.exp(-2 * truth))
    good = truth + random.normal(scale=0.5, size=rows)
    bad = truth + random.normal(scale=1.0, size=rows)
    return label, good, bad


def test_areas_equal_scikit_learns() -> None:
    random = np.random.default_rng(1)
    label, good, bad = world(random, 500)
    good, bad = np.round(good, 1), np.round(bad, 1)  # with ties
    mine, other = roc_auc_score(label, good), roc_auc_score(label, bad)
    assert area_under_curve(good, label, LEVEL).value == pytest.approx(mine, abs=1e-12)
    found = difference_of_areas(good, bad, label, LEVEL)
    assert found.value == pytest.approx(mine - other, abs=1e-12)


def covered(draw: Callable[[np.random.Generator], Estimate], truth: float) -> float:
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(RUNS):
        found = draw(random)
        hits += found.low <= truth <= found.high
    return hits / RUNS


def _areas(random: np.random.Generator) -> Estimate:
    label, good, bad = world(random, 300)
    return difference_of_areas(good, bad, label, LEVEL)


def _shares(random: np.random.Generator) -> Estimate:
    hard = random.random(300)
    mine, other = (random.random(300) < 0.3 + 0.6 * hard for _ in range(2))
    return difference_of_shares(mine, other, LEVEL)


def _means(random: np.random.Generator) -> Estimate:
    hard = random.gamma(1, size=300)
    return difference_of_means(hard * random.random(300), hard * random.random(300), LEVEL)


def _roots(random: np.random.Generator) -> Estimate:
    hard = random.normal(size=300)
    mine, other = ((hard + random.normal(size=300)) ** 2 for _ in range(2))
    return difference_of_roots(mine, other, LEVEL)


@pytest.mark.parametrize("draw", [_shares, _means, _roots])
def test_intervals_of_differences_cover(draw: Callable[[np.random.Generator], Estimate]) -> None:
    # Three standard errors of 1,500 runs are 1.7 %, and the forms hold for many rows, not for 300.
    assert covered(draw, 0.0) == pytest.approx(LEVEL, abs=0.025)


def test_the_interval_of_areas_covers() -> None:
    random = np.random.default_rng(3)
    label, good, bad = world(random, 400_000)
    truth = roc_auc_score(label, good) - roc_auc_score(label, bad)
    assert covered(_areas, truth) == pytest.approx(LEVEL, abs=0.025)


def test_shares_of_rows_that_never_differ() -> None:
    right = np.ones(1_000, dtype=bool)
    found = difference_of_shares(right, right, LEVEL)
    assert found.value == 0
    assert found.low < 0 < found.high
    assert share(0, 100, LEVEL).low == 0
    assert share(0, 100, LEVEL).high == pytest.approx(0.037, abs=1e-3)


def test_quantiles_cover() -> None:
    random = np.random.default_rng(11)
    truth = float(np.log(100))  # the 99th percentile of an exponential
    hits = 0
    for _ in range(RUNS):
        found = quantile(tuple(random.exponential(size=2_000)), 0.99, LEVEL)
        hits += found.low <= truth <= found.high
    assert hits / RUNS == pytest.approx(LEVEL, abs=0.025)


def test_calibration_error_of_a_perfect_forecast() -> None:
    random = np.random.default_rng(2)
    probabilities = random.random(200_000)
    happened = (random.random(200_000) < probabilities).astype(float)
    assert calibration_error(probabilities, happened) < 0.01
    assert calibration_error(np.clip(probabilities * 2, 0, 1), happened) > 0.1


def test_disparities_of_known_groups() -> None:
    chosen = np.array([True] * 60 + [False] * 40 + [True] * 30 + [False] * 70)
    happened = np.array([True] * 50 + [False] * 50 + [True] * 50 + [False] * 50)
    rows = np.arange(200) < 100
    found = disparities(chosen, happened, [rows, ~rows])
    assert found.parity.value == pytest.approx(0.3)
    assert found.ratio.value == pytest.approx(0.5)
    assert found.odds is not None
    assert found.odds.value == pytest.approx(0.4)  # 1.0 against 0.6 of those that happened
    for each in (found.parity, found.ratio, found.odds):
        assert each.low <= each.value <= each.high
    assert disparities(chosen, None, [rows, ~rows]).odds is None
