"""A gate for each segment, with the chance of a false abort kept over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.material import Material
from tidegate.routing.gates.verdict import Verdict, combined, silent

__all__ = ["MOST_SEGMENTS", "by_segment"]

MOST_SEGMENTS: Final = 17
"""Segments that are counted: 16 values, and all others as one."""


def by_segment(
    name: str,
    names: tuple[str, ...],
    material: Material,
    budget: Budget,
    judge: Callable[[Material, Budget], Verdict],
) -> Verdict:
    """The verdict of a gate that every segment must pass.

    One segment that fails aborts, so it is the chance that *any* of them fails falsely that has to be
    kept, which a false discovery rate (e-BH) does not do: each gets an equal part. The price is small,
    the logarithm of their number. Where they are not named their number is not known beforehand,
    and each gets a part of the most that are counted.

    Args:
        name: Of the gate.
        names: Of the segments; all that turn up where it is empty.
        material: With the samples of the segments.
        budget: Of the gate.
        judge: What the gate says of one segment.
    """
    found = names or tuple(material.segments)
    if not found:
        return silent(name, "no segment has been seen yet")
    share = budget.over(len(names) or MOST_SEGMENTS)
    parts = [replace(judge(material.segment(segment), share), gate=segment) for segment in found]
    return combined(name, parts)
