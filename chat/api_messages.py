"""REST for what is said in a room: messages, their history and reactions, what was missed, what was read."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from msgspec import UNSET, Struct, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from chat.catchup import catch_up
from chat.limits import pay
from chat.models import Message, Reaction, Revision
from chat.openapi import made_or_found
from chat.protocol import Author, Body, CatchUp, MessageShape, Nonce, Since
from chat.queries import messages_seen_by, room_read_by
from chat.services import messages, reactions, reading
from chat.shapes import message_shape
from core.api import body, identifier, integer
from core.errors import Invalid, NotFound
from core.openapi import operation, schema
from core.paging import LIMIT, LONGEST, page
from core.views import View
from core.wire import Count, Id, Strict, moment
from tenants.actor import Actor
from tenants.api import actor_for

PLACES = ("before", "after", "around")
LIMIT_QUERY = {"type": "integer", "minimum": 1, "maximum": LONGEST, "default": LIMIT}


class MessageCreate(Strict, frozen=True):
    """The same nonce again answers the message that it made."""

    body: Body
    nonce: Nonce
    reply_to: Id | None = None


class MessageChange(Strict, frozen=True):
    """With `rev`, only if the message is still at it."""

    body: Body
    rev: Count | UnsetType = UNSET


class ReadMark(Strict, frozen=True):
    """Everything up to this message number is read. It only rises."""

    number: Count


class RevisionShape(Struct, frozen=True):
    """What a message said before an edit, and since when."""

    body: str
    written_at: str


class MessagePage(Struct, frozen=True):
    """Rising by number. `next` goes on the way that was asked for: to older ones, or with `after` to newer ones."""

    next: str | None
    previous: str | None
    results: list[MessageShape]


class MessagesView(View):
    """What was said in a room of mine, around a message number or the newest."""

    @operation(
        "messages",
        answer=MessagePage,
        query={**dict.fromkeys(PLACES, schema(Count)), "limit": LIMIT_QUERY},
    )
    def get(self, request: Request, slug: str, room: UUID) -> Response:
        actor, limit = actor_for(request, slug), integer(request, "limit", LIMIT, low=1, high=LONGEST)
        place, found = _place(request), room_read_by(actor, room)
        rows = _rows(messages_seen_by(actor).filter(room=room), found, place, limit)
        return Response(_page(request, found, place, rows))

    @made_or_found(MessageShape)
    @operation("message_send", body=MessageCreate)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, MessageCreate)
        pay(actor)
        sent = messages.send_message(
            actor,
            room=room,
            body=given.body,
            nonce=given.nonce,
            reply_to=None if given.reply_to is None else UUID(given.reply_to),
        )
        return Response(sent.message, status=201 if sent.new else 200)


class MessageView(View):
    """One of them."""

    @operation("message", answer=MessageShape)
    def get(self, request: Request, slug: str, room: UUID, message: UUID) -> Response:
        return Response(message_shape(_message(actor_for(request, slug), room, message)))

    @operation("message_edit", body=MessageChange, answer=MessageShape)
    def patch(self, request: Request, slug: str, room: UUID, message: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, MessageChange)
        pay(actor)
        _message(actor, room, message)
        rev = None if isinstance(given.rev, UnsetType) else given.rev
        return Response(message_shape(messages.edit_message(actor, message=message, body=given.body, rev=rev)))

    @operation("message_delete", answer=MessageShape)
    def delete(self, request: Request, slug: str, room: UUID, message: UUID) -> Response:
        actor = actor_for(request, slug)
        pay(actor)
        _message(actor, room, message)
        return Response(message_shape(messages.delete_message(actor, message=message)))


class HistoryView(View):
    """What a message said before its edits, oldest first. Of a deleted one nothing is left."""

    @operation("message_history", answer=RevisionShape, listed=True)
    def get(self, request: Request, slug: str, room: UUID, message: UUID) -> Response:
        actor = actor_for(request, slug)
        _message(actor, room, message)
        rows = Revision.objects.filter(message__in=_seen(actor, room, message).filter(deleted_at=None))
        return page(request, rows, lambda row: RevisionShape(row.body, moment(row.written_at)))


class ReactionView(View):
    """Who reacted to a message with this emoji, and whether I do."""

    @operation("reaction", answer=Author, listed=True)
    def get(self, request: Request, slug: str, room: UUID, message: UUID, emoji: str) -> Response:
        actor = actor_for(request, slug)
        _message(actor, room, message)
        rows = Reaction.objects.filter(
            message__in=_seen(actor, room, message), emoji=reactions.checked_emoji(emoji)
        ).select_related("user")
        return page(request, rows, lambda row: Author(str(row.user_id), row.user.display_name))

    @operation("reaction_add", answer=MessageShape)
    def put(self, request: Request, slug: str, room: UUID, message: UUID, emoji: str) -> Response:
        return self._change(reactions.add_reaction, actor_for(request, slug), room, message, emoji)

    @operation("reaction_remove", answer=MessageShape)
    def delete(self, request: Request, slug: str, room: UUID, message: UUID, emoji: str) -> Response:
        return self._change(reactions.remove_reaction, actor_for(request, slug), room, message, emoji)

    @staticmethod
    def _change(change: Callable[..., Message], actor: Actor, room: UUID, message: UUID, emoji: str) -> Response:
        pay(actor)
        _message(actor, room, message)
        changed = change(actor, message=message, emoji=reactions.checked_emoji(emoji))
        return Response(message_shape(changed))


class ChangesView(View):
    """What I have missed in a room since a cursor: what a `subscribe` answers, for those without a socket."""

    @operation(
        "room_changes",
        answer=CatchUp,
        query={"epoch": schema(Id), "since": schema(Count), "limit": {**LIMIT_QUERY, "minimum": 0}},
    )
    def get(self, request: Request, slug: str, room: UUID) -> Response:
        actor, limit = actor_for(request, slug), integer(request, "limit", LIMIT, high=LONGEST)
        return Response(catch_up(actor, room, _since(request), limit).answer)


class ReadView(View):
    """How far I have read a room."""

    @operation("room_read", body=ReadMark, status=204)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, ReadMark)
        reading.mark_read(actor, room=room, number=given.number)
        return Response(status=204)


def _seen(actor: Actor, room: UUID, message: UUID) -> QuerySet[Message]:
    return messages_seen_by(actor).filter(room=room, pk=message)


def _message(actor: Actor, room: UUID, message: UUID) -> Message:
    """The message under its own room's address, or `NotFound`."""
    found = _seen(actor, room, message).first()
    if found is None:
        raise NotFound("No such message.")
    return found


