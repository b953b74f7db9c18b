"""The hub of this process, started with the first connection or request that its event loop serves."""

import asyncio
from weakref import WeakKeyDictionary

from chat.hub import Hub
from chat.upkeep import keep_beating, keep_joined, keep_present, keep_sweeping
from core.health import health

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def this_hub() -> Hub:
    """From the event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        hub.start()
        health.drains[loop] = hub.drain
        health.layers[loop] = hub.groups.watch.works
        for work in (keep_sweeping, keep_joined, keep_beating, keep_present):
            hub.duties.spawn(work(hub))
    return hub
