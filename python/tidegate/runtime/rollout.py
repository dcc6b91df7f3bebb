"""`runtime.rollout(name)`: the commands of a deployment, on the runtime that serves it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidegate.errors import InputError
from tidegate.routing.control import Control
from tidegate.routing.follower import Follower, FollowerState
from tidegate.routing.history import Entry, Verified
from tidegate.routing.orders import Orders
from tidegate.routing.revision import Revision
from tidegate.routing.toml import Plan, plan_from_toml, plan_of
from tidegate.storage import Store
from tidegate.types import Json

__all__ = ["Rollout"]


class Rollout:
    """The commands of one deployment; what they append is served here when they return.

    Args:
        control: The commands.
        follower: What takes revisions on this runtime.
        store: What the replicas share.
    """

    def __init__(self, control: Control, follower: Follower, store: Store) -> None:
        self._control = control
        self._follower = follower
        self._orders = Orders(store, lambda _: control)

    @property
    def state(self) -> FollowerState:
        """How this runtime stands: what it has seen, serves and refuses."""
        return self._follower.state

    def start(
        self,
        plan: Plan | Mapping[str, Any] | str | os.PathLike[str],
        *,
        actor: str | None = None,
        reason: str = "",
        skip_check: str | None = None,
    ) -> Revision:
        """Starts a rollout, or sets the arms of a plan that has no strategy.

        Args:
            plan: A `Plan`, its table, or the path of its TOML file.
            actor: Who says so; the user of this process by default.
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
        read = _plan(plan)
        return self._done(
            lambda who: self._control.start(read, actor=who, reason=reason, skip_check=skip_check),
            actor,
        )

    def pause(self, *, actor: str | None = None, reason: str = "") -> Revision:
        """Stops a rollout where it is; traffic stays as it is."""
        return self._done(lambda who: self._control.pause(actor=who, reason=reason), actor)

    def resume(self, *, actor: str | None = None, reason: str = "") -> Revision:
        """Goes on with a rollout that is paused."""
        return self._done(lambda who: self._control.resume(actor=who, reason=reason), actor)

    def promote(
        self, version: str | None = None, *, actor: str | None = None, reason: str = ""
    ) -> Revision:
        """Gives a candidate all traffic now, whatever the gates say."""
        return self._done(
            lambda who: self._control.promote(version, actor=who, reason=reason), actor
        )

    def abort(self, *, actor: str | None = None, reason: str = "") -> Revision:
        """Gives up a rollout: the stable version gets all traffic."""
        return self._done(lambda who: self._control.abort(actor=who, reason=reason), actor)

    def undo(
        self, to: int | None = None, *, actor: str | None = None, reason: str = ""
    ) -> Revision:
        """Appends an old plan as a new revision: the one before, or one by number."""
        return self._done(lambda who: self._control.undo(to, actor=who, reason=reason), actor)

    def status(self) -> dict[str, Json]:
        """How it stands, as plain values: arms, and of an open rollout its gates with intervals.

        Raises:
            NotFoundError: If there is no revision.
        """
        return self._orders.status(self._control.deployment)

    def history(self, limit: int | None = None) -> list[Entry]:
        """The revisions, the newest first."""
        return self._control.history(limit)

    def verify(self) -> Verified:
        """Proves that the history is one chain, in which nothing was changed or left out."""
        return self._control.verify()

    def _done(self, command: Callable[[str], Revision], actor: str | None) -> Revision:
        revision = command(_user() if actor is None else actor)
        # Not at the next look, but now: whoever asks next is answered by it.
        self._follower.turn()
        return revision


def _plan(plan: Plan | Mapping[str, Any] | str | os.PathLike[str]) -> Plan:
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, Mapping):
        return plan_of(plan)
    path = Path(plan)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"plan {path} cannot be read ({error}): name a TOML file") from error
    return plan_from_toml(text, str(path))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have users without names
        return f"user {os.getuid()}"
