"""Messages: send, edit, delete."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from chat import publish, writer
from chat.batch import Draft, Sent
from chat.models import Message, Reaction, Revision
from chat.render import checked_body, render
from chat.services.finding import Found, find_message
from chat.writer import in_turn
from core.db import transactional
from core.errors import Conflict
from tenants.actor import Actor
from tenants.permissions import Verb


def drafted(actor: Actor, *, room: UUID, body: str, nonce: str, reply_to: UUID | None = None) -> Draft:
    """What `send_message` is to send, checked and rendered; `Invalid` where it can't be said."""
    return Draft(actor, room, body, render(checked_body(body)), nonce, reply_to)


def send_message(actor: Actor, *, room: UUID, body: str, nonce: str, reply_to: UUID | None = None) -> Sent:
    """A new message in the room. The same author, room and nonce again answers that message as it is now."""
    return writer.send(drafted(actor, room=room, body=body, nonce=nonce, reply_to=reply_to))


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


@in_turn
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


@in_turn
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
