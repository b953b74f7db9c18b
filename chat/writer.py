"""Turns messages that are sent together into one transaction, and takes every other change in its turn.

Locks first, in the product's one order; then, in new statements, everything that is judged; only what passed gets a
number and a rev. A bad message fails alone.
"""

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, cast
from uuid import UUID

import structlog
from django.db import connection
from django.utils import timezone

from chat import publish
from chat.lanes import Lanes
from chat.locks import lock_rooms
from chat.models import Message, Room, RoomMember
from chat.queries import facts_in
from core.db import transactional, update_many
from core.errors import ConclaveError, Conflict, NoSeat, NotFound, Unavailable
from tenants.access import actor_from, reread_all
from tenants.actor import Actor
from tenants.locks import share_seats
from tenants.models import active_seat
from tenants.permissions import Verb, allows, require

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)


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

    message: Message
    new: bool


Change = Callable[[], Any]
"""Any other change: a whole transaction."""


class Batch:
    """What drafts are judged by, read under the locks, and what came of them."""

    def __init__(self, drafts: Sequence[Draft], rooms: dict[UUID, Room]) -> None:
        self._rooms = rooms
        self._members = _members(drafts)
        self._actors = {member.seat_id: actor_from(member.seat) for member in self._members.values()}
        unknown = {draft.actor.seat for draft in drafts} - self._actors.keys()
        self._actors.update(reread_all(unknown) if unknown else {})
        self._said = _said(drafts)
        self._targets = _targets(drafts)
        self._now = timezone.now()
        self._new: dict[UUID, list[Message]] = {}
        self._read: dict[UUID, int] = {}

    def judge(self, draft: Draft) -> Sent | Exception:
        try:
            return self._judge(draft)
        except ConclaveError as refused:
            return refused

    def _judge(self, draft: Draft) -> Sent:
        actor, room = self._actors.get(draft.actor.seat), self._rooms.get(draft.room)
        if actor is None:
            raise NoSeat
        member = self._members.get((draft.room, draft.actor.seat))
        facts = None if room is None else facts_in(room, member.role if member else None)
        if (
            room is None
            or facts is None
            or room.tenant_id != actor.tenant
            or not allows(actor.role, Verb.ROOM_SEE, facts)
        ):
            raise NotFound("No such room.")
        first = self._said.get((draft.room, actor.user, draft.nonce))
        if first is not None and member is not None and first.number >= member.visible_from:
            return Sent(first, new=False)
        require(actor.role, Verb.MESSAGE_SEND, facts)
        assert member is not None
        if first is not None:
            raise Conflict("You used this nonce before you left the room: take another.")
        if draft.reply_to is not None:
            room_of_it, number = self._targets.get(draft.reply_to, (None, 0))
            if room_of_it != room.pk or number < member.visible_from:
                raise NotFound("No such message to reply to.")
        return Sent(self._append(draft, room, member), new=True)

    def _append(self, draft: Draft, room: Room, member: RoomMember) -> Message:
        room.number += 1
        room.rev += 1
        room.active_at = self._now
        message = Message(
            tenant_id=room.tenant_id,
            room_id=room.pk,
            number=room.number,
            rev=room.rev,
            created_at=self._now,
            kind=Message.Kind.TEXT,
            author=member.seat.user,
            body=draft.body,
            html=draft.html,
            nonce=draft.nonce,
            reply_to_id=draft.reply_to,
        )
        self._said[room.pk, member.seat.user_id, draft.nonce] = message
        self._new.setdefault(room.pk, []).append(message)
        self._read[member.pk] = message.number
        return message

    def write(self) -> None:
        """Rows, then counters; on commit one event for each room."""
        if not self._new:
            return
        Message.objects.bulk_create([message for messages in self._new.values() for message in messages])
        rooms = [self._rooms[pk] for pk in self._new]
        update_many(
            Room, {room.pk: {"number": room.number, "rev": room.rev, "active_at": room.active_at} for room in rooms}
        )
        update_many(RoomMember, {pk: {"read_number": number} for pk, number in self._read.items()})
        for room in rooms:
            publish.messages_changed(room, self._new[room.pk])


