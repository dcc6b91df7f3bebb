"""How far does a prediction move when one number of its row moves by 1 %?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tidegate.check.context import Context
from tidegate.check.result import Figure, Result, passed, skipped, warned
from tidegate.check.subject import Subject
from tidegate.errors import MissingDependencyError, TidegateError

__all__ = ["NAME", "STEP", "check"]

NAME: Final = "perturbation"

STEP: Final = 0.01
"""Numbers move by this share of themselves, up and down."""

MORE: Final = 1.5
"""So many times the champion's move is worth a warning: some columns have more than 1 % of noise."""

MAX_ROWS: Final = 2_000
"""Rows that are asked for each column."""

MAX_SHOWN: Final = 8
"""Columns with a figure of their own, those that move most first."""


def check(context: Context) -> Result:
    """Moves one numeric column at a time and compares answers with those before.

    Moves of predictions are in units of a probability; of a regressor's prediction in standard
    deviations of its predictions. Whole numbers move to the next whole number where 1 % is one.
    """
    if context.candidate.manifest.kind == "tensors":
        return skipped(NAME, "the bundle takes tensors: it has no columns to move")
    if context.rows is None:
        return skipped(NAME, "there are neither a holdout nor golden rows to ask")
    table = context.rows.slice(0, MAX_ROWS)
    moves = _moves(context.subject, table)
    if not moves:
        return skipped(NAME, "the bundle has no numeric column")
    limit = context.requirements.limit("perturbation")
    ordered = sorted(moves.items(), key=lambda item: -item[1][0])
    figures = [Figure("rows", table.num_rows, unit="rows")]
    figures += [
        Figure(f"mean move by {name}", mean, limit=limit) for name, (mean, _) in ordered[:MAX_SHOWN]
    ]
    figures.append(Figure("largest move", max(largest for _, largest in moves.values())))
    unit = "" if context.candidate.manifest.kind == "classifier" else " standard deviations"
    first, (mean, _) = ordered[0]
    over = [name for name, (mean, _) in ordered if mean > limit]
    if over:
        before = _reigning(context, table)
        figures += [
            Figure(f"mean move by {name} of champion", before[name][0])
            for name in over
            if name in before
        ]
        over = [name for name in over if moves[name][0] > MORE * before.get(name, (0.0, 0.0))[0]]
    if over:
        return warned(
            NAME,
            f"1 % more or less of {', '.join(over)} moves predictions by more than {limit:g}{unit} on "
            f"average ({over[0]}: {moves[over[0]][0]:.3g})",
            figures,
        )
    return passed(
        NAME,
        f"1 % more or less of any column moves predictions by at most {mean:.3g}{unit} on average "
        f"({first})",
        figures,
    )


def _reigning(context: Context, table: Any) -> dict[str, tuple[float, float]]:
    """The same of the champion, where it can answer these rows."""
    champion = context.champion
    if champion is None or champion.manifest.kind != context.candidate.manifest.kind:
        return {}
    try:
        return _moves(context.reigning, table)
    except TidegateError:
        return {}


def _moves(subject: Subject, table: Any) -> dict[str, tuple[float, float]]:
    """By column the mean and the largest move of a prediction."""
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
    except ImportError as error:
        raise MissingDependencyError(
            "moving columns takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    from tidegate.features import Schema

    schema = Schema.from_json(subject.bundle.read("schema.json").decode())
    before = subject.answer(table)
    spread = 1.0
    if before.kind == "regressor":
        spread = float(before.score.std()) or 1.0
    found: dict[str, tuple[float, float]] = {}
    for field in schema:
        if field.dtype not in ("float64", "int64"):
            continue
        place = table.column_names.index(field.name)
        column = table.column(place)
        changes = []
        for factor in (1 + STEP, 1 - STEP):
            moved = pc.multiply(pc.cast(column, pa.float64()), factor)
            if field.dtype == "int64":
                moved = pc.cast(pc.round(moved), pa.int64())
            after = subject.answer(table.set_column(place, field.name, moved))
            changes.append(np.abs(after.scores - before.scores).max(axis=1) / spread)
        change = np.concatenate(changes)
        found[field.name] = float(change.mean()), float(change.max())
    return found
