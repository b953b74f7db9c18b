"""One lane an organization: what waits in it is done together, by whoever came first. No timer, no thread of its own.

While one batch commits the next collects, so a lone job waits for nothing and a crowd shares one transaction; no
organization waits for another.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from core.db import hand_over

log = structlog.get_logger(__name__)

BATCH = 100
"""Jobs that are done in one transaction at most."""

J = TypeVar("J")
R = TypeVar("R")


@dataclass(slots=True)
class _Entry(Generic[J, R]):
    job: J
    done: Callable[[R | Exception], None]
    loop: asyncio.AbstractEventLoop | None
    """Where `done` is called; None: in whatever thread did the job."""


class Lanes(Generic[J, R]):
    """`work` does a batch and answers one outcome for each of its jobs, in their order; it runs in threads.

    `alone` tells which jobs share no batch.
    """

    def __init__(self, work: Callable[[Sequence[J]], Sequence[R | Exception]], alone: Callable[[J], bool]) -> None:
        self._work = work
        self._alone = alone
        self._guard = threading.Lock()
        self._waiting: dict[UUID, deque[_Entry[J, R]]] = {}
        """Of each lane that somebody drives."""

    def join(self, lane: UUID, job: J, done: Callable[[R | Exception], None]) -> None:
        """From an event loop: `done` is called on it later. Jobs of a lane are done in the order in which they join."""
        if self._enter(lane, _Entry(job, done, asyncio.get_running_loop())):
            hand_over(self._drive, lane)

    def do(self, lane: UUID, job: J) -> R:
        """From a thread: wait for the outcome, driving the lane if nobody does. An exception is raised."""
        outcome: Future[R | Exception] = Future()
        if self._enter(lane, _Entry(job, outcome.set_result, None)):
            self._step(lane)
            if not self._leave(lane):
                hand_over(self._drive, lane)
        found = outcome.result()
        if isinstance(found, Exception):
            raise found
        return found

    def _enter(self, lane: UUID, entry: _Entry[J, R]) -> bool:
        """Wait in the lane; whether the caller has to see to it that it is driven."""
        with self._guard:
            waiting = self._waiting.get(lane)
            if waiting is not None:
                waiting.append(entry)
                return False
            self._waiting[lane] = deque([entry])
            return True

    def _leave(self, lane: UUID) -> bool:
        """Stop driving, if nothing waits any more."""
        with self._guard:
            if self._waiting[lane]:
                return False
            del self._waiting[lane]
            return True

    def _drive(self, lane: UUID) -> None:
        while not self._leave(lane):
            self._step(lane)

    def _step(self, lane: UUID) -> None:
        entries = self._take(lane)
        try:
            outcomes: Sequence[R | Exception] = self._work([entry.job for entry in entries])
        except Exception as error:
            outcomes = [error] * len(entries)
        _settle(list(zip(entries, outcomes, strict=True)))

    def _take(self, lane: UUID) -> list[_Entry[J, R]]:
        with self._guard:
            waiting = self._waiting[lane]
            taken = [waiting.popleft()]
            while waiting and len(taken) < BATCH and not self._alone(taken[0].job) and not self._alone(waiting[0].job):
                taken.append(waiting.popleft())
            return taken


def _settle(settled: list[tuple[_Entry[J, R], R | Exception]]) -> None:
    """One wake-up for each loop, however many wait there."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[_Entry[J, R], R | Exception]]] = {}
    for entry, outcome in settled:
        if entry.loop is None:
            entry.done(outcome)
        else:
            loops.setdefault(entry.loop, []).append((entry, outcome))
    for loop, theirs in loops.items():
        try:
            loop.call_soon_threadsafe(_tell, theirs)
        except RuntimeError:
            log.warning("nobody is left to hear what was done", jobs=len(theirs))


def _tell(settled: list[tuple[_Entry[J, R], R | Exception]]) -> None:
    for entry, outcome in settled:
        try:
            entry.done(outcome)
        except Exception:
            log.exception("an answer failed")
