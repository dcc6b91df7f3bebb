"""Commands: what each appends, and what is refused in one sentence with the traffic unchanged."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.registry.conftest import Make, make, registry
from tests.routing.replica import Versions

from tidegate.errors import ConflictError, InputError, NotFoundError, TidegateError
from tidegate.registry import Registry
from tidegate.routing import AB, BlueGreen, Canary, Key, Rule, ShadowFirst, Step
from tidegate.routing.catalogue import Known, RegistryCatalogue
from tidegate.routing.control import Control
from tidegate.routing.toml import Plan, plan_from_toml, plan_of
from tidegate.storage import FolderStore

__all__ = ["make", "registry"]

WHO: dict[str, Any] = {"actor": "ann", "reason": "because"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(FolderStore(tmp_path), "m", Versions(), clock=Clock())


def shares(control: Control) -> str:
    newest = control.newest()
    return "" if newest is None else str(newest.routing)


def test_a_rollout_by_hand_from_its_start_to_its_undoing(control: Control) -> None:
    started = control.start(Plan("m", "1.1.0", Canary((Step(5), Step(50)))), **WHO)
    assert (started.number, started.event, started.parent) == (2, "start", 1)
    assert started.rollout is not None
    assert (started.rollout.id, started.rollout.phase, started.rollout.step) == (
        "r2",
        "progressing",
        0,
    )
    assert shares(control) == "1.0.0 95 %, 1.1.0 5 %"
    paused = control.pause(**WHO)
    assert paused.rollout is not None
    assert (paused.event, paused.rollout.phase) == ("pause", "paused")
    assert paused.routing == started.routing
    resumed = control.resume(**WHO)
    assert resumed.rollout is not None
    assert resumed.rollout.phase == "progressing"
    assert resumed.rollout.step_began > started.rollout.step_began
    control.promote(**WHO)
    assert shares(control) == "1.1.0 100 %"
    control.start(Plan("m", "1.2.0"), **WHO)
    control.abort(**WHO)
    assert shares(control) == "1.1.0 100 %"
    assert [entry.revision.event for entry in control.history()] == [
        *("abort", "start", "promote", "resume", "pause", "start", "set"),
    ]
    assert [entry.revision.event for entry in control.history(2)] == ["abort", "start"]
    assert control.verify().revisions == 7
    assert {entry.revision.actor for entry in control.history()} == {"ann"}


def test_undo_goes_back_plan_by_plan_and_not_forth_again(control: Control) -> None:
    for version in ("1.1.0", "1.2.0"):
        control.start(Plan("m", version), **WHO)
        control.promote(**WHO)
    assert shares(control) == "1.2.0 100 %"
    assert str(control.undo(**WHO).routing) == "1.1.0 100 %"
    again = control.undo(**WHO)
    assert (str(again.routing), again.parent) == ("1.0.0 100 %", 1)
    with pytest.raises(ConflictError, match="no plan before revision 1: there is nothing"):
        control.undo(**WHO)
    assert str(control.undo(5, **WHO).routing) == "1.2.0 100 %"
    # In the middle of a rollout the plan before is the one that it started from.
    control.start(Plan("m", "1.3.0"), **WHO)
    undone = control.undo(**WHO)
    assert (str(undone.routing), undone.rollout) == ("1.2.0 100 %", None)


def test_strategies_begin_with_their_first_step(control: Control) -> None:
    control.start(Plan("m", "1.1.0", ShadowFirst(20.0)), **WHO)
    assert shares(control) == "1.0.0 100 %, 20 % copied to 1.1.0"
    control.promote(**WHO)
    assert shares(control) == "1.1.0 100 %"
    control.start(Plan("m", "1.2.0", BlueGreen()), **WHO)
    assert shares(control) == "1.1.0 0 %, 1.2.0 100 %"
    control.abort(**WHO)
    test = AB("colour", (("1.2.0", 30.0), ("1.3.0", 30.0)))
    control.start(Plan("m", strategy=test, key=Key("header", "x-user")), **WHO)
    assert shares(control) == "1.1.0 40 %, 1.2.0 30 %, 1.3.0 30 %"
    with pytest.raises(InputError, match=r"candidates 1\.2\.0, 1\.3\.0: say which"):
        control.promote(**WHO)
    with pytest.raises(InputError, match=r"version 9\.0\.0 is not in this routing"):
        control.promote("9.0.0", **WHO)
    promoted = control.promote("1.3.0", **WHO)
    assert (str(promoted.routing), promoted.routing.experiment) == ("1.3.0 100 %", None)
    assert promoted.routing.key == Key("header", "x-user")


def test_gates_are_those_of_the_plan_or_of_the_strategy(control: Control) -> None:
    started = control.start(Plan("m", "1.1.0"), **WHO)
    assert started.rollout is not None
    assert [gate["kind"] for gate in started.rollout.gates] == ["errors", "latency", "prediction"]
    control.abort(**WHO)
    plan = plan_of(
        {
            "deployment": "m",
            "candidate": "1.1.0",
            "gates": [{"kind": "latency", "quantile": 0.5}],
            "budget": {"false_abort": 0.01},
        }
    )
    # What a gate needs is counted.
    started = control.start(plan, **WHO)
    assert started.rollout is not None
    assert 0.5 in started.routing.observe.quantiles
    assert started.rollout.budget.false_abort == 0.01
    control.abort(**WHO)
    traffic = shares(control)
    wrong = plan_of({"deployment": "m", "candidate": "1.1.0", "gates": [{"kind": "disagreement"}]})
    with pytest.raises(InputError, match="gate 'disagreement' says nothing in a canary: begin"):
        control.start(wrong, **WHO)
    assert shares(control) == traffic


def test_fixed_arms_are_set_at_once(control: Control) -> None:
    rules = (Rule("header", "x-tenant", ("a",), "1.1.0"),)
    plan = Plan("m", arms=(("1.0.0", 70.0), ("1.1.0", 30.0)), rules=rules)
    revision = control.start(plan, **WHO)
    assert (revision.number, revision.event, revision.rollout) == (1, "set", None)
    assert shares(control) == "1.0.0 70 %, 1.1.0 30 %"
    # What is not said stays.
    control.start(Plan("m", arms=(("1.0.0", 50.0), ("1.1.0", 50.0))), **WHO)
    newest = control.newest()
    assert newest is not None
    assert newest.routing.rules == rules


def started(control: Control) -> None:
    control.start(Plan("m", "1.1.0"), **WHO)


def aborted(control: Control) -> None:
    started(control)
    control.abort(**WHO)


def promoted(control: Control) -> None:
    started(control)
    control.promote(**WHO)


@pytest.mark.parametrize(
    ("before", "command", "error", "sentence"),
    [
        (None, lambda c: c.pause(**WHO), ConflictError, "has no revision, and nothing to pause"),
        (None, lambda c: c.undo(**WHO), ConflictError, "has no revision, and nothing to undo"),
        (started, started, ConflictError, r"rollout r2 of 1\.1\.0 .* is progressing: promote or"),
        (started, lambda c: c.resume(**WHO), ConflictError, "is not paused, it progresses"),
        (
            started,
            lambda c: (c.pause(**WHO), c.pause(**WHO)),
            ConflictError,
            r"r2 of 1\.1\.0 is paused already",
        ),
        (started, lambda c: c.undo(2, **WHO), InputError, "revision 2 .* is a step of rollout r2"),
        (
            aborted,
            lambda c: c.promote(**WHO),
            ConflictError,
            r"no rollout to promote \(rollout r2 of 1\.1\.0 was aborted\): start a new one",
        ),
        (promoted, lambda c: c.abort(**WHO), ConflictError, r"1\.1\.0 was promoted\)"),
        (aborted, lambda c: c.undo(**WHO), ConflictError, "no plan before revision 3"),
        (aborted, lambda c: c.undo(99, **WHO), NotFoundError, "no revision 99"),
        (
            aborted,
            lambda c: c.start(Plan("m", "1.0.0"), **WHO),
            InputError,
            r"version 1\.0\.0 of 'm' is the stable one already",
        ),
        (aborted, lambda c: c.start(Plan("n", "1.1.0"), **WHO), InputError, "plan is of .* 'n'"),
        (
            aborted,
            lambda c: c.start(
                Plan("m", "1.1.0", rules=(Rule("header", "x", ("a",), "1.4.0"),)), **WHO
            ),
            InputError,
            r"sends requests to 1\.4\.0, which is no arm",
        ),
        (aborted, lambda c: c.pause(actor="a" * 999), ConflictError, "no rollout to pause"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_appended(
    control: Control,
    before: Callable[[Control], Any] | None,
    command: Callable[[Control], Any],
    error: type[TidegateError],
    sentence: str,
) -> None:
    if before is not None:
        before(control)
    traffic = shares(control)
    with pytest.raises(error, match=sentence) as raised:
        command(control)
    assert str(raised.value).count("\n") == 0
    assert shares(control) == traffic


def test_what_a_registry_does_not_have_is_named(registry: Registry, make: Make) -> None:
    for version in ("1.0.0", "1.1.0"):
        registry.publish(make(version), alias="champion" if version == "1.0.0" else None)
    control = Control(registry.store, "m", RegistryCatalogue(registry))
    with pytest.raises(NotFoundError, match=r"no version '7\.0\.0': it has 1\.1\.0, 1\.0\.0"):
        control.start(Plan("m", "7.0.0"), **WHO)
    assert control.newest() is None
    found = control.start(Plan("m", "1.1.0"), **WHO)
    assert found.routing.stable.digest == registry.resolve("m@1.0.0").digest
    # Another registry with another bundle of that version is not what is served.
    other = Control(registry.store, "m", Versions())
    other.abort(**WHO)
    with pytest.raises(ConflictError, match="in the registry is None, and sha256:"):
        other.start(Plan("m", "1.2.0"), **WHO)


def test_a_deployment_without_champion_needs_to_know_what_is_stable(
    registry: Registry, make: Make
) -> None:
    for version in ("1.0.0", "1.1.0"):
        registry.publish(make(version))
    control = Control(registry.store, "m", RegistryCatalogue(registry))
    with pytest.raises(NotFoundError, match="say in the plan which version is stable"):
        control.start(Plan("m", "1.1.0"), **WHO)
    control.start(Plan("m", "1.1.0", stable="1.0.0"), **WHO)
    assert shares(control) == "1.0.0 99 %, 1.1.0 1 %"


class Other(Versions):
    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def find(self, deployment: str, selector: str) -> Known:
        known = super().find(deployment, selector)
        if selector == "1.0.0":
            return known
        fields = {"columns": "m", "kind": "classifier", "classes": (0, 1), **self._changes}
        return Known(selector, None, **fields)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"columns": "others"}, r"1\.1\.0 of 'm' takes other columns than the stable version 1\.0"),
        ({"kind": "regressor"}, "is a regressor and the stable version"),
        ({"classes": (0, 1, 2)}, r"gives the classes \[0, 1, 2\]"),
    ],
)
def test_a_canary_of_another_schema_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    control = Control(FolderStore(tmp_path), "m", Other(**changes))
    with pytest.raises(InputError, match=sentence):
        control.start(Plan("m", "1.1.0"), **WHO)
    with pytest.raises(InputError, match=sentence):
        control.start(Plan("m", arms=(("1.0.0", 50.0), ("1.1.0", 50.0))), **WHO)
    assert shares(control) in ("", "1.0.0 100 %")


def test_a_candidate_is_tested_first(tmp_path: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def check(deployment: str, stable: Known, candidate: Known) -> str | None:
        asked.append((deployment, stable.version, candidate.version))
        return "its golden rows do not reproduce" if candidate.version == "1.1.0" else None

    control = Control(FolderStore(tmp_path), "m", Versions(), check=check)
    with pytest.raises(InputError, match="has not passed its test, and is not rolled out: its gol"):
        control.start(Plan("m", "1.1.0"), **WHO)
    assert shares(control) == "1.0.0 100 %"
    control.start(Plan("m", "1.2.0"), **WHO)
    control.abort(**WHO)
    assert asked == [("m", "1.0.0", "1.1.0"), ("m", "1.0.0", "1.2.0")]
    forced = control.start(Plan("m", "1.1.0"), **WHO, skip_check="it is on fire")
    assert forced.reason == "because (not tested: it is on fire)"
    assert len(asked) == 2


@pytest.mark.parametrize("known", [True, None])
def test_gates_on_labels_need_labels(tmp_path: Path, known: bool | None) -> None:
    plan = Plan("m", "1.1.0", gates=({"kind": "quality"},))
    without = Control(FolderStore(tmp_path), "m", Versions(), labels=lambda: False)
    with pytest.raises(InputError, match="no label has ever come: report them by feedback"):
        without.start(plan, **WHO)
    found = without.newest()
    assert found is None or found.rollout is None
    control = Control(FolderStore(tmp_path), "m", Versions(), labels=lambda: known)
    assert control.start(plan, **WHO).event == "start"


def test_of_two_people_one_is_first_and_the_other_is_told(tmp_path: Path) -> None:
    outcomes: list[object] = []
    gate = threading.Barrier(4)

    def start(number: int) -> None:
        control = Control(FolderStore(tmp_path), "m", Versions())
        gate.wait()
        try:
            outcomes.append(control.start(Plan("m", f"1.{number}.0"), **WHO))
        except ConflictError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(told) == 3
    assert all("promote or abort it first" in sentence for sentence in told)
    assert Control(FolderStore(tmp_path), "m").verify().revisions == 2


def test_a_revision_that_was_edited_stops_every_command(tmp_path: Path, control: Control) -> None:
    started(control)
    path = tmp_path / "deployments/m/revisions/000000000002.json"
    document = json.loads(path.read_text())
    document["body"]["routing"]["arms"][0]["weight"] = 0
    path.write_text(json.dumps(document))
    fresh = Control(FolderStore(tmp_path), "m", Versions())
    with pytest.raises(TidegateError, match=r"revision 2 .* was changed after it was written"):
        fresh.promote(**WHO)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("deployment = ", "is no TOML"),
        ("candidate = '1.1.0'", "deployment is missing"),
        ("deployment = 'm'", "neither candidate nor arms"),
        ("deployment = 'm m'\ncandidate = '1'", "model name 'm m'"),
        ("deployment = 'm'\ncandidates = '1.1.0'", "neither|no key 'candidates': did you mean"),
        (
            "deployment = 'm'\ncandidate = '1.1.0'\nstrategi = {}",
            "no key 'strategi': did you mean 'strategy'",
        ),
        (
            "deployment = 'm'\narms = [{version = '1.0.0', percent = 60}]",
            r"the weights of the plan of 'm' add up to 60 % \(1\.0\.0 60 %\): make it 100 %",
        ),
        (
            "deployment = 'm'\ncandidate = '1'\narms = [{version = '1.0.0', percent = 100}]",
            "choose one of the two",
        ),
        (
            "deployment='m'\n[strategy]\nkind='canary'\nsteps=[{percent=5, max_seconds='1s'}]",
            "can never gather its minimum",
        ),
        (
            "deployment='m'\ncandidate='1'\n[strategy]\nkind='ab'\nexperiment='e'\n"
            "arms=[{version='1.1.0', percent=50}]",
            "leave the candidate out",
        ),
    ],
)
def test_plans_that_make_no_sense_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        plan_from_toml(text)


def test_a_plan_as_people_keep_it_in_git() -> None:
    plan = plan_from_toml(
        """
        deployment = "flight-delay"
        candidate = "1.1.0"
        stable = "1.0.0"
        reason = "new carriers"

        [strategy]
        kind = "shadow"
        share = 10
        [strategy.then]
        kind = "canary"
        steps = [{ percent = 5, min_requests = 2_000, pause = true }, { percent = 25 }]

        [key]
        from = "header"
        name = "X-User"

        [[rules]]
        from = "column"
        name = "origin"
        in = ["EWR"]
        version = "1.0.0"

        [observe]
        segment = "origin"
        metrics = [{ name = "revenue", low = 0, high = 100 }]
        """
    )
    assert plan.strategy == ShadowFirst(10.0, then=Canary((Step(5, 2_000, pause=True), Step(25))))
    assert plan.key == Key("header", "x-user")
    assert plan.observe is not None
    assert plan.observe.segment == "origin"
    assert (plan.candidate, plan.stable, plan.reason) == ("1.1.0", "1.0.0", "new carriers")
