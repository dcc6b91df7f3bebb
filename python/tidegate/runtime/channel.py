"""Answers for one asyncio event loop: futures completed by one wake-up descriptor."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from tidegate._core import Completions

__all__ = ["Channel", "channel"]


class Ticket(Protocol):
    """Work on its way; cancelling drops it unless the model runs it already."""

    def cancel(self) -> None: ...


class Channel:
    """The futures of one event loop that wait for the core.

    Workers of the core leave their answers in a mailbox and write its descriptor once for all that
    gather; the loop then completes every future at once, in its own thread.

    Args:
        loop: The running loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop holds this object as a reader's callback: a strong reference back would keep
        # both alive for ever.
        self._loop = weakref.ref(loop)
        self._completions: Final = Completions()
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._tokens = itertools.count()
        self._flushing: set[tuple[Callable[[str], None], str]] = set()
        loop.add_reader(self._completions.fileno(), self._ready)

    def submit(
        self,
        start: Callable[[Completions, int], Ticket],
        flush: Callable[[str], None],
        name: str,
    ) -> asyncio.Future[Any]:
        """Start work and return the future of its answer.

        Args:
            start: Called with the mailbox and the token under which the answer must arrive.
            flush: Called with the name once at the end of the loop's turn, after every task that
                is ready now has submitted its work, so that they share a batch.
            name: What is asked.

        Returns:
            A future; cancelling it drops the work.
        """
        loop = self._loop()
        assert loop is not None, "a channel is used by its own loop only"
        token = next(self._tokens)
        future: asyncio.Future[Any] = loop.create_future()
        self._futures[token] = future
        try:
            ticket = start(self._completions, token)
        except BaseException:
            del self._futures[token]
            raise

        def settled(done: asyncio.Future[Any]) -> None:
            if done.cancelled():
                self._futures.pop(token, None)
                ticket.cancel()

        future.add_done_callback(settled)
        if (flush, name) not in self._flushing:
            self._flushing.add((flush, name))
            loop.call_soon(self._flush, flush, name)
        return future

    def _flush(self, flush: Callable[[str], None], name: str) -> None:
        self._flushing.discard((flush, name))
        flush(name)

    def _ready(self) -> None:
        for token, value, error in self._completions.drain():
            future = self._futures.pop(token, None)
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


_channels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = (
    weakref.WeakKeyDictionary()
)
_guard = threading.Lock()


def channel() -> Channel:
    """Return the channel of the running loop, made at its first use."""
    loop = asyncio.get_running_loop()
    with _guard:
        found = _channels.get(loop)
        if found is None:
            found = _channels[loop] = Channel(loop)
        return found
