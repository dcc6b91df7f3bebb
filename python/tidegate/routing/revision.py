"""One revision: an immutable record of a deployment's plan, and what a rollout has come to in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from tidegate.configuration.table import Table
from tidegate.errors import InputError, StateError
from tidegate.registry.reference import check_name
from tidegate.routing.gates.budget import Budget
from tidegate.routing.plan import Arm, Routing
from tidegate.routing.strategy import Strategy, strategy_of
from tidegate.storage.canonical import decode, encode
from tidegate.types import Json, JsonObject

__all__ = ["Event", "Phase", "Revision", "RolloutState"]

FORMAT: Final = 1
"""The newest form of a revision that this tidegate reads and the one that it writes."""

MAX_REASON: Final = 1_000
"""Longest reason, in characters."""

MAX_ACTOR: Final = 200
"""Longest name of who did it."""

MAX_GATES: Final = 100
"""Most gates of one rollout."""

Event = Literal["set", "start", "step", "pause", "resume", "promote", "abort", "undo", "finish"]
"""What has happened."""

Phase = Literal["progressing", "paused", "promoted", "aborted"]
"""What a rollout is doing, or how it ended."""

_KEYS: Final = {
    "actor",
    "deployment",
    "event",
    "fence",
    "format",
    "number",
    "parent",
    "previous",
    "reason",
    "rollout",
    "routing",
    "seal",
    "time",
    "token",
}


@dataclass(frozen=True, slots=True)
class RolloutState:
    """A rollout as it stands in one revision.

    Attributes:
        id: `r` and the number of the revision that started it.
        strategy: In which steps.
        gates: What must hold, each as its document.
        candidates: What is rolled out; weights and roles do not matter.
        phase: What it is doing.
        step: From 0.
        began: When it started, seconds since 1970.
        step_began: When this step started, or went on after a pause.
        evidence: The states of the gates that led here.
        budget: The greatest chances of a wrong decision.
    """

    id: str
    strategy: Strategy
    gates: tuple[JsonObject, ...]
    candidates: tuple[Arm, ...]
    phase: Phase
    step: int
    began: float
    step_began: float
    evidence: JsonObject | None = None
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if self.phase not in get_args(Phase):
            raise InputError(f"phase is {self.phase!r}: use {', '.join(get_args(Phase))}")
        if len(self.gates) > MAX_GATES:
            raise InputError(f"{len(self.gates)} gates are too many: at most {MAX_GATES}")
        if not 0 <= self.step < len(self.strategy.steps):
            raise InputError(
                f"rollout {self.id} is at step {self.step + 1} of {len(self.strategy.steps)}"
            )

    @property
    def open(self) -> bool:
        """Whether it goes on, or may."""
        return self.phase in ("progressing", "paused")

    def to_document(self) -> dict[str, Json]:
        """The state as JSON."""
        return {
            "id": self.id,
            "strategy": self.strategy.to_document(),
            "gates": list(self.gates),
            "candidates": [
                {"version": arm.version, "digest": arm.digest} for arm in self.candidates
            ],
            "phase": self.phase,
            "step": self.step,
            "began": self.began,
            "step_began": self.step_began,
            "evidence": self.evidence,
            "budget": self.budget.to_document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], place: str = "rollout") -> RolloutState:
        """Reads what `to_document` made.

        Raises:
            InputError: If it is none.
        """
        table = Table(document, place, InputError)
        strategy = table.table("strategy")
        if strategy is None:
            raise table.wrong("strategy is missing")
        candidates = []
        for values in table.tables("candidates"):
            arm = Table(values, f"{place}: candidate", InputError)
            version, digest = arm.need("version"), arm.text("digest") or None
            arm.done()
            candidates.append(Arm(version, 0, "candidate", digest))
        began, step_began = table.number("began"), table.number("step_began")
        evidence, budget = table.table("evidence"), table.table("budget")
        state = cls(
            table.need("id"),
            strategy_of(strategy.rest(), strategy.place),
            tuple(table.tables("gates")),
            tuple(candidates),
            table.need("phase"),  # type: ignore[arg-type]  # it checks itself
            table.whole("step", -1, 0, 10_000),
            began or 0.0,
            step_began or 0.0,
            None if evidence is None else evidence.rest(),
            Budget() if budget is None else Budget.from_document(budget.rest()),
        )
        table.done()
        return state


@dataclass(frozen=True, slots=True)
class Revision:
    """One record of a deployment's history.

    Attributes:
        deployment: The served name.
        number: 1 for the first.
        time: When, seconds since 1970 by the clock of who wrote it; never before the one before.
        actor: Who.
        reason: Why.
        event: What.
        routing: The plan from here on.
        rollout: The rollout that it belongs to; `None` outside of one.
        token: The fencing token of the lease by which a replica decided; `None` for people.
        parent: The number of the revision whose plan it started from or restores; 0 for none.
        previous: The sha256, as 64 hexadecimal digits, of the record before; `None` for the first.
        fence: The greatest token of all records before.

    Example:
        >>> revision = Revision(
        ...     "flight-delay", 1, 0.0, "ann", "first", "set", Routing.alone("1.0.0")
        ... )
        >>> Revision.from_document(revision.to_document(), "it") == revision
        True
    """

    deployment: str
    number: int
    time: float
    actor: str
    reason: str
    event: Event
    routing: Routing
    rollout: RolloutState | None = None
    token: int | None = None
    parent: int = 0
    previous: str | None = None
    fence: int = 0

    def __post_init__(self) -> None:
        check_name(self.deployment)
        if self.event not in get_args(Event):
            raise InputError(f"event is {self.event!r}: use {', '.join(get_args(Event))}")
        for what, text, most in (
            ("reason", self.reason, MAX_REASON),
            ("actor", self.actor, MAX_ACTOR),
        ):
            if len(text) > most:
                raise InputError(f"the {what} has {len(text)} characters: use at most {most}")

    @property
    def is_void(self) -> bool:
        """Whether it was decided by a lease that another held by then, and everybody skips it."""
        return self.token is not None and self.token < self.fence

    def to_document(self) -> dict[str, Json]:
        """The revision as JSON, with its seal: the digest of everything else in it."""
        document: dict[str, Json] = {
            "format": FORMAT,
            "deployment": self.deployment,
            "number": self.number,
            "time": self.time,
            "actor": self.actor,
            "reason": self.reason,
            "event": self.event,
            "routing": self.routing.to_document(),
            "rollout": None if self.rollout is None else self.rollout.to_document(),
            "token": self.token,
            "parent": self.parent,
            "previous": self.previous,
            "fence": self.fence,
        }
        return {**document, "seal": _seal(document)}

    @classmethod
    def from_document(cls, document: JsonObject, place: str) -> Revision:
        """Reads what `to_document` made.

        Args:
            document: The JSON.
            place: What it is and where, for messages.

        Raises:
            StateError: If it was edited, is damaged, or was written by a later tidegate.
        """
        found: dict[str, Any] = decode(
            encode(document), place, keys=_KEYS, newest=FORMAT, tag="format"
        )
        seal = found.pop("seal")
        if seal != _seal(found):
            raise StateError(
                f"{place} was changed after it was written: restore it from a backup, or undo to "
                "an earlier one"
            )
        try:
            rollout = found["rollout"]
            return cls(
                str(found["deployment"]),
                int(found["number"]),
                float(found["time"]),
                str(found["actor"]),
                str(found["reason"]),
                found["event"],
                Routing.from_document(found["routing"]),
                None if rollout is None else RolloutState.from_document(rollout),
                None if found["token"] is None else int(found["token"]),
                int(found["parent"]),
                found["previous"],
                int(found["fence"]),
            )
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"{place} is damaged ({error}): restore it from a backup") from error

    def following(
        self,
        event: Event,
        *,
        actor: str,
        reason: str,
        time: float,
        routing: Routing | None = None,
        rollout: RolloutState | None = None,
        token: int | None = None,
        parent: int | None = None,
    ) -> Revision:
        """The next revision, by default of the same plan; `History.append` makes the link.

        Args:
            event: What happens.
            actor: Who does it.
            reason: Why.
            time: When; what lies before this revision's time counts as that.
            routing: The plan.
            rollout: The rollout that it belongs to.
            token: The lease's.
            parent: Where the plan comes from; by default this revision.
        """
        return replace(
            self,
            number=self.number + 1,
            time=max(time, self.time),
            actor=actor,
            reason=reason,
            event=event,
            routing=self.routing if routing is None else routing,
            rollout=rollout,
            token=token,
            parent=self.number if parent is None else parent,
            previous=None,
            fence=0,
        )


def _seal(document: JsonObject) -> str:
    return hashlib.sha256(encode(document)).hexdigest()
