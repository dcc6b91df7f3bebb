"""Are groups of people treated alike? For each column of groups that the bundle declares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tidegate.check.context import LEVEL, MIN_ROWS, Context
from tidegate.check.result import Figure, Result, failed, passed, skipped, warned
from tidegate.check.statistics import Estimate
from tidegate.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]

__all__ = ["NAME", "Disparity", "check", "disparities"]

NAME: Final = "bias"

MIN_GROUP: Final = 30
"""Smaller groups are left out and named."""

RESAMPLES: Final = 4_000
"""Draws of each group's counts."""

SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Disparity:
    """How differently groups are treated.

    Attributes:
        parity: greatest difference of the shares that are predicted positive (demographic parity).
        odds: greatest difference of true-positive or of false-positive rates (equalised odds); None
            without labels.
        ratio: least share over greatest (four-fifths rule).
    """

    parity: Estimate
    odds: Estimate | None
    ratio: Estimate


def check(context: Context) -> Result:
    """Demographic parity, equalised odds and the four-fifths rule, each with an interval.

    Over its limit with certainty: fail. Over it, but within what chance does: warn.
    """
    groups = context.requirements.groups
    if not groups:
        return skipped(NAME, "no groups are declared: name their columns with --groups")
    if context.candidate.manifest.kind != "classifier":
        return skipped(NAME, "the bias gate compares shares of classes, and this is no classifier")
    if context.holdout is None:
        return skipped(NAME, "groups are declared, and there is no holdout to look at: --holdout")
    positive = _positive(context)
    decided = context.answers.decided
    assert decided is not None
    chosen = decided == positive
    happened = context.labels == positive if context.labelled else None
    figures: list[Figure] = []
    over: list[str] = []
    near: list[str] = []
    small: list[str] = []
    for group in groups:
        values = np.array([str(v) for v in context.holdout.column(group).to_pylist()])
        names, counts = np.unique(values, return_counts=True)
        small += [f"{group} = {name}" for name in names[counts < MIN_GROUP]]
        kept = names[counts >= MIN_GROUP]
        if len(kept) < 2 or len(values) < MIN_ROWS:
            near.append(f"{group} has fewer than two groups of {MIN_GROUP} rows")
            continue
        found = disparities(chosen, happened, [values == name for name in kept])
        for figure, low, high in _figures(context, group, found):
            figures.append(figure)
            assert figure.limit is not None
            # The ratio is bad below its limit, the differences above theirs.
            sign = -1 if "four-fifths" in figure.name else 1
            if sign * (low if sign > 0 else high) > sign * figure.limit:
                over.append(f"{figure.name} {figure.text}, limit {figure.limit:g}")
            elif figure.value is not None and sign * figure.value > sign * figure.limit:
                near.append(f"{figure.name} {figure.text}, limit {figure.limit:g}")
    note = (
        f" (groups of fewer than {MIN_GROUP} rows left out: {', '.join(small[:8])})"
        if small
        else ""
    )
    if over:
        return failed(NAME, f"groups are treated differently: {'; '.join(over)}{note}", figures)
    if near:
        return warned(NAME, f"groups may be treated differently: {'; '.join(near)}{note}", figures)
    return passed(NAME, f"no difference between groups beyond the limits{note}", figures)


def disparities(chosen: Flags, happened: Flags | None, groups: list[Flags]) -> Disparity:
    """The three figures, with intervals from redrawing each group's counts.

    Args:
        chosen: predicted positive, `[rows]`.
        happened: positive by label, or None without labels.
        groups: the rows of each group.

    Source: Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016; the
    four-fifths rule: 29 CFR 1607.4 D. Percentile bootstrap; a maximum of differences is biased
    upwards, and so is its interval, the more the smaller the groups.
    """
    random = np.random.default_rng(SEED)
    selection = [(int(chosen[rows].sum()), int(rows.sum())) for rows in groups]
    shares = _drawn(selection, random)
    parity = _estimate(_spread(_shares(selection)), _spreads(shares))
    low, high = shares.min(axis=0), shares.max(axis=0)
    ratios = np.divide(low, high, out=np.ones_like(low), where=high > 0)
    exact = _shares(selection)
    ratio = _estimate(exact.min() / exact.max() if exact.max() > 0 else 1.0, ratios)
    if happened is None:
        return Disparity(parity, None, ratio)
    best: Estimate | None = None
    for truth in (happened, ~happened):
        counts = [(int(chosen[rows & truth].sum()), int((rows & truth).sum())) for rows in groups]
        counts = [(hits, total) for hits, total in counts if total >= MIN_GROUP]
        if len(counts) < 2:
            continue
        found = _estimate(_spread(_shares(counts)), _spreads(_drawn(counts, random)))
        best = found if best is None or found.value > best.value else best
    return Disparity(parity, best, ratio)


def _shares(counts: list[tuple[int, int]]) -> npt.NDArray[np.float64]:
    return np.array([hits / total for hits, total in counts])


def _drawn(counts: list[tuple[int, int]], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Shares of resampled groups, `[groups, resamples]`: redrawing rows of a group is a binomial."""
    return np.array(
        [random.binomial(total, hits / total, RESAMPLES) / total for hits, total in counts]
    )


def _spread(shares: npt.NDArray[np.float64]) -> float:
    return float(shares.max() - shares.min())


def _spreads(drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(drawn.max(axis=0) - drawn.min(axis=0))


def _estimate(value: float, drawn: npt.NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def _figures(context: Context, group: str, found: Disparity) -> list[tuple[Figure, float, float]]:
    wanted = [
        ("parity", "demographic parity difference", found.parity),
        ("odds", "equalised odds difference", found.odds),
        ("four_fifths", "four-fifths ratio", found.ratio),
    ]
    return [
        (
            Figure(f"{what} by {group}", *each, LEVEL, context.requirements.limit(limit)),
            each.low,
            each.high,
        )
        for limit, what, each in wanted
        if each is not None and not math.isnan(each.value)
    ]


def _positive(context: Context) -> int:
    classes = context.candidate.manifest.classes or ()
    wanted = context.requirements.positive
    if wanted is None:
        return len(classes) - 1
    if wanted not in classes:
        raise InputError(
            f"the positive class {wanted!r} is none of {', '.join(map(repr, classes))}"
        )
    return classes.index(wanted)
