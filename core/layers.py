"""What the hub needs of a channel layer beyond Channels' interface: its hosts told apart, each connected anew alone."""

import asyncio
from typing import Any

from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer

PATIENCE = 5.0
"""Seconds that a process without a hub waits for the layer: a command must end when a broker does not answer."""


class RedisLayer(RedisPubSubChannelLayer):
    """Redis' pub/sub. A group belongs to one of the hosts; private names of channels-redis, pinned by a test."""

    def hosts(self) -> int:
        return len(self._get_layer()._shards)

    def host_of(self, group: str) -> int:
        layer = self._get_layer()
        return int(layer._shards.index(layer._get_shard(layer._get_group_channel_name(group))))

    async def reconnect(self, host: int) -> None:
        """Drop the connections to one host and what was subscribed there: every group of it must be joined again.

        Without this a subscription whose connection went silent stays so for ever, while publishing works.
        """
        await self._get_layer()._shards[host].flush()


def hosts(layer: Any) -> int:
    """How many servers the layer spreads its groups over. Layers of Channels itself are one."""
    return int(layer.hosts()) if hasattr(layer, "hosts") else 1


def host_of(layer: Any, group: str) -> int:
    return int(layer.host_of(group)) if hasattr(layer, "host_of") else 0


async def reconnect(layer: Any, host: int) -> None:
    if hasattr(layer, "reconnect"):
        await layer.reconnect(host)


async def send_alone(group: str, event: dict[str, Any]) -> None:
    """From a process that has no hub and perhaps no loop but this call's: nothing of the layer outlives it."""
    layer: Any = get_channel_layer()
    async with asyncio.timeout(PATIENCE):
        try:
            await layer.group_send(group, event)
        finally:
            if hasattr(layer, "leave"):
                await layer.leave()
