"""One alert in virtual time: what may follow what, whatever the data says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.monitoring.alerts.machine import FORGET_SECONDS, INACTIVE, Local, step

VERDICTS = st.lists(
    st.tuples(st.sampled_from([True, False, None]), st.floats(-5.0, 400.0)), max_size=60
)


@given(VERDICTS, st.sampled_from([0.0, 60.0, 300.0]), st.sampled_from([0.0, 120.0]))
def test_begins_and_ends_take_turns(
    verdicts: list[tuple[bool | None, float]], hold: float, keep: float
) -> None:
    local, now, held = INACTIVE, 0.0, False
    for active, pause in verdicts:
        # Also times that go back.
        now += pause
        local, change = step(local, active, now, hold=hold, keep=keep)
        if change == "held":
            assert not held
            assert active
            held = True
        elif change == "released":
            assert held
            assert not active
            held = False
        assert held == (local.state == "firing")


@given(VERDICTS, st.sampled_from([0.0, 60.0]), st.sampled_from([0.0, 120.0]))
def test_stored_is_as_never_stopped(
    verdicts: list[tuple[bool | None, float]], hold: float, keep: float
) -> None:
    straight = stored = INACTIVE
    now = 0.0
    for active, pause in verdicts:
        now += pause
        straight, said = step(straight, active, now, hold=hold, keep=keep)
        again = Local(stored.state, stored.since, stored.known, stored.quiet)
        stored, repeated = step(again, active, now, hold=hold, keep=keep)
        assert (stored, repeated) == (straight, said)


def test_it_must_hold_all_the_time() -> None:
    local = INACTIVE
    for now, active in ((0.0, True), (30.0, False), (40.0, True), (99.0, True)):
        local, change = step(local, active, now, hold=60.0)
        assert change is None
    assert step(local, True, 100.0, hold=60.0)[1] == "held"


def test_what_is_not_known_changes_nothing_for_an_hour() -> None:
    local, _ = step(INACTIVE, True, 0.0)
    local, change = step(local, None, FORGET_SECONDS - 1)
    assert (local.state, change) == ("firing", None)
    assert step(local, None, FORGET_SECONDS)[1] == "released"


def test_keep_outlasts_a_flicker() -> None:
    local, _ = step(INACTIVE, True, 0.0, keep=60.0)
    for now, active in ((10.0, False), (60.0, True), (70.0, False), (129.0, False)):
        local, change = step(local, active, now, keep=60.0)
        assert change is None
    assert step(local, False, 130.0, keep=60.0)[1] == "released"
