"""What an explanation may look at in a room: found through whoever asks, told of whoever it is about."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from chat.models import Message
from chat.queries import facts_of, members_seen_by, message_seen_by, room_seen_by
from core.errors import NotFound
from tenants.actor import Actor
from tenants.permissions import Facts
from tenants.roles import RoomRole


def room_facts(asker: Actor, subject: Actor, room: UUID | None, message: UUID | None, facts: Facts) -> Facts:
    """These facts, with what the subject is in the room and whether the message is theirs.

    `NotFound` for what the asker doesn't see, and for a message that the subject, though in the room, may not read.
    """
    said = None if message is None else message_seen_by(asker, message)
    if said is not None and room not in (None, said.room_id):
        raise NotFound("No such message.")
    place = said.room_id if said else room
    if place is None:
        return facts
    found = room_seen_by(asker, place)
    role = _role_of(asker, subject, found, said)
    about = facts_of(found)
    own = facts.own if said is None else said.author_id == subject.user
    return replace(facts, kind=about.kind, room_role=role, posting=about.posting, archived=about.archived, own=own)


def _role_of(asker: Actor, subject: Actor, room: Any, said: Message | None) -> RoomRole | None:
    member = members_seen_by(asker, room.pk).filter(seat=subject.seat).first()
    if member is None:
        return None
    if said is not None and said.number < member.visible_from:
        raise NotFound("The message was written before they could read the room.")
    return RoomRole(member.role)