def _since(request: Request) -> Since | None:
    epoch = identifier(request, "epoch")
    if (epoch is None) != ("since" not in request.query_params):
        raise Invalid("epoch and since belong together.")
    return None if epoch is None else Since(epoch=str(epoch), rev=integer(request, "since", 0))


class _Place(NamedTuple):
    """Where in the room to look: `name` is one of PLACES, or None for its end."""

    name: str | None
    number: int


def _place(request: Request) -> _Place:
    given = [name for name in PLACES if name in request.query_params]
    if len(given) > 1:
        raise Invalid(f"{' or '.join(given)}: one of them.")
    return _Place(given[0], integer(request, given[0], 0)) if given else _Place(None, 0)


def _rows(seen: QuerySet[Message], room: Any, place: _Place, limit: int) -> list[Message]:
    """At most `limit` messages, rising. Numbers have no gaps, so the middle of a page is a matter of counting."""
    if place.name == "after":
        return list(seen.filter(number__gt=place.number).order_by("number")[:limit])
    if place.name == "around":
        first = min(place.number - limit // 2, room.number - limit + 1)
        return list(seen.filter(number__gte=first).order_by("number")[:limit])
    if place.name == "before":
        seen = seen.filter(number__lt=place.number)
    return list(seen.order_by("-number")[:limit])[::-1]


def _page(request: Request, room: Any, place: _Place, rows: list[Message]) -> MessagePage:
    """The page with its links. Where it is empty, they lead from where it would have been."""
    first, last = _edges(room, place, rows)
    older = _address(request, "before", first) if first > room.my_from else None
    newer = _address(request, "after", last) if last < room.number else None
    onwards, back = (newer, older) if place.name == "after" else (older, newer)
    return MessagePage(next=onwards, previous=back, results=[message_shape(row) for row in rows])


def _edges(room: Any, place: _Place, rows: list[Message]) -> tuple[int, int]:
    """The numbers of the first and last message; of an empty page, those of its neighbours with nothing between."""
    if rows:
        return rows[0].number, rows[-1].number
    if place.name == "before" and place.number <= room.my_from <= room.number:
        return room.my_from, room.my_from - 1
    return room.number + 1, room.number


def _address(request: Request, name: str, number: int) -> str:
    query: dict[str, Any] = {name: number}
    if "limit" in request.query_params:
        query["limit"] = request.query_params["limit"]
    return str(request.build_absolute_uri(f"{request.path}?{urlencode(query)}"))
