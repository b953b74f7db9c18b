"""Whether the layer brings back what is sent through it: a group of this process's own on each of the layer's hosts."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import structlog

from core import layers
from core.metrics import LAYER_LOST

log = structlog.get_logger(__name__)

WATCH = "conclave.watch"
"""The type of the events that a process sends to itself."""
PERIOD = 2.0
"""Seconds between two of them while all is well."""
PATIENCE = 2.0
"""Seconds that one may be under way."""
MISSES = 2
"""So many in a row must fail: one may be late because this process was busy."""


class Host:
    """One of the servers below the layer."""

    def __init__(self, number: int, group: str) -> None:
        self.number = number
        self.group = group
        self.lost = False
        self.joined = False
        self.missed = 0
        self.sent = 0
        self.due = 0.0
        self.echo = asyncio.Event()


class Watch:
    """A host is lost when a call fails or nothing comes back; only what comes back ends that, so that the log says
    each once, whatever the calls in between meet."""

    def __init__(self, layer: Any) -> None:
        self.turned = asyncio.Event()
        """Set at each loss and each return, for whoever waits to read what was missed."""
        self._layer = layer
        self._known = asyncio.Event()
        self._hosts = [Host(number, self._group_on(number)) for number in range(layers.hosts(layer))]

    def _group_on(self, number: int) -> str:
        while True:
            group = f"w.{uuid4()}"
            if layers.host_of(self._layer, group) == number:
                return group

    def host(self, group: str) -> Host:
        return self._hosts[layers.host_of(self._layer, group)]

    @property
    def lost(self) -> bool:
        return any(host.lost for host in self._hosts)

    async def works(self) -> bool:
        """Whether all of the layer does; False while that is not known yet."""
        try:
            await asyncio.wait_for(self._known.wait(), PATIENCE)
        except TimeoutError:
            return False
        return not self.lost

    def hear(self, event: dict[str, Any]) -> bool:
        """Whether the event was the watch's own."""
        if event.get("type") != WATCH:
            return False
        for host in self._hosts:
            if event.get("sent") == f"{host.group} {host.sent}":
                host.echo.set()
        return True

    def failed(self, error: Exception, *hosts: Host) -> None:
        """A call did not come through, to these hosts or, where none is named, to all."""
        for host in hosts or self._hosts:
            if not host.lost:
                host.lost, host.due = True, 0.0
                log.warning("channel layer lost", host=host.number, error=repr(error))
                self._turn()

    def returned(self, host: Host) -> None:
        """It brings events back, and this process's groups are joined again."""
        host.lost = False
        log.info("channel layer back", host=host.number)
        self._turn()

    def _turn(self) -> None:
        LAYER_LOST.set(sum(host.lost for host in self._hosts))
        self._known.set()
        self.turned.set()

    async def check(self, channel: str) -> list[Host]:
        """Try what is due to be tried; the hosts among the lost ones that work again, with no group joined there."""
        now = time.monotonic()
        due = [host for host in self._hosts if host.lost or host.missed or host.due <= now]
        heard = await asyncio.gather(*(self._try(host, channel) for host in due))
        if due:
            self._known.set()
        return [host for host, came in zip(due, heard, strict=True) if came and host.lost]

    async def _try(self, host: Host, channel: str) -> bool:
        host.echo.clear()
        host.sent += 1
        host.due = time.monotonic() + PERIOD
        was_lost = host.lost
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(host, channel, anew=was_lost)
                await host.echo.wait()
        except Exception as error:
            host.missed += 1
            if host.missed >= MISSES:
                self.failed(error, host)
            return False
        host.missed = 0
        return was_lost

    async def _send(self, host: Host, channel: str, *, anew: bool) -> None:
        """To itself. After a loss by a new connection: the old one may be dead without having been told."""
        if anew:
            host.joined = False
            await layers.reconnect(self._layer, host.number)
        if not host.joined:
            await self._layer.group_add(host.group, channel)
            host.joined = True
        await self._layer.group_send(host.group, {"type": WATCH, "sent": f"{host.group} {host.sent}"})
