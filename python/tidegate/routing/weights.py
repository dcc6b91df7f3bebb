"""Weights: whole basis points inside, percent with two decimals at most for people."""

from __future__ import annotations

from typing import Final

from tidegate.errors import InputError

__all__ = ["FULL", "basis_points", "percent"]

FULL: Final = 10_000
"""All of the traffic, in basis points."""

ROUNDING: Final = 1e-6
"""What a percentage as a float may be off from its two decimals."""


def basis_points(share: float, what: str) -> int:
    """A percentage as basis points.

    Args:
        share: Percent, from 0 to 100, with two decimals at most.
        what: What it is of, for messages.

    Raises:
        InputError: If it is out of its range, or finer than a basis point.

    Example:
        >>> basis_points(12.5, "weight")
        1250
        >>> basis_points(0.001, "weight")
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: weight is 0.001 %: give percent from 0 to 100 with two decimals at most
    """
    points = round(share * 100) if 0 <= share <= 100 else -1
    if points < 0 or abs(points - share * 100) > ROUNDING:
        raise InputError(
            f"{what} is {share:g} %: give percent from 0 to 100 with two decimals at most"
        )
    return points


def percent(points: int) -> str:
    """Basis points for people.

    Example:
        >>> percent(1250), percent(10_000)
        ('12.5 %', '100 %')
    """
    return f"{points / 100:g} %"
