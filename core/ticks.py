"""The timers of many sockets, kept together: one of the reactor's for all that fall into the same tick."""

import math
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

SECONDS = 0.2
"""What timeouts and pings are rounded to."""
ROW = 8
"""Calls in a row, before others have their turn."""


class Call:
    """One call to come."""

    __slots__ = ("_bucket", "_what")

    def __init__(self, bucket: "dict[Call, None]", what: Callable[[], object]) -> None:
        self._bucket = bucket
        self._what = what
        bucket[self] = None

    def cancel(self) -> None:
        self._bucket.pop(self, None)

    def run(self) -> None:
        try:
            self._what()
        except Exception:
            log.exception("timer failed")


class Ticks:
    """In place of autobahn's: that one calls what was cancelled too late, searches a list for each cancelled call, and
    calls up to a thousand in a row, while everybody else waits.

    `reactor`: what tells the time and calls later, as Twisted's.
    """

    def __init__(self, reactor: Any, seconds: float = SECONDS, row: int = ROW) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._row = row
        self._buckets: dict[int, dict[Call, None]] = {}

    def call_later(self, delay: float, what: Callable[[], object]) -> Call:
        """Call at the first tick that is no earlier than `delay` seconds from now."""
        now = self._reactor.seconds()
        tick = math.ceil((now + delay) / self._seconds)
        if tick not in self._buckets:
            self._buckets[tick] = {}
            self._reactor.callLater(max(0.0, tick * self._seconds - now), self._run, tick)
        return Call(self._buckets[tick], what)

    def _run(self, tick: int) -> None:
        bucket = self._buckets[tick]
        for _ in range(min(self._row, len(bucket))):
            if call := next(iter(bucket), None):
                call.cancel()
                call.run()
        if bucket:
            self._reactor.callLater(0, self._run, tick)
        else:
            del self._buckets[tick]
