"""The ASGI side of tenancy: a socket's address names an organization, in which the person becomes an actor."""

import re
from uuid import UUID

from accounts.middleware import App, Receive, Scope, Send
from core import db, limits
from core.errors import ConclaveError, NoSeat
from tenants.access import actor_of
from tenants.actor import Actor

_SLUG = re.compile(r"/ws/v1/([-a-zA-Z0-9_]+)/")
"""What no slug can be is not looked for: PostgreSQL raises at a NUL."""


class ActorMiddleware:
    """Leaves `scope["actor"]`, or in `scope["refused"]` the error with which the consumer has to close."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "actor": None}
        slug = _SLUG.match(scope["path"])
        if scope.get("refused") is None:
            try:
                if slug is None:
                    raise NoSeat
                scope["actor"] = await _connecting(scope["credential"].user_id, slug[1])
            except ConclaveError as refused:
                scope["refused"] = refused
        await self.app(scope, receive, send)


async def _connecting(user: UUID, slug: str) -> Actor:
    """A person who connects too often costs their organization nothing."""
    await limits.spend_soon("CONNECTS", user=user)
    actor = await db.run(actor_of, user, slug)
    await limits.spend_soon("CONNECTS", tenant=actor.tenant)
    return actor
