"""Drafts that are committed together: locks in the product's one order, then everything that is judged, then rows.

Only what passed gets a number and a rev. A draft that may not be sent is refused alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from chat import publish
from chat.models import Message, Room, RoomMember
from chat.protocol import Author, MessageShape
from chat.queries import facts_in
from chat.shapes import message_shape
from core.db import transactional
from core.errors import ConclaveError, Conflict, NoSeat, NotFound
from core.ids import new_id
from core.sql import Compiled, Statement, insert_many, run_all, update_many
from core.wire import moment
from tenants.access import reread_all
from tenants.actor import Actor
from tenants.locks import sharing
from tenants.models import active_seat
from tenants.permissions import Verb, allows, require
from tenants.policy import policy_of
from tenants.roles import Role


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is to be sent: checked and rendered."""

    actor: Actor
    room: UUID
    body: str
    html: str | None
    nonce: str
    reply_to: UUID | None


class Sent(NamedTuple):
    """A message that was sent now, or by the same nonce before: then as it is now."""

    message: MessageShape
    new: bool


@dataclass(slots=True)
class _Room:
    pk: UUID
    tenant: UUID
    kind: str
    posting: str
    archived_at: Any
    number: int
    rev: int
    readers_version: int


class _Member(NamedTuple):
    """A room member whose seat counts, with the seat's role and person."""

    pk: UUID
    role: str
    visible_from: int
    tenant_role: Role
    tenant: UUID
    author: Author


class _Standing(NamedTuple):
    """A seat that counts."""

    role: Role
    tenant: UUID


_rooms = Compiled(
    lambda rooms: (
        Room.objects.filter(pk__in=rooms)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", "tenant", "kind", "posting", "archived_at", "number", "rev", "readers_version")
    ),
    "rooms",
)
_members = Compiled(
    lambda rooms, seats: RoomMember.objects.filter(active_seat("seat__"), room__in=rooms, seat__in=seats).values_list(
        "room", "seat", "pk", "role", "visible_from",
        "seat__role", "seat__tenant", "seat__tenant__policy_version", "seat__user", "seat__user__display_name",
    ),
    "rooms", "seats",
)  # fmt: skip
_said = Compiled(
    lambda rooms, authors, nonces: Message.objects.filter(
        room__in=rooms, author__in=authors, nonce__in=nonces
    ).values_list("pk"),
    "rooms", "authors", "nonces",
)  # fmt: skip
_targets = Compiled(
    lambda messages: Message.objects.filter(pk__in=messages).values_list("pk", "room", "number"), "messages"
)


