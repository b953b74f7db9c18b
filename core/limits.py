"""Rate limits: buckets in memory, leases of what the shared counter holds, and exact counts of guesses.

What is limited, how much and where it is counted: docs/protocol.md and docs/deployment.md.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from core.counting import Away, Counter, shared_counter
from core.db import run
from core.errors import NotFound, RateLimited, Unavailable
from core.rates import Rate

SHARE = 16
"""The part of an allowance, one in so many, that a process spends before it asks, and then leases at a time."""
WORTHWHILE = 8
"""The part of a bucket, one in so many, that who was refused waits for: less, and most would be refused again."""
MOST = 10_000
"""Buckets or leases a process keeps; those that were used least recently go first."""
PAUSE = 5.0
"""Seconds for which a counter that is away is not asked again."""

log = structlog.get_logger(__name__)

Clock = Callable[[], float]


def rate_of(setting: str) -> Rate | None:
    """The rate that a setting names, times RATE_LIMIT_FACTOR; None where that is 0."""
    rate: Rate = getattr(settings, setting)
    factor: float = settings.RATE_LIMIT_FACTOR
    return Rate(max(1, round(rate.amount * factor)), rate.seconds) if factor else None


def refuse(wait: float, what: str = "") -> None:
    """Raise `RateLimited` unless there is nothing to wait for."""
    if wait > 0:
        raise RateLimited(what, retry_after=round(max(wait, 0.01), 2))


class Bucket:
    """Holds the rate's amount and refills evenly in its seconds. Times are in seconds and never go back."""

    __slots__ = ("_at", "_held", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._held = float(rate.amount)
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until this much may be taken, 0 if now. More than fits may be taken when it is full."""
        speed = self._rate.amount / self._rate.seconds
        self._held = min(self._rate.amount, self._held + max(0.0, now - self._at) * speed)
        self._at = max(now, self._at)
        needed = min(amount, self._rate.amount)
        if self._held >= needed:
            return 0.0
        return (max(needed, self._rate.amount / WORTHWHILE) - self._held) / speed

    def take(self, amount: float, now: float) -> float:
        """Take it and answer 0, or take nothing and answer the seconds to wait."""
        wait = self.wait(amount, now)
        if not wait:
            self._held -= amount
        return wait


def _use(held: OrderedDict[str, Any], key: str, most: int) -> None:
    """Note that a key was used; past `most` of them the one that was not for longest goes."""
    held.move_to_end(key)
    if len(held) > most:
        held.popitem(last=False)


class Buckets:
    """A bucket for each key, in this process alone."""

    def __init__(self, most: int = MOST, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: str, rate: Rate) -> float:
        """One, or the seconds to wait."""
        with self._lock:
            return self._bucket(key, rate).take(1, self._clock())

    def wait(self, key: str, rate: Rate) -> float:
        """Seconds until one may be taken."""
        with self._lock:
            return self._bucket(key, rate).wait(1, self._clock())

    def _bucket(self, key: str, rate: Rate) -> Bucket:
        bucket = self._held.get(key)
        if bucket is None:
            bucket = self._held[key] = Bucket(rate, self._clock())
        _use(self._held, key, self._most)
        return bucket


class Lease:
    """What a process may spend of one allowance without asking."""

    __slots__ = ("dry", "left", "lock", "own", "until")

    def __init__(self, rate: Rate, now: float) -> None:
        self.lock = threading.Lock()
        share = rate.amount // SHARE
        self.own = Bucket(Rate(share, rate.seconds), now) if share else None
        self.left = 0
        self.until = now
        self.dry = False
        """Whether there is nothing more to be had until then."""

    def spend(self, now: float) -> float | None:
        """0 where one was spent, else the seconds to wait; None where the counter must be asked."""
        if self.own is not None and not self.own.take(1, now):
            return 0.0
        if now >= self.until:
            return None
        if self.left:
            self.left -= 1
            return 0.0
        return self.until - now if self.dry else None


class Leases:
    """Allowances that all processes share. Of one, in its window, n processes spend at most the limit and n shares.

    Without the counter the limit holds for each process by itself.
    """

    def __init__(self, counter: Callable[[], Counter], most: int = MOST, clock: Clock = time.monotonic) -> None:
        self._counter = counter
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Lease] = OrderedDict()
        self._away_until = -PAUSE

    def __len__(self) -> int:
        return len(self._held)

    def try_spend(self, key: str, rate: Rate) -> float | None:
        """As `Lease.spend`, from memory; None also while another thread asks the counter. Never waits."""
        lease = self._lease(key, rate)
        if not lease.lock.acquire(blocking=False):
            return None
        try:
            return lease.spend(self._clock())
        finally:
            lease.lock.release()

    def spend(self, key: str, rate: Rate) -> float:
        """0 where one was spent, else the seconds to wait. May ask the counter: not for the event loop."""
        lease = self._lease(key, rate)
        with lease.lock:
            wait = lease.spend(self._clock())
            if wait is None:
                self._renew(lease, key, rate)
                wait = lease.spend(self._clock())
        return min(1.0, rate.seconds) if wait is None else wait

    def _lease(self, key: str, rate: Rate) -> Lease:
        with self._lock:
            lease = self._held.get(key)
            if lease is None:
                lease = self._held[key] = Lease(rate, self._clock())
            _use(self._held, key, self._most)
            return lease

    def _renew(self, lease: Lease, key: str, rate: Rate) -> None:
        wanted = max(1, rate.amount // SHARE)
        now = self._clock()
        try:
            if now < self._away_until:
                raise Away
            amount, seconds = self._counter().take(key, wanted, rate.amount, rate.seconds)
        except Away:
            if now >= self._away_until:
                log.warning("the counter of rate limits is away: each process counts by itself")
                self._away_until = self._clock() + PAUSE
            amount, seconds = rate.amount, rate.seconds
            wanted = amount + 1
        lease.left, lease.until, lease.dry = amount, self._clock() + seconds, amount < wanted


_addresses = Buckets()
_leases = Leases(shared_counter)


def spend_at(setting: str, address: str | None) -> None:
    """One of what an address may have, counted in this process alone. Where there is no address there is no limit."""
    if address is not None and (rate := rate_of(setting)):
        refuse(_addresses.take(f"{setting}:{address}", rate))


def check_at(setting: str, address: str | None) -> None:
    """Refuse an address that has none left, but spend nothing."""
    if address is not None and (rate := rate_of(setting)):
        refuse(_addresses.wait(f"{setting}:{address}", rate))


def spend(what: str, *, user: UUID | None = None, tenant: UUID | None = None) -> None:
    """One of the person's and one of the organization's `SENDS`, `JOINS` or `CONNECTS`."""
    for key, rate in _allowances(what, user, tenant):
        refuse(_leases.spend(key, rate))


async def spend_soon(what: str, *, user: UUID | None = None, tenant: UUID | None = None) -> None:
    """The same from the event loop. Almost always from memory, without an await."""
    for key, rate in _allowances(what, user, tenant):
        wait = _leases.try_spend(key, rate)
        refuse(await run(_leases.spend, key, rate) if wait is None else wait)


def _allowances(what: str, user: UUID | None, tenant: UUID | None) -> Iterator[tuple[str, Rate]]:
    for owner, kind in ((user, "USER"), (tenant, "TENANT")):
        if owner is not None and (rate := rate_of(f"LIMIT_{what}_{kind}")):
            yield f"{what}:{kind}:{owner}".lower(), rate


@contextmanager
def guess(what: str, *, address: str | None, user: UUID | None) -> Iterator[None]:
    """Counts a guess at a secret before it is looked at, exactly, whatever RATE_LIMIT_FACTOR says.

    Only one that ends in `NotFound` stays counted. Without the counter nobody guesses: `Unavailable`.
    """
    counter = shared_counter()
    asked = [(address or "unknown", settings.LIMIT_GUESSES_ADDRESS)]
    if user is not None:
        asked.append((str(user), settings.LIMIT_GUESSES_USER))
    with ExitStack() as undo:
        for owner, rate in asked:
            _count_guess(counter, f"guess:{what}:{owner}", rate)
            undo.callback(_give_back, counter, f"guess:{what}:{owner}")
        try:
            yield
        except NotFound:
            undo.pop_all()
            raise


def _count_guess(counter: Counter, key: str, rate: Rate) -> None:
    try:
        granted = counter.take(key, 1, rate.amount, rate.seconds)
    except Away:
        raise Unavailable(retry_after=PAUSE) from None
    refuse(0 if granted.amount else max(granted.seconds, 1), "Too many tries.")


def _give_back(counter: Counter, key: str) -> None:
    with suppress(Away):
        counter.give_back(key)
