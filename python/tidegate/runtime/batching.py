"""What may be said of how a model batches, and how what is said later goes over what was."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

__all__ = ["Batching"]


@dataclass(frozen=True, slots=True)
class Batching:
    """One objective at most, and bounds; `None` is what was not said.

    Attributes:
        objective: Seconds within which 99 of 100 requests are to be answered.
        max_delay: Seconds that a request may wait before its batch begins.
        max_batch_rows: Most rows that one run takes.
        max_queue_rows: Most rows that wait.
        max_queue_bytes: Most bytes that wait.
        instances: How many batches run at the same time.

    Example:
        >>> Batching(objective=0.02).over(Batching(objective=0.5, instances=2))
        Batching(objective=0.02, max_delay=None, max_batch_rows=None, max_queue_rows=None, \
max_queue_bytes=None, instances=2)
    """

    objective: float | None = None
    max_delay: float | None = None
    max_batch_rows: int | None = None
    max_queue_rows: int | None = None
    max_queue_bytes: int | None = None
    instances: int | None = None

    def over(self, before: Self | None) -> Self:
        """What was said before, with what is said here instead where anything is."""
        if before is None:
            return self
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(
            **{
                name: getattr(before, name) if value is None else value
                for name, value in said.items()
            }
        )
