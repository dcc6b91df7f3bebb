"""An incident for a rollout that was given up, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tidegate.routing.follower import Next
from tidegate.routing.revision import Revision

__all__ = ["Reporting", "opened"]


class Reporting(Protocol):
    """What opens incidents: `tidegate.monitoring.alerts.watch.Watch`."""

    def report(self, labels: Mapping[str, str], text: str, record: Mapping[str, Any]) -> str | None:
        """Opens an incident that goes on until somebody resolves it."""


def opened(watch: Reporting, revision: Revision, decision: Next) -> str | None:
    """Opens the incident of a rollout that a gate has ended.

    To be called once the abort is on record and the traffic is back: nothing waits for it.

    Args:
        watch: What opens incidents.
        revision: Of the rollout, before it was given up.
        decision: To give it up.

    Returns:
        The incident's name; `None` where it could not be opened, or nothing was given up.
    """
    rollout = revision.rollout
    if rollout is None or decision.event != "abort":
        return None
    record = {
        "type": "rollout",
        "rollout": rollout.id,
        "revision": revision.number,
        "reason": decision.reason,
        "evidence": decision.evidence,
    }
    labels = {"model": revision.deployment, "rollout": rollout.id}
    return watch.report(labels, decision.reason, record)
