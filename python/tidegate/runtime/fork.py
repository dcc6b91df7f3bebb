"""Objects with threads, told when a child process inherits them: a fork takes no thread along."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["Forked", "tell"]


class Forked(Protocol):
    """What fails clearly in a child process."""

    def forked(self) -> None:
        """Called in the child, before anything else runs there."""


_alive: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def tell(one: Forked) -> None:
    """Calls `forked` of an object in every child process that is forked while it lives."""
    _alive.add(one)


def _forked() -> None:
    for one in list(_alive):
        one.forked()


os.register_at_fork(after_in_child=_forked)
