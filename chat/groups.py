"""This process's one channel on the layer, and the groups it is in. A lost layer is logged and tried again."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

LINGER = 30.0
"""Seconds a group is kept after its last local listener left."""
PATIENCE = 2.0
"""Seconds that a call of the layer may take; what it should have done, the sweep does again."""


class Groups:
    """Joins and leaves of a group happen one at a time, and only the newest wish counts."""

    def __init__(self, layer: Any) -> None:
        self.channel = ""
        self._layer = layer
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        self._left_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ready = asyncio.Event()

    async def listen(self, hear: Callable[[dict[str, Any]], None]) -> None:
        """Hand on what arrives, for ever."""
        self.channel = await self._layer.new_channel("conclave")
        self._ready.set()
        while True:
            try:
                event = await self._layer.receive(self.channel)
            except Exception:
                log.warning("channel layer unreachable", exc_info=True)
                await asyncio.sleep(0.5)
            else:
                if event.get("hub") != self.channel:
                    hear(event)

    async def send(self, group: str, event: dict[str, Any]) -> None:
        """To the other processes. A failure is theirs to heal from the database."""
        try:
            await asyncio.wait_for(self._layer.group_send(group, event), PATIENCE)
        except Exception:
            log.warning("publish failed", group=group, exc_info=True)

    async def join(self, group: str) -> None:
        """Be in the group; returns once the layer has confirmed it, or has failed to within `PATIENCE`."""
        self._wanted.add(group)
        self._left_at.pop(group, None)
        await self._ready.wait()
        await self._settle(group)

    def leave(self, group: str) -> None:
        """Leave the group some time from now, unless it is joined again."""
        self._wanted.discard(group)
        self._left_at[group] = time.monotonic()

    async def tidy(self) -> None:
        """Join what could not be joined, leave what was left long enough ago."""
        now = time.monotonic()
        overdue = [group for group, at in self._left_at.items() if now - at >= LINGER]
        for group in [*overdue, *(self._wanted - self._joined)]:
            await self._settle(group)

    @property
    def whole(self) -> bool:
        return self._wanted <= self._joined

    async def _settle(self, group: str) -> None:
        lock = self._locks.setdefault(group, asyncio.Lock())
        async with lock:
            try:
                if group in self._wanted and group not in self._joined:
                    await asyncio.wait_for(self._layer.group_add(group, self.channel), PATIENCE)
                    self._joined.add(group)
                elif group not in self._wanted:
                    self._joined.discard(group)
                    self._left_at.pop(group, None)
                    await asyncio.wait_for(self._layer.group_discard(group, self.channel), PATIENCE)
            except Exception:
                log.warning("group not changed", group=group, exc_info=True)
        if group not in self._wanted and group not in self._left_at:
            self._locks.pop(group, None)
