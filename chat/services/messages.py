"""Messages: send, edit, delete."""

from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from chat import publish
from chat.models import Message, Reaction, Revision, RoomMember
from chat.queries import messages_seen_by
from chat.render import checked_body, render
from chat.services.finding import Found, find_message, find_room
from core.db import transactional
from core.errors import Conflict, NotFound
from tenants.actor import Actor
from tenants.permissions import Verb


class Sent(NamedTuple):
    """A message that was sent now, or by the same nonce before: then as it is now."""

    message: Message
    new: bool


def send_message(actor: Actor, *, room: UUID, body: str, nonce: str, reply_to: UUID | None = None) -> Sent:
    """A new message in the room. The same author, room and nonce again answers that message as it is now."""
    html = render(checked_body(body))
    return _send(actor, room, body, html, nonce, reply_to)


@transactional
def _send(actor: Actor, room: UUID, body: str, html: str | None, nonce: str, reply_to: UUID | None) -> Sent:
    found = find_room(actor, room)
    seen = messages_seen_by(found.actor).filter(room=room)
    first = Message.objects.filter(room=room, author=actor.user, nonce=nonce).select_related("author").first()
    if first is not None and found.facts.room_role is not None and first.number >= found.room.my_from:
        return Sent(first, new=False)
    found.require(Verb.MESSAGE_SEND)
    if first is not None:
        raise Conflict("You used this nonce before you left the room: take another.")
    if reply_to is not None and not seen.filter(pk=reply_to).exists():
        raise NotFound("No such message to reply to.")
    content = {"body": body, "html": html, "nonce": nonce, "reply_to_id": reply_to}
    message = _append(found.room, kind=Message.Kind.TEXT, author_id=actor.user, **content)
    RoomMember.objects.filter(room=room, seat=actor.seat).update(read_number=message.number)
    message = messages_seen_by(found.actor).get(pk=message.pk)
    publish.message_changed(found.room, message)
    return Sent(message, new=True)


def _append(room: Any, **fields: Any) -> Message:
    """The room's next message; the room is locked."""
    now = timezone.now()
    room.number += 1
    room.rev += 1
    room.active_at = now
    message = Message.objects.create(
        tenant_id=room.tenant_id, room_id=room.pk, number=room.number, rev=room.rev, created_at=now, **fields
    )
    room.save(update_fields=["number", "rev", "active_at"])
    return message


def post_notice(room: Any, body: str) -> None:
    """A line by nobody, for everyone in the room; the room is locked."""
    publish.message_changed(room, _append(room, kind=Message.Kind.NOTICE, body=body))


@transactional
def _edit(actor: Actor, pk: UUID, body: str, html: str | None, rev: int | None) -> Message:
    found, message = find_message(actor, pk)
    found.require(Verb.MESSAGE_EDIT, replace(found.facts, own=message.author_id == actor.user))
    if message.deleted_at is not None:
        raise Conflict("The message has been deleted.")
    if rev is not None and rev != message.rev:
        raise Conflict("The message has changed since.")
    if body == message.body:
        return message
    Revision.objects.create(
        tenant_id=message.tenant_id,
        message=message,
        body=message.body,
        written_at=message.edited_at or message.created_at,
    )
    message.body, message.html, message.edited_at = body, html, timezone.now()
    return stamp(found, message, "body", "html", "edited_at")


def edit_message(actor: Actor, *, message: UUID, body: str, rev: int | None = None) -> Message:
    """Say it differently. What it said before stays readable; with `rev`, only if it is still at it."""
    return _edit(actor, message, checked_body(body), render(body), rev)


@transactional
def delete_message(actor: Actor, *, message: UUID) -> Message:
    """Leave a tombstone: the place stays, body, history and reactions go."""
    found, doomed = find_message(actor, message)
    found.require(Verb.MESSAGE_DELETE, replace(found.facts, own=doomed.author_id == actor.user))
    if doomed.deleted_at is not None:
        return doomed
    Revision.objects.filter(message=doomed).delete()
    Reaction.objects.filter(message=doomed).delete()
    doomed.body, doomed.html, doomed.reactions, doomed.deleted_at = "", None, [], timezone.now()
    return stamp(found, doomed, "body", "html", "reactions", "deleted_at")


def stamp(found: Found, message: Message, *fields: str) -> Message:
    """Save a change and give it the room's next rev; the room is locked."""
    found.room.rev += 1
    found.room.save(update_fields=["rev"])
    message.rev = found.room.rev
    message.save(update_fields=["rev", *fields])
    publish.message_changed(found.room, message)
    return message
