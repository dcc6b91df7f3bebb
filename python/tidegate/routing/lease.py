"""The lease of a deployment: which replica decides about its rollout.

A lease is a log of its own: each taking and each renewal is the next record, created if absent, and
the record's number is the fencing token. Nobody's clock is compared with anybody else's. Who wants
the lease watches the newest record, and may take the next number once that record has stood still
for as long as the lease lasts, by its own monotonic clock. The holder counts from before it wrote
the record, and believes itself for a shorter time, so that it stops before anybody else begins as
long as clocks run equally fast to within the margin. And if that fails, nothing is lost: of two
that decide at once one appends, and what was decided by an older token is void.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tidegate.errors import AlreadyExistsError, InputError, NotFoundError, StorageError
from tidegate.storage import Log, Store
from tidegate.types import Json

__all__ = ["Lease"]

LOG: Final = logging.getLogger("tidegate.routing")

MARGIN: Final = 0.25
"""The part of a lease in which its holder no longer believes in it: how much faster the clock of
another replica may run, and how long a decision may take."""

RENEWALS: Final = 4
"""How often a holder renews within one lease."""

KEPT: Final = 16
"""Records that stay: a reader with an old listing must not find a number free that was taken."""

LEAST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """The newest record, and when it was seen first."""

    number: int
    holder: str
    seconds: float
    released: bool
    since: float


class Lease:
    """One replica's part in who decides.

    Args:
        store: Where the lease is.
        deployment: What it is about.
        holder: This replica's name, which no other has ever had.
        seconds: How long a taking or a renewal lasts.
        clock: Monotonic seconds.
        wall: Seconds since 1970, written down for people only.

    Raises:
        InputError: If `seconds` is out of its range.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> store = FolderStore(tempfile.mkdtemp())
        >>> first, second = Lease(store, "m", "a"), Lease(store, "m", "b")
        >>> first.hold(), second.hold()
        (1, None)
        >>> first.release()
        >>> second.hold()
        3
    """

    def __init__(
        self,
        store: Store,
        deployment: str,
        holder: str,
        *,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise InputError(
                f"a lease of {seconds:g} s: give it {LEAST_SECONDS:g} to {MOST_SECONDS:g} s"
            )
        self._log = Log(store, f"deployments/{deployment}/lease")
        self._me = holder
        self._seconds = seconds
        self._clock = clock
        self._wall = wall
        self._seen: _Seen | None = None
        self._token: int | None = None
        self._until = float("-inf")
        self._renew = float("-inf")

    @property
    def token(self) -> int | None:
        """The fencing token, as long as this replica may believe that it holds the lease."""
        return self._token if self._clock() < self._until else None

    @property
    def holder(self) -> str | None:
        """Who holds it, as far as this replica has seen."""
        seen = self._seen
        return None if seen is None or seen.released else seen.holder

    def hold(self) -> int | None:
        """Takes the lease if it is free, renews it if it is due.

        Returns:
            The token if this replica holds it now.

        Raises:
            StorageError: If the store cannot be reached; a lease that is held stays so until it
                ends, see `token`.
        """
        if self.token is not None and self._clock() < self._renew:
            return self._token
        self._look()
        if self._may_take():
            self._take(released=False)
        return self.token

    def release(self) -> None:
        """Gives it back if it is held, so that another need not wait. Never raises."""
        if self._token is None:
            return
        held = self.token is not None
        self._token = None
        # A lease that has ended may be somebody else's by now.
        if held:
            with suppress(StorageError):
                self._look()
                if self._seen is not None and self._seen.holder == self._me:
                    self._take(released=True)
        self._token = None

    def _look(self) -> None:
        """Sees which record is the newest."""
        number = self._log.last_number()
        if number == 0 or (self._seen is not None and number <= self._seen.number):
            return
        try:
            body: Any = self._log.read(number).body
        except NotFoundError:
            return  # It was renewed and removed meanwhile: the next look sees that.
        self._seen = _Seen(
            number,
            str(body["holder"]),
            float(body["seconds"]),
            bool(body["released"]),
            # Counted from after it was read: whoever wrote it counts from before that.
            self._clock(),
        )
        if self._token is not None and number > self._token:
            self._token = None

    def _may_take(self) -> bool:
        seen = self._seen
        if seen is None or seen.released or seen.holder == self._me:
            return True
        return self._clock() - seen.since >= max(seen.seconds, self._seconds)

    def _take(self, *, released: bool) -> None:
        began, now = self._clock(), self._wall()
        number = 0 if self._seen is None else self._seen.number
        body: dict[str, Json] = {
            "expires": now + self._seconds,
            "holder": self._me,
            "released": released,
            "seconds": self._seconds,
            "taken": now,
        }
        try:
            token = self._log.append(body, after=number).number
        except AlreadyExistsError:
            return
        self._seen = _Seen(token, self._me, self._seconds, released, self._clock())
        self._token = token
        self._until = began + self._seconds * (1 - MARGIN)
        self._renew = began + self._seconds / RENEWALS
        if token > KEPT:
            try:
                self._log.forget(token - KEPT)
            except StorageError as error:
                LOG.warning("old leases are not removed for now: %s", error)
