"""What time demands of a hub: the sweep that heals what was lost, heartbeats, and the groups' upkeep."""

import asyncio
import random
import time
from uuid import UUID

import structlog
from django.conf import settings

from chat import reads
from chat.catchup import current_epoch
from chat.groups import PAUSE
from chat.hub import Hub
from core.db import run
from core.errors import Unavailable

log = structlog.get_logger(__name__)

BLIND = 15.0
"""Seconds without the database after which the sockets close: nobody's right can be vouched for any more."""
PATIENCE = 10.0
"""Seconds that a sweep may take; a database that does not answer must not end the sweeping."""


async def keep_sweeping(hub: Hub) -> None:
    """Every few seconds, jittered: epoch, rooms' heads, seats, credentials. A lost last event is found here."""
    epoch = None
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                epoch = await _sweep(hub, epoch)
            hub.vouched_at = began
        except (Unavailable, TimeoutError):
            log.warning("sweep without the database")
        except Exception:
            log.exception("sweep failed")
        await asyncio.sleep(settings.HUB_SWEEP_SECONDS * random.uniform(0.6, 1))  # noqa: S311  jitter


async def _sweep(hub: Hub, epoch: UUID | None) -> UUID:
    now = await run(current_epoch)
    if epoch not in (None, now):
        hub.start_anew()
    rooms = hub.feeds.rooms
    heads = await run(reads.heads, rooms)
    for room in rooms:
        hub.feeds.notice(room, heads.get(room))
    await hub.check_seats(list(hub.seats))
    await hub.check_logins(list(hub.logins))
    return now


async def keep_joined(hub: Hub) -> None:
    """What the layer could not do is done soon after it is back."""
    while True:
        await asyncio.sleep(PAUSE)
        try:
            await hub.groups.tidy()
        except Exception:
            log.exception("groups not tidied")


async def keep_beating(hub: Hub) -> None:
    """No socket is silent for longer than the promised heartbeat, or open for long without the database."""
    silence = settings.SOCKET_HEARTBEAT * 0.8
    while True:
        await asyncio.sleep(min(1.0, silence / 4))
        for connection in hub.connections:
            connection.heartbeat(silence)
            if time.monotonic() - hub.vouched_at > BLIND:
                connection.close(Unavailable(retry_after=5))
