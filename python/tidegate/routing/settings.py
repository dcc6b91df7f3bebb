"""The section `[routing]` of the settings."""

from __future__ import annotations

import os
import re
import socket
import uuid
from dataclasses import dataclass
from typing import Final

from tidegate.errors import ConfigurationError
from tidegate.routing.lease import LEAST_SECONDS, MOST_SECONDS
from tidegate.storage import Store, open_store

__all__ = ["Follow"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Follow:
    """How a replica follows the revisions of what it serves, and takes part in rollouts.

    Attributes:
        location: Folder or object-store address that all replicas share; the registry's own by
            default, where it can be written to.
        every: Seconds between two looks at the newest revision.
        replica: How this replica's name begins; the machine's name by default. Each start makes a
            name of its own of it.
        lease: Seconds after which another replica decides about a rollout, if the one that did
            says nothing any more.
        samples: Seconds between two samples of what was counted, during a rollout.
        warm: Keep the models of the plan before loaded, so that a rollback needs to load nothing.

    Raises:
        ConfigurationError: If a time is out of its range, or the name has other characters.

    Example:
        >>> Follow(replica="web-1").name()[:6]
        'web-1-'
    """

    location: str | None = None
    every: float = 1.0
    replica: str | None = None
    lease: float = 10.0
    samples: float = 2.0
    warm: bool = True

    def __post_init__(self) -> None:
        for what, seconds in (("every", self.every), ("samples", self.samples)):
            if not 0.01 <= seconds <= 3_600:
                raise ConfigurationError(f"{what} is {seconds:g}: give 0.01 to 3600 seconds")
        if not LEAST_SECONDS <= self.lease <= MOST_SECONDS:
            raise ConfigurationError(
                f"lease is {self.lease:g}: give {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds"
            )
        if self.replica is not None and not _NAME.match(self.replica):
            raise ConfigurationError(
                f"replica is {self.replica[:40]!r}: use up to 100 letters, digits and '-', "
                "beginning with a letter or digit"
            )

    def name(self) -> str:
        """A name for this process that no other has had."""
        host = self.replica or re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
        return f"{host.strip('-') or 'replica'}-{os.getpid()}-{uuid.uuid4().hex[:6]}"

    def store(self, default: Store | None) -> Store | None:
        """What the replicas share; `None` where there is nothing that can be written to.

        Args:
            default: The registry's.

        Raises:
            StorageError: If the store cannot arbitrate between two writers.
        """
        if self.location is not None:
            return open_store(self.location)
        if default is None or not default.probe():
            return None
        return default
