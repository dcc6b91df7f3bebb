"""Can clients go on as they are? The candidate's columns and answers against the champion's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.check.context import Context
from tidegate.check.result import Figure, Result, failed, passed, skipped, warned
from tidegate.validation import Rules, compare_schemas

if TYPE_CHECKING:
    from tidegate.features import Schema
    from tidegate.registry import Bundle

__all__ = ["NAME", "check"]

NAME: Final = "schema"


def check(context: Context) -> Result:
    """Finds what would refuse a request that the champion takes, or change the form of an answer.

    A column that is added and required, becomes required, narrows or is removed breaks clients: a
    request with a column that nobody knows is refused too.
    """
    champion, candidate = context.champion, context.candidate
    if champion is None:
        return skipped(NAME, "there is no champion whose clients could be broken")
    breaks = _answers(champion, candidate)
    notes: list[str] = []
    old, new = _schema(champion), _schema(candidate)
    if old is None or new is None:
        if old is not new:
            takes = ["raw columns" if schema else "tensors" for schema in (old, new)]
            breaks.append(f"the champion takes {takes[0]} and the candidate {takes[1]}")
    else:
        for change in compare_schemas(old, new).changes:
            # Requests of today are old data for the new reader.
            breaking = change.compatibility in ("forward", "none") or change.change == "removed"
            (breaks if breaking else notes).append(f"{change.column}: {change.change}")
        notes += _rules(champion, candidate)
    figures = (
        Figure("breaking changes", len(breaks), limit=0),
        Figure("other changes", len(notes)),
    )
    if breaks:
        return failed(
            NAME,
            f"clients of {champion} would be refused or misread: {'; '.join(breaks)}: serve "
            "it under another name, or make new columns nullable",
            figures,
        )
    if notes:
        return warned(
            NAME,
            f"clients of {champion} go on as they are, but {'; '.join(notes)}; arms that "
            "share traffic need one schema",
            figures,
        )
    return passed(NAME, f"columns, rules and answers are those of {champion}", figures)


def _schema(bundle: Bundle) -> Schema | None:
    from tidegate.features import Schema

    if "schema.json" not in bundle.manifest.files:
        return None
    return Schema.from_json(bundle.read("schema.json").decode())


def _answers(champion: Bundle, candidate: Bundle) -> list[str]:
    old, new = champion.manifest, candidate.manifest
    if old.kind != new.kind:
        return [f"the champion is a {old.kind} and the candidate a {new.kind}"]
    if old.classes != new.classes:
        before, after = (
            ", ".join(str(label) for label in bundle.classes or ()) for bundle in (old, new)
        )
        return [f"the classes were {before} and are {after}"]
    return []


def _rules(champion: Bundle, candidate: Bundle) -> list[str]:
    """Rules that may refuse what was taken; whether they do, requests tell."""
    old, new = (
        Rules.from_json(bundle.read("rules.json").decode())
        if "rules.json" in bundle.manifest.files
        else Rules()
        for bundle in (champion, candidate)
    )
    return [f"rule {change}" for change in old.diff(new)]
