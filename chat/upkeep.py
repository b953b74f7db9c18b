"""What time demands of a hub: the sweep that heals what was lost, heartbeats, and the groups' upkeep."""

import asyncio
import random
import time

import structlog
from django.conf import settings

from accounts.credentials import alive
from chat import reads
from chat.catchup import current_epoch
from chat.hub import Hub
from chat.protocol import Resync
from core.db import run
from core.errors import Unavailable

log = structlog.get_logger(__name__)

BLIND = 15.0
"""Seconds without the database after which the sockets close: nobody's right can be vouched for any more."""


async def keep_sweeping(hub: Hub) -> None:
    """Every few seconds, jittered: rooms' heads, seats, credentials, epoch. A lost last event is found here."""
    seen_at = time.monotonic()
    epoch = None
    while True:
        await asyncio.sleep(settings.HUB_SWEEP_SECONDS * random.uniform(0.6, 1))  # noqa: S311  jitter
        try:
            await hub.groups.tidy()
            epoch = await _sweep(hub, epoch)
            seen_at = time.monotonic()
        except Unavailable:
            log.warning("sweep without the database")
        except Exception:
            log.exception("sweep failed")
        if time.monotonic() - seen_at > BLIND:
            for connection in _connections(hub):
                connection.close(Unavailable(retry_after=5))


def _connections(hub: Hub) -> list:
    return [connection for connections in list(hub.seats.values()) for connection in connections]


async def _sweep(hub: Hub, epoch: object) -> object:
    heads = await run(reads.heads, list(hub.feeds))
    for room, head in heads.items():
        if (feed := hub.feeds.get(room)) is not None:
            hub.notice(feed, head)
    await hub.check_seats(list(hub.seats))
    living = await run(alive, list(hub.logins))
    for login in set(hub.logins) - living:
        hub.end_login(login)
    now = await run(current_epoch)
    if epoch is not None and now != epoch:
        for connection in _connections(hub):
            connection.tell(Resync())
    return now


async def keep_beating(hub: Hub) -> None:
    """No socket is silent for longer than the promised heartbeat."""
    silence = settings.SOCKET_HEARTBEAT * 0.8
    while True:
        await asyncio.sleep(min(1.0, silence / 4))
        for connection in _connections(hub):
            connection.heartbeat(silence)
