"""This process's one channel on the layer, and the groups it is in. A lost layer is logged and tried again."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

LINGER = 30.0
"""Seconds a group is kept after its last local listener left."""
RENEWAL = 3_600.0
"""Seconds after which a group is joined again: layers forget members that are older than a day."""
PATIENCE = 2.0
"""Seconds that a call of the layer may take; what it should have done is done again by `tidy`."""
PAUSE = 1.0
"""Seconds between two tries to reach a lost layer."""


class Groups:
    """Joins and leaves of a group happen one at a time, and only the newest wish counts."""

    def __init__(self, layer: Any) -> None:
        self.channel = ""
        self._layer = layer
        self._wanted: set[str] = set()
        self._joined_at: dict[str, float] = {}
        self._left_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ready = asyncio.Event()
        self._lost = False

    async def listen(self, hear: Callable[[dict[str, Any]], None]) -> None:
        """Hand on what arrives, for ever."""
        while not self.channel:
            try:
                self.channel = await asyncio.wait_for(self._layer.new_channel("conclave"), PATIENCE)
            except Exception as error:
                self._note(error)
                await asyncio.sleep(PAUSE)
        self._note()
        self._ready.set()
        while True:
            try:
                event = await self._layer.receive(self.channel)
            except Exception as error:
                self._note(error)
                await asyncio.sleep(PAUSE)
            else:
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
            self._note(error)
        else:
            self._note()

    async def join(self, group: str) -> None:
        """Be in the group; returns once the layer has confirmed it, or could not within `PATIENCE`.

        While the layer is known to be lost nobody waits for it: `tidy` joins later.
        """
        self._wanted.add(group)
        self._left_at.pop(group, None)
        if self._lost:
            return
        try:
            await asyncio.wait_for(self._ready.wait(), PATIENCE)
        except TimeoutError:
            return
        await self._settle(group, insist=False)

    def leave(self, group: str) -> None:
        """Leave the group some time from now, unless it is joined again."""
        self._wanted.discard(group)
        self._left_at[group] = time.monotonic()

    async def tidy(self) -> None:
        """Join what could not be joined, renew what is old, leave what was left long enough ago; up to the first
        failure, for each further one would cost its patience."""
        for group in self._due() if self._ready.is_set() else ():
            if not await self._settle(group, insist=True):
                return

    def _due(self) -> list[str]:
        now = time.monotonic()
        overdue = [group for group, at in self._left_at.items() if now - at >= LINGER]
        return overdue + [group for group in self._wanted if now - self._joined_at.get(group, -RENEWAL) >= RENEWAL]

    async def _settle(self, group: str, *, insist: bool) -> bool:
        """Make the newest wish true; whether the layer did. Many may wait here when it is lost: one of them tries."""
        lock = self._locks.setdefault(group, asyncio.Lock())
        async with lock:
            if self._lost and not insist:
                return False
            try:
                await asyncio.wait_for(self._move(group), PATIENCE)
            except Exception as error:
                self._note(error)
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
            self._note()

    def _note(self, error: Exception | None = None) -> None:
        """Log the loss and the return of the layer, not each call between them."""
        if error is not None and not self._lost:
            log.warning("channel layer lost", error=repr(error))
        elif error is None and self._lost:
            log.info("channel layer back")
        self._lost = error is not None
