"""Read markers: how far a seat has read a room. They only rise."""

from uuid import UUID

from chat import publish
from chat.models import RoomMember
from chat.protocol import ReadEvent
from chat.queries import room_read_by
from core.db import transactional
from tenants.actor import Actor


@transactional
def mark_read(actor: Actor, *, room: UUID, number: int) -> None:
    """Everything up to this message number is read, on all of the actor's devices."""
    found = room_read_by(actor, room)
    number = min(number, found.number)
    risen = RoomMember.objects.filter(room=room, seat=actor.seat, read_number__lt=number).update(read_number=number)
    if risen:
        publish.to_seat(actor.seat, ReadEvent(room=str(room), number=number))
