"""Engines in virtual time: nobody is told twice, ends follow begins, restarts change nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.monitoring.alerts.harness import STEPS, Replica, Told, memory, queued

from tidegate.errors import StorageError
from tidegate.monitoring.alerts.presence import DEAD_SECONDS
from tidegate.monitoring.alerts.silence import silence_of
from tidegate.storage import Store

START = 1_700_000_000.0
LOUD, QUIET = 99.0, 0.0

RULES: list[dict[str, Any]] = [
    {},
    {"for": "1m"},
    {"keep": "2m", "group_wait": "30s"},
    {"group_by": ["rule"], "group_interval": "1m", "repeat": "3m"},
    {"escalation": STEPS, "repeat": "10m"},
]

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from([1.0, 15.0, 15.0, 45.0, 130.0]),
        st.sampled_from([LOUD, LOUD, QUIET]),
        st.sampled_from([LOUD, QUIET, None]),
        st.sampled_from(["", "", "", "leave", "kill", "ack", "silence"]),
    ),
    max_size=25,
)
Script = list[tuple[float, float, float | None, str]]


def rows(one: float, other: float | None) -> dict[str, float]:
    return {"one": one} if other is None else {"one": one, "other": other}


def once_each(told: Told) -> None:
    for channel in ("first", "second"):
        for kind in ("firing", "escalated", "resolved"):
            for key, times in Counter(told.about(kind, channel)).items():
                assert times == 1, (kind, channel, key)
    began: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for _, channel, kind, key in told.lines:
        if kind == "resolved":
            assert (channel, key) in began
            ended.add((channel, key))
        else:
            assert (channel, key) not in ended
            began.add((channel, key))


def acted(replica: Replica, action: str, now: float) -> None:
    journal = replica.engine.journal
    if action == "ack":
        for incident in list(journal.state.incidents.values()):
            journal.append(
                {
                    "type": "acknowledged",
                    "at": now,
                    "by": "x",
                    "incident": incident.id,
                    "author": "x",
                }
            )
    elif action == "silence":
        body = silence_of({"matchers": {"model": "one"}, "seconds": 200}, now)
        journal.append(
            {"type": "silenced", "at": now, "by": "x", "id": str(now), **body, "author": "x"}
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SCRIPT, st.sampled_from(RULES), st.integers(1, 3))
def test_nobody_is_told_twice(script: Script, values: dict[str, Any], many: int) -> None:
    store, told, now = memory(), Told(), START
    rules = queued(**values)
    replicas = [Replica(f"r{i}", store, rules, told) for i in range(many)]
    names = many
    for pause, one, other, action in script:
        now += pause
        if action in ("leave", "kill"):
            if action == "leave":
                replicas[0].engine.leave(now)
            replicas[0] = Replica(f"r{names}", store, rules, told)
            names += 1
        acted(replicas[0], action, now)
        for replica in replicas:
            replica.tick(now, **rows(one, other))
        once_each(told)
    # Once everything is quiet for long, everybody who heard of a begin has heard of the end.
    for _ in range(30):
        now += 60.0
        for replica in replicas:
            replica.tick(now, **rows(QUIET, QUIET))
    once_each(told)
    for channel in ("first", "second"):
        heard = {key for _, where, kind, key in told.lines if where == channel}
        assert heard == set(told.about("resolved", channel))
    state = replicas[0].engine.state
    assert not state.firing
    assert not state.deliveries
    assert all(incident.status == "resolved" for incident in state.incidents.values())
    for replica in replicas[1:]:
        assert replica.engine.state.incidents == state.incidents


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
# The time of `keep` begins anew, as the page says.
@given(SCRIPT, st.sampled_from([values for values in RULES if "keep" not in values]))
def test_a_restart_is_as_never_stopped(script: Script, values: dict[str, Any]) -> None:
    """What is told, when and where, does not depend on restarts between two looks."""
    heard = []
    for restarts in (False, True):
        store, told, now = memory(), Told(), START
        rules = queued(**values)
        replica = Replica("r0", store, rules, told)
        for number, (pause, one, other, action) in enumerate(script, 1):
            if restarts and action in ("leave", "kill"):
                replica.engine.leave(now)
                replica = Replica(f"r{number}", store, rules, told)
            now += pause
            if action in ("ack", "silence"):
                acted(replica, action, now)
            replica.tick(now, **rows(one, other))
        heard.append(told.lines)
    assert heard[0] == heard[1]


def test_replicas_share_one_firing_until_the_last_lets_go() -> None:
    store, told = memory(), Told()
    a, b = (Replica(name, store, queued(), told) for name in "ab")
    for now, left, right in ((0.0, LOUD, QUIET), (15.0, LOUD, LOUD), (30.0, QUIET, LOUD)):
        a.tick(START + now, m=left)
        b.tick(START + now, m=right)
    assert len(told.about("firing")) == 1
    assert told.about("resolved") == []
    b.tick(START + 45.0, m=QUIET)
    a.tick(START + 45.0, m=QUIET)
    assert told.about("resolved") == told.about("firing")


def test_what_a_killed_replica_held_is_let_go() -> None:
    store, told = memory(), Told()
    a, b = (Replica(name, store, queued(), told) for name in "ab")
    a.tick(START, m=LOUD)
    b.tick(START, m=QUIET)
    now = START
    while now < START + DEAD_SECONDS + 60.0:
        now += 30.0
        b.tick(now, m=QUIET)
    assert told.about("resolved") == told.about("firing") != []


def test_a_notification_of_a_killed_replica_is_sent_where_repeats_do_no_harm() -> None:
    store, told = memory(), Told()
    a, b = (Replica(name, store, queued(channels=["first", "second"]), told) for name in "ab")
    a.arrives = False
    a.tick(START, m=LOUD)
    assert told.lines == []
    now = START
    while now < START + DEAD_SECONDS + 60.0:
        now += 30.0
        b.tick(now, m=LOUD)
    # A webhook knows a repeat by its id. Slack does not: there it may have arrived.
    assert len(told.about("firing", "first")) == 1
    assert told.about("firing", "second") == []
    assert [failure["channel"] for failure in b.engine.state.failures] == ["second"]


def test_escalation_climbs_until_somebody_acknowledges() -> None:
    store, told = memory(), Told()
    rules = queued(escalation=[*STEPS, {"after": "10m", "owner": "all", "channels": ["first"]}])
    replica = Replica("r", store, rules, told)
    for minute in range(8):
        replica.tick(START + 60.0 * minute, m=LOUD)
    assert [(at - START, where, kind) for at, where, kind, _ in told.lines] == [
        (0.0, "first", "firing"),
        (300.0, "second", "escalated"),
    ]
    acted(replica, "ack", START + 500.0)
    for minute in range(8, 600):
        replica.tick(START + 60.0 * minute, m=LOUD)
    assert len(told.lines) == 2


def test_alerts_of_a_group_are_told_together() -> None:
    store, told = memory(), Told()
    rules = queued(group_by=["rule"], group_wait="30s", group_interval="5m")
    replica = Replica("r", store, rules, told)
    replica.tick(START, one=LOUD, other=QUIET)
    replica.tick(START + 15.0, one=LOUD, other=LOUD)
    assert told.lines == []
    replica.tick(START + 30.0, one=LOUD, other=LOUD)
    assert len(told.lines) == 2
    replica.tick(START + 45.0, one=LOUD, other=LOUD, third=LOUD)
    assert len(told.lines) == 2
    replica.tick(START + 330.0, one=LOUD, other=LOUD, third=LOUD)
    assert len(told.lines) == 3


def test_a_silence_hides_and_its_end_tells() -> None:
    store, told = memory(), Told()
    replica = Replica("r", store, queued(), told)
    body = silence_of({"matchers": {"rule": "queued", "model": "m*"}, "seconds": 60}, START)
    journal = replica.engine.journal
    journal.append({"type": "silenced", "at": START, "by": "r", "id": "s", **body, "author": "me"})
    replica.tick(START + 1.0, m=LOUD)
    replica.tick(START + 59.0, m=LOUD)
    assert told.lines == []
    replica.tick(START + 61.0, m=LOUD)
    assert len(told.about("firing")) == 1


def test_a_model_that_is_no_longer_served_ends_its_alerts_at_once() -> None:
    store, told = memory(), Told()
    replica = Replica("r", store, queued(keep="10m"), told)
    replica.tick(START, m=LOUD, other=QUIET)
    replica.tick(START + 15.0, other=QUIET)
    assert len(told.about("resolved")) == 1


class Failing(Store):
    """A real store that is out of reach while it is told to be."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.location = "failing"
        self.down = False

    def _call(self, name: str, *arguments: Any) -> Any:
        if self.down:
            raise StorageError("the store is out of reach")
        return getattr(self._inner, name)(*arguments)

    def keys(self, prefix: str = "") -> list[str]:
        return self._call("keys", prefix)  # type: ignore[no-any-return]

    def children(self, prefix: str = "") -> list[str]:
        return self._call("children", prefix)  # type: ignore[no-any-return]

    def exists(self, key: str) -> bool:
        return self._call("exists", key)  # type: ignore[no-any-return]

    def fetch(self, key: str, path: Any) -> None:
        self._call("fetch", key, path)

    def delete(self, key: str) -> None:
        self._call("delete", key)

    def digest(self, key: str) -> str | None:
        return self._call("digest", key)  # type: ignore[no-any-return]

    def _create(self, key: str, data: bytes) -> None:
        self._call("_create", key, data)

    def _get(self, key: str, limit: int) -> bytes | None:
        return self._call("_get", key, limit)  # type: ignore[no-any-return]


