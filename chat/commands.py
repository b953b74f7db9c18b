"""What each command of a socket does: one call of a service or query, one result."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from django.conf import settings
from msgspec import UNSET

from accounts.credentials import resolve_bearer
from chat import protocol, publish, writer
from chat.batch import Sent
from chat.catchup import Reading, catch_up
from chat.connection import Connection
from chat.feeds import Subscription
from chat.hello import hello
from chat.hub import Hub
from chat.limits import pay_soon
from chat.protocol import Author
from chat.queries import facts_of, room_read_by
from chat.reads import Head, Right
from chat.render import render, renders_quickly
from chat.services import messages, reactions, reading
from chat.shapes import message_shape
from core.db import run
from core.errors import BadFrame, ConclaveError, Forbidden, NoSeat, NotAuthenticated, NotFound
from core.wire import moment_or_none
from tenants.access import reread
from tenants.actor import Actor
from tenants.permissions import Verb, allows, require

P = ParamSpec("P")
R = TypeVar("R")

Answer = Callable[[Any], None]
"""Queue the result as the command's `ok`."""


class Prepared(NamedTuple):
    """A subscription that holds what it hears, and what is to be answered before it begins."""

    subscription: Subscription
    reading: Reading


class Commands:
    """The commands of one connection. Those that read or write judge by the seat as it is in their own statement."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self.hub = hub
        self.connection = connection

    async def handle(self, frame: protocol.Frame, answer: Answer) -> None:
        """Run one command, other than a send, to its answer; a refusal is raised."""
        await self._handlers[type(frame)](self, frame, answer)

    async def _ask(self, fn: Callable[Concatenate[Actor, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._as_now(run, fn, *args, **kwargs)

    async def _change(self, fn: Callable[Concatenate[Actor, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """For what waits its turn in the organization's lane."""
        await pay_soon(self.connection.actor)
        return await self._as_now(writer.change, fn, *args, **kwargs)

    async def _as_now(self, call: Any, fn: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Call with the actor; where that finds nothing, once more with a role that may have changed since."""
        actor = self.connection.actor
        try:
            found: R = await call(fn, actor, *args, **kwargs)
        except NotFound:
            fresh = await run(reread, actor)
            if fresh.role == actor.role:
                raise
            found = await call(fn, fresh, *args, **kwargs)
        return found

    async def _subscribe(self, frame: protocol.Subscribe, answer: Answer) -> None:
        if frame.rooms is UNSET:
            if frame.room is UNSET:
                raise BadFrame("room or rooms: one of them.")
            asked = protocol.RoomSince(room=frame.room, since=frame.since)
            await self._hear(asked, frame.limit, settings.SOCKET_PAGE_BYTES, answer)
            return
        if frame.room is not UNSET or frame.since is not UNSET:
            raise BadFrame("room or rooms: one of them.")
        await self._subscribe_all(frame.rooms, frame.limit, answer)

    async def _subscribe_all(self, rooms: list[protocol.RoomSince], limit: int, answer: Answer) -> None:
        results: list[Any] = []
        prepared: list[Prepared] = []
        budget = settings.SOCKET_PAGE_BYTES
        try:
            for each in rooms:
                try:
                    found = await self._prepare(each, limit, budget)
                except NoSeat:
                    raise
                except ConclaveError as refused:
                    results.append({"room": each.room, "code": refused.code})
                else:
                    prepared.append(found)
                    results.append(found.reading.answer)
                    budget -= found.reading.size
        except BaseException:
            for found in prepared:
                self.hub.feeds.abandon(found.subscription)
            raise
        answer({"rooms": results})
        for found in prepared:
            self._begin(found)

    async def _hear(self, asked: protocol.RoomSince, limit: int, budget: int, answer: Answer) -> None:
        found = await self._prepare(asked, limit, budget)
        answer(found.reading.answer)
        self._begin(found)

    async def _prepare(self, asked: protocol.RoomSince, limit: int, budget: int) -> Prepared:
        """Quick check, listen, then read head, right and rows: nothing falls between the answer and the events.

        A stranger is refused before any group is joined. The caller answers and begins, with no await between.
        """
        room = UUID(asked.room)
        known = await self._ask(room_read_by, room)
        head = Head(known.rev, known.readers_version)
        subscription = await self.hub.feeds.register(self.connection, room, head)
        try:
            since = None if asked.since is UNSET else asked.since
            return Prepared(subscription, await self._ask(catch_up, room, since, limit, budget))
        except BaseException:
            self.hub.feeds.abandon(subscription)
            raise

    def _begin(self, found: Prepared) -> None:
        subscription, reading = found
        if reading.answer.more:
            self.hub.feeds.abandon(subscription)
            self.hub.feeds.unsubscribe(self.connection, subscription.room)
            return
        right = Right(reading.readers_version, reading.visible_from, reading.facts)
        self.hub.feeds.begin(subscription, reading.answer.rev, right)

    async def _unsubscribe(self, frame: protocol.Unsubscribe, answer: Answer) -> None:
        self.hub.feeds.unsubscribe(self.connection, UUID(frame.room))
        answer({})

    async def submit(self, frame: protocol.MessageSend, done: Callable[[Sent | Exception], None]) -> None:
        """Put a message into its organization's lane; `done` is called when it is committed or refused."""
        await pay_soon(self.connection.actor)
        await _prepare_body(frame.body)
        draft = messages.drafted(
            self.connection.actor,
            room=UUID(frame.room),
            body=frame.body,
            nonce=frame.nonce,
            reply_to=None if frame.reply_to is None else UUID(frame.reply_to),
        )
        writer.submit(draft, done)

    async def _edit(self, frame: protocol.MessageEdit, answer: Answer) -> None:
        await _prepare_body(frame.body)
        rev = None if frame.rev is UNSET else frame.rev
        edited = await self._change(messages.edit_message, message=UUID(frame.message), body=frame.body, rev=rev)
        answer({"message": message_shape(edited)})

    async def _delete(self, frame: protocol.MessageDelete, answer: Answer) -> None:
        deleted = await self._change(messages.delete_message, message=UUID(frame.message))
        answer({"message": message_shape(deleted)})

    async def _react(self, frame: protocol.ReactionAdd, answer: Answer) -> None:
        changed = await self._change(reactions.add_reaction, message=UUID(frame.message), emoji=frame.emoji)
        answer({"message": message_shape(changed)})

    async def _unreact(self, frame: protocol.ReactionRemove, answer: Answer) -> None:
        changed = await self._change(reactions.remove_reaction, message=UUID(frame.message), emoji=frame.emoji)
        answer({"message": message_shape(changed)})

    async def _read(self, frame: protocol.Read, answer: Answer) -> None:
        await self._ask(reading.mark_read, room=UUID(frame.room), number=frame.number)
        answer({})

    async def _typing(self, frame: protocol.Typing, answer: Answer) -> None:
        room = UUID(frame.room)
        subscription = self.connection.subscriptions.get(room)
        actor = self.connection.actor
        if subscription is None or not allows(actor.role, Verb.MESSAGE_SEND, subscription.facts):
            await self._ask(_may_type, room)
        publish.typing(room, Author(id=str(actor.user), display_name=actor.display_name))
        answer({})

    async def _authenticate(self, frame: protocol.Authenticate, answer: Answer) -> None:
        if self.connection.credential.kind == "session":
            raise Forbidden("This socket was opened with a cookie; it lives as long as that session.")
        credential = await run(resolve_bearer, frame.token)
        if credential.user_id != self.connection.actor.user:
            raise NotAuthenticated("The token is another person's.")
        await self.hub.renew(self.connection, credential)
        answer({"expires_at": moment_or_none(credential.expires_at)})

    async def _hello(self, _frame: protocol.Hello, answer: Answer) -> None:
        answer(await self._ask(hello, self.connection.credential, self.connection.id))

    async def _ping(self, _frame: protocol.Ping, answer: Answer) -> None:
        answer({})

    _handlers: dict[type[protocol.Frame], Callable[["Commands", Any, Answer], Awaitable[None]]] = {
        protocol.Subscribe: _subscribe,
        protocol.Unsubscribe: _unsubscribe,
        protocol.MessageEdit: _edit,
        protocol.MessageDelete: _delete,
        protocol.ReactionAdd: _react,
        protocol.ReactionRemove: _unreact,
        protocol.Read: _read,
        protocol.Typing: _typing,
        protocol.Authenticate: _authenticate,
        protocol.Hello: _hello,
        protocol.Ping: _ping,
    }


async def _prepare_body(body: str) -> None:
    """What takes long to render is rendered in a thread; it is remembered there."""
    if not renders_quickly(body):
        await run(render, body)


def _may_type(actor: Actor, room: UUID) -> None:
    require(actor.role, Verb.MESSAGE_SEND, facts_of(room_read_by(actor, room)))
