"""This process's one channel on the layer, and the groups it is in: joined, renewed, and joined anew after a loss."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from chat.watch import Host, Watch

LINGER = 30.0
"""Seconds a group is kept after its last local listener left."""
RENEWAL = 3_600.0
"""Seconds after which a group is joined again: layers forget members that are older than a day."""
PATIENCE = 2.0
"""Seconds that a call of the layer may take; what it should have done is done again by `tend`."""
PAUSE = 1.0
"""Seconds between two tries to reach a lost layer."""


class Groups:
    """Joins and leaves of a group happen one at a time, and only the newest wish counts."""

    def __init__(self, layer: Any) -> None:
        self.channel = ""
        self.watch = Watch(layer)
        self._layer = layer
        self._wanted: set[str] = set()
        self._joined_at: dict[str, float] = {}
        self._left_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ready = asyncio.Event()

    async def listen(self, hear: Callable[[dict[str, Any]], None]) -> None:
        """Hand on what arrives, for ever."""
        while not self.channel:
            try:
                self.channel = await asyncio.wait_for(self._layer.new_channel("conclave"), PATIENCE)
            except Exception as error:
                self.watch.failed(error)
                await asyncio.sleep(PAUSE)
        self._ready.set()
        while True:
            try:
                event = await self._layer.receive(self.channel)
            except Exception as error:
                self.watch.failed(error)
                await asyncio.sleep(PAUSE)
            else:
                if not self.watch.hear(event):
                    hear(event)

    async def send(self, group: str, event: dict[str, Any]) -> None:
        """To the other processes. A failure is theirs to heal from the database.

        Tried twice at once: after the layer was away, the first call may find a connection that is dead.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    await self._layer.group_send(group, event)
                except Exception:
                    await self._layer.group_send(group, event)
        except Exception as error:
            self.watch.failed(error, self.watch.host(group))

    async def join(self, group: str) -> None:
        """Be in the group; returns once the layer has confirmed it, or could not within `PATIENCE`.

        While its host is known to be lost nobody waits for it: `tend` joins later.
        """
        self._wanted.add(group)
        self._left_at.pop(group, None)
        if self.watch.host(group).lost:
            return
        try:
            await asyncio.wait_for(self._ready.wait(), PATIENCE)
        except TimeoutError:
            return
        await self._settle(group)

    def leave(self, group: str) -> None:
        """Leave the group some time from now, unless it is joined again."""
        self._wanted.discard(group)
        self._left_at[group] = time.monotonic()

    async def tend(self) -> None:
        """Look whether the layer works. Where it does again, join every group anew; elsewhere join what could not be
        joined, renew what is old, and leave what was left long enough ago."""
        await self._ready.wait()
        for host in await self.watch.check(self.channel):
            await self._return_to(host)
        for group in self._due():
            if not self.watch.host(group).lost:
                await self._settle(group)

    async def _return_to(self, host: Host) -> None:
        """It has forgotten who was in which group, or hears us on a connection that it never told of them."""
        for group in self._joined_at:
            if self.watch.host(group) is host:
                self._joined_at[group] = -RENEWAL
        while due := [group for group in self._due() if self.watch.host(group) is host]:
            for group in due:
                if not await self._settle(group, insist=True):
                    return
        self.watch.returned(host)

    def _due(self) -> list[str]:
        now = time.monotonic()
        overdue = [group for group, at in self._left_at.items() if now - at >= LINGER]
        return overdue + [group for group in self._wanted if now - self._joined_at.get(group, -RENEWAL) >= RENEWAL]

    async def _settle(self, group: str, *, insist: bool = False) -> bool:
        """Make the newest wish true; whether the layer did. Many may wait here when it is lost: one of them tries."""
        lock = self._locks.setdefault(group, asyncio.Lock())
        host = self.watch.host(group)
        async with lock:
            if host.lost and not insist:
                return False
            try:
                await asyncio.wait_for(self._move(group), PATIENCE)
            except Exception as error:
                self.watch.failed(error, host)
                return False
            finally:
                if group not in self._wanted and group not in self._left_at:
                    self._locks.pop(group, None)
        return True

    async def _move(self, group: str) -> None:
        now = time.monotonic()
        if group not in self._wanted:
            self._left_at.pop(group, None)
            if self._joined_at.pop(group, None) is not None:
                await self._layer.group_discard(group, self.channel)
        elif now - self._joined_at.get(group, -RENEWAL) >= RENEWAL:
            await self._layer.group_add(group, self.channel)
            self._joined_at[group] = now
