"""Database work from the event loop: a bounded pool of threads that give their connection back after every call."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

_pool = ThreadPoolExecutor(max_workers=settings.DATABASE_THREADS, thread_name_prefix="database")


def _call(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return fn(*args, **kwargs)
    finally:
        close_old_connections()


async def run(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn` on a pool thread. Channels' own helper queues every call of the process on one thread."""
    context = contextvars.copy_context()
    call = functools.partial(context.run, _call, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, call)
