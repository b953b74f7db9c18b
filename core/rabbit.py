"""RabbitMQ as a channel layer: channels-rabbitmq, made safe against callers that lose patience. Best effort."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from weakref import WeakKeyDictionary

from channels_rabbitmq.core import RabbitmqChannelLayer

CONNECTING = 1.5
"""Seconds that a call waits for the connection: less than its caller's patience, so that a loss has its name."""


class RabbitLayer:
    """One of channels-rabbitmq's layers for each event loop: it can't be made outside of one, nor shared.

    A call that is given up must not be cancelled inside: that cancels a future of the connection's own. Where it is the
    one that tells of the next connection, the library fails on it, and never connects again.
    """

    def __init__(self, **config: Any) -> None:
        self._config = config
        self._layers: WeakKeyDictionary[asyncio.AbstractEventLoop, RabbitmqChannelLayer] = WeakKeyDictionary()
        self._calls: set[asyncio.Task[Any]] = set()

    def _layer(self) -> RabbitmqChannelLayer:
        loop = asyncio.get_running_loop()
        layer = self._layers.get(loop)
        if layer is None:
            layer = self._layers[loop] = RabbitmqChannelLayer(**self._config)
        return layer

    async def new_channel(self, prefix: str = "") -> str:
        return str(await self._layer().new_channel(prefix))

    async def receive(self, channel: str) -> Any:
        return await self._layer().receive(channel)

    async def send(self, channel: str, event: dict[str, Any]) -> None:
        await self._connected()
        await self._whole(self._layer().send(channel, event))

    async def group_add(self, group: str, channel: str) -> None:
        await self._connected()
        await self._whole(self._layer().group_add(group, channel))

    async def group_discard(self, group: str, channel: str) -> None:
        await self._connected()
        await self._whole(self._layer().group_discard(group, channel))

    async def group_send(self, group: str, event: dict[str, Any]) -> None:
        await self._connected()
        await self._whole(self._layer().group_send(group, event))

    async def reconnect(self, _host: int) -> None:
        """Ask a connection that brings nothing back to close; the library opens the next one, with all its groups.

        One that does not even answer that is ended by the heartbeats of both sides: measured, after three minutes.
        """
        connection = self._layer().carehare_connection
        if connection.done():
            self._start(connection.result().close())

    async def leave(self) -> None:
        """Close what this loop has opened."""
        layer = self._layers.pop(asyncio.get_running_loop(), None)
        if layer is not None:
            await layer.close()

    async def _connected(self) -> None:
        """Touching the connection is what begins it. Waiting for it must not cancel it."""
        connection = self._layer().carehare_connection
        done, _ = await asyncio.wait([connection], timeout=CONNECTING)
        if not done:
            raise ConnectionError("not connected to RabbitMQ")

    async def _whole(self, call: Coroutine[Any, Any, Any]) -> None:
        await asyncio.shield(self._start(call))

    def _start(self, call: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        """Looks at the error: whoever waited for it may have gone."""
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()
