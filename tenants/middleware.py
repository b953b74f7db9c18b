"""The ASGI side of tenancy: a socket's address names an organization; the person becomes an actor in it, or is refused."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from core import db
from core.errors import ConclaveError, NoSeat
from tenants.access import actor_of

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_SLUG = re.compile(r"/ws/v1/([^/]+)/")


class ActorMiddleware:
    """Leaves `scope["actor"]`, or in `scope["refused"]` the error with which the consumer has to close."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        scope = {**scope, "actor": None}
        slug = _SLUG.match(scope["path"])
        if scope.get("refused") is None:
            try:
                if slug is None:
                    raise NoSeat
                scope["actor"] = await db.run(actor_of, scope["credential"].user_id, slug[1])
            except ConclaveError as refused:
                scope["refused"] = refused
        await self.app(scope, receive, send)
