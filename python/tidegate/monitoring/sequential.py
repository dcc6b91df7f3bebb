"""Tests that may be looked at after any row: e-values and confidence sequences.

A p-value holds for one look that was planned. These hold for all looks together: if what is taken
to be harmless is true, the chance that an e-value *ever* reaches `1 / alpha` is at most `alpha`,
and so is the chance that an interval *ever* misses the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tidegate import _core

__all__ = [
    "CellsDifference",
    "CellsTest",
    "Difference",
    "Interval",
    "Mean",
    "Proportion",
    "Quantile",
    "discoveries",
]

_GREATEST: Final = 700.0
"""The greatest exponent of a float, about."""


class Interval(NamedTuple):
    """Values that the evidence does not exclude."""

    lower: float
    upper: float


class _Figure:
    """What the tests of one figure share."""

    _core: _core.Sequential

    @property
    def rows(self) -> int:
        """Rows seen."""
        return self._core.rows

    @property
    def estimate(self) -> float | None:
        """The figure of the rows seen; `None` without any."""
        return self._core.estimate

    def e_value(self, *, at_least: float | None = None, at_most: float | None = None) -> float:
        """The evidence against what is taken to be harmless.

        Args:
            at_least: the figure is at least this.
            at_most: the figure is at most this; with both, it is between them.

        Returns:
            The e-value: 1 for no evidence either way; while the figure is harmless, it ever
            reaches `x` with a chance of at most `1 / x`.

        Raises:
            InputError: no bound was given, or they exclude everything.
        """
        return math.exp(min(self._core.log_e(at_least, at_most), _GREATEST))

    def interval(self, alpha: float = 0.05) -> Interval:
        """A confidence sequence: the chance that it ever misses the truth is at most `alpha`.

        Raises:
            InputError: `alpha` is not between 0 and 1.
        """
        return Interval(*self._core.interval(alpha))

    def rows_to_go(
        self,
        *,
        alpha: float = 0.05,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> int | None:
        """How many rows more are likely to be needed until the e-value reaches `1 / alpha`.

        If they look like those seen; 0 when it has, `None` when it never would.

        Raises:
            InputError: as `e_value` and `interval`.
        """
        return self._core.rows_to_go(alpha, at_least, at_most)


class _Stateful(_Figure):
    """A figure whose state is kept."""

    def to_json(self) -> str:
        """The state as canonical, versioned JSON."""
        return self._core.to_json()


class _Growing(_Stateful):
    """A figure of one stream."""

    _kind: str

    def update(self, values: ArrayLike) -> Self:
        """Takes in values; NaN is not counted.

        Raises:
            InputError: the values are no numbers in one dimension.
        """
        self._core.update(np.ascontiguousarray(values, dtype=np.float64).reshape(-1))
        return self

    def merge(self, other: Self) -> Self:
        """Takes in all that another has seen.

        Raises:
            InputError: the other is of another kind, range or level.
        """
        self._core.merge(other._core)
        return self

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            StateError: the text is damaged, or of a newer version.
        """
        figure = cls.__new__(cls)
        figure._core = _core.Sequential.from_json(cls._kind, text)
        return figure


class Mean(_Growing):
    """The mean of values with a known range: losses, errors, scores.

    Merging is exact. Values outside of the range count as its nearer end.

    Args:
        low: the least that a value can be.
        high: the greatest.

    Raises:
        InputError: the range is empty or not finite.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> error = Mean(0, 1).update(rng.beta(2, 8, 5_000))
        >>> [round(end, 2) for end in error.interval(alpha=0.05)]
        [0.19, 0.21]
        >>> error.e_value(at_most=0.15) > 1e6
        True

    Source:
        Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
        confidence sequences" (2021); Waudby-Smith and Ramdas, "Estimating means of bounded random
        variables by betting" (2024).
    """

    _kind = "mean"

    def __init__(self, low: float, high: float) -> None:
        self._core = _core.Sequential.mean(low, high)


class Proportion(_Growing):
    """The share of rows of which something is true; exact, and sharper than `Mean` of 0 and 1.

    Example:
        >>> late = Proportion().update([True] * 30 + [False] * 70)
        >>> late.e_value(at_most=0.1) > 1_000
        True
        >>> late.rows_to_go(alpha=0.01, at_most=0.2) > 0
        True

    Source:
        Robbins, "Statistical methods related to the law of the iterated logarithm" (1970).
    """

    _kind = "proportion"

    def __init__(self) -> None:
        self._core = _core.Sequential.proportion()

    def count(self, yes: int, rows: int) -> Self:
        """Takes in rows that were counted elsewhere.

        Args:
            yes: of how many it is true.
            rows: how many there are.

        Raises:
            InputError: it is true of more rows than there are.

        Example:
            >>> Proportion().count(30, 100).estimate
            0.3
        """
        self._core.count(yes, rows)
        return self


