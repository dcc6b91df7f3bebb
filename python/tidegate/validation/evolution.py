"""What has changed between two schemas, and who can still read what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from tidegate import _core

if TYPE_CHECKING:
    from tidegate.features import Schema

__all__ = ["Compatibility", "SchemaChange", "SchemaDiff", "compare_schemas"]

Compatibility = Literal["full", "backward", "forward", "none"]
"""Who can read across a change. Backward: readers of the new schema read old data, so readers are
upgraded first. Forward: readers of the old schema read new data, so writers are. Full: both."""


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference.

    Attributes:
        column: the column.
        change: what has become of it.
        compatibility: who can still read what.
    """

    column: str
    change: str
    compatibility: Compatibility

    def __str__(self) -> str:
        return f"{self.column}: {self.change} ({self.compatibility})"


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """The differences between two schemas; false if there is none.

    Attributes:
        changes: one by one, in the order of the new schema, then what was removed.
    """

    changes: tuple[SchemaChange, ...]

    @property
    def compatibility(self) -> Compatibility:
        """What holds across all changes."""
        found = {change.compatibility for change in self.changes} - {"full"}
        if not found:
            return "full"
        return found.pop() if len(found) == 1 else "none"

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self.changes)


def compare_schemas(old: Schema, new: Schema) -> SchemaDiff:
    """The differences between two schemas, with the rules of evolution applied.

    A nullable column may come and go. A required one that comes stops new readers of old data, one
    that goes stops old readers of new data. Integers widen to floats. Order means nothing here.

    >>> from tidegate import Schema
    >>> from tidegate.features import Field
    >>> old = Schema([Field("x", "int64", nullable=False)])
    >>> new = Schema([Field("x", "float64", nullable=False), Field("y", "string", nullable=True)])
    >>> diff = compare_schemas(old, new)
    >>> print(diff)
    x: type int64 -> float64 (backward)
    y: added, nullable: string (full)
    >>> diff.compatibility
    'backward'
    """
    found = _core.compare_schemas(old._native, new._native)
    return SchemaDiff(
        tuple(
            SchemaChange(column, change, cast("Compatibility", compatibility))
            for column, change, compatibility in found
        )
    )
