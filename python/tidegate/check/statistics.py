"""Closed forms for what two models say of the same rows.

Each gives the difference candidate − champion with an interval; both see the same rows, so that
what is hard about a row falls out of the difference.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = [
    "Estimate",
    "area_under_curve",
    "difference_of_areas",
    "difference_of_means",
    "difference_of_roots",
    "difference_of_shares",
    "mean",
    "share",
]


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def _normal(value: float, error: float, level: float) -> Estimate:
    reach = NormalDist().inv_cdf(0.5 + level / 2) * error
    return Estimate(value, value - reach, value + reach)


def _error(values: Floats) -> float:
    """The standard error of a mean."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.inf


def share(hits: int, rows: int, level: float) -> Estimate:
    """A share with Wilson's interval.

    >>> [round(number, 4) for number in share(1, 100, 0.95)]
    [0.01, 0.0018, 0.0545]

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if rows == 0:
        return Estimate(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    found = hits / rows
    middle = (found + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = z / (1 + z * z / rows) * math.sqrt(found * (1 - found) / rows + (z / (2 * rows)) ** 2)
    return Estimate(found, max(0.0, middle - reach), min(1.0, middle + reach))


def mean(values: Floats, level: float) -> Estimate:
    """A mean with the normal interval."""
    return _normal(float(values.mean()), _error(values), level)


def difference_of_means(candidate: Floats, champion: Floats, level: float) -> Estimate:
    """The difference of two mean losses of the same rows: the normal interval of the differences."""
    return mean(candidate - champion, level)


def difference_of_shares(
    candidate: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_], level: float
) -> Estimate:
    """The difference of two shares of the same rows.

    Half a row is added to each cell of the table of pairs, or a handful of rows on which the two
    differ would give an interval of no width.

    >>> import numpy as np
    >>> right = np.ones(100, dtype=bool)
    >>> found = difference_of_shares(right, right, 0.95)
    >>> round(found.low, 3), round(found.high, 3)
    (-0.019, 0.019)

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005).
    """
    rows = len(candidate) + 2
    gained = float(np.sum(candidate & ~champion)) + 0.5
    lost = float(np.sum(~candidate & champion)) + 0.5
    middle = (gained - lost) / rows
    error = math.sqrt(gained + lost - (gained - lost) ** 2 / rows) / rows
    reach = NormalDist().inv_cdf(0.5 + level / 2) * error
    value = float(candidate.mean() - champion.mean())
    return Estimate(value, middle - reach, middle + reach)


def difference_of_roots(candidate: Floats, champion: Floats, level: float) -> Estimate:
    """The difference of two root mean squares of the same rows, by the delta method.

    Args:
        candidate: squared errors.
        champion: squared errors of the same rows.
        level: the interval's confidence.
    """
    roots = [math.sqrt(float(squares.mean())) for squares in (candidate, champion)]
    slopes = [
        squares / (2 * root) if root > 0 else np.zeros_like(squares)
        for squares, root in zip((candidate, champion), roots, strict=True)
    ]
    return _normal(roots[0] - roots[1], _error(slopes[0] - slopes[1]), level)


def area_under_curve(scores: Floats, positive: npt.NDArray[np.bool_], level: float) -> Estimate:
    """The area under the ROC curve with DeLong's interval."""
    value, of_positives, of_negatives = _placements(scores, positive)
    error = math.hypot(_error(of_positives), _error(of_negatives))
    return _normal(value, error, level)


def difference_of_areas(
    candidate: Floats, champion: Floats, positive: npt.NDArray[np.bool_], level: float
) -> Estimate:
    """The difference of two areas under the ROC curve on the same rows.

    Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 44 (1988); by ranks as Sun and Xu, "Fast
    implementation of DeLong's algorithm", IEEE Signal Processing Letters 21 (2014).
    """
    mine, mine_of_positives, mine_of_negatives = _placements(candidate, positive)
    other, of_positives, of_negatives = _placements(champion, positive)
    error = math.hypot(
        _error(mine_of_positives - of_positives), _error(mine_of_negatives - of_negatives)
    )
    return _normal(mine - other, error, level)


def _placements(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[float, Floats, Floats]:
    """The area, and for each row the share of the other class that it stands right of."""
    ups, downs = scores[positive], scores[~positive]
    of_positives = (_ranks(scores)[positive] - _ranks(ups)) / len(downs)
    of_negatives = 1.0 - (_ranks(scores)[~positive] - _ranks(downs)) / len(ups)
    return float(of_positives.mean()), of_positives, of_negatives


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; ties share the middle of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[inverse]
    return ranks
