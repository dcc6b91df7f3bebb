"""Is the candidate as good as the champion on rows that neither has seen?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tidegate.check import statistics
from tidegate.check.context import LEVEL, MIN_ROWS, Context
from tidegate.check.result import Figure, Result, failed, passed, skipped, warned
from tidegate.check.statistics import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.check.subject import Answers

    Labels = npt.NDArray[np.float64]
    Single = Callable[[Answers, Labels, float], Estimate]
    Paired = Callable[[Answers, Answers, Labels, float], Estimate]

__all__ = ["NAME", "check", "judged", "of_probabilities"]

NAME: Final = "quality"

SMALLEST: Final = 2.2e-16
"""Probabilities are held this far from 0 and 1 before a logarithm, as `docs/quality.md` says."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """One measure: of one model, and the difference candidate − champion of two."""

    single: Single
    paired: Paired
    better: int  # 1 where more is better, -1 where less is
    relative: bool = False  # is its margin a share of the champion's figure?


def check(context: Context) -> Result:
    """Compares measure by measure, on the same rows, with an interval each.

    Worse by more than the margin, with certainty: fail. Not worse by more than the margin, with
    certainty: pass. Anything else: warn. The measures share the error that is allowed (Bonferroni).
    """
    if not context.labelled:
        return skipped(NAME, context.why_unlabelled())
    rows = context.holdout.num_rows
    if rows < MIN_ROWS:
        return skipped(NAME, f"a holdout of {rows} rows tells nothing: give {MIN_ROWS} or more")
    candidate, labels = context.answers, context.labels
    measures = _measures(candidate, labels)
    level = 1 - (1 - LEVEL) / len(measures)
    figures = [Figure("rows", rows, unit="rows")]
    for name, measure in measures.items():
        figures.append(Figure(name, *measure.single(candidate, labels, LEVEL), LEVEL))
    if context.champion is None:
        return skipped(NAME, "there is no champion to compare with", figures)
    if context.champion.manifest.classes != context.candidate.manifest.classes:
        return skipped(NAME, "the champion has other classes: nothing can be compared", figures)
    champion = context.reigning_answers
    harms: dict[str, tuple[Figure, Estimate]] = {}
    for name, measure in measures.items():
        before = measure.single(champion, labels, LEVEL)
        figures.append(Figure(f"{name} of champion", *before, LEVEL))
        margin = context.requirements.margin(name) * (before.value if measure.relative else 1)
        found = measure.paired(candidate, champion, labels, level)
        figure = Figure(f"{name} difference", *found, level, margin)
        figures.append(figure)
        harms[name] = figure, _harm(found, measure.better)
    return judged(NAME, harms, figures, str(context.champion))


def judged(
    name: str,
    harms: Mapping[str, tuple[Figure, Estimate]],
    figures: list[Figure],
    champion: str,
) -> Result:
    """The outcome of differences, each with how much worse it is and its margin.

    Args:
        name: the check's.
        harms: by measure the figure of the difference, whose limit is the margin, and the harm: the
            same difference with more being worse.
        figures: all figures.
        champion: what was compared with.
    """
    worse, open_ = [], []
    for measure, (figure, harm) in harms.items():
        margin = figure.limit or 0.0
        if harm.low > margin:
            worse.append(f"{measure} by {figure.text}, more than {margin:.4g}")
        elif harm.high > margin:
            open_.append(f"{measure} by {figure.text} where {margin:.4g} is allowed")
    if worse:
        return failed(name, f"worse than {champion}: {'; '.join(worse)}", figures)
    if open_:
        return warned(
            name,
            f"the holdout does not tell whether it is worse than {champion}: {'; '.join(open_)}: "
            "give more rows",
            figures,
        )
    return passed(name, f"no worse than {champion} within the margins", figures)


def _harm(found: Estimate, better: int) -> Estimate:
    if better < 0:
        return found
    return Estimate(-found.value, -found.high, -found.low)


def of_probabilities(answers: Answers, labels: Labels) -> Labels:
    """The probability that was given to what happened, `[rows]`."""
    chosen = answers.scores[np.arange(len(labels)), labels.astype(np.int64)]
    return np.clip(chosen, SMALLEST, 1.0)


def _measures(answers: Answers, labels: Labels) -> dict[str, _Measure]:
    if answers.kind == "regressor":
        return {
            "mae": _of_losses(_absolute, relative=True),
            "rmse": _Measure(_root, _roots, better=-1, relative=True),
        }
    found = {
        "accuracy": _Measure(
            lambda a, y, level: statistics.share(int(_right(a, y).sum()), len(y), level),
            lambda a, b, y, level: statistics.difference_of_shares(
                _right(a, y), _right(b, y), level
            ),
            better=1,
        ),
        "log_loss": _of_losses(_log_loss),
        "brier": _of_losses(_brier),
    }
    if answers.scores.shape[1] == 2 and 0 < labels.mean() < 1:
        found["auc"] = _Measure(
            lambda a, y, level: statistics.area_under_curve(a.scores[:, 1], y == 1, level),
            lambda a, b, y, level: statistics.difference_of_areas(
                a.scores[:, 1], b.scores[:, 1], y == 1, level
            ),
            better=1,
        )
    return found


def _of_losses(loss: Callable[[Answers, Labels], Labels], *, relative: bool = False) -> _Measure:
    return _Measure(
        lambda a, y, level: statistics.mean(loss(a, y), level),
        lambda a, b, y, level: statistics.difference_of_means(loss(a, y), loss(b, y), level),
        better=-1,
        relative=relative,
    )


def _right(answers: Answers, labels: Labels) -> npt.NDArray[np.bool_]:
    assert answers.decided is not None
    right: npt.NDArray[np.bool_] = answers.decided == labels
    return right


def _log_loss(answers: Answers, labels: Labels) -> Labels:
    return -np.log(of_probabilities(answers, labels))


def _brier(answers: Answers, labels: Labels) -> Labels:
    """Of two classes in 0..1, of more in 0..2, as `docs/quality.md` says."""
    happened = np.eye(answers.scores.shape[1])[labels.astype(np.int64)]
    squares: Labels = ((answers.scores - happened) ** 2).sum(axis=1)
    return squares / 2 if answers.scores.shape[1] == 2 else squares


def _absolute(answers: Answers, labels: Labels) -> Labels:
    return np.abs(answers.score - labels)


def _root(answers: Answers, labels: Labels, level: float) -> Estimate:
    squares = (answers.score - labels) ** 2
    return statistics.difference_of_roots(squares, np.zeros_like(squares), level)


def _roots(mine: Answers, other: Answers, labels: Labels, level: float) -> Estimate:
    return statistics.difference_of_roots(
        (mine.score - labels) ** 2, (other.score - labels) ** 2, level
    )
