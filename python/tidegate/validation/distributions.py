"""Rules about distributions: a column against a reference, in the terms of `docs/drift.md`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, Unpack

from tidegate import _core
from tidegate.validation.rule import Rule, RuleOptions, make

if TYPE_CHECKING:
    from tidegate.types import ArrowTable

__all__ = ["distribution"]


def distribution(
    column: str,
    reference: ArrowTable,
    *,
    distance: Literal["psi", "jensen_shannon"] = "psi",
    max: float = 0.25,  # noqa: A002 - the word that documents and reports have for it
    **options: Unpack[RuleOptions],
) -> Rule:
    """A column is distributed as in a reference.

    Args:
        column: the column.
        reference: a table that has it, such as last month's; its counts become part of the rule,
            with the column's frequent values.
        distance: the population stability index, or the Jensen–Shannon distance, base 2.
        max: the greatest distance that passes.
        **options: see `RuleOptions`.

    Raises:
        InputError: the reference has no such column, or no rows.

    >>> import pyarrow as pa
    >>> table = pa.table({"origin": ["EWR", "JFK"] * 100})
    >>> distribution("origin", table, max=0.1).check["distance"]
    'psi'
    """
    baseline = json.loads(_core.column_baseline(reference, column))
    return make(
        {
            "kind": "distribution",
            "column": column,
            "distance": distance,
            "max": float(max),
            "reference": baseline,
        },
        options,
    )
