"""The shared counter: what all processes together have spent of an allowance in its window, counted atomically."""

import functools
import itertools
import math
import time
from typing import Any, NamedTuple, Protocol

import redis
from django.conf import settings
from django.db import Error, connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.models import Allowance

PATIENCE = 1.0
"""Seconds after which Redis counts as away."""
CLEANED_EVERY, CLEANED_AT_ONCE = 200, 1000
PREFIX = "conclave:limit:"


class Away(Exception):
    """The counter can't be asked now."""


class Granted(NamedTuple):
    """How much of what was wanted is granted, and for how many seconds the window still lasts."""

    amount: int
    seconds: float


class Counter(Protocol):
    """A window begins with the first that is taken in it. Both raise `Away`."""

    def take(self, key: str, wanted: int, limit: int, seconds: float) -> Granted:
        """As much of `wanted` as is left of `limit` in this window of so many seconds."""

    def give_back(self, key: str) -> None:
        """One, if its window still lasts."""


TAKE = """
local spent = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - spent))
if granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
  if spent == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return {granted, redis.call('PTTL', KEYS[1])}
"""
GIVE_BACK = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end"


class RedisCounter:
    """A number that ends with its window. A call is one script, which Redis runs as a whole."""

    def __init__(self, url: str) -> None:
        client = redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 1)
        )
        self._take: Any = client.register_script(TAKE)
        self._give_back: Any = client.register_script(GIVE_BACK)

    def take(self, key: str, wanted: int, limit: int, seconds: float) -> Granted:
        try:
            granted, left = self._take(keys=[PREFIX + key], args=[wanted, limit, math.ceil(seconds * 1000)])
        except (redis.RedisError, OSError) as error:
            raise Away from error
        return Granted(int(granted), max(0, int(left)) / 1000)

    def give_back(self, key: str) -> None:
        try:
            self._give_back(keys=[PREFIX + key])
        except (redis.RedisError, OSError) as error:
            raise Away from error


SPEND = """
INSERT INTO core_allowance AS held (name, spent, granted, ends_at)
VALUES (%(name)s, %(first)s, %(first)s, %(end)s)
ON CONFLICT (name) DO UPDATE SET
  granted = CASE
    WHEN held.ends_at <= %(now)s THEN %(first)s
    WHEN held.spent >= %(limit)s THEN 0
    WHEN held.spent + %(wanted)s > %(limit)s THEN %(limit)s - held.spent
    ELSE %(wanted)s END,
  spent = CASE
    WHEN held.ends_at <= %(now)s THEN %(first)s
    WHEN held.spent >= %(limit)s THEN held.spent
    WHEN held.spent + %(wanted)s > %(limit)s THEN %(limit)s
    ELSE held.spent + %(wanted)s END,
  ends_at = CASE WHEN held.ends_at <= %(now)s THEN %(end)s ELSE held.ends_at END
RETURNING granted, ends_at
"""
RETURN = "UPDATE core_allowance SET spent = spent - 1 WHERE name = %s AND spent > 0 AND ends_at > %s"


class DatabaseCounter:
    """A row an allowance, counted in one statement; inside a transaction that fails it would count nothing."""

    def __init__(self) -> None:
        self._calls = itertools.count(1)

    def take(self, key: str, wanted: int, limit: int, seconds: float) -> Granted:
        now = time.time()
        given: dict[str, Any] = {"name": key, "wanted": wanted, "limit": limit, "first": min(wanted, limit)}
        try:
            if next(self._calls) % CLEANED_EVERY == 0:
                _forget(now)
            with connection.cursor() as cursor:
                cursor.execute(SPEND, {**given, "now": now, "end": now + seconds})
                ((granted, ends_at),) = cursor.fetchall()  # SQLite commits once all rows are fetched
        except Error as error:
            raise Away from error
        return Granted(int(granted), max(0.0, ends_at - now))

    def give_back(self, key: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(RETURN, [key, time.time()])
        except Error as error:
            raise Away from error


def _forget(now: float) -> None:
    """Drop windows that are over, none that another process drops."""
    with transaction.atomic():
        over = Allowance.objects.filter(ends_at__lt=now).order_by("ends_at").select_for_update(skip_locked=True)
        Allowance.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:CLEANED_AT_ONCE])).delete()


@functools.cache
def shared_counter() -> Counter:
    """In Redis where the cache is there, else in the database."""
    cache = settings.CACHES["default"]
    return RedisCounter(cache["LOCATION"]) if cache["BACKEND"].endswith("RedisCache") else DatabaseCounter()
