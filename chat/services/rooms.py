"""Rooms: create, find or found a direct one, change, archive, restore."""

import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from chat import publish
from chat.models import Room, RoomMember
from chat.queries import room_seen_by
from chat.services.finding import find_room
from core.db import transactional
from core.errors import Invalid, NotFound
from tenants.access import reread
from tenants.actor import Actor
from tenants.locks import lock_seats
from tenants.models import Membership, active_seat
from tenants.names import checked_name
from tenants.permissions import Facts, Verb, require
from tenants.queries import members_seen_by
from tenants.roles import History, Posting, RoomKind, RoomRole

DIRECT_PEOPLE = 20


@transactional
def create_room(
    actor: Actor,
    *,
    name: str,
    kind: RoomKind = RoomKind.PRIVATE,
    topic: str = "",
    posting: Posting = Posting.EVERYONE,
    history: History = History.SHARED,
) -> Any:
    """A private or open room; whoever creates it is its moderator."""
    lock_seats([actor.seat])
    fresh = reread(actor)
    require(fresh.role, Verb.ROOM_CREATE, Facts())
    if kind is RoomKind.DIRECT:
        raise Invalid("kind: private or open.", errors={"kind": ["private or open."]})
    room = Room.objects.create(
        tenant_id=fresh.tenant,
        kind=kind,
        name=checked_name(name),
        topic=topic.strip(),
        posting=posting,
        history=history,
    )
    seat_in_room(room, fresh.seat, RoomRole.MODERATOR, visible_from=1)
    return room_seen_by(fresh, room.pk)


def seat_in_room(room: Any, seat: UUID, role: RoomRole, *, visible_from: int) -> RoomMember:
    """The row that lets a seat into a room; both are locked, unless new."""
    member = RoomMember.objects.create(
        tenant_id=room.tenant_id,
        room_id=room.pk,
        seat_id=seat,
        role=role,
        visible_from=visible_from,
        joined_rev=room.rev,
        read_number=room.number,
    )
    publish.room_added(seat, room.pk, move_seat(seat))
    return member


def move_seat(seat: UUID) -> int:
    """The seat's next version: its rooms have changed. The seat is locked."""
    Membership.objects.filter(pk=seat).update(version=F("version") + 1)
    return Membership.objects.values_list("version", flat=True).get(pk=seat)


@transactional
def direct_room(actor: Actor, *, users: Iterable[UUID]) -> tuple[Any, bool]:
    """The one direct room of exactly these people and the actor, made or found; whether it was made."""
    others = set(users) - {actor.user}
    if not 1 <= len(others) < DIRECT_PEOPLE:
        raise Invalid(f"users: 1 to {DIRECT_PEOPLE - 1} other people.")
    seats = _seats_of(actor, others)
    lock_seats(seats)
    fresh = reread(actor)
    if _seats_of(fresh, others) != seats:
        raise NotFound("No such member.")
    require(fresh.role, Verb.ROOM_DIRECT, Facts(shared=True))
    key = hashlib.sha256("".join(sorted(seat.hex for seat in seats)).encode()).hexdigest()
    found = Room.objects.filter(tenant=fresh.tenant, direct_key=key).first()
    if found is None:
        found, made = _found_direct(fresh, key, seats)
    else:
        made = False
    return room_seen_by(fresh, found.pk), made


def _seats_of(actor: Actor, others: set[UUID]) -> list[UUID]:
    """The seats of these people, as far as the actor sees them, with the actor's own; in order."""
    seen = members_seen_by(actor).filter(active_seat(), user__in=others).values_list("pk", flat=True)
    if len(seen) != len(others):
        raise NotFound("No such member.")
    return sorted({actor.seat, *seen})


def _found_direct(actor: Actor, key: str, seats: list[UUID]) -> tuple[Room, bool]:
    try:
        with transaction.atomic():
            room = Room.objects.create(tenant_id=actor.tenant, kind=RoomKind.DIRECT, direct_key=key)
    except IntegrityError:
        return Room.objects.get(tenant=actor.tenant, direct_key=key), False
    for seat in seats:
        seat_in_room(room, seat, RoomRole.MEMBER, visible_from=1)
    return room, True


@transactional
def change_room(
    actor: Actor,
    *,
    room: UUID,
    name: str | None = None,
    topic: str | None = None,
    posting: Posting | None = None,
    history: History | None = None,
) -> Any:
    """Rename, retitle, or change the policies. A changed history policy counts for those who join from then on."""
    found = find_room(actor, room)
    found.require(Verb.ROOM_CHANGE)
    if name is not None:
        found.room.name = checked_name(name)
    if topic is not None:
        found.room.topic = topic.strip()
    found.room.posting = posting or found.room.posting
    found.room.history = history or found.room.history
    found.room.save(update_fields=["name", "topic", "posting", "history"])
    _readers_reread(found.room)
    return room_seen_by(found.actor, room)


@transactional
def archive_room(actor: Actor, *, room: UUID) -> Any:
    """Keep it readable for its members, and closed to everything new."""
    return _archive(actor, room, archived=True)


@transactional
def restore_room(actor: Actor, *, room: UUID) -> Any:
    """Open an archived room again."""
    return _archive(actor, room, archived=False)


def _archive(actor: Actor, room: UUID, *, archived: bool) -> Any:
    found = find_room(actor, room)
    found.require(Verb.ROOM_ARCHIVE)
    if (found.room.archived_at is not None) != archived:
        found.room.archived_at = timezone.now() if archived else None
        found.room.save(update_fields=["archived_at"])
        _readers_reread(found.room)
    return room_seen_by(found.actor, room)


def _readers_reread(room: Any) -> None:
    """What the members may do has changed: every subscription's right is read again before it hears more."""
    room.readers_version += 1
    room.save(update_fields=["readers_version"])
    publish.room_changed(room)