class Batch:
    """What drafts are judged by, and what came of them."""

    def __init__(self, drafts: Sequence[Draft], now: datetime) -> None:
        self._now = now
        self._new: dict[UUID, list[MessageShape]] = {}
        self._rows: list[dict[str, Any]] = []
        self._read: dict[UUID, int] = {}
        self._lock_and_read(drafts)

    def _lock_and_read(self, drafts: Sequence[Draft]) -> None:
        rooms, seats = {draft.room for draft in drafts}, {draft.actor.seat for draft in drafts}
        authors, nonces = {draft.actor.user for draft in drafts}, {draft.nonce for draft in drafts}
        targets = {draft.reply_to for draft in drafts if draft.reply_to is not None}
        judged_by = [
            _rooms(rooms=rooms),
            _members(rooms=rooms, seats=seats),
            _said(rooms=rooms, authors=authors, nonces=nonces),
        ]
        if targets:
            judged_by.append(_targets(messages=targets))
        found = run_all([*sharing(seats), *judged_by])
        locked, members, said, *aimed = found[-len(judged_by) :]
        self._rooms = {row[0]: _Room(*row) for row in locked}
        self._members = dict(_member(row) for row in members)
        self._seats = _standings(seats, self._members)
        self._said = _earlier(row[0] for row in said)
        self._targets = {pk: (room, number) for pk, room, number in chain(*aimed)}

    def judge(self, draft: Draft) -> Sent | Exception:
        """Number the draft, or say why not."""
        try:
            return self._judge(draft)
        except ConclaveError as refused:
            return refused

    def _judge(self, draft: Draft) -> Sent:
        actor, seat, room = draft.actor, self._seats.get(draft.actor.seat), self._rooms.get(draft.room)
        if seat is None:
            raise NoSeat
        member = self._members.get((draft.room, actor.seat))
        if room is None or room.tenant != seat.tenant:
            raise NotFound("No such room.")
        facts = facts_in(room, member.role if member else None)
        if not allows(seat.role, Verb.ROOM_SEE, facts):
            raise NotFound("No such room.")
        said = self._said.get((draft.room, actor.user, draft.nonce))
        if said is not None and member is not None and said.number >= member.visible_from:
            return Sent(said, new=False)
        require(seat.role, Verb.MESSAGE_SEND, facts)
        assert member is not None
        if said is not None:
            raise Conflict("You used this nonce before you left the room: take another.")
        if draft.reply_to is not None:
            room_of_it, number = self._targets.get(draft.reply_to, (None, 0))
            if room_of_it != room.pk or number < member.visible_from:
                raise NotFound("No such message to reply to.")
        return Sent(self._append(draft, room, member), new=True)

    def _append(self, draft: Draft, room: _Room, member: _Member) -> MessageShape:
        room.number += 1
        room.rev += 1
        pk = new_id()
        message = MessageShape(
            id=str(pk),
            kind=Message.Kind.TEXT.value,
            room=str(room.pk),
            number=room.number,
            rev=room.rev,
            author=member.author,
            body=draft.body,
            html=draft.html,
            nonce=draft.nonce,
            reply_to=None if draft.reply_to is None else str(draft.reply_to),
            reactions=[],
            created_at=moment(self._now),
            edited_at=None,
            deleted_at=None,
        )
        self._rows.append(self._row(pk, draft, room))
        self._new.setdefault(room.pk, []).append(message)
        self._said[room.pk, draft.actor.user, draft.nonce] = message
        self._read[member.pk] = room.number
        return message

    def _row(self, pk: UUID, draft: Draft, room: _Room) -> dict[str, Any]:
        return {
            "id": pk,
            "tenant_id": room.tenant,
            "room_id": room.pk,
            "number": room.number,
            "rev": room.rev,
            "kind": Message.Kind.TEXT.value,
            "author_id": draft.actor.user,
            "body": draft.body,
            "html": draft.html,
            "nonce": draft.nonce,
            "reply_to_id": draft.reply_to,
            "reactions": [],
            "created_at": self._now,
        }

    def write(self) -> None:
        """Rows, then counters; on commit one event for each room."""
        if not self._rows:
            return
        rooms = [self._rooms[pk] for pk in self._new]
        run_all([*insert_many(Message, self._rows), *self._counting(rooms)])
        for room in rooms:
            publish.messages_sent(room.pk, room.readers_version, self._new[room.pk])

    def _counting(self, rooms: Iterable[_Room]) -> list[Statement]:
        counted = [{"id": room.pk, "number": room.number, "rev": room.rev, "active_at": self._now} for room in rooms]
        read = [{"id": pk, "read_number": number} for pk, number in self._read.items()]
        return [*update_many(Room, counted), *update_many(RoomMember, read)]


def _member(row: Sequence[Any]) -> tuple[tuple[UUID, UUID], _Member]:
    """By room and seat."""
    room, seat, pk, role, visible_from, tenant_role, tenant, version, user, name = row
    author = Author(id=str(user), display_name=name)
    held = policy_of(tenant, version).role(tenant_role)
    return (room, seat), _Member(pk, role, visible_from, held, tenant, author)


def _standings(seats: set[UUID], members: dict[tuple[UUID, UUID], _Member]) -> dict[UUID, _Standing]:
    """Of these seats, those that count; whoever is in none of the rooms is looked up."""
    found = {seat: _Standing(member.tenant_role, member.tenant) for (_, seat), member in members.items()}
    unknown = seats - found.keys()
    if unknown:
        found.update({seat: _Standing(actor.role, actor.tenant) for seat, actor in reread_all(unknown).items()})
    return found


def _earlier(messages: Iterable[UUID]) -> dict[tuple[UUID, UUID, str], MessageShape]:
    """By room, author and nonce: what was sent before."""
    asked = list(messages)
    if not asked:
        return {}
    found = Message.objects.filter(pk__in=asked).select_related("author")
    return {
        (message.room_id, message.author_id, message.nonce): message_shape(message)
        for message in found
        if message.author_id is not None and message.nonce is not None
    }


@transactional
def commit(drafts: Sequence[Draft]) -> list[Sent | Exception]:
    """One outcome for each draft, in their order."""
    batch = Batch(drafts, timezone.now())
    outcomes = [batch.judge(draft) for draft in drafts]
    batch.write()
    return outcomes
