"""The beginning of every write: lock seats, then the room, and read what is to be judged after the last lock."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from chat.locks import lock_rooms
from chat.models import Message
from chat.queries import facts_of, message_seen_by, room_seen_by
from core.errors import NotFound
from tenants.access import reread
from tenants.actor import Actor
from tenants.locks import lock_seats
from tenants.permissions import Facts, Verb, require


class Found(NamedTuple):
    """A locked room as the actor sees it now, and the actor as they are now."""

    actor: Actor
    room: Any
    facts: Facts

    def require(self, verb: Verb, facts: Facts | None = None) -> None:
        require(self.actor.role, verb, facts or self.facts)


def find_room(actor: Actor, room: UUID, moving: Iterable[UUID] = ()) -> Found:
    """Lock the actor's seat and the room, then find it through the actor; unseen is `NotFound`.

    `moving` are seats that come or go: they are locked against others, the actor's only against change.
    """
    lock_seats(moving, share=[actor.seat])
    lock_rooms([room])
    fresh = reread(actor)
    found = room_seen_by(fresh, room)
    return Found(fresh, found, facts_of(found))


def find_message(actor: Actor, message: UUID) -> tuple[Found, Message]:
    """The same for a message's room, and the message as it is under the lock."""
    room = message_seen_by(actor, message).room_id
    found = find_room(actor, room)
    if found.facts.room_role is None:
        raise NotFound("No such message.")
    return found, message_seen_by(found.actor, message)
