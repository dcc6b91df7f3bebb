"""Commands and status as documents: what the admin API, the command line and programs share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate.configuration.table import Table
from tidegate.errors import ConflictError, InputError, NotFoundError
from tidegate.routing import progress
from tidegate.routing.board import Board
from tidegate.routing.control import Control
from tidegate.routing.history import Entry
from tidegate.routing.revision import Revision
from tidegate.routing.rollout import merged
from tidegate.routing.summary import summary
from tidegate.routing.toml import Plan, plan_of
from tidegate.storage import Store
from tidegate.types import Json, JsonObject

__all__ = ["VERBS", "Orders"]

MAX_SHOWN: Final = 1_000
"""Most revisions of one answer."""

SHOWN: Final = 20
"""Revisions of one answer unless more are asked for."""

MAX_NUMBER: Final = 10**12 - 1


class Orders:
    """The deployments of one store.

    Args:
        store: Where revisions and samples are.
        control: Gives the commands of a deployment.
        woken: Called with the deployment when a command has appended something, so that what follows
            it in this process looks at once.
        clock: Seconds since 1970.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> store = FolderStore(tempfile.mkdtemp())
        >>> orders = Orders(store, lambda name: Control(store, name))
        >>> orders.deployments()
        []
        >>> orders.command("m", "abort", {}, actor="ann")
        Traceback (most recent call last):
        ...
        tidegate.errors.ConflictError: deployment 'm' has no revision, and nothing to abort: ...
    """

    def __init__(
        self,
        store: Store,
        control: Callable[[str], Control],
        *,
        woken: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._control = control
        self._woken = woken
        self._clock = clock

    # ---- what is said

    def deployments(self) -> list[str]:
        """The names that have a history of revisions."""
        return self._store.children("deployments")

    def status(self, deployment: str) -> dict[str, Json]:
        """How a deployment's rollout stands; see `tidegate.routing.progress.status`.

        Raises:
            NotFoundError: If it has no revision.
            StorageError: If the store cannot be read.
        """
        newest = self._control(deployment).newest()
        if newest is None:
            raise self._unknown(deployment)
        board = Board(self._store, deployment, "reader")
        samples = merged(newest, board.samples(newest.number))
        refusals = board.refusals(newest.number)
        document = progress.status(newest, samples, max(self._clock(), newest.time))
        return {**document, "refusals": dict(sorted(refusals.items()))}

    def history(self, deployment: str, limit: int | None = None) -> list[dict[str, Json]]:
        """The revisions of a deployment, the newest first.

        Args:
            deployment: The served name.
            limit: At most so many, 1 to 1,000; 20 by default.

        Raises:
            NotFoundError: If it has none.
            InputError: If the limit is out of its range.
        """
        limit = SHOWN if limit is None else limit
        if not 1 <= limit <= MAX_SHOWN:
            raise InputError(f"a limit of {limit} revisions: use 1 to {MAX_SHOWN}")
        entries = self._control(deployment).history(limit)
        if not entries:
            raise self._unknown(deployment)
        return [_line(entry) for entry in entries]

    def verify(self, deployment: str) -> dict[str, Json]:
        """Proves the chain of a deployment's revisions.

        Raises:
            NotFoundError: If it has none.
            StateError: If one was changed or left out; the message names it.
        """
        found = self._control(deployment).verify()
        if not found.revisions:
            raise self._unknown(deployment)
        return {
            "deployment": deployment,
            "head": found.head,
            "revisions": found.revisions,
            "void": list(found.void),
        }

    # ---- what changes

    def command(
        self, deployment: str, verb: str, body: Mapping[str, Any], *, actor: str
    ) -> dict[str, Json]:
        """Carries out one command.

        Args:
            deployment: The served name.
            verb: One of `VERBS`.
            body: `reason` for all of them (`rollback` cannot do without); `plan` and `skip_check` for
                `start`, `version` for `promote`, `to` for `undo`.
            actor: Who says so.

        Returns:
            The revision that was appended, see `summary`.

        Raises:
            ConflictError: If it does not fit what is there.
            NotFoundError: If a version, revision or the verb is unknown.
            InputError: If the body or the plan is wrong, or a candidate has not passed its test.
            StorageError: If the store refuses.
        """
        order = VERBS.get(verb)
        if order is None:
            raise NotFoundError(f"a rollout has no command {verb!r}: use {', '.join(VERBS)}")
        table = Table(body, verb, InputError)
        revision = order(self._control(deployment), table, actor)
        if self._woken is not None:
            self._woken(deployment)
        return summary(revision)

    def _unknown(self, deployment: str) -> NotFoundError:
        known = ", ".join(self.deployments()) or "none"
        return NotFoundError(
            f"deployment {deployment!r} has no revision in {self._store.location} (it has {known}): "
            "start a rollout first"
        )


def _line(entry: Entry) -> dict[str, Json]:
    return {**summary(entry.revision), "void": entry.void, "digest": entry.digest}


# ---- one function a command


def _start(control: Control, table: Table, actor: str) -> Revision:
    plan = table.table("plan")
    if plan is None:
        raise table.wrong(
            "plan is missing: say the candidate and the strategy, as docs/rollouts.md"
        )
    document: JsonObject = plan.rest()
    # The address names the deployment already.
    found: Plan = plan_of({"deployment": control.deployment, **document}, "plan")
    reason, skip = table.text("reason"), table.text("skip_check") or None
    table.done()
    return control.start(found, actor=actor, reason=reason, skip_check=skip)


def _pause(control: Control, table: Table, actor: str) -> Revision:
    return control.pause(actor=actor, reason=_reason(table))


def _resume(control: Control, table: Table, actor: str) -> Revision:
    return control.resume(actor=actor, reason=_reason(table))


def _promote(control: Control, table: Table, actor: str) -> Revision:
    version = table.text("version") or None
    return control.promote(version, actor=actor, reason=_reason(table))


def _abort(control: Control, table: Table, actor: str) -> Revision:
    return control.abort(actor=actor, reason=_reason(table))


def _undo(control: Control, table: Table, actor: str) -> Revision:
    to = table.whole("to", 0, 0, MAX_NUMBER)
    return control.undo(to or None, actor=actor, reason=_reason(table))


def _rollback(control: Control, table: Table, actor: str) -> Revision:
    """Back to what stood before: no question is asked but why."""
    reason = _reason(table)
    if not reason:
        raise InputError("a rollback needs a reason: say why")
    try:
        return control.abort(actor=actor, reason=reason)
    except ConflictError:
        # No rollout is open: the plan before this one is meant.
        return control.undo(actor=actor, reason=reason)


def _reason(table: Table) -> str:
    reason = table.text("reason")
    table.done()
    return reason


VERBS: Final[Mapping[str, Callable[[Control, Table, str], Revision]]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "promote": _promote,
    "abort": _abort,
    "undo": _undo,
    "rollback": _rollback,
}
"""Every command by its name."""
