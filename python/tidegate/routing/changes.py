"""What has changed lately, from the revisions themselves: for incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.routing.history import History
from tidegate.routing.revision import Revision

__all__ = ["changes"]

MOST: Final = 100
"""Revisions of one deployment that are told, the newest first."""


def changes(history: History, since: float) -> list[Mapping[str, Any]]:
    """The changes of a deployment's traffic, oldest first: who gets what, before and after.

    Args:
        history: Of the deployment; what others have appended is read.
        since: Seconds since 1970.

    Raises:
        StorageError: If the store cannot be read.
        StateError: If a record is damaged.

    Example:
        >>> import tempfile
        >>> from tidegate.routing.plan import Routing
        >>> from tidegate.storage import FolderStore
        >>> history = History(FolderStore(tempfile.mkdtemp()), "m")
        >>> _ = history.append(Revision("m", 1, 5.0, "ann", "", "set", Routing.alone("1.0.0")))
        >>> [(each["at"], each["before"], each["after"]) for each in changes(history, 0.0)]
        [(5.0, '', 'revision 1 (set by ann): 1.0.0 100 %')]
    """
    history.refresh()
    found: list[Mapping[str, Any]] = []
    after: Revision | None = None
    for entry in history.back():
        if entry.void:
            continue
        if after is not None:
            found.append(_change(entry.revision, after))
        after = entry.revision
        if after.time < since or len(found) >= MOST:
            return found[::-1]
    if after is not None:
        found.append(_change(None, after))
    return found[::-1]


def _change(before: Revision | None, after: Revision) -> Mapping[str, Any]:
    said = f"revision {after.number} ({after.event} by {after.actor}): {after.routing}"
    return {
        "at": after.time,
        "what": "deployment",
        "name": after.deployment,
        "before": "" if before is None else f"revision {before.number}: {before.routing}",
        "after": said,
    }