def test_alerts_are_told_while_the_store_is_out_of_reach() -> None:
    store, told = Failing(memory()), Told()
    replica = Replica("r", store, queued(), told)
    replica.tick(START, m=QUIET)
    store.down = True
    for minute in range(60):
        replica.tick(START + 60.0 * minute, m=LOUD)
    assert len(told.about("firing")) == 1
    assert replica.engine.problem == "the store is out of reach"
    store.down = False
    for minute in range(60, 70):
        replica.tick(START + 60.0 * minute, m=LOUD)
    assert replica.engine.problem is None
    assert len(told.about("firing")) == 1
    # All of it is on record now: a further replica knows of it and says nothing again.
    other = Replica("other", store, queued(), told)
    other.tick(START + 4_260.0, m=LOUD)
    assert other.engine.state.incidents == replica.engine.state.incidents != {}
    assert len(told.about("firing")) == 1


def test_a_start_reads_a_checkpoint_and_few_records() -> None:
    store, told = memory(), Told()
    replica = Replica("r", store, queued(repeat="1m"), told)
    for minute in range(250):
        replica.tick(START + 60.0 * minute, m=LOUD)
    assert store.children("checkpoints")
    again = Replica("again", store, queued(), told)
    assert again.engine.state.to_json() == replica.engine.state.to_json()


