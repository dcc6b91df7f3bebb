"""Medians with intervals, for figures that a busy machine scatters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tidegate.errors import InputError

__all__ = ["Figure", "figure", "quantile"]

COVERAGE: Final = 0.95
"""How sure the interval of a median is."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A median and how well it is known.

    Attributes:
        median: The middle value.
        low: The lower end of the interval.
        high: The upper end of the interval.
        count: How many values there were.
    """

    median: float
    low: float
    high: float
    count: int


def figure(values: Sequence[float]) -> Figure:
    """The median of some values with its interval, whatever their distribution is.

    The ends are order statistics: the number of values below the true median is binomial with one
    half, which says how far to go from the middle. With fewer than six values no pair of them
    covers 95 %, and the ends are the least and the greatest.

    Args:
        values: At least one, none of them NaN.

    Returns:
        The figure.

    Raises:
        InputError: There is no value, or one is NaN.

    Source:
        Conover, "Practical Nonparametric Statistics" (3rd ed., 1999), section 3.2.

    >>> figure([5, 1, 4, 2, 3, 6, 9, 7, 8, 10])
    Figure(median=5.5, low=2, high=9, count=10)
    """
    ordered = sorted(values)
    if not ordered or any(math.isnan(value) for value in ordered):
        raise InputError("a figure needs at least one value and no NaN: measure again")
    count = len(ordered)
    skip = 0
    outside = 2 * 0.5**count
    # `outside` is the chance that the median lies beyond the ends if `skip + 1` are cut off.
    for below in range(1, count // 2):
        outside += 2 * math.comb(count, below) * 0.5**count
        if outside > 1 - COVERAGE:
            break
        skip = below
    return Figure(median(ordered), ordered[skip], ordered[-1 - skip], count)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least the share `q` of all do not exceed.

    Args:
        ordered: Values in ascending order, at least one.
        q: From 0 to 1.

    Returns:
        One of the values.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.99)
    (2, 4)
    """
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]
