"""Revisions round-trip, and an edited one is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.strategies import REVISIONS

from tidegate.errors import InputError, StateError
from tidegate.routing import Arm, Canary, Revision, RolloutState, Routing, Step
from tidegate.storage.canonical import encode

GOLDEN = Path(__file__).parent.parent / "golden" / "routing" / "revision.json"

ROLLOUT = RolloutState(
    "r2",
    Canary((Step(5), Step(50, 1_000, 600.0, 7_200.0, pause=True))),
    ({"kind": "errors", "margin": 0.01},),
    (Arm("1.1.0", 0, "candidate", "sha256:" + "1" * 64),),
    "progressing",
    0,
    1_700_000_000.5,
    1_700_000_000.5,
    {"errors": {"outcome": "not_enough"}},
)
REVISION = Revision(
    "flight-delay",
    2,
    1_700_000_000.5,
    "ann",
    "try 1.1.0",
    "start",
    Canary((Step(5), Step(50))).routing(Routing.alone("1.0.0"), ROLLOUT.candidates, 0),
    ROLLOUT,
    None,
    1,
    "0" * 64,
)


@given(REVISIONS)
def test_documents_round_trip(revision: Revision) -> None:
    document = json.loads(encode(revision.to_document()))
    assert Revision.from_document(document, "it") == revision


def test_the_golden_revision_is_read_and_written_as_ever() -> None:
    data = GOLDEN.read_bytes()
    assert Revision.from_document(json.loads(data), "the golden one") == REVISION
    assert encode(REVISION.to_document()) == data.strip()


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a document is."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        nested = isinstance(inner, dict | list) and inner
        found += paths(inner, (*path, key)) if nested else [(*path, key)]
    return found


PATHS = paths(REVISION.to_document())


@given(st.sampled_from(PATHS), st.sampled_from([None, 7, "edited", 0.25, [], {}]))
def test_whatever_is_edited_is_refused(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(encode(REVISION.to_document()))
    place = document
    for key in path[:-1]:
        place = place[key]
    if encode({"": place[path[-1]]}) == encode({"": value}):
        return
    place[path[-1]] = value
    with pytest.raises(StateError, match=r"changed after it was written|has no 'format'|newer"):
        Revision.from_document(document, "revision 2")


def test_the_next_revision_is_never_earlier() -> None:
    behind = REVISION.following("pause", actor="bob", reason="", time=5.0)
    assert (behind.number, behind.time, behind.parent) == (3, REVISION.time, 2)
    assert behind.routing == REVISION.routing
    with pytest.raises(InputError, match="the reason has 2000 characters"):
        REVISION.following("pause", actor="bob", reason="x" * 2_000, time=0.0)
