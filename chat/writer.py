"""One lane an organization for all that takes a rev: who sends together shares a transaction, the rest has its turn."""

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import structlog
from django.db import connection

from chat.batch import Draft, Sent, commit
from chat.lanes import Lanes
from core.errors import Unavailable
from tenants.actor import Actor

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)


Change = Callable[[], Any]
"""Any other change: a whole transaction."""


def _work(jobs: Sequence[Draft | Change]) -> Sequence[Any]:
    first = jobs[0]
    if not isinstance(first, Draft):
        _thread.drives = True
        try:
            return [first()]
        finally:
            _thread.drives = False
    drafts = cast("Sequence[Draft]", jobs)
    try:
        return commit(drafts)
    except Unavailable:
        raise
    except Exception:
        if len(drafts) == 1:
            raise
        log.exception("a batch failed, each of it is tried alone", drafts=len(drafts))
    return [_alone(draft) for draft in drafts]


def _alone(draft: Draft) -> Sent | Exception:
    try:
        return commit([draft])[0]
    except Exception as error:
        return error


_thread = threading.local()
_lanes: Lanes[Draft | Change, Any] = Lanes(_work, alone=lambda job: not isinstance(job, Draft))


def send(draft: Draft) -> Sent:
    """From a thread. Inside a transaction of the caller's it becomes part of that."""
    if connection.in_atomic_block:
        outcome = commit([draft])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
    sent: Sent = _lanes.do(draft.actor.tenant, draft)
    return sent


def submit(draft: Draft, done: Callable[[Sent | Exception], None]) -> None:
    """From an event loop: `done` is called on it. Drafts take effect in the order in which they are submitted."""
    _lanes.join(draft.actor.tenant, draft, done)


def in_turn(fn: Callable[Concatenate[Actor, P], R]) -> Callable[Concatenate[Actor, P], R]:
    """A change that waits for what waits already in the actor's organization. Inside another one it is part of that."""

    @functools.wraps(fn)
    def call(actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if getattr(_thread, "drives", False) or connection.in_atomic_block:
            return fn(actor, *args, **kwargs)
        result: R = _lanes.do(actor.tenant, partial(fn, actor, *args, **kwargs))
        return result

    return call


async def change(fn: Callable[Concatenate[Actor, P], R], actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a change in its turn, from an event loop."""
    future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def done(outcome: R | Exception) -> None:
        if future.cancelled():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    _lanes.join(actor.tenant, partial(fn, actor, *args, **kwargs), done)
    return await future
