"""One replica decides at a time, by nobody's wall clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import InputError, StorageError
from tidegate.routing.lease import KEPT, MARGIN, Lease
from tidegate.storage import AmbiguousWriteError, FolderStore, Log, Store

SECONDS = 8.0


class Clock:
    """Monotonic seconds that a test turns on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def lease(store: Store, holder: str, clock: Clock, *, wall: float = 0.0) -> Lease:
    return Lease(store, "m", holder, seconds=SECONDS, clock=clock, wall=lambda: wall)


def test_one_holds_and_renews(store: Store) -> None:
    clock = Clock()
    first, second = lease(store, "a", clock), lease(store, "b", clock)
    assert first.hold() == 1
    assert second.hold() is None
    for _ in range(20):
        clock.now += 1.0
        assert first.hold() is not None
        assert second.hold() is None
    assert (first.holder, second.holder) == ("a", "a")


def test_who_stops_renewing_stops_believing_before_another_takes_it(store: Store) -> None:
    clock = Clock()
    first, second = lease(store, "a", clock), lease(store, "b", clock)
    assert first.hold() == 1
    assert second.hold() is None
    clock.now += SECONDS * (1 - MARGIN)
    assert first.token is None
    assert second.hold() is None
    clock.now += SECONDS * MARGIN
    assert second.hold() == 2
    assert first.hold() is None
    assert first.holder == "b"


def test_a_lease_that_is_given_back_is_free_at_once(store: Store) -> None:
    clock = Clock()
    first, second = lease(store, "a", clock), lease(store, "b", clock)
    first.hold()
    second.hold()
    first.release()
    first.release()
    assert first.token is None
    assert second.hold() == 3


def test_a_lease_that_has_ended_is_not_given_back_for_another(store: Store) -> None:
    clock = Clock()
    first, second = lease(store, "a", clock), lease(store, "b", clock)
    first.hold()
    second.hold()
    clock.now += SECONDS
    assert second.hold() == 2
    first.release()
    assert lease(store, "c", clock).hold() is None


@pytest.mark.parametrize("wall", [-1e9, 1e9])
def test_wall_clocks_do_not_matter(store: Store, wall: float) -> None:
    clock = Clock()
    first, second = lease(store, "a", clock), lease(store, "b", clock, wall=wall)
    assert first.hold() == 1
    assert second.hold() is None
    clock.now += SECONDS / 2
    assert first.hold() == 2
    assert second.hold() is None
    clock.now += SECONDS
    assert second.hold() == 3


def test_leftovers_are_removed_and_numbers_are_never_given_twice(store: Store) -> None:
    clock = Clock()
    first = lease(store, "a", clock)
    for _ in range(3 * KEPT):
        assert first.hold() is not None
        clock.now += SECONDS / 2
    names = store.children("deployments/m/lease")
    assert len(names) <= KEPT
    clock.now += SECONDS
    late = lease(store, "b", clock)
    assert late.hold() is None
    clock.now += SECONDS
    token = late.hold()
    assert token is not None
    assert token > 3 * KEPT


class Unsure(FolderStore):
    """The answer of a put is lost, for as long as it is said."""

    lost = 0

    def _settle(self, key: str, data: bytes) -> None:
        super()._settle(key, data)
        if self.lost:
            self.lost -= 1
            raise AmbiguousWriteError("connection reset")


def test_a_taking_whose_answer_was_lost_is_taken_again(tmp_path: Path) -> None:
    store, clock = Unsure(tmp_path), Clock()
    first = lease(store, "a", clock)
    store.lost = 1
    with pytest.raises(AmbiguousWriteError):
        first.hold()
    assert first.token is None
    # Its own name stands in the record: nobody else can have the lease.
    assert first.hold() == 2


class Cut(FolderStore):
    cut = False

    def children(self, prefix: str = "") -> list[str]:
        if self.cut:
            raise StorageError("unreachable")
        return super().children(prefix)


def test_a_lease_outlives_a_store_that_does_not_answer_until_its_end(tmp_path: Path) -> None:
    store, clock = Cut(tmp_path), Clock()
    first = lease(store, "a", clock)
    first.hold()
    store.cut = True
    clock.now += SECONDS / 2
    with pytest.raises(StorageError):
        first.hold()
    assert first.token == 1
    clock.now += SECONDS / 2
    assert first.token is None
    first.release()


@pytest.mark.parametrize("seconds", [0.0, float("nan"), 1e9])
def test_bounds(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(InputError, match="a lease of"):
        Lease(FolderStore(tmp_path), "m", "a", seconds=seconds)


@settings(deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["hold", "hold", "release"]), st.floats(0, 6)),
        max_size=40,
    ),
    rates=st.tuples(*[st.floats(0.9, 1.1)] * 3),
)
def test_no_two_believe_at_once_as_long_as_clocks_run_alike(
    moves: list[tuple[int, str, float]], rates: tuple[float, ...]
) -> None:
    from obstore.store import MemoryStore

    from tidegate.storage.remote import ObjectStore

    store = ObjectStore(MemoryStore(), "memory")
    clocks = [Clock() for _ in rates]
    leases = [lease(store, name, clock) for name, clock in zip("abc", clocks, strict=True)]
    tokens: list[int] = []
    for who, what, passed in moves:
        for clock, rate in zip(clocks, rates, strict=True):
            clock.now += passed * rate
        if what == "release":
            leases[who].release()
        elif (token := leases[who].hold()) is not None and token not in tokens:
            tokens.append(token)
        assert sum(each.token is not None for each in leases) <= 1
    assert tokens == sorted(tokens)
    assert Log(store, "deployments/m/lease").last_number() >= max(tokens, default=0)
