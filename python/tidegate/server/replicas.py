"""Snapshots of what this replica has watched, for the report of all replicas as one."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import ConfigurationError
from tidegate.monitoring.snapshots import SnapshotWriter
from tidegate.runtime import Runtime
from tidegate.storage import open_store

__all__ = ["Replicas"]


@dataclass(frozen=True, slots=True)
class Replicas:
    """Where replicas write down what they have watched; without `location` they do not.

    Attributes:
        location: Folder or object-store address that all replicas share.
        every: Seconds between two snapshots.

    Raises:
        ConfigurationError: If `every` is not positive.

    Example:
        >>> Replicas(location="s3://models/watching").every
        60.0
    """

    location: str | None = None
    every: float = 60.0

    def __post_init__(self) -> None:
        if not self.every > 0:
            raise ConfigurationError(f"every is {self.every}: give seconds above 0")

    def writer(self, runtime: Runtime) -> SnapshotWriter | None:
        """What writes the snapshots of a runtime, not started yet; `None` without a location.

        Raises:
            StorageError: The store cannot arbitrate between two writers.
        """
        if self.location is None:
            return None
        return SnapshotWriter(open_store(self.location), runtime.watched, every=self.every)
