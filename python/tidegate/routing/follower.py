"""Following: a replica takes what the history of a deployment says, and may decide what it says next.

Each deployment is followed by a thread of its own, so that a model that loads for minutes holds up
nobody else. Whatever goes wrong here, what is served goes on being served.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tidegate.errors import ConflictError, InputError, StorageError, TidegateError
from tidegate.routing.board import Board
from tidegate.routing.history import History
from tidegate.routing.lease import Lease
from tidegate.routing.plan import Routing
from tidegate.routing.revision import Event, Revision, RolloutState
from tidegate.storage import Store
from tidegate.types import JsonObject

__all__ = ["Decide", "Follower", "FollowerState", "Loader", "Next"]

LOG: Final = logging.getLogger("tidegate.routing")

CHECK_SECONDS: Final = 5.0
"""How often the newest record is read again, in case somebody has changed or removed it."""

PATIENCE: Final = 5.0
"""Seconds that a store which does not answer is waited for at the end."""

MOST_BACK: Final = 20
"""Revisions that a replica without a plan goes back to find one that it can serve."""


class Loader(Protocol):
    """What serves: it loads models and switches between two requests."""

    def switch(self, revision: Revision) -> None:
        """Loads, verifies and warms what a revision needs, and only then serves by it.

        Raises:
            StorageError: If the store cannot be reached; it is tried again.
            TidegateError: If the revision cannot be served; what was served goes on.
        """

    def samples(self, revision: Revision) -> str | None:
        """What this replica has counted within a revision, as JSON; `None` for nothing."""


class Next(Protocol):
    """What is decided about a rollout."""

    @property
    def event(self) -> Event:
        """What happens."""

    @property
    def routing(self) -> Routing:
        """The plan from here on."""

    @property
    def reason(self) -> str:
        """Why, in one sentence."""

    @property
    def evidence(self) -> JsonObject | None:
        """What it was decided by."""

    def rollout(self, before: RolloutState, now: float) -> RolloutState:
        """The state of the rollout from here on."""


Decide = Callable[[Revision, Mapping[str, str], float], "Next | None"]
"""What is to follow a revision, by the samples of all replicas and the time of the revisions."""


@dataclass(frozen=True, slots=True)
class FollowerState:
    """What a replica says of itself, for people.

    Attributes:
        deployment: The served name.
        replica: Its name.
        seen: The number of the newest revision that it has read; 0 for none.
        live: The one that it serves by; 0 for none.
        refused: The newest one that it does not serve, and why.
        fault: Why the history cannot be read or written now.
        since: Since when, seconds since 1970.
        leads: Whether it holds the lease.
    """

    deployment: str
    replica: str
    seen: int = 0
    live: int = 0
    refused: tuple[int, str] | None = None
    fault: str | None = None
    since: float | None = None
    leads: bool = False


@dataclass(frozen=True, slots=True)
class _Aborted:
    """The decision that follows where a replica cannot serve a revision."""

    routing: Routing
    reason: str
    event: Event = "abort"

    @property
    def evidence(self) -> JsonObject:
        """Who refuses it, and why."""
        return {"sentence": self.reason}

    def rollout(self, before: RolloutState, now: float) -> RolloutState:
        """The rollout, given up."""
        return replace(before, phase="aborted", step_began=now, evidence=self.evidence)


class Follower:
    """Follows one deployment.

    Args:
        store: What the replicas share.
        deployment: The served name.
        loader: What serves here.
        decide: What a rollout does next; without it this replica never decides.
        replica: This one's name, which no other has ever had.
        every: Seconds between two looks.
        lease: Seconds that a lease lasts, from `tidegate.routing.lease`.
        publish: Seconds between two samples during a rollout.
        told: Told of each decision that was made here once it is on record, with the revision
            before it.
        clock: Monotonic seconds.
        wall: Seconds since 1970.

    Raises:
        InputError: If a time is out of its range.
    """

    def __init__(
        self,
        store: Store,
        deployment: str,
        loader: Loader,
        decide: Decide | None = None,
        *,
        replica: str,
        every: float = 1.0,
        lease: float = 10.0,
        publish: float = 2.0,
        told: Callable[[Revision, Next], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not (0 < every < float("inf") and 0 < publish < float("inf")):
            raise InputError(f"looks every {every} s and samples every {publish} s: use above 0")
        self.deployment: Final = deployment
        self._loader = loader
        self._decide = decide
        self._every = every
        self._publish = publish
        self._told = told
        self._clock = clock
        self._wall = wall
        self._history = History(store, deployment)
        self._lease = Lease(store, deployment, replica, seconds=lease, clock=clock, wall=wall)
        self._board = Board(store, deployment, replica)
        self._state = FollowerState(deployment, replica)
        self._observed = (0, 0.0, 0.0)
        self._published = self._checked = float("-inf")
        self._unsaid: tuple[int, str] | None = None
        self._turn = threading.Lock()
        self._awake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(
            target=self._run, name=f"tidegate-follow-{deployment}", daemon=True
        )

    # ---- life

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Lets it look now."""
        self._awake.set()

    def close(self, patience: float = PATIENCE) -> None:
        """Ends the thread and gives the lease back. Twice does no harm.

        Args:
            patience: Seconds that a store which does not answer is waited for.
        """
        self._ended = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    @property
    def state(self) -> FollowerState:
        """How this replica stands."""
        return self._state

    def _run(self) -> None:
        while not self._ended:
            self.turn()
            self._awake.wait(self._every)
            self._awake.clear()
        with self._turn:
            self._lease.release()

    # ---- one look

    def turn(self) -> FollowerState:
        """Looks once: takes what is new, tells what was counted, decides if it is its part.

        Returns:
            How this replica stands then.
        """
        with self._turn:
            try:
                self._look()
            except TidegateError as error:
                self._fault(str(error))
            except Exception as error:
                # A bug must not end the following: the next look may go well.
                LOG.exception("deployment %s is not followed for now", self.deployment)
                self._fault(f"a bug: {error!r}")
            else:
                self._fault(None)
            self._said(leads=self._lease.token is not None)
            return self._state

    def _look(self) -> None:
        if not self._history.refresh() and self._clock() - self._checked >= CHECK_SECONDS:
            # A folder that is gone looks like one in which nothing is new.
            self._history.check()
            self._checked = self._clock()
        newest = self._history.newest
        if newest is None:
            return
        self._see(newest)
        if self._unsaid is not None:
            self._board.refuse(*self._unsaid)
            self._unsaid = None
        rollout = newest.rollout
        if rollout is not None and rollout.open:
            self._progress(newest, rollout)
        else:
            self._lease.release()

    def _see(self, newest: Revision) -> None:
        """Takes what is new."""
        if newest.number != self._observed[0]:
            first = self._observed[0] == 0
            # One that was there before this replica was has begun by the clock of its writer.
            before = max(0.0, self._wall() - newest.time) if first else 0.0
            self._observed = (newest.number, self._clock(), before)
            self._said(seen=newest.number)
        if self._state.live != newest.number and not self._refuses(newest):
            self._take(newest)

    def _refuses(self, revision: Revision) -> bool:
        refused = self._state.refused
        return refused is not None and refused[0] == revision.number

    def _take(self, revision: Revision) -> None:
        """Serves by a revision, or refuses it and stays with what is served."""
        if self._switched(revision):
            self._said(refused=None)
            with suppress(StorageError):
                self._board.sweep(revision.number)
            return
        if self._state.live:
            return
        # A replica that starts has nothing that could go on: an older plan is better than none.
        for entry in self._history.back(revision.number - 1):
            if not entry.void and self._switched(entry.revision):
                return
            if entry.revision.number <= revision.number - MOST_BACK:
                return

    def _switched(self, revision: Revision) -> bool:
        try:
            self._loader.switch(revision)
        except StorageError:
            raise  # Nothing is wrong with the revision: it is tried again.
        except Exception as error:
            why = str(error) if isinstance(error, TidegateError) else f"a bug: {error!r}"
            LOG.error(
                "revision %d of deployment %s is refused, and revision %d goes on: %s",
                revision.number,
                self.deployment,
                self._state.live,
                why,
                exc_info=None if isinstance(error, TidegateError) else error,
            )
            if revision.number == self._observed[0]:
                self._said(refused=(revision.number, why))
                self._unsaid = (revision.number, why)
            return False
        self._said(live=revision.number)
        return True

    # ---- a rollout

    def _progress(self, newest: Revision, rollout: RolloutState) -> None:
        """Tells what was counted here, and decides where this replica has the lease."""
        token = self._lease.hold()
        now = self._clock()
        if now - self._published < self._publish:
            return
        self._published = now
        if self._state.live == newest.number:
            text = self._loader.samples(newest)
            if text is not None:
                self._board.publish(newest.number, text)
        if self._decide is None or token is None:
            return
        decision = self._decision(newest)
        token = self._lease.token
        if decision is None or token is None:
            return
        following = self._following(newest, rollout, decision, token)
        try:
            after = self._history.append(following)
        except ConflictError:
            return  # Somebody else was first: the next look decides by what they said.
        self._see(after)
        if self._told is not None:
            self._told(newest, decision)

    def _decision(self, newest: Revision) -> Next | None:
        for replica, why in sorted(self._board.refusals(newest.number).items()):
            reason = f"replica {replica} refuses revision {newest.number}: {why}"
            return _Aborted(newest.routing.settled(), reason[:1_000])
        assert self._decide is not None
        return self._decide(newest, self._board.samples(newest.number), self._now(newest))

    def _now(self, revision: Revision) -> float:
        """The time of the revisions: that of the newest, and what was measured here since."""
        _, observed, before = self._observed
        return revision.time + before + (self._clock() - observed)

    def _following(
        self, newest: Revision, rollout: RolloutState, decision: Next, token: int
    ) -> Revision:
        now = self._now(newest)
        return newest.following(
            decision.event,
            actor=f"replica {self._state.replica}",
            reason=decision.reason,
            time=now,
            routing=decision.routing,
            rollout=decision.rollout(rollout, now),
            token=token,
        )

    # ---- what is said

    def _fault(self, fault: str | None) -> None:
        before = self._state.fault
        if fault is None:
            if before is not None:
                LOG.warning("deployment %s is followed again", self.deployment)
                self._said(fault=None, since=None)
            return
        if before is None:
            LOG.warning(
                "deployment %s is served on and cannot be followed for now: %s",
                self.deployment,
                fault,
            )
        since = self._wall() if before is None else self._state.since
        self._said(fault=fault, since=since)

    def _said(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
