"""What time demands of a hub: the sweep that heals what was lost, heartbeats, and the groups' upkeep."""

import asyncio
import random
import time
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

import structlog
from django.conf import settings

from chat import reads
from chat.catchup import current_epoch
from chat.groups import PAUSE
from chat.hub import Hub
from core.db import run_aside
from core.errors import Unavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

BLIND = 15.0
"""Seconds without the database, three sweeps at least, after which the sockets close: nobody's right can be vouched for
any more. While the layer tells of ends, any answer will do; without it, only a whole sweep."""
PATIENCE = 10.0
"""Seconds that a look may take; a database that does not answer must not end the sweeping."""
CHUNK = 500
"""Rooms, seats or logins that are looked at together, so that a crowd does not hold up the rest."""
HASTE = 5
"""So many times as often the sweep looks while the layer is lost and nothing else tells of changes."""
SPREAD = 0.5
"""Seconds over which the processes that lost one layer begin their sweeps."""


async def keep_sweeping(hub: Hub) -> None:
    """Every few seconds, jittered: epoch, rooms' heads, seats, credentials. A lost last event is found here."""
    epoch = None
    while True:
        began = time.monotonic()
        try:
            epoch = await _sweep(hub, epoch)
            hub.vouched_at = began
        except (Unavailable, TimeoutError):
            log.warning("sweep without the database")
        except Exception:
            log.exception("sweep failed")
        await _until_next_sweep(hub)


async def _until_next_sweep(hub: Hub) -> None:
    """Jittered. The loss of the layer, and its return, end the wait: what was missed around them is read at once."""
    watch = hub.groups.watch
    wait = settings.HUB_SWEEP_SECONDS * random.uniform(0.6, 1)  # noqa: S311
    with suppress(TimeoutError):
        await asyncio.wait_for(watch.turned.wait(), wait / HASTE if watch.lost else wait)
        watch.turned.clear()
        await asyncio.sleep(random.uniform(0, SPREAD))  # noqa: S311


async def _sweep(hub: Hub, epoch: UUID | None) -> UUID:
    """On a thread of its own: a storm of people who come must not make those who are here wait for it."""
    now = await _look(hub, run_aside(current_epoch))
    if epoch not in (None, now):
        hub.start_anew()
    for rooms in _chunks(hub.feeds.rooms):
        heads = await _look(hub, run_aside(reads.heads, rooms))
        for room in rooms:
            hub.feeds.notice(room, heads.get(room))
    for seats in _chunks(hub.seats):
        await _look(hub, hub.check_seats(seats, run_aside))
    for logins in _chunks(hub.logins):
        await _look(hub, hub.check_logins(logins, run_aside))
    return now


async def _look(hub: Hub, look: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        found = await look
    if not hub.groups.watch.lost:
        hub.vouched_at = time.monotonic()
    return found


def _chunks(of: Iterable[UUID]) -> Iterator[list[UUID]]:
    everything = list(of)
    for start in range(0, len(everything), CHUNK):
        yield everything[start : start + CHUNK]


async def keep_joined(hub: Hub) -> None:
    """Whether the layer still works is tried again and again; what it could not do is done once it does."""
    while True:
        try:
            await hub.groups.tend()
        except Exception:
            log.exception("groups not tended")
        await asyncio.sleep(PAUSE)


async def keep_beating(hub: Hub) -> None:
    """No socket is silent for longer than the promised heartbeat, or open for long without the database."""
    silence = settings.SOCKET_HEARTBEAT * 0.8
    blind = max(BLIND, 3 * settings.HUB_SWEEP_SECONDS)
    while True:
        await asyncio.sleep(min(1.0, silence / 4))
        for connection in hub.connections:
            connection.heartbeat(silence)
            if time.monotonic() - hub.vouched_at > blind:
                connection.close(Unavailable(retry_after=5))


async def keep_present(hub: Hub) -> None:
    """Who is in which room is told when it has changed, and not more often than this."""
    await hub.attendance.start()
    while True:
        await asyncio.sleep(settings.PRESENCE_SECONDS)
        try:
            hub.attendance.look()
        except Exception:
            log.exception("presence not told")
