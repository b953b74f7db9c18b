"""Who is in a room: join, leave, add, change, remove, and what ends with a seat."""

from typing import Any
from uuid import UUID

from accounts.models import User
from chat import publish
from chat.locks import lock_rooms
from chat.models import RoomMember
from chat.protocol import RoomRemoved
from chat.queries import room_members, room_seen_by
from chat.services.finding import Found, find_room
from chat.services.messages import post_notice
from chat.services.rooms import move_seat, seat_in_room
from core.db import transactional
from core.errors import Conflict, Invalid, NotFound
from tenants.actor import Actor
from tenants.locks import lock_seats
from tenants.models import Membership, active_seat
from tenants.permissions import Verb
from tenants.queries import members_seen_by
from tenants.roles import History, RoomKind, RoomRole


@transactional
def join_room(actor: Actor, *, room: UUID) -> Any:
    """Come into an open room; or, where the role allows it, enter a private one: visibly, and from now on."""
    found = find_room(actor, room, moving=[actor.seat])
    if found.facts.room_role is not None:
        return found.room
    if found.facts.kind is RoomKind.PRIVATE:
        found.require(Verb.ROOM_ENTER)
        seat_in_room(found.room, found.actor.seat, RoomRole.MEMBER, visible_from=found.room.number + 1)
        post_notice(found.room, f"{found.actor.display_name} ({found.actor.role}) entered the room.")
    else:
        found.require(Verb.ROOM_JOIN)
        seat_in_room(found.room, found.actor.seat, RoomRole.MEMBER, visible_from=newcomers_see(found.room))
    publish.member_changed(room, found.actor.user)
    return room_seen_by(found.actor, room)


def newcomers_see(room: Any) -> int:
    """The first message number that someone who joins now may read."""
    return 1 if room.history == History.SHARED else room.number + 1


@transactional
def leave_room(actor: Actor, *, room: UUID) -> None:
    """Go, and read nothing that is committed after this."""
    found = find_room(actor, room, moving=[actor.seat])
    if found.facts.room_role is None:
        raise NotFound("You are not a member of this room.")
    found.require(Verb.ROOM_LEAVE)
    _take_out(found, found.actor.seat, found.actor.user)


@transactional
def add_member(actor: Actor, *, room: UUID, user: UUID, room_role: RoomRole = RoomRole.MEMBER) -> RoomMember:
    """Bring someone of the organization into the room. Someone outside can't grant a past they don't have."""
    if user == actor.user:
        raise Invalid("user: to come in yourself, use join.")
    seat = _seat_of(actor, user)
    found = find_room(actor, room, moving=[seat])
    found.require(Verb.ROOM_MEMBER_ADD)
    if found.facts.archived:
        raise Conflict("The room is archived.")
    if _seat_of(found.actor, user) != seat:
        raise NotFound("No such member.")
    if room_members(found.room).filter(seat=seat).exists():
        raise Conflict("They are in the room already.")
    past = newcomers_see(found.room) if found.facts.room_role else found.room.number + 1
    member = seat_in_room(found.room, seat, room_role, visible_from=past)
    publish.member_changed(room, user)
    return room_members(found.room).get(pk=member.pk)


@transactional
def change_member(actor: Actor, *, room: UUID, user: UUID, room_role: RoomRole) -> RoomMember:
    """Give a member of the room another role in it."""
    found = find_room(actor, room)
    found.require(Verb.ROOM_MEMBER_CHANGE)
    member = _member(found.room, user)
    member.role = room_role
    member.save(update_fields=["role"])
    found.room.readers_version += 1
    found.room.save(update_fields=["readers_version"])
    publish.room_changed(found.room)
    publish.member_changed(room, user)
    return member


@transactional
def remove_member(actor: Actor, *, room: UUID, user: UUID) -> None:
    """Take someone out of the room. They get nothing that is committed after this."""
    member = _member(room_seen_by(actor, room), user)
    found = find_room(actor, room, moving=[member.seat_id])
    found.require(Verb.ROOM_MEMBER_REMOVE)
    member = _member(found.room, user)
    _take_out(found, member.seat_id, user)


def _take_out(found: Found, seat: UUID, user: UUID) -> None:
    RoomMember.objects.filter(room=found.room.pk, seat=seat).delete()
    readers_leave(found.room)
    publish.to_seat(seat, RoomRemoved(room=str(found.room.pk)), move_seat(seat))
    publish.member_changed(found.room.pk, user)


def readers_leave(room: Any) -> None:
    """The next rev, which no message shows; readers are checked again before they hear more."""
    room.rev += 1
    room.readers_version += 1
    room.save(update_fields=["rev", "readers_version"])
    publish.readers_changed(room)


def _seat_of(actor: Actor, user: UUID) -> UUID:
    seat = members_seen_by(actor).filter(active_seat(), user=user).values_list("pk", flat=True).first()
    if seat is None:
        raise NotFound("No such member.")
    return seat


def _member(room: Any, user: UUID) -> RoomMember:
    member = room_members(room).filter(seat__user=user).first()
    if member is None:
        raise NotFound("No such member of this room.")
    return member


def seat_ends(seat: Membership) -> None:
    """In the transaction that ends a seat: no room of theirs lets them hear what is committed after it."""
    _end([seat.pk], seat.user_id)


def account_ends(user: User) -> None:
    """In the transaction that shuts a person out: the same for all their seats."""
    seats = list(Membership.objects.filter(user=user).values_list("pk", flat=True))
    lock_seats(seats)
    _end(seats, user.pk)


def _end(seats: list[UUID], user: UUID) -> None:
    rooms = RoomMember.objects.filter(seat__in=seats).values_list("room", flat=True)
    for room in lock_rooms(rooms).values():
        readers_leave(room)
        publish.member_changed(room.pk, user)
    for seat in seats:
        publish.seat_changed(seat)


def seat_changes(seat: Membership) -> None:
    """In the transaction that changes a seat's role: its open sockets follow."""
    publish.seat_changed(seat.pk)
