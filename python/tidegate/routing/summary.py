"""A revision as plain values: what commands answer with, and what a status begins with."""

from __future__ import annotations

from typing import Any

from tidegate.routing.revision import Revision
from tidegate.routing.weights import FULL

__all__ = ["summary"]


def summary(revision: Revision) -> dict[str, Any]:
    """A revision for people and programs: who, when, why, and who gets what.

    Args:
        revision: Which one.

    Example:
        >>> from tidegate.routing import Routing
        >>> found = summary(Revision("m", 1, 0.0, "ann", "first", "set", Routing.alone("1.0.0")))
        >>> found["arms"], found["rollout"]
        ([{'version': '1.0.0', 'digest': None, 'role': 'stable', 'percent': 100.0}], None)
    """
    rollout, shadow = revision.rollout, revision.routing.shadow
    return {
        "deployment": revision.deployment,
        "revision": revision.number,
        "time": revision.time,
        "actor": revision.actor,
        "event": revision.event,
        "reason": revision.reason,
        "parent": revision.parent,
        "arms": [
            {
                "version": arm.version,
                "digest": arm.digest,
                "role": arm.role,
                "percent": 100 * arm.weight / FULL,
            }
            for arm in revision.routing.arms
        ],
        "shadow": None
        if shadow is None
        else {
            "version": shadow.version,
            "digest": shadow.digest,
            "percent": 100 * shadow.share / FULL,
        },
        "rollout": None
        if rollout is None
        else {
            "id": rollout.id,
            "strategy": rollout.strategy.kind,
            "phase": rollout.phase,
            "step": rollout.step + 1,
            "steps": len(rollout.strategy.steps),
            "candidates": [arm.version for arm in rollout.candidates],
        },
    }
