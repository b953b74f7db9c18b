"""What is seen: every read of rooms and messages, actor first. Restates the table's `…_SEE` cells in SQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Greatest

from chat.models import Epoch, Message, Room, RoomMember
from core.errors import NotFound
from core.sql import Compiled
from tenants.actor import Actor
from tenants.models import active_seat
from tenants.permissions import Facts
from tenants.queries import still_seated
from tenants.roles import Posting, RoomKind, RoomRole, TenantRole

INSIDE = Q(me__isnull=False)
VISIBLE = INSIDE | Q(kind=RoomKind.OPEN)
KNOWN = INSIDE | Q(kind__in=[RoomKind.OPEN, RoomKind.PRIVATE])
ROOM_SEE = {
    TenantRole.GUEST: INSIDE,
    TenantRole.MEMBER: VISIBLE,
    TenantRole.MODERATOR: VISIBLE,
    TenantRole.ADMIN: KNOWN,
    TenantRole.OWNER: KNOWN,
}


def rooms_seen_by(actor: Actor) -> QuerySet[Room, Any]:
    """The rooms whose existence the actor may know, each with `my_role`, `my_read` and `my_from` (null outside)."""
    return (
        Room.objects.filter(tenant=actor.tenant)
        .annotate(me=FilteredRelation("members", condition=Q(members__seat=actor.seat)))
        .filter(ROOM_SEE[actor.role.base], still_seated(actor))
        .annotate(my_role=F("me__role"), my_read=F("me__read_number"), my_from=F("me__visible_from"))
    )


def room_seen_by(actor: Actor, room: UUID) -> Any:
    """The one room, or `NotFound` in the same words for what never existed."""
    found = rooms_seen_by(actor).filter(pk=room).first()
    if found is None:
        raise NotFound("No such room.")
    return found


class Readable(NamedTuple):
    """A room as one of its members reads it."""

    rev: int
    number: int
    readers_version: int
    kind: str
    posting: str
    archived_at: datetime | None
    my_role: str
    my_from: int
    my_joined: int
    epoch: UUID


_readable = Compiled(
    lambda rooms, seats, roles: RoomMember.objects.filter(
        active_seat("seat__"), room__in=rooms, seat__in=seats, seat__role__in=roles
    )
    .annotate(epoch=Subquery(Epoch.objects.values("value")[:1]))
    .values_list(
        *(f"room__{name}" for name in Readable._fields[:6]), "role", "visible_from", "joined_rev", "epoch"
    ),
    "rooms", "seats", "roles",
)  # fmt: skip


def room_read_by(actor: Actor, room: UUID) -> Readable:
    """A room that the actor is a member of, or `NotFound`; an open one, too, must be joined before it is read."""
    found = _readable.rows(rooms=[room], seats=[actor.seat], roles=[actor.role.name])
    if not found:
        raise NotFound("No such room, or you are not a member of it.")
    return Readable(*found[0])


def messages_seen_by(actor: Actor) -> QuerySet[Message]:
    """The messages the actor may read, of all their rooms, with their authors."""
    return Message.objects.filter(
        active_seat("room__members__seat__"),
        tenant=actor.tenant,
        room__members__seat=actor.seat,
        number__gte=F("room__members__visible_from"),
    ).select_related("author")


def message_seen_by(actor: Actor, message: UUID) -> Message:
    found = messages_seen_by(actor).filter(pk=message).first()
    if found is None:
        raise NotFound("No such message.")
    return found


def room_members(room: Room) -> QuerySet[RoomMember]:
    """Those in a room that the actor was found to see: active seats only."""
    return RoomMember.objects.filter(active_seat("seat__"), room=room).select_related("seat__user")


def members_seen_by(actor: Actor, room: UUID) -> QuerySet[RoomMember]:
    """The members of a room that the actor sees, in one statement with the actor's right to see them."""
    seen = rooms_seen_by(actor).filter(pk=OuterRef("room"))
    return RoomMember.objects.filter(
        Exists(seen), active_seat("seat__"), room=room, tenant=actor.tenant
    ).select_related("seat__user")


def room_counts(seats: Iterable[UUID]) -> dict[UUID, tuple[int, int]]:
    """For each of these seats: how many rooms it is in, and how many messages there are unread."""
    unread = F("room__number") - Greatest(F("read_number"), F("visible_from") - 1)
    counted = RoomMember.objects.filter(seat__in=list(seats)).values("seat").annotate(
        rooms=Count("pk"), unread=Sum(Greatest(unread, 0))
    )  # fmt: skip
    return {each["seat"]: (each["rooms"], each["unread"]) for each in counted}


def sharing_a_room(actor: Actor) -> Q:
    """On `Membership`: everyone with whom the actor has a room in common."""
    mine = RoomMember.objects.filter(seat=actor.seat, room=OuterRef("room"))
    return Q(Exists(RoomMember.objects.filter(Exists(mine), seat=OuterRef("pk"))))


def facts_of(room: Any) -> Facts:
    """What the table asks about a room, from a row of `rooms_seen_by`."""
    return facts_in(room, room.my_role)


def facts_in(room: Any, role: str | None) -> Facts:
    """The same, where the room was read by itself; `role` is the one in the room, None outside."""
    return Facts(
        kind=RoomKind(room.kind),
        room_role=RoomRole(role) if role else None,
        posting=Posting(room.posting),
        archived=room.archived_at is not None,
    )
