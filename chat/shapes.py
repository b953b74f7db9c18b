"""Rows as the wire shows them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from msgspec import UNSET

from chat.models import Message, RoomMember
from chat.protocol import Author, MessageCreated, MessageDeleted, MessageShape, MessageUpdated, ReactionCount, RoomShape
from core.sql import Compiled
from core.wire import moment, moment_or_none
from tenants.roles import RoomKind


def message_shape(message: Message) -> MessageShape:
    """A message read with its author."""
    author = message.author
    return MessageShape(
        id=str(message.pk),
        kind=message.kind,
        room=str(message.room_id),
        number=message.number,
        rev=message.rev,
        author=None if author is None else Author(id=str(author.pk), display_name=author.display_name),
        body=message.body,
        html=message.html,
        nonce=message.nonce,
        reply_to=None if message.reply_to_id is None else str(message.reply_to_id),
        reactions=[ReactionCount(**reaction) for reaction in message.reactions],
        created_at=moment(message.created_at),
        edited_at=moment_or_none(message.edited_at),
        deleted_at=moment_or_none(message.deleted_at),
    )


def message_event(message: Message) -> MessageCreated | MessageUpdated | MessageDeleted:
    """The event that brings a message's newest state. Which of the three it is, is a hint."""
    shape = message_shape(message)
    if message.deleted_at is not None:
        kind: type[MessageCreated | MessageUpdated | MessageDeleted] = MessageDeleted
    elif message.edited_at is not None or message.reactions:
        kind = MessageUpdated
    else:
        kind = MessageCreated
    return kind(room=shape.room, rev=shape.rev, message=shape)


def room_shape(room: Any, people: Iterable[Author] | None = None) -> RoomShape:
    """A row of `rooms_seen_by`. Outside the room there are no counters and no times."""
    inside = room.my_role is not None
    return RoomShape(
        id=str(room.pk),
        name=room.name,
        kind=room.kind,
        topic=room.topic,
        posting=room.posting,
        history=room.history,
        archived_at=moment_or_none(room.archived_at) if inside else UNSET,
        room_role=room.my_role,
        rev=room.rev if inside else UNSET,
        number=room.number if inside else UNSET,
        unread=max(0, room.number - max(room.my_read, room.my_from - 1)) if inside else UNSET,
        people=UNSET if people is None else list(people),
    )


_people = Compiled(
    lambda rooms: (
        RoomMember.objects.filter(room__in=rooms)
        .order_by("pk")
        .values_list("room", "seat", "seat__user", "seat__user__display_name")
    ),
    "rooms",
)


def people_of(rooms: Iterable[Any], but: UUID) -> dict[Any, list[Author]]:
    """For the direct rooms among these: everyone in them except seat `but`."""
    found: dict[Any, list[Author]] = {room.pk: [] for room in rooms if room.kind == RoomKind.DIRECT}
    for room, seat, user, name in _people.rows(rooms=found) if found else ():
        if seat != but:
            found[room].append(Author(id=str(user), display_name=name))
    return found
