"""The first thing a socket hears: who it is here, and its rooms."""

from uuid import UUID

from django.conf import settings

from accounts.credentials import Credential
from chat.catchup import current_epoch
from chat.protocol import PROTOCOL, Author, HelloEvent
from chat.queries import INSIDE, rooms_seen_by
from chat.shapes import people_of, room_shape
from core.wire import moment_or_none
from tenants.actor import Actor
from tenants.models import Tenant

ROOMS = 200


def hello(actor: Actor, credential: Credential, connection: UUID) -> HelloEvent:
    """With the actor's first 200 rooms by last activity."""
    rooms = list(rooms_seen_by(actor).filter(INSIDE).order_by("-active_at", "pk")[: ROOMS + 1])
    people = people_of(rooms[:ROOMS], actor.seat)
    tenant = Tenant.objects.get(pk=actor.tenant)
    return HelloEvent(
        protocol=PROTOCOL,
        epoch=str(current_epoch()),
        connection=str(connection),
        user=Author(id=str(actor.user), display_name=actor.display_name),
        tenant={"id": str(tenant.pk), "slug": tenant.slug, "name": tenant.name},
        tenant_role=actor.role,
        heartbeat=settings.SOCKET_HEARTBEAT,
        expires_at=moment_or_none(credential.expires_at),
        rooms=[room_shape(room, people.get(room.pk)) for room in rooms[:ROOMS]],
        rooms_more=len(rooms) > ROOMS,
    )
