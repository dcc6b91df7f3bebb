"""How far does the candidate's answer to the same rows lie from the champion's?"""

from __future__ import annotations

from typing import Final

import numpy as np

from tidegate.check.context import LEVEL, MIN_ROWS, Context
from tidegate.check.result import Figure, Result, failed, passed, skipped, warned
from tidegate.check.statistics import share
from tidegate.monitoring.distances import psi

__all__ = ["NAME", "check"]

NAME: Final = "stability"

NOTABLE: Final = 0.4
"""The share of a limit from which on a person is told."""


def check(context: Context) -> Result:
    """The PSI of scores, the share of rows with another label, the largest change of a score.

    A share of flips fails when its whole interval is over the limit, PSI when it is itself; both
    are warned of where they are notable.
    """
    champion = context.champion
    if champion is None:
        return skipped(NAME, "there is no champion to compare with")
    kinds = {bundle.manifest.kind for bundle in (champion, context.candidate)}
    if len(kinds) > 1 or champion.manifest.classes != context.candidate.manifest.classes:
        return skipped(NAME, "the champion gives another kind of answers")
    if "tensors" in kinds:
        return skipped(NAME, "both answer tensors: only classifiers and regressors are compared")
    if context.rows is None:
        return skipped(NAME, "there are neither a holdout nor golden rows to ask")
    mine, theirs = context.answers, context.reigning_answers
    rows = len(mine.score)
    change = np.abs(mine.score - theirs.score)
    most = context.requirements.limit("psi")
    index = psi(theirs.score, mine.score)
    figures = [
        Figure("rows", rows, unit="rows"),
        Figure("psi", index, limit=most),
        Figure("largest change", float(change.max())),
        Figure("mean change", float(change.mean())),
    ]
    over, notable = [], []
    if rows >= MIN_ROWS:  # Of fewer the index is mostly noise.
        if index > most:
            over.append(f"PSI of scores {index:.3g} over {most:g}")
        elif index > NOTABLE * most:
            notable.append(f"PSI of scores is {index:.3g}")
    if mine.decided is not None and theirs.decided is not None:
        allowed = context.requirements.limit("flips")
        found = share(int((mine.decided != theirs.decided).sum()), rows, LEVEL)
        flips = Figure("flips", *found, LEVEL, allowed, "share")
        figures.append(flips)
        if found.low > allowed:
            over.append(f"{flips.text} of the labels flip, over {allowed:.2%}")
        elif found.value > NOTABLE * allowed:
            notable.append(f"{flips.text} of the labels flip")
    if over:
        return failed(NAME, f"answers differ from those of {champion}: {'; '.join(over)}", figures)
    if notable:
        return warned(
            NAME, f"answers differ from those of {champion}: {'; '.join(notable)}", figures
        )
    return passed(NAME, f"answers are near to those of {champion} on {rows:,} rows", figures)
