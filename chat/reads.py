"""What the hub asks the database: who may still read, what was missed, where the heads are. Each one statement."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, FilteredRelation, Q

from chat.feed import RoomEvent
from chat.models import Message, Room, RoomMember
from chat.publish import frame_of
from chat.queries import facts_in
from core.sql import Compiled
from tenants.models import active_seat
from tenants.permissions import Facts

MISSED = 500
"""Changed messages beyond which a feed does not catch up: its sockets subscribe anew."""


class Right(NamedTuple):
    """A seat's right to read a room, with the room's version in the same statement."""

    readers: int
    visible_from: int
    facts: Facts
    """What the table asks about the room, as of then."""


class Head(NamedTuple):
    rev: int
    readers: int


def rights(room: UUID, seats: Iterable[UUID]) -> dict[UUID, Right]:
    """Of these seats, those that may read the room."""
    members = RoomMember.objects.filter(active_seat("seat__"), room=room, seat__in=list(seats))
    found = {}
    for member in members.select_related("room"):
        facts = facts_in(member.room, member.role)
        found[member.seat_id] = Right(member.room.readers_version, member.visible_from, facts)
    return found


class Missed(NamedTuple):
    """A room's head and an event with everything above some rev; no event where that is too much."""

    head: Head
    event: RoomEvent | None


def missed(room: UUID, since: int) -> Missed | None:
    """What is above `since`; None where the room is gone."""
    rows = list(
        Message.objects.filter(room=room, rev__gt=since)
        .select_related("author")
        .annotate(head=F("room__rev"), version=F("room__readers_version"))
        .order_by("rev")[: MISSED + 1]
    )
    if not rows:
        return _unseen(room, since)
    head = Head(rows[0].head, rows[0].version)
    if len(rows) > MISSED:
        return Missed(head, None)
    return Missed(head, RoomEvent.made(since + 1, head.rev, head.readers, map(frame_of, rows)))


def _unseen(room: UUID, since: int) -> Missed | None:
    """No row was above `since` a moment ago. Whatever has come since then is told by a later event or sweep, so the
    head may only be taken where still no message shows it."""
    found = (
        Room.objects.filter(pk=room)
        .annotate(newer=FilteredRelation("messages", condition=Q(messages__rev__gt=since)))
        .values_list("rev", "readers_version", "newer")
        .first()
    )
    if found is None:
        return None
    rev, readers, newer = found
    if newer is not None:
        return missed(room, since)
    return Missed(Head(rev, readers), RoomEvent(since + 1, rev, readers, ()))


_heads = Compiled(lambda rooms: Room.objects.filter(pk__in=rooms).values_list("pk", "rev", "readers_version"), "rooms")


def heads(rooms: Iterable[UUID]) -> dict[UUID, Head]:
    """Rev and readers' version of each of these rooms that exists."""
    return {pk: Head(rev, readers) for pk, rev, readers in _heads.rows(rooms=set(rooms))}
