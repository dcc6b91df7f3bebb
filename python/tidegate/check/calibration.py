"""Do events come as often as the probabilities say, and as well as the champion's?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tidegate.check.context import LEVEL, MIN_ROWS, Context
from tidegate.check.quality import judged
from tidegate.check.result import Figure, Result, skipped
from tidegate.check.statistics import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.check.subject import Answers

    Floats = npt.NDArray[np.float64]

__all__ = ["BINS", "NAME", "calibration_error", "check"]

NAME: Final = "calibration"

BINS: Final = 10
"""Bins of equal width, as `docs/quality.md` says."""

RESAMPLES: Final = 1_000
"""Of the rows, with replacement; the same ones for both models."""

MAX_ROWS: Final = 100_000
"""Rows that are resampled: of a larger holdout the first ones."""

SEED: Final = 0


def check(context: Context) -> Result:
    """The expected calibration error of both models and its difference, by the bootstrap of rows.

    Of two classes the probability of the second is held against how often it happens, of more the
    greatest probability against how often the label is right.
    """
    if not context.labelled:
        return skipped(NAME, context.why_unlabelled())
    if context.candidate.manifest.kind != "classifier":
        return skipped(NAME, "a regressor gives no probabilities")
    rows = context.holdout.num_rows
    if rows < MIN_ROWS:
        return skipped(NAME, f"a holdout of {rows} rows tells nothing: give {MIN_ROWS} or more")
    candidate = _cells(context.answers, context.labels)
    figures = [Figure("rows", min(rows, MAX_ROWS), unit="rows")]
    champion = context.champion
    if champion is None or champion.manifest.classes != context.candidate.manifest.classes:
        (mine,) = _resampled([candidate])
        figures.append(_figure("calibration_error", calibration_error(*candidate), mine))
        return skipped(NAME, "there is no champion with these classes to compare with", figures)
    reigning = _cells(context.reigning_answers, context.labels)
    mine, theirs = _resampled([candidate, reigning])
    values = calibration_error(*candidate), calibration_error(*reigning)
    found = _interval(values[0] - values[1], mine - theirs)
    margin = context.requirements.margin("calibration_error")
    difference = Figure("calibration_error difference", *found, LEVEL, margin)
    figures += [
        _figure("calibration_error", values[0], mine),
        _figure("calibration_error of champion", values[1], theirs),
        difference,
    ]
    return judged(NAME, {"calibration_error": (difference, found)}, figures, str(champion))


def calibration_error(probabilities: Floats, happened: Floats) -> float:
    """The mean gap between probability and frequency over bins, weighted by their rows.

    >>> import numpy as np
    >>> round(calibration_error(np.array([0.2, 0.2, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, 0.0])), 6)
    0.3

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015.
    """
    gaps = np.bincount(_bins(probabilities), probabilities - happened, minlength=BINS)
    return float(np.abs(gaps).sum() / len(probabilities))


def _bins(probabilities: Floats) -> npt.NDArray[np.int64]:
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)


def _cells(answers: Answers, labels: Floats) -> tuple[Floats, Floats]:
    if answers.scores.shape[1] == 2:
        return answers.scores[:MAX_ROWS, 1], (labels == 1).astype(np.float64)[:MAX_ROWS]
    assert answers.decided is not None
    right = (answers.decided == labels).astype(np.float64)
    return answers.score[:MAX_ROWS], right[:MAX_ROWS]


def _resampled(models: list[tuple[Floats, Floats]]) -> list[Floats]:
    """The error of each model in each resample, `[resamples]`."""
    random = np.random.default_rng(SEED)
    rows = len(models[0][0])
    bins = [_bins(probabilities) for probabilities, _ in models]
    gaps = [probabilities - happened for probabilities, happened in models]
    found = np.empty((len(models), RESAMPLES))
    for turn in range(RESAMPLES):
        # How often each row is drawn: one draw serves both models.
        weights = np.bincount(random.integers(0, rows, rows), minlength=rows)
        for place, (cells, gap) in enumerate(zip(bins, gaps, strict=True)):
            sums = np.bincount(cells, gap * weights, minlength=BINS)
            found[place, turn] = np.abs(sums).sum() / rows
    return list(found)


def _interval(value: float, drawn: Floats) -> Estimate:
    """The basic bootstrap: the error is biased upwards in resamples as it is in samples."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, 2 * value - float(high), 2 * value - float(low))


def _figure(name: str, value: float, drawn: Floats) -> Figure:
    _, low, high = _interval(value, drawn)
    return Figure(name, value, max(low, 0.0), max(high, 0.0), LEVEL)
