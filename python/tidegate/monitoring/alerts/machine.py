"""One alert of one replica: inactive, pending, firing. A pure function in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

__all__ = ["FORGET_SECONDS", "INACTIVE", "Change", "Local", "step"]

State = Literal["inactive", "pending", "firing"]
Change = Literal["held", "released"]

FORGET_SECONDS: Final = 3_600.0
"""An alert that fires and of which nothing is known for this long is taken back."""


@dataclass(frozen=True, slots=True)
class Local:
    """What one replica knows of one alert.

    Attributes:
        state: Where it stands.
        since: Since when.
        known: When the condition last said anything.
        quiet: Since when a firing alert's condition does not hold, where it does not.
    """

    state: State = "inactive"
    since: float = 0.0
    known: float = 0.0
    quiet: float | None = None


INACTIVE: Final = Local()


def step(
    local: Local, active: bool | None, now: float, *, hold: float = 0.0, keep: float = 0.0
) -> tuple[Local, Change | None]:
    """What one look makes of an alert.

    Args:
        local: As it was.
        active: Whether the condition holds; `None` if the data does not say, which leaves a firing
            alert as it is for `FORGET_SECONDS` and ends a pending one.
        now: Seconds; one that lies before an earlier look counts as no time passed.
        hold: Seconds that the condition must hold before the alert fires.
        keep: Seconds that it must not hold before the alert ends.

    Returns:
        As it is now, and whether this replica begins or ends to hold the alert.

    Example:
        >>> local, change = step(INACTIVE, True, 0.0, hold=60.0)
        >>> local.state, change
        ('pending', None)
        >>> step(local, True, 60.0, hold=60.0)[1]
        'held'
    """
    if local.state != "firing":
        if not active:
            return INACTIVE, None
        since = local.since if local.state == "pending" else now
        if now - since >= hold:
            return Local("firing", now, now), "held"
        return Local("pending", since, now), None
    if active:
        return replace(local, known=max(now, local.known), quiet=None), None
    if active is None:
        if now - local.known >= FORGET_SECONDS:
            return INACTIVE, "released"
        return local, None
    quiet = now if local.quiet is None else local.quiet
    if now - quiet >= keep:
        return INACTIVE, "released"
    return replace(local, known=max(now, local.known), quiet=quiet), None
