"""Database work: transactions that are retried once, and calls from the event loop on a bounded pool of threads."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction

from core.errors import Unavailable

log = structlog.get_logger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

_pool = ThreadPoolExecutor(max_workers=settings.DATABASE_THREADS, thread_name_prefix="database")
_aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")


def _call(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return fn(*args, **kwargs)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(retry_after=1) from error
    finally:
        close_old_connections()


async def run(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn` on a pool thread, which gives its connection back after every call.

    Channels' own helper queues every call of the process on one thread. A lost database is `Unavailable`.
    """
    return await _run_on(_pool, fn, *args, **kwargs)


async def run_aside(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for what must not wait in a crowd, on a thread of its own."""
    return await _run_on(_aside, fn, *args, **kwargs)


async def _run_on(pool: ThreadPoolExecutor, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    context = contextvars.copy_context()
    call = functools.partial(_call, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, call)


def hand_over(fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Let a pool thread run `fn`, which handles its own errors; nobody waits for it, so it is run whatever the state of
    the thread's connection."""
    _pool.submit(_surely, functools.partial(fn, *args, **kwargs))


def _surely(fn: Callable[[], object]) -> None:
    try:
        close_old_connections()
    except Exception:
        log.exception("a connection could not be looked at")
    fn()
    close_old_connections()


def transactional(fn: Callable[P, R]) -> Callable[P, R]:
    """One transaction a call. Deadlock, lock timeout and lost connection are retried once, then `Unavailable`."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return fn(*args, **kwargs)
        try:
            return _once(fn, *args, **kwargs)
        except (OperationalError, InterfaceError):
            connection.close_if_unusable_or_obsolete()
        try:
            return _once(fn, *args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            raise Unavailable(retry_after=1) from error

    return call


def _once(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with transaction.atomic():
        return fn(*args, **kwargs)
