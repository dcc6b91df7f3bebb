"""A rollout that was given up opens an incident, which keeps the evidence and tells people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.alerts.test_watch import Hands
from tests.routing.gates import material as made
from tests.routing.test_rollout import CANARY, FINE, counted, started

from tidegate.demo.tiny import tiny_bundle
from tidegate.errors import ConfigurationError, NotFoundError, StorageError
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.rule import REPORTED_RULE
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.incidents.archive import Archive
from tidegate.routing import Revision
from tidegate.routing.gates import Features, Prediction
from tidegate.routing.incident import opened
from tidegate.routing.rollout import Decision, decide
from tidegate.runtime import Runtime
from tidegate.storage import FolderStore


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        watch = Watch(Alerts(storage=str(tmp_path / "alerts")), runtime)
        yield watch
        watch.close()


def given_up() -> tuple[Revision, Decision]:
    gates = tuple(gate.to_document() for gate in (Prediction(), Features()))
    revision = started(CANARY, gates=gates)
    worse = counted(revision, made.sample(2_000, tilt=0.9, seed=1), made.sample(8_000))
    decision = decide(revision, worse, 10.0)
    assert decision is not None
    assert decision.event == "abort"
    return revision, decision


def test_the_incident_has_the_evidence(watch: Watch) -> None:
    revision, decision = given_up()
    name = opened(watch, revision, decision)
    assert name is not None
    [shown] = watch.incidents()
    assert (shown["id"], shown["status"], shown["severity"]) == (name, "open", "critical")
    [alert] = shown["alerts"]
    assert alert["text"] == decision.reason
    records = watch.incident(name)["records"]
    kinds = [record["type"] for record in records]
    assert kinds.count("rollout") == 1
    assert "evidence" in kinds
    review = watch.review(name)
    assert "## Rollout r2" in review
    assert "| 1.1.0 | prediction | fail | " in review
    assert "1.1.0 had 2,000 requests of which" in review
    assert "cell 1    stable" in review
    assert "rollout r2 is given up: 1.1.0 fails gate prediction" in review


def test_it_stays_until_somebody_resolves_it(watch: Watch) -> None:
    revision, decision = given_up()
    name = opened(watch, revision, decision)
    assert name is not None
    watch.look()
    assert watch.incidents()[0]["status"] == "open"
    assert len(watch.alerts()["alerts"]) == 1
    watch.resolve(name, "ann")
    watch.look()
    [shown] = watch.incidents()
    assert (shown["status"], shown["resolver"]) == ("resolved", "ann")
    assert watch.alerts()["alerts"] == []


def test_it_stays_though_whoever_opened_it_has_gone(watch: Watch, tmp_path: Path) -> None:
    revision, decision = given_up()
    name = opened(watch, revision, decision)
    assert name is not None
    watch.close()
    hands = Hands()
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        alerts = Alerts(storage=str(tmp_path / "alerts"))
        others = [Watch(alerts, runtime, clock=hands) for _ in range(2)]  # type: ignore[arg-type]
        for _ in range(5):
            hands.time += 3_600
            for other in others:
                other.look()
        assert [each["status"] for each in others[0].incidents()] == ["open"]
        # Whoever resolves it, it ends everywhere.
        others[0].resolve(name, "ann")
        for other in [*others, *others]:
            other.look()
        for other in others:
            assert other.alerts()["alerts"] == []
            [shown] = other.incidents()
            assert (shown["status"], shown["resolver"]) == ("resolved", "ann")
            other.close()


def test_what_is_on_record_is_read_without_a_watch(watch: Watch, tmp_path: Path) -> None:
    revision, decision = given_up()
    name = opened(watch, revision, decision)
    assert name is not None
    archive = Archive(FolderStore(tmp_path / "alerts"))
    assert archive.incidents() == watch.incidents()
    assert archive.incident(name) == watch.incident(name)
    assert archive.review(name) == watch.review(name)
    with pytest.raises(NotFoundError, match="there is no incident 'none'"):
        archive.review("none")


def test_changes_of_traffic_are_named_with_all_arms(tmp_path: Path) -> None:
    asked: list[float] = []

    def revised(since: float) -> list[dict[str, Any]]:
        asked.append(since)
        if len(asked) > 1:
            raise StorageError("the store is out of reach")
        at = since + 7_000.0
        change = {"at": at, "what": "deployment", "name": "m", "before": "revision 1: 1.0.0 100 %"}
        return [{**change, "after": "revision 2 (start by ann): 1.0.0 95 %, 1.1.0 5 %"}]

    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        watch = Watch(Alerts(storage=str(tmp_path / "alerts")), runtime, revised=revised)
        revision, decision = given_up()
        first = opened(watch, revision, decision)
        assert first is not None
        [cause] = next(r for r in watch.incident(first)["records"] if r["type"] == "evidence")[
            "causes"
        ]
        assert (cause["kind"], cause["what"]) == ("change", "deployment m")
        assert cause["detail"].endswith("(start by ann): 1.0.0 95 %, 1.1.0 5 %")
        watch.resolve(first, "ann")
        assert revision.rollout is not None
        later = replace(revision, rollout=replace(revision.rollout, id="r9"))
        second = opened(watch, later, decision)
        assert second is not None
        assert "Not to be had: revisions (the store is out of reach)" in watch.review(second)
        watch.close()


def test_each_rollout_has_its_own_and_nothing_else_opens_one(watch: Watch) -> None:
    revision, decision = given_up()
    step = decide(started(CANARY), counted(started(CANARY), FINE), 60.0)
    assert step is not None
    assert opened(watch, revision, step) is None
    assert watch.incidents() == []
    first = opened(watch, revision, decision)
    assert opened(watch, revision, decision) == first
    assert first is not None
    watch.resolve(first, "ann")
    assert revision.rollout is not None
    later = replace(revision, rollout=replace(revision.rollout, id="r9"))
    second = opened(watch, later, decision)
    assert second not in (None, first)
    assert len(watch.incidents()) == 2


def test_a_replica_that_refuses_a_revision_is_evidence_without_gates(watch: Watch) -> None:
    revision, decision = given_up()
    assert revision.rollout is not None
    evidences: tuple[Any, ...] = ({"sentence": "replica a refuses revision 2"}, None)
    for number, evidence in enumerate(evidences):
        alone = replace(decision, reason="replica a refuses revision 2", evidence=evidence)
        rollout = replace(revision.rollout, id=f"r{number}")
        name = opened(watch, replace(revision, rollout=rollout), alone)
        assert name is not None
        review = watch.review(name)
        assert f"## Rollout r{number}" in review
        assert "Revision 2: replica a refuses revision 2" in review
        assert "| gate |" not in review
        watch.resolve(name, "ann")


def test_the_name_of_its_rule_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="another name"):
        Alerts(rules=({"name": REPORTED_RULE, "kind": "no_traffic"},))
