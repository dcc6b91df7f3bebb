"""The commands of a deployment: each looks at the newest revision, decides, and appends the next.

Where somebody else was first, the command looks again and decides anew. A command that does not fit
what it finds is refused in one sentence, and nothing is appended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tidegate.errors import ConflictError, InputError, NotFoundError
from tidegate.registry.reference import check_name
from tidegate.routing.catalogue import Catalogue, Known, check_same
from tidegate.routing.gates import checked, default_gates, gates_of
from tidegate.routing.history import Entry, History, Verified
from tidegate.routing.plan import Arm, Key, Observe, Routing
from tidegate.routing.revision import Event, Phase, Revision, RolloutState
from tidegate.routing.rollout import resumed
from tidegate.routing.strategy import Strategy
from tidegate.routing.toml import Plan
from tidegate.routing.weights import basis_points
from tidegate.storage import Store

__all__ = ["Check", "Control"]

MAX_CONFLICTS: Final = 20
"""How often a command lets others go first before it gives up."""

Check = Callable[[str, Known, Known], "str | None"]
"""The deployment's own test before a rollout: the name, what is stable, the candidate. It gives the
sentence that says why the candidate must not be rolled out, or `None`."""


class Control:
    """What people, programs and the command line do to one deployment.

    Args:
        store: Where the revisions are.
        deployment: The served name.
        catalogue: Where versions are looked up; without it nothing can be started or set.
        check: Asked of each candidate before a rollout starts.
        labels: Says whether labels of its predictions have ever come, `None` where nobody knows: a
            rollout whose gates are on labels does not start without.
        clock: Seconds since 1970.

    Raises:
        InputError: If the deployment cannot have this name.
    """

    def __init__(
        self,
        store: Store,
        deployment: str,
        catalogue: Catalogue | None = None,
        *,
        check: Check | None = None,
        labels: Callable[[], bool | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.deployment: Final = check_name(deployment)
        self._history = History(store, deployment)
        self._catalogue = catalogue
        self._check = check
        self._labels = labels
        self._clock = clock

    # ---- what changes

    def start(
        self, plan: Plan, *, actor: str, reason: str = "", skip_check: str | None = None
    ) -> Revision:
        """Starts a rollout, or sets the arms of a plan that has no strategy.

        Args:
            plan: What is wanted.
            actor: Who says so.
            reason: Why; the plan's by default.
            skip_check: Why the candidate is not tested first; it goes into the record.

        Returns:
            The revision that was appended.

        Raises:
            ConflictError: If a rollout is open.
            NotFoundError: If a version is unknown.
            InputError: If the plan cannot be carried out, or a candidate has not passed its test.
            StorageError: If the store refuses.
        """
        if plan.deployment != self.deployment:
            raise InputError(
                f"the plan is of deployment {plan.deployment!r}, and not of {self.deployment!r}"
            )
        reason = reason or plan.reason
        if plan.strategy is None:
            return self._repeated(lambda: self._set(plan, actor, reason))
        strategy = plan.strategy
        candidates = [self._find(selector) for selector in _selectors(plan, strategy)]
        checked: list[str] = []

        def attempt() -> Revision:
            base = self._base(plan, actor)
            self._refuse_if_open(base)
            stable = self._find_arm(base.routing.stable)
            for candidate in candidates:
                if candidate.version == stable.version:
                    raise InputError(
                        f"version {candidate.version} of {self.deployment!r} is the stable one "
                        "already: name another candidate"
                    )
                check_same(self.deployment, stable, candidate)
            if skip_check is None and stable.version not in checked:
                self._test(stable, candidates)
                checked.append(stable.version)
            return self._started(plan, strategy, base, candidates, actor, reason, skip_check)

        return self._repeated(attempt)

    def pause(self, *, actor: str, reason: str = "") -> Revision:
        """Stops a rollout where it is; traffic stays as it is.

        Raises:
            ConflictError: If no rollout progresses.
        """

        def attempt() -> Revision:
            newest, rollout = self._open("pause")
            if rollout.phase == "paused":
                raise ConflictError(f"{self._named(rollout)} is paused already")
            return self._appended(newest, "pause", actor, reason, newest.routing, rollout, "paused")

        return self._repeated(attempt)

    def resume(self, *, actor: str, reason: str = "") -> Revision:
        """Goes on with a rollout that is paused: with the next step, if this one had passed.

        Raises:
            ConflictError: If none is.
        """

        def attempt() -> Revision:
            newest, rollout = self._open("resume")
            if rollout.phase != "paused":
                raise ConflictError(f"{self._named(rollout)} is not paused, it progresses")
            now = max(self._clock(), newest.time)
            decision = resumed(newest, now)
            return self._append(
                newest.following(
                    decision.event,
                    actor=actor,
                    reason=reason or decision.reason,
                    time=now,
                    routing=decision.routing,
                    rollout=decision.rollout(rollout, now),
                )
            )

        return self._repeated(attempt)

    def promote(self, version: str | None = None, *, actor: str, reason: str = "") -> Revision:
        """Gives a candidate all traffic now, whatever the gates say.

        Args:
            version: Which one, where an experiment has several.
            actor: Who says so.
            reason: Why.

        Raises:
            ConflictError: If no rollout is open.
            InputError: If it is not said which of several, or the version is not part of it.
        """

        def attempt() -> Revision:
            newest, rollout = self._open("promote")
            versions = [arm.version for arm in rollout.candidates]
            chosen = versions[0] if version is None and len(versions) == 1 else version
            if chosen is None:
                raise InputError(
                    f"{self._named(rollout)} has the candidates {', '.join(versions)}: say which "
                    "one to promote"
                )
            routing = newest.routing.settled(chosen)
            return self._appended(newest, "promote", actor, reason, routing, rollout, "promoted")

        return self._repeated(attempt)

    def abort(self, *, actor: str, reason: str = "") -> Revision:
        """Gives up a rollout: the stable version gets all traffic.

        Raises:
            ConflictError: If none is open.
        """

        def attempt() -> Revision:
            newest, rollout = self._open("abort")
            routing = newest.routing.settled()
            return self._appended(newest, "abort", actor, reason, routing, rollout, "aborted")

        return self._repeated(attempt)

    def undo(self, to: int | None = None, *, actor: str, reason: str = "") -> Revision:
        """Appends an old plan as a new revision: the one before, or one by number.

        Where a rollout is open, the plan before it is the plan that it started from. A second undo
        goes back one plan further, and not forth again.

        Args:
            to: The number of the revision whose plan is wanted.
            actor: Who says so.
            reason: Why.

        Raises:
            ConflictError: If there is no plan before.
            NotFoundError: If there is no revision of that number.
            InputError: If that revision is void.
        """

        def attempt() -> Revision:
            self._history.refresh()
            newest = self._history.newest
            if newest is None:
                raise self._without("undo")
            target = self._predecessor(newest) if to is None else self._old(to)
            # An open rollout's plan has the stable arm and its candidate: the plan itself is meant.
            return self._append(
                newest.following(
                    "undo",
                    actor=actor,
                    reason=reason,
                    time=self._clock(),
                    routing=target.routing,
                    parent=target.number,
                )
            )

        return self._repeated(attempt)

    # ---- what is said

    def newest(self) -> Revision | None:
        """The newest revision that is not void."""
        self._history.refresh()
        return self._history.newest

    def history(self, limit: int | None = None) -> list[Entry]:
        """The revisions, the newest first.

        Args:
            limit: At most so many.
        """
        self._history.refresh()
        found: list[Entry] = []
        for entry in self._history.back():
            if limit is not None and len(found) >= limit:
                break
            found.append(entry)
        return found

    def verify(self) -> Verified:
        """Proves that the history is one chain, in which nothing was changed or left out.

        Raises:
            StateError: If it is not; the message names the revision.
        """
        self._history.refresh()
        return self._history.verify()

    # ---- steps of commands

    def _repeated(self, attempt: Callable[[], Revision]) -> Revision:
        for _ in range(MAX_CONFLICTS):
            try:
                return attempt()
            except _OvertakenError:
                continue
        raise ConflictError(
            f"{MAX_CONFLICTS} others have changed deployment {self.deployment!r} first: try again"
        )

    def _append(self, revision: Revision) -> Revision:
        try:
            return self._history.append(revision)
        except ConflictError as error:
            raise _OvertakenError(str(error)) from error

    def _appended(
        self,
        newest: Revision,
        event: Event,
        actor: str,
        reason: str,
        routing: Routing,
        rollout: RolloutState,
        phase: Phase,
    ) -> Revision:
        now = max(self._clock(), newest.time)
        state = replace(rollout, phase=phase, step_began=now, evidence=None)
        return self._append(
            newest.following(
                event, actor=actor, reason=reason, time=now, routing=routing, rollout=state
            )
        )

    def _set(self, plan: Plan, actor: str, reason: str) -> Revision:
        self._history.refresh()
        newest = self._history.newest
        if newest is not None:
            self._refuse_if_open(newest)
        known = [self._find(selector) for selector, _ in plan.arms]
        for other in known[1:]:
            check_same(self.deployment, known[0], other)
        arms = tuple(
            Arm(
                each.version,
                basis_points(share, each.version),
                "arm" if place else "stable",
                each.digest,
            )
            for place, (each, (_, share)) in enumerate(zip(known, plan.arms, strict=True))
        )
        before = Routing.alone(known[0].version) if newest is None else newest.routing
        routing = self._routing(plan, before, arms, before.observe)
        if newest is None:
            return self._append(self._first(routing, actor, reason))
        return self._append(
            newest.following("set", actor=actor, reason=reason, time=self._clock(), routing=routing)
        )

    def _routing(
        self, plan: Plan, before: Routing, arms: tuple[Arm, ...], observe: Observe
    ) -> Routing:
        key: Key = before.key if plan.key is None else plan.key
        there = {arm.version for arm in arms}
        kept = tuple(rule for rule in before.rules if rule.version in there)
        rules = kept if plan.rules is None else plan.rules
        return Routing(arms, None, key, rules, None, plan.observe or observe)

    def _first(self, routing: Routing, actor: str, reason: str) -> Revision:
        return Revision(self.deployment, 1, self._clock(), actor, reason, "set", routing)

    def _base(self, plan: Plan, actor: str) -> Revision:
        """The newest revision; the first one is appended where there is none."""
        self._history.refresh()
        newest = self._history.newest
        if newest is not None:
            return newest
        if plan.stable is not None:
            known: Known | None = self._find(plan.stable)
        else:
            known = None if self._catalogue is None else self._catalogue.current(self.deployment)
        if known is None:
            raise NotFoundError(
                f"deployment {self.deployment!r} has no revision yet, and its model no alias "
                "'champion': say in the plan which version is stable"
            )
        routing = Routing.alone(known.version, known.digest)
        return self._append(self._first(routing, actor, "what was served before any rollout"))

    def _started(
        self,
        plan: Plan,
        strategy: Strategy,
        base: Revision,
        candidates: list[Known],
        actor: str,
        reason: str,
        skip_check: str | None,
    ) -> Revision:
        now = max(self._clock(), base.time)
        arms = [candidate.arm for candidate in candidates]
        placed = strategy.routing(base.routing, arms, 0)
        gates = plan.gates
        if gates is None:
            gates = tuple(gate.to_document() for gate in default_gates(strategy))
        labels = None if self._labels is None else self._labels()
        wanted = plan.observe or placed.observe
        observe = checked(strategy, gates_of(gates), wanted, labels=labels)
        routing = replace(
            placed,
            key=placed.key if plan.key is None else plan.key,
            rules=placed.rules if plan.rules is None else plan.rules,
            observe=observe,
        )
        rollout = RolloutState(
            f"r{base.number + 1}",
            strategy,
            gates,
            tuple(arms),
            "progressing",
            0,
            now,
            now,
            budget=plan.budget,
        )
        if skip_check is not None:
            reason = (
                f"{reason} (not tested: {skip_check})" if reason else f"not tested: {skip_check}"
            )
        return self._append(
            base.following(
                "start", actor=actor, reason=reason, time=now, routing=routing, rollout=rollout
            )
        )

    def _test(self, stable: Known, candidates: list[Known]) -> None:
        if self._check is None:
            return
        for candidate in candidates:
            wrong = self._check(self.deployment, stable, candidate)
            if wrong is not None:
                raise InputError(
                    f"version {candidate.version} of {self.deployment!r} has not passed its test, "
                    f"and is not rolled out: {wrong}"
                )

    def _open(self, command: str) -> tuple[Revision, RolloutState]:
        self._history.refresh()
        newest = self._history.newest
        if newest is None:
            raise self._without(command)
        rollout = newest.rollout
        if rollout is not None and rollout.open:
            return newest, rollout
        last = self._last_rollout(newest)
        how = "there has been none" if last is None else f"{self._named(last)} was {last.phase}"
        raise ConflictError(
            f"deployment {self.deployment!r} has no rollout to {command} ({how}): start a new one"
        )

    def _last_rollout(self, newest: Revision) -> RolloutState | None:
        if newest.rollout is not None:
            return newest.rollout
        for number, entry in enumerate(self._history.back()):
            if entry.revision.rollout is not None and not entry.void:
                return entry.revision.rollout
            if number >= MAX_CONFLICTS:
                break
        return None

    def _refuse_if_open(self, newest: Revision) -> None:
        rollout = newest.rollout
        if rollout is not None and rollout.open:
            raise ConflictError(
                f"{self._named(rollout)} of deployment {self.deployment!r} is {rollout.phase}: "
                "promote or abort it first"
            )

    def _without(self, command: str) -> ConflictError:
        return ConflictError(
            f"deployment {self.deployment!r} has no revision, and nothing to {command}: start a "
            "rollout first"
        )

    def _named(self, rollout: RolloutState) -> str:
        versions = ", ".join(arm.version for arm in rollout.candidates)
        return f"rollout {rollout.id} of {versions}"

    def _predecessor(self, newest: Revision) -> Revision:
        """The newest plan before this one that stood by itself and was another."""
        begin = newest.number
        if newest.event == "undo":
            begin = newest.parent
        for entry in self._history.back(begin - 1):
            old = entry.revision
            settled = old.rollout is None or not old.rollout.open
            if settled and not entry.void and old.routing != newest.routing:
                return old
        raise ConflictError(
            f"deployment {self.deployment!r} has no plan before revision {begin}: there is nothing "
            "to go back to"
        )

    def _old(self, number: int) -> Revision:
        entry = self._history.read(number)
        if entry.void:
            raise InputError(
                f"revision {number} of deployment {self.deployment!r} is void, and was never "
                "served: name another"
            )
        rollout = entry.revision.rollout
        if rollout is not None and rollout.open:
            raise InputError(
                f"revision {number} of deployment {self.deployment!r} is a step of rollout "
                f"{rollout.id}, whose gates nobody would look at: start a rollout instead"
            )
        return entry.revision

    def _find(self, selector: str) -> Known:
        if self._catalogue is None:
            raise NotFoundError(
                f"version {selector!r} of {self.deployment!r} cannot be looked up without a "
                "registry: name one"
            )
        return self._catalogue.find(self.deployment, selector)

    def _find_arm(self, arm: Arm) -> Known:
        found = self._find(arm.version)
        if arm.digest is not None and found.digest != arm.digest:
            raise ConflictError(
                f"version {arm.version} of {self.deployment!r} in the registry is {found.digest}, "
                f"and {arm.digest} is served: undo, or restore the registry from a backup"
            )
        return found


class _OvertakenError(Exception):
    """Somebody else appended first."""


def _selectors(plan: Plan, strategy: Strategy) -> tuple[str, ...]:
    if strategy.versions:
        return strategy.versions
    assert plan.candidate is not None
    return (plan.candidate,)
