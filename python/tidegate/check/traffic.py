"""Would the candidate take what clients really send? Logged requests are asked once more."""

from __future__ import annotations

from typing import Any, Final

from tidegate.check.context import LEVEL, Context
from tidegate.check.result import Figure, Result, failed, passed, skipped
from tidegate.check.statistics import share
from tidegate.check.subject import Subject, opened
from tidegate.errors import MissingDependencyError, NotFoundError, TidegateError

__all__ = ["MAX_REQUESTS", "NAME", "check"]

NAME: Final = "clients"

MAX_REQUESTS: Final = 1_000
"""Newest logged rows that are asked again."""

FEATURE: Final = "feature_"


def check(context: Context) -> Result:
    """Sends logged rows to the candidate and to the champion, with their rules on.

    What both refuse is no fault of the candidate's. Columns that the log leaves out or hashes
    cannot be asked again; the sentence names them.
    """
    if context.request.log is None:
        return skipped(NAME, "no prediction log was named: give --log LOCATION")
    if "schema.json" not in context.candidate.manifest.files:
        return skipped(NAME, "of models without a feature set only answers are logged")
    try:
        columns, rows = _newest(context)
    except (NotFoundError, MissingDependencyError) as error:
        return skipped(NAME, str(error))
    reference = context.champion or context.candidate
    absent = _unlogged(reference, columns, rows)
    if absent:
        return skipped(
            NAME,
            f"the log leaves out or hashes {', '.join(absent)}: its rows cannot be asked again",
        )
    requests = [
        {name.removeprefix(FEATURE): value for name, value in zip(columns, row, strict=True)}
        for row in rows
    ]
    refused: list[str] = []
    with opened(context.candidate, guarded=True) as candidate:
        for request in requests:
            reason = _refusal(candidate, request)
            if reason is not None:
                refused.append(reason)
    before = 0
    if refused and context.champion is not None:
        with opened(context.champion, guarded=True) as champion:
            before = sum(_refusal(champion, request) is not None for request in requests)
    found = share(len(refused), len(requests), LEVEL)
    figures = (
        Figure("rows", len(requests), unit="rows"),
        Figure("refused", *found, LEVEL, unit="share"),
        Figure("refused by champion", before / len(requests), unit="share"),
    )
    if len(refused) > before:
        return failed(
            NAME,
            f"{len(refused)} of the last {len(requests)} logged rows would be refused, {before} by "
            f"the champion: {refused[0]}",
            figures,
        )
    return passed(
        NAME, f"of the last {len(requests)} logged rows none more is refused than now", figures
    )


def _newest(context: Context) -> tuple[list[str], list[tuple[Any, ...]]]:
    from tidegate.monitoring.log.query import Selection, query

    assert context.request.log is not None
    columns, rows = query(
        f"SELECT * FROM predictions ORDER BY time DESC LIMIT {MAX_REQUESTS}",
        context.request.log,
        Selection((context.champion or context.candidate).name),
    )
    places = [place for place, name in enumerate(columns) if name.startswith(FEATURE)]
    return [columns[place] for place in places], [
        tuple(row[place] for place in places) for row in rows
    ]


def _unlogged(bundle: Any, columns: list[str], rows: list[tuple[Any, ...]]) -> list[str]:
    """Columns of the schema that the log does not have, or has as hashes."""
    from tidegate.features import Schema

    absent = []
    for field in Schema.from_json(bundle.read("schema.json").decode()):
        logged = FEATURE + field.name
        if logged not in columns:
            absent.append(field.name)
        elif field.dtype != "string":
            place = columns.index(logged)
            if any(isinstance(row[place], str) for row in rows):
                absent.append(field.name)
    return absent


def _refusal(subject: Subject, request: dict[str, Any]) -> str | None:
    try:
        subject.ask(request)
    except TidegateError as error:
        return str(error)
    return None