def _members(drafts: Sequence[Draft]) -> dict[tuple[UUID, UUID], RoomMember]:
    """By room and seat, of active seats only."""
    rooms, seats = {draft.room for draft in drafts}, {draft.actor.seat for draft in drafts}
    found = RoomMember.objects.filter(active_seat("seat__"), room__in=rooms, seat__in=seats)
    return {(member.room_id, member.seat_id): member for member in found.select_related("seat__user", "seat__tenant")}


def _said(drafts: Sequence[Draft]) -> dict[tuple[UUID, UUID, str], Message]:
    """By room, author and nonce: what was sent before."""
    found = Message.objects.filter(
        room__in={draft.room for draft in drafts},
        author__in={draft.actor.user for draft in drafts},
        nonce__in={draft.nonce for draft in drafts},
    )
    return {
        (message.room_id, cast("UUID", message.author_id), cast("str", message.nonce)): message
        for message in found.select_related("author")
    }


def _targets(drafts: Sequence[Draft]) -> dict[UUID, tuple[UUID, int]]:
    """Room and number of what is replied to."""
    asked = {draft.reply_to for draft in drafts} - {None}
    if not asked:
        return {}
    found = Message.objects.filter(pk__in=asked).values_list("pk", "room", "number")
    return {pk: (room, number) for pk, room, number in found}


@transactional
def _commit(drafts: Sequence[Draft]) -> list[Sent | Exception]:
    share_seats({draft.actor.seat for draft in drafts})
    batch = Batch(drafts, lock_rooms({draft.room for draft in drafts}))
    outcomes = [batch.judge(draft) for draft in drafts]
    batch.write()
    return outcomes


def _work(jobs: Sequence[Draft | Change]) -> Sequence[Any]:
    first = jobs[0]
    if not isinstance(first, Draft):
        _thread.drives = True
        try:
            return [first()]
        finally:
            _thread.drives = False
    drafts = cast("Sequence[Draft]", jobs)
    try:
        return _commit(drafts)
    except Unavailable:
        raise
    except Exception:
        if len(drafts) == 1:
            raise
        log.exception("a batch failed, each of it is tried alone", drafts=len(drafts))
    return [_alone(draft) for draft in drafts]


def _alone(draft: Draft) -> Sent | Exception:
    try:
        return _commit([draft])[0]
    except Exception as error:
        return error


_thread = threading.local()
_lanes: Lanes[Draft | Change, Any] = Lanes(_work, alone=lambda job: not isinstance(job, Draft))


def send(draft: Draft) -> Sent:
    """From a thread. Inside a transaction of the caller's it becomes part of that."""
    if connection.in_atomic_block:
        outcome = _commit([draft])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
    sent: Sent = _lanes.do(draft.actor.tenant, draft)
    return sent


def submit(draft: Draft, done: Callable[[Sent | Exception], None]) -> None:
    """From an event loop: `done` is called on it. Drafts take effect in the order in which they are submitted."""
    _lanes.join(draft.actor.tenant, draft, done)


def in_turn(fn: Callable[Concatenate[Actor, P], R]) -> Callable[Concatenate[Actor, P], R]:
    """A change that waits for what waits already in the actor's organization. Inside another one it is part of that."""

    @functools.wraps(fn)
    def call(actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if getattr(_thread, "drives", False) or connection.in_atomic_block:
            return fn(actor, *args, **kwargs)
        result: R = _lanes.do(actor.tenant, partial(fn, actor, *args, **kwargs))
        return result

    return call


async def change(fn: Callable[Concatenate[Actor, P], R], actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a change in its turn, from an event loop."""
    future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def done(outcome: R | Exception) -> None:
        if future.cancelled():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    _lanes.join(actor.tenant, partial(fn, actor, *args, **kwargs), done)
    return await future