@pytest.mark.parametrize("number", [1, 2])
def test_many_alerts_are_bounded(number: int, caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica("r", memory(), queued(), Told())
    models = {f"m{i}": LOUD for i in range(1_100 if number == 1 else 900)}
    replica.tick(START, **models)
    assert len(replica.engine.state.firing) == min(len(models), 1_000)
    assert ("make rules narrower" in caplog.text) == (number == 1)


@pytest.mark.parametrize("clean", [True, False])
def test_what_was_pending_counts_on_after_a_restart(clean: bool) -> None:
    store, told, rules = memory(), Told(), queued(**{"for": "5m"})
    before = Replica("before", store, rules, told)
    before.tick(START, m=LOUD)
    before.tick(START + 31.0, m=LOUD)
    if clean:
        before.engine.leave(START + 45.0)
    after = Replica("after", store, rules, told)
    # One that was killed is known to be gone after two minutes.
    for second in range(60, 301, 15):
        assert told.lines == []
        after.tick(START + second, m=LOUD)
    assert len(told.about("firing")) == 1


def test_what_was_pending_elsewhere_does_not_count_once_it_was_quiet() -> None:
    store, told, rules = memory(), Told(), queued(**{"for": "5m"})
    before = Replica("before", store, rules, told)
    before.tick(START, m=LOUD)
    before.engine.leave(START + 1.0)
    after = Replica("after", store, rules, told)
    after.tick(START + 15.0, m=QUIET)
    for second in range(30, 330, 15):
        after.tick(START + second, m=LOUD)
    assert told.lines == []
    after.tick(START + 330.0, m=LOUD)
    assert len(told.about("firing")) == 1
