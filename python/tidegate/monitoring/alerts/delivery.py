"""Sending notifications: a bounded queue and a thread for each channel, retries with pauses."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.monitoring.alerts.channels import Channel, ChannelError, Message, post

__all__ = ["Dispatcher", "Standing"]

LOG: Final = logging.getLogger("tidegate.alerts")

MOST_QUEUED: Final = 256
"""Notifications that wait for one channel; one more is given up at once."""

ATTEMPTS: Final = 8
"""Attempts for one notification, counting the first."""

PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before each further attempt; a receiver's own `Retry-After` counts where it is longer."""

TIMEOUT_SECONDS: Final = 10.0
"""How long a receiver may take."""

LAST_SECONDS: Final = 5.0
"""How long what is queued may take once the server ends."""

Outcome = Callable[[str, str, str | None], None]
"""Told of each notification: its id, the channel, and why it did not arrive, where it did not."""


@dataclass(slots=True)
class Standing:
    """How a channel is doing.

    Attributes:
        sent: Notifications that arrived.
        failed: Notifications that were given up.
        queued: Notifications that wait.
        problem: What is wrong just now.
    """

    sent: int = 0
    failed: int = 0
    queued: int = 0
    problem: str | None = None


class _Line:
    """One channel's queue and thread."""

    def __init__(self, channel: Channel, outcome: Outcome, pauses: tuple[float, ...]) -> None:
        self._channel = channel
        self._outcome = outcome
        self._pauses = pauses
        self._queue: deque[Message] = deque()
        self._guard = threading.Condition()
        self._closing = False
        self._end = float("inf")
        self._standing = Standing()
        self._thread = threading.Thread(
            target=self._run, name=f"tidegate-alerts-{channel.name}", daemon=True
        )
        self._thread.start()

    def put(self, message: Message) -> None:
        with self._guard:
            full = len(self._queue) >= MOST_QUEUED or self._closing
            if not full:
                self._queue.append(message)
                self._guard.notify()
        if full:
            self._done(message, f"{MOST_QUEUED} notifications wait already")

    def standing(self) -> Standing:
        with self._guard:
            found = self._standing
            return Standing(found.sent, found.failed, len(self._queue), found.problem)

    def close(self) -> None:
        with self._guard:
            self._closing = True
            self._end = time.monotonic() + LAST_SECONDS
            self._guard.notify_all()

    def join(self) -> None:
        self._thread.join(max(self._end - time.monotonic(), 0.0) + 1.0)

    def _run(self) -> None:
        while True:
            with self._guard:
                while not self._queue and not self._closing:
                    self._guard.wait()
                if not self._queue:
                    return
                message = self._queue.popleft()
            try:
                self._done(message, self._send(message))
            except Exception:
                LOG.exception("a bug in channel %s, please report it", self._channel.name)
                self._done(message, "a bug of tidegate's")

    def _send(self, message: Message) -> str | None:
        """Why it did not arrive; nothing if it did."""
        problem = "there was no time left"
        posts = self._channel.posts(message)
        for pause in (*self._pauses, None):
            left = self._end - time.monotonic()
            if left <= 0:
                break
            try:
                while posts:
                    post(posts[0], timeout=min(left, TIMEOUT_SECONDS))
                    # What has arrived is not sent again with the rest.
                    posts = posts[1:]
            except ChannelError as error:
                problem = str(error)
                self._say(problem)
                if not error.again or pause is None:
                    break
                self._rest(max(pause, error.after or 0.0))
            else:
                self._say(None)
                return None
        return problem

    def _rest(self, seconds: float) -> None:
        # Many channels that failed at once do not come back at once.
        until = time.monotonic() + seconds * random.uniform(0.8, 1.2)
        with self._guard:
            while not self._closing and (left := until - time.monotonic()) > 0:
                self._guard.wait(left)

    def _say(self, problem: str | None) -> None:
        """Logs the first of several problems, and that it is over."""
        with self._guard:
            before, self._standing.problem = self._standing.problem, problem
        if problem is not None and before is None:
            LOG.warning("alerts do not arrive on channel %s: %s", self._channel.name, problem)
        elif problem is None and before is not None:
            LOG.info("alerts arrive on channel %s again", self._channel.name)

    def _done(self, message: Message, problem: str | None) -> None:
        with self._guard:
            if problem is None:
                self._standing.sent += 1
            else:
                self._standing.failed += 1
        if problem is not None:
            LOG.error(
                "notification %s is given up on channel %s: %s",
                message.id,
                self._channel.name,
                problem,
            )
        self._outcome(message.id, self._channel.name, problem)


class Dispatcher:
    """Takes notifications for channels and returns at once.

    Args:
        channels: By name.
        outcome: Called in a channel's thread for each notification that arrived or was given up.
        pauses: Seconds before each further attempt.

    Example:
        >>> dispatcher = Dispatcher({}, lambda notification, channel, problem: None)
        >>> dispatcher.standings()
        {}
        >>> dispatcher.close()
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        outcome: Outcome,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._lines = {name: _Line(channel, outcome, pauses) for name, channel in channels.items()}

    def put(self, channel: str, message: Message) -> None:
        """Queues a notification; where there is no room it is given up, and said so."""
        self._lines[channel].put(message)

    def standings(self) -> dict[str, Standing]:
        """How each channel is doing."""
        return {name: line.standing() for name, line in self._lines.items()}

    def close(self) -> None:
        """Sends what is queued, for at most `LAST_SECONDS`. Twice does no harm."""
        for line in self._lines.values():
            line.close()
        for line in self._lines.values():
            line.join()
