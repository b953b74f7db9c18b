"""The first thing a socket hears: who it is here, and its rooms."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from accounts.credentials import Credential, alive_in, asking_who_is_alive
from chat.models import Epoch, RoomMember
from chat.protocol import PROTOCOL, Author, HelloEvent, RoomShape
from chat.shapes import people_of, room_shape
from core.errors import NoSeat, Revoked
from core.sql import Compiled, run_all
from core.wire import moment_or_none
from tenants.access import actors_in, rereading
from tenants.actor import Actor
from tenants.models import Tenant, active_seat

ROOMS = 200


class _Room(NamedTuple):
    """A room of the actor's, as `room_shape` wants it."""

    pk: UUID
    name: str
    kind: str
    topic: str
    posting: str
    history: str
    archived_at: Any
    rev: int
    number: int
    my_role: str
    my_read: int
    my_from: int


_FIELDS = ("pk", "name", "kind", "topic", "posting", "history", "archived_at", "rev", "number")
_rooms = Compiled(
    lambda seats: (
        RoomMember.objects.filter(active_seat("seat__"), seat__in=seats)
        .order_by("-room__active_at", "room")
        .values_list(*(f"room__{name}" for name in _FIELDS), "role", "read_number", "visible_from")[: ROOMS + 1]
    ),
    "seats",
)
_tenants = Compiled(lambda tenants: Tenant.objects.filter(pk__in=tenants).values_list("name"), "tenants")
_epoch = Compiled(lambda: Epoch.objects.values_list("value"))


class Greeting(NamedTuple):
    """Who the actor is now, and what to say to them."""

    actor: Actor
    event: HelloEvent


def greeting(actor: Actor, credential: Credential, connection: UUID) -> Greeting:
    """With the actor's first 200 rooms by last activity. NoSeat or Revoked where seat or login are no more."""
    living, seats, tenants, epoch, found = run_all(
        [
            asking_who_is_alive([credential.sid]),
            rereading([actor.seat]),
            _tenants(tenants=[actor.tenant]),
            _epoch(),
            _rooms(seats=[actor.seat]),
        ]
    )
    if credential.sid not in alive_in(living, {credential.sid}):
        raise Revoked
    now = actors_in(seats).get(actor.seat)
    if now is None:
        raise NoSeat
    event = HelloEvent(
        protocol=PROTOCOL,
        epoch=str(epoch[0][0]),
        connection=str(connection),
        user=Author(id=str(now.user), display_name=now.display_name),
        tenant={"id": str(now.tenant), "slug": now.slug, "name": tenants[0][0]},
        tenant_role=now.role.name,
        heartbeat=settings.SOCKET_HEARTBEAT,
        expires_at=moment_or_none(credential.expires_at),
        rooms=_shapes([_Room(*row) for row in found[:ROOMS]], actor.seat),
        rooms_more=len(found) > ROOMS,
    )
    return Greeting(now, event)


def _shapes(rooms: Sequence[_Room], seat: UUID) -> list[RoomShape]:
    people = people_of(rooms, seat)
    return [room_shape(room, people.get(room.pk)) for room in rooms]


def hello(actor: Actor, credential: Credential, connection: UUID) -> HelloEvent:
    """The event alone."""
    return greeting(actor, credential, connection).event
