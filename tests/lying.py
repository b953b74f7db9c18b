"""A channel layer that loses 30 % of what is sent to a group, repeats 20 % and lets 20 % be overtaken."""

import asyncio
import random
from typing import Any

from core.layers import RedisLayer

LOST, REPEATED, LATE = 0.3, 0.2, 0.2
LATEST = 0.3
"""Seconds that an event may be late."""


class LyingLayer(RedisLayer):
    """Over Redis, so that several processes can be lied to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.random = random.Random(7)
        self.late: set[asyncio.Task[None]] = set()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.random.random() < LOST:
            return
        for _ in range(1 + (self.random.random() < REPEATED)):
            if self.random.random() < LATE:
                task = asyncio.get_running_loop().create_task(self._send_late(group, message))
                self.late.add(task)
                task.add_done_callback(self.late.discard)
            else:
                await self._get_layer().group_send(group, message)

    async def _send_late(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self.random.uniform(0, LATEST))
        await self._get_layer().group_send(group, message)
