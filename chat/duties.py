"""A hub's background work: kept until it ends, never failing in silence, and one of a kind at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import structlog

from core.errors import Unavailable

log = structlog.get_logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class Duties:
    """Lives on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: dict[tuple[str, UUID], Work | None] = {}

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def once(self, duty: str, about: UUID, work: Work) -> None:
        """Do this now. Where it is under way it is done once more after that: what it has read may be too old."""
        key = (duty, about)
        if key in self._again:
            self._again[key] = work
        else:
            self._again[key] = None
            self.spawn(self._do(key, work))

    async def _do(self, key: tuple[str, UUID], work: Work) -> None:
        following: Work | None = work
        try:
            while following is not None:
                self._again[key] = None
                await following()
                following = self._again[key]
        finally:
            del self._again[key]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, Unavailable):
            log.warning("hub without the database")
        else:
            log.error("hub task failed", exc_info=error)
