"""What chat limits: how fast one socket may talk, and the writes of a person and an organization."""

import time
from collections import deque
from collections.abc import Callable

from core.limits import Bucket, rate_of, refuse, spend, spend_soon
from tenants.actor import Actor

MINUTE = 60.0


def pay(actor: Actor) -> None:
    """For whatever changes a room's messages, before it is done: one of the sends that person and organization have."""
    spend("SENDS", user=actor.user, tenant=actor.tenant)


async def pay_soon(actor: Actor) -> None:
    """The same from the event loop."""
    await spend_soon("SENDS", user=actor.user, tenant=actor.tenant)


class Pace:
    """The buckets of one connection."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        rates = rate_of("LIMIT_FRAMES"), rate_of("LIMIT_BYTES")
        self._frames, self._bytes = (rate and Bucket(rate, clock()) for rate in rates)

    def hear(self, size: int) -> None:
        """A frame of so many bytes came. Raises `RateLimited` where it is too much; then it costs nothing."""
        now = self._clock()
        if self._bytes is not None:
            refuse(self._bytes.wait(size, now), "Too many bytes at once.")
        if self._frames is not None:
            refuse(self._frames.take(1, now), "Too many frames at once.")
        if self._bytes is not None:
            self._bytes.take(size, now)


class Streak:
    """Tells when something has happened so many times within a minute."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=most)

    def again(self) -> bool:
        """It happened; whether that is once too often."""
        self._times.append(self._clock())
        return len(self._times) == self._times.maxlen and self._times[-1] - self._times[0] < MINUTE
