"""What a gate says, and the one test behind all of them: non-inferiority with a margin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

from tidegate.errors import StateError
from tidegate.monitoring.sequential import Interval
from tidegate.routing.gates.budget import Budget
from tidegate.types import Json

__all__ = ["Figure", "Outcome", "Side", "Verdict", "combined", "judged", "silent"]

Outcome = Literal["pass", "fail", "not_enough"]
"""What a gate comes to; `not_enough` evidence never promotes."""

Side = Literal["above", "below"]
"""On which side of its bound a figure is worse."""

WIDEST: Final = 0.5
"""The greatest chance of an error that an interval is shown at."""


class Figure(Protocol):
    """A figure of `tidegate.monitoring.sequential`, of one stream or of two."""

    @property
    def rows(self) -> int:
        """Rows seen."""

    @property
    def estimate(self) -> float | None:
        """The figure of the rows seen."""

    def e_value(self, *, at_least: float | None = None, at_most: float | None = None) -> float:
        """The evidence against a bound."""

    def interval(self, alpha: float = 0.05) -> Interval:
        """A confidence sequence."""

    def rows_to_go(
        self, *, alpha: float = 0.05, at_least: float | None = None, at_most: float | None = None
    ) -> int | None:
        """How many rows more are likely to be needed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says about a candidate at one time.

    Attributes:
        gate: Its name; of a part, what it is about.
        outcome: `pass`, `fail` or `not_enough`.
        sentence: All of it in words.
        effect: How much the candidate is apart from stable, or its own figure where the gate has an
            absolute bound.
        interval: Of the effect: a confidence sequence whose either end ever misses it with at most the
            gate's share of the chance of a false abort. An end that is not known is infinite.
        margin: What the effect is held against.
        rows: Rows, requests or labels that are behind it.
        rows_to_go: How many more of them are likely to be needed if they look alike; 0 when it is
            decided, `None` where no number can be told.
        cells: Of a distribution: the counts of stable and of the candidate.
        parts: Of segments, features or an expression: what each of them says.
    """

    gate: str
    outcome: Outcome
    sentence: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    rows: int = 0
    rows_to_go: int | None = None
    cells: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    parts: tuple[Verdict, ...] = ()

    def to_document(self) -> dict[str, Json]:
        """The verdict as JSON; ends that are not known are null there."""
        interval = self.interval
        return {
            "gate": self.gate,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "effect": self.effect,
            "interval": None if interval is None else [_finite(end) for end in interval],
            "margin": self.margin,
            "rows": self.rows,
            "rows_to_go": self.rows_to_go,
            "cells": None if self.cells is None else [list(side) for side in self.cells],
            "parts": [part.to_document() for part in self.parts],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Verdict:
        """Reads what `to_document` made.

        Raises:
            StateError: If it is none.
        """
        try:
            outcome, interval, cells = (document[key] for key in ("outcome", "interval", "cells"))
            if outcome not in get_args(Outcome):
                raise ValueError(f"outcome {outcome!r}")
            ends = None
            if interval is not None:
                lower, upper = interval
                ends = (
                    float("-inf") if lower is None else float(lower),
                    float("inf") if upper is None else float(upper),
                )
            return cls(
                gate=str(document["gate"]),
                outcome=outcome,
                sentence=str(document["sentence"]),
                effect=document["effect"],
                interval=ends,
                margin=document["margin"],
                rows=int(document["rows"]),
                rows_to_go=document["rows_to_go"],
                cells=None if cells is None else (tuple(cells[0]), tuple(cells[1])),
                parts=tuple(cls.from_document(part) for part in document["parts"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StateError(
                f"the verdict of a gate is damaged ({error}): look at the next"
            ) from error


def judged(
    name: str,
    figure: Figure,
    bound: float,
    budget: Budget,
    say: Callable[[float], str],
    *,
    side: Side = "above",
    shown: Figure | None = None,
    margin: float | None = None,
    cells: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
    brief: bool = False,
) -> Verdict:
    """Holds a figure against a bound, with evidence for either side.

    It fails when the evidence excludes that the figure keeps its bound, and passes when it excludes
    that it does not. Both tests may be looked at after any row.

    Args:
        name: Of the gate, or of the part of it.
        figure: What is tested.
        bound: What it must keep.
        budget: The chances of being wrong that this test may use up.
        say: Effects in words.
        side: On which side of the bound it is worse.
        shown: The figure that people see, of the same rows, where it is another one than is tested.
        margin: The bound that people see.
        cells: The counts behind it.
        brief: Say the outcome and the effect only.
    """
    shown = figure if shown is None else shown
    margin = bound if margin is None else margin
    effect = shown.estimate
    if effect is None:
        return Verdict(name, "not_enough", "nothing to compare yet", margin=margin)
    if side == "above":
        bad, good = {"at_most": bound}, {"at_least": bound}
    else:
        bad, good = {"at_least": bound}, {"at_most": bound}
    outcome: Outcome = "not_enough"
    if figure.e_value(**bad) >= 1 / budget.false_abort:
        outcome = "fail"
    elif figure.e_value(**good) >= 1 / budget.false_promotion:
        outcome = "pass"
    if brief:
        return Verdict(name, outcome, say(effect), effect, margin=margin, rows=figure.rows)
    to_go: int | None = 0
    if outcome == "not_enough":
        ways = (
            figure.rows_to_go(alpha=budget.false_abort, **bad),
            figure.rows_to_go(alpha=budget.false_promotion, **good),
        )
        to_go = min((way for way in ways if way is not None), default=None)
    lower, upper = shown.interval(min(2 * budget.false_abort, WIDEST))
    limit = "at most" if side == "above" else "at least"
    sentence = f"{say(effect)} ({say(lower)} to {say(upper)}), {limit} {say(margin)}"
    if outcome == "not_enough":
        sentence += (
            f"; about {to_go:,} more are needed"
            if to_go is not None
            else "; too near the bound to say when"
        )
    return Verdict(
        name, outcome, sentence, effect, (lower, upper), margin, figure.rows, to_go, cells
    )


def silent(name: str, why: str, margin: float | None = None) -> Verdict:
    """The verdict of a gate for which there is nothing yet."""
    return Verdict(name, "not_enough", why, margin=margin)


def combined(name: str, parts: Iterable[Verdict]) -> Verdict:
    """One verdict of parts that must all pass: the worst of them says what.

    Args:
        name: Of the gate.
        parts: At least one.
    """
    all_parts = tuple(parts)
    failed = [part for part in all_parts if part.outcome == "fail"]
    open_parts = [part for part in all_parts if part.outcome == "not_enough"]
    told = failed or open_parts or list(all_parts)
    worst = max(told, key=_badness)
    to_go: int | None = 0
    if not failed and open_parts:
        known = [part.rows_to_go for part in open_parts]
        to_go = None if None in known else max(rows for rows in known if rows is not None)
    outcome: Outcome = "fail" if failed else "not_enough" if open_parts else "pass"
    return Verdict(
        name,
        outcome,
        f"{worst.gate}: {worst.sentence}",
        worst.effect,
        worst.interval,
        worst.margin,
        worst.rows,
        to_go,
        worst.cells,
        all_parts,
    )


def _badness(part: Verdict) -> float:
    if part.effect is None:
        return float("inf")
    return abs(part.effect) / (abs(part.margin) if part.margin else 1.0)


def _finite(end: float) -> float | None:
    return end if abs(end) != float("inf") else None
