"""Channel layers that lie: one loses, repeats, reorders and is cut off; one loses what tells of a removal."""

import asyncio
import random
import time
from typing import Any

from core.layers import RedisLayer

LOST, REPEATED, LATE = 0.3, 0.2, 0.2
LATEST = 0.3
"""Seconds that an event may be late."""
CUT_EVERY, CUT_FOR = 25.0, 5.0
"""Seconds: so often, by the clock that all processes share, the layer is cut off from all of them for so long."""


class LyingLayer(RedisLayer):
    """Over Redis, so that several processes can be lied to. Loses 30 %, repeats 20 %, lets 20 % be overtaken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.random = random.Random(7)
        self.late: set[asyncio.Task[None]] = set()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        _fail_if_cut_off()
        if self.random.random() < LOST:
            return
        for _ in range(1 + (self.random.random() < REPEATED)):
            if self.random.random() < LATE:
                task = asyncio.get_running_loop().create_task(self._send_late(group, message))
                self.late.add(task)
                task.add_done_callback(self.late.discard)
            else:
                await self._get_layer().group_send(group, message)

    async def group_add(self, group: str, channel: str) -> None:
        _fail_if_cut_off()
        await self._get_layer().group_add(group, channel)

    async def _send_late(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self.random.uniform(0, LATEST))
        await self._get_layer().group_send(group, message)


def _fail_if_cut_off() -> None:
    if time.time() % CUT_EVERY < CUT_FOR:
        raise ConnectionError("cut off")


class ForgetfulLayer(RedisLayer):
    """Loses exactly what tells of a removal: the rev that no message shows, and the word to the one who is out."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if message["type"] in ("conclave.seat", "conclave.seat_changed", "conclave.room_changed"):
            return
        if message["type"] == "conclave.room" and not message["frames"]:
            return
        await self._get_layer().group_send(group, message)
