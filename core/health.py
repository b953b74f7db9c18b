"""Probes: is the process up, may it be sent work, and what does it do without."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from core import db

FRESH = 1.0
"""Seconds for which an answer is given again: anyone may ask, so asking often must cost nothing."""
PATIENCE = 2.0
"""Seconds after which what does not answer counts as lost."""


@dataclass
class Health:
    """What one process knows of itself and of what it stands on."""

    draining: bool = False
    migrated: bool = False
    asked_at: float = -FRESH
    answer: dict[str, Any] = field(default_factory=lambda: {"status": "unavailable", "reason": "starting"})
    drains: WeakKeyDictionary[asyncio.AbstractEventLoop, Callable[[float], Awaitable[None]]] = field(
        default_factory=WeakKeyDictionary
    )
    """What each loop does before the process ends, in so many seconds."""
    layers: WeakKeyDictionary[asyncio.AbstractEventLoop, Callable[[], Awaitable[bool]]] = field(
        default_factory=WeakKeyDictionary
    )
    """Whether the channel layer works for what each loop serves."""


health = Health()
"""This process. The server sets `draining` when it is told to stop."""


@require_safe
async def livez(_request: HttpRequest) -> JsonResponse:
    """The process is up and its loop turns."""
    return _answer({"status": "ok"})


@require_safe
async def readyz(_request: HttpRequest) -> JsonResponse:
    """503 while work must go elsewhere; a lost channel layer is only named, else its outage takes every node out."""
    if health.draining:
        return _answer({"status": "unavailable", "reason": "draining"})
    now = time.monotonic()
    if now - health.asked_at >= FRESH:
        health.asked_at = now
        health.answer = await _ask()
    return _answer(health.answer)


def _answer(content: dict[str, Any]) -> JsonResponse:
    status = HTTPStatus.OK if content.get("status") == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse(content, status=status, headers={"Cache-Control": "no-store"})


async def _ask() -> dict[str, Any]:
    reason, layer_works = await asyncio.gather(_database(), _layer())
    if reason:
        return {"status": "unavailable", "reason": reason}
    return {"status": "ok"} if layer_works else {"status": "ok", "degraded": ["layer"]}


async def _database() -> str:
    try:
        return await asyncio.wait_for(db.run(_database_reason), PATIENCE)
    except Exception:  # whatever the driver or the pool raises: the database is not to be had
        return "database"


def _database_reason() -> str:
    if health.migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return ""
    executor = MigrationExecutor(connection)
    health.migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "" if health.migrated else "migrations"


async def _layer() -> bool:
    """Whether what is sent to the channel layer comes back, as whoever listens to it has found."""
    works = health.layers.get(asyncio.get_running_loop())
    return works is None or await works()
