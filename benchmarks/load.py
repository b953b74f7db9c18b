"""The load generator, a process of its own: opens sockets and sends, as lines of JSON on its input tell it to.

It answers each line with one. `driver.Load` is the other end.
"""

import asyncio
import contextlib
import json
import sys
import time
from array import array
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.dialects import Seat
from benchmarks.sockets import PATIENCE, Ear, Tally, opened

AT_ONCE = 20
"""Sockets that are opened at the same time."""


class Load:
    def __init__(self) -> None:
        self.ears: list[Ear] = []

    async def open(self, seats: list[dict[str, Any]], enter: bool) -> dict[str, Any]:
        """Open a socket for each seat, and where `enter` be in its room."""
        before = len(self.ears)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(seat: Seat) -> Ear:
            async with gate:
                ear = await opened(seat)
                if enter:
                    await ear.enter()
                return ear

        self.ears += await asyncio.gather(*(one(Seat(**seat)) for seat in seats))
        return {"opened": len(self.ears) - before}

    async def enter(self) -> dict[str, Any]:
        """Be in the room, with sockets that were only opened so far."""
        outside = [ear for ear in self.ears if not ear.entered]
        for start in range(0, len(outside), AT_ONCE):
            await asyncio.gather(*(ear.enter() for ear in outside[start : start + AT_ONCE]))
        return {"entered": len(outside)}

    async def steady(self, rate: float, seconds: float) -> dict[str, Any]:
        """The first socket sends at this rate; wait until all has arrived everywhere, or patience ends."""
        tally = self._begin()
        began, total = time.monotonic(), max(1, round(rate * seconds))
        for number in range(total):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            self.ears[0].say()
        return await self._outcome(tally, total * len(self.ears), began)

    async def saturate(self, senders: list[int], hearers: int, flight: int, seconds: float) -> dict[str, Any]:
        """Each of these sockets sends on each answer, with `flight` unanswered; each message reaches `hearers`."""
        tally = self._begin()
        began = time.monotonic()
        for each in (self.ears[index] for index in senders):
            each.until = began + seconds
            for _ in range(flight):
                each.say()
        for each in (self.ears[index] for index in senders):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(each.idle.wait(), seconds + PATIENCE)
        elapsed = time.monotonic() - began
        outcome = await self._outcome(tally, len(tally.waits) * hearers, began)
        waits = sorted(tally.waits)
        answered = {"answered": len(waits), "seconds": elapsed}
        return outcome | answered | {"wait_p50_ms": percentile(waits, 0.5), "wait_p99_ms": percentile(waits, 0.99)}

    async def close(self) -> dict[str, Any]:
        for ear in self.ears:
            if not ear.closed:
                ear.transport.send_close()
        for ear in self.ears:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ear.transport.wait_disconnected(), 5)
        closed, self.ears = len(self.ears), []
        return {"closed": closed}

    def _begin(self) -> Tally:
        tally, run = Tally(), uuid4().hex
        for number, ear in enumerate(self.ears):
            ear.begin(tally, f"{run}-{number}")
        return tally

    async def _outcome(self, tally: Tally, expected: int, began: float) -> dict[str, Any]:
        tally.expect(expected)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tally.done.wait(), PATIENCE)
        delays = sorted(tally.delays)
        return {
            "sent": tally.sent,
            "deliveries": len(delays),
            "lost": expected - len(delays),
            "refusals": tally.refusals[:3],
            "closed": sorted({ear.closed for ear in self.ears if ear.closed}),
            "seconds": time.monotonic() - began,
            "p50_ms": percentile(delays, 0.5),
            "p99_ms": percentile(delays, 0.99),
        }

    def do(self, do: str, **job: Any) -> Coroutine[Any, Any, dict[str, Any]]:
        jobs: dict[str, Any] = {
            "open": self.open,
            "enter": self.enter,
            "steady": self.steady,
            "saturate": self.saturate,
            "close": self.close,
        }
        found: Coroutine[Any, Any, dict[str, Any]] = jobs[do](**job)
        return found


def percentile(rising: "Sequence[float] | array[float]", share: float) -> float:
    """In milliseconds; of nothing it is 0."""
    return rising[min(len(rising) - 1, int(len(rising) * share))] * 1000 if rising else 0.0


async def main() -> None:
    load, loop = Load(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await load.do(**json.loads(line))
        except Exception as error:  # whatever it is, the other end reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