class Quantile(_Growing):
    """A quantile, such as the latency that 99 of 100 requests keep.

    Exact up to 16,384 values; beyond, the known rank error of the sketch widens the interval.

    Args:
        level: the share of values that are at most the quantile, between 0 and 1.

    Raises:
        InputError: the level is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> latency = Quantile(0.9).update(np.random.default_rng(0).exponential(10.0, 5_000))
        >>> lower, upper = latency.interval()
        >>> lower < 23.03 < upper
        True

    Source:
        Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
        best-arm identification" (2022).
    """

    _kind = "quantile"

    def __init__(self, level: float) -> None:
        self._core = _core.Sequential.quantile(level)

    def stretched(self, *, ratio: float = 1.0, plus: float = 0.0) -> Quantile:
        """The same stream with each value `x` as the greater of `ratio * x` and `x + plus`.

        What is compared with it has a margin of so many times, or so much.

        Raises:
            InputError: the ratio is not above 0, or a number is not finite.

        Example:
            >>> old = Quantile(0.5).update([10.0, 20.0, 30.0])
            >>> old.stretched(ratio=1.1, plus=1.5).estimate
            22.0
        """
        stretched = Quantile.__new__(Quantile)
        stretched._core = self._core.stretched(ratio, plus)
        return stretched


F = TypeVar("F", Mean, Proportion, Quantile)


class Difference(_Stateful, Generic[F]):
    """How much higher a figure is in one stream than in another, as of now.

    Both streams are samples, and the error of both is in the test. Non-inferiority with a margin is
    evidence against `at_least=margin`.

    Args:
        base: what is compared with, such as the old version.
        live: what is compared: a figure of the same kind.

    Raises:
        InputError: the figures are of different kinds.

    Example:
        >>> old = Proportion().update([1] * 100 + [0] * 1_900)
        >>> new = Proportion().update([1] * 105 + [0] * 1_895)
        >>> worse = Difference(old, new)
        >>> worse.e_value(at_least=0.05) > 20  # by 5 points: excluded
        True

    Source:
        Wasserman, Ramdas and Balakrishnan, "Universal inference" (2020); Podkopaev and Ramdas,
        "Tracking the risk of a deployed model and detecting harmful distribution shifts" (2022).
    """

    def __init__(self, base: F, live: F) -> None:
        self._core = _core.Sequential.difference(base._core, live._core)


class CellsDifference(_Figure):
    """How far two growing streams over the same cells are apart.

    The figure is the largest difference between their shares, over single cells and over everything
    up to a cell: for cells in the order of their values the Kolmogorov-Smirnov distance, and never
    below the difference of the share of any one value.

    Args:
        base: rows of the one stream in each cell.
        live: rows of the other in each cell.

    Raises:
        InputError: fewer than two cells, or not as many counts on both sides.

    Example:
        >>> apart = CellsDifference([250, 250, 250, 250], [150, 250, 250, 350])
        >>> apart.estimate
        0.1
        >>> apart.e_value(at_least=0.25) > 20  # a quarter of the rows moved: excluded
        True

    Source:
        Robbins, "Statistical methods related to the law of the iterated logarithm" (1970); Howard
        and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
        best-arm identification" (2022).
    """

    def __init__(self, base: Sequence[int], live: Sequence[int]) -> None:
        self._core = _core.Sequential.cells(list(base), list(live))


class CellsTest:
    """Has a stream left its baseline by more than a tolerance? Over cells: bins, or values.

    The distance is the total variation: the share of rows that would have to move to another cell.
    The baseline is a sample as well, and its error is in the test.

    Args:
        baseline: rows of the baseline in each cell.
        ordered: whether the cells stand in the order of their values, all but the last, which
            holds what is missing: drifts to one end are then seen sooner.

    Raises:
        InputError: fewer than two cells, or no rows.

    Example:
        >>> test = CellsTest([25_000, 25_000, 25_000, 25_000])
        >>> test.e_value([1_500, 2_500, 2_500, 3_500], tolerance=0.05) > 100
        True
        >>> test.e_value([2_450, 2_500, 2_500, 2_550], tolerance=0.05) < 1
        True

    Source:
        Wasserman, Ramdas and Balakrishnan, "Universal inference" (2020); `docs/drift.md`.
    """

    def __init__(self, baseline: Sequence[int], *, ordered: bool = False) -> None:
        self._core = _core.CellsTest(list(baseline), ordered)

    def distance(self, live: Sequence[int]) -> float | None:
        """The distance of the samples; `None` when the live one is empty.

        Raises:
            InputError: the counts do not fit the cells.
        """
        return self._core.distance(list(live))

    def e_value(self, live: Sequence[int], *, tolerance: float) -> float:
        """The evidence that the distance is above the tolerance.

        Raises:
            InputError: the counts do not fit the cells, or the tolerance is not between 0 and 1.
        """
        return math.exp(min(self._core.log_e(list(live), tolerance), _GREATEST))

    def interval(self, live: Sequence[int], alpha: float = 0.05) -> Interval:
        """The distances that the evidence does not exclude, at any time.

        Raises:
            InputError: the counts do not fit the cells, or `alpha` is not between 0 and 1.
        """
        return Interval(*self._core.interval(list(live), alpha))


def discoveries(e_values: Sequence[float], alpha: float = 0.05) -> list[int]:
    """Which of many e-values are discoveries, of which a share of at most `alpha` is false.

    However the tests depend on each other.

    Args:
        e_values: one a test; none below 0.
        alpha: the share that may be false.

    Returns:
        Their positions.

    Raises:
        InputError: `alpha` is not between 0 and 1.

    Example:
        >>> discoveries([0.3, 900.0, 2.0, 70.0], alpha=0.05)
        [1, 3]

    Source:
        Wang and Ramdas, "False discovery rate control with e-values" (2022).
    """
    log_e = [math.log(e) if e > 0 else -math.inf for e in e_values]
    return _core.e_discoveries(log_e, alpha)
