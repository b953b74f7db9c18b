"""One per process: rooms' and seats' events in by one channel, sockets' frames out. Truth is the database."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer

from accounts.credentials import Credential
from chat import reads
from chat.connection import Connection
from chat.feed import Feed, RoomEvent
from chat.feed import Subscription as FeedSubscription
from chat.groups import Groups
from chat.protocol import Resync, RoleChanged, RoomAdded, RoomRemoved, RoomUpdated
from chat.publish import CONTROL, carry_with, room_group, seat_group
from chat.queries import rooms_seen_by
from chat.shapes import people_of, room_shape
from core.db import run
from core.errors import NoSeat, Revoked
from tenants.actor import Actor

log = structlog.get_logger(__name__)

Subscription = FeedSubscription[Connection]
RoomFeed = Feed[Connection]

OVERTAKING = 0.025
"""Seconds that an early event waits for the one before it, ere the database is read."""


class Hub:
    """All state lives on one event loop; only `emit` may be called from other threads."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.feeds: dict[UUID, RoomFeed] = {}
        self.seats: dict[UUID, set[Connection]] = defaultdict(set)
        self.logins: dict[UUID, set[Connection]] = defaultdict(set)
        self.groups = Groups(get_channel_layer())
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[tuple[str, UUID]] = set()

    def start(self) -> None:
        """Begin to listen, and take over what this process publishes."""
        carry_with(self.emit)
        self.spawn(self.groups.listen(self._hear))
        self.spawn(self.groups.join(CONTROL))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("hub task failed", exc_info=error)

    # Out: what this process has committed.

    def emit(self, group: str, event: dict[str, Any]) -> None:
        """Hand an event to the local sockets, then to the layer for the other processes. From any thread."""
        self.loop.call_soon_threadsafe(self._emit, group, event)

    def _emit(self, group: str, event: dict[str, Any]) -> None:
        self._hear(event)
        self.spawn(self.groups.send(group, {**event, "hub": self.groups.channel}))

    # In: connections and subscriptions.

    async def connect(self, connection: Connection) -> None:
        self.seats[connection.actor.seat].add(connection)
        self.logins[connection.credential.sid].add(connection)
        await self.groups.join(seat_group(connection.actor.seat))

    def disconnect(self, connection: Connection) -> None:
        connection.stop()
        for room in list(connection.subscriptions):
            self.unsubscribe(connection, room)
        self._forget(self.logins, connection.credential.sid, connection)
        self._forget(self.seats, connection.actor.seat, connection)
        if connection.actor.seat not in self.seats:
            self.groups.leave(seat_group(connection.actor.seat))

    @staticmethod
    def _forget(index: dict[UUID, set[Connection]], key: UUID, connection: Connection) -> None:
        index[key].discard(connection)
        if not index[key]:
            del index[key]

    def renew(self, connection: Connection, credential: Credential) -> None:
        """Another credential stands behind the socket from now on."""
        self._forget(self.logins, connection.credential.sid, connection)
        connection.follow(credential=credential)
        self.logins[credential.sid].add(connection)

    async def register(self, connection: Connection, room: UUID) -> Subscription:
        """Listen to a room that the socket was found to read; events are held until `begin`."""
        feed = self.feeds.setdefault(room, Feed(room))
        subscription = Subscription(connection, connection.actor.seat)
        feed.subscriptions.add(subscription)
        try:
            await self.groups.join(room_group(room))
        except BaseException:
            self._drop(subscription, room)
            raise
        return subscription

    def begin(self, subscription: Subscription, room: UUID, *, rev: int, head: int, right: reads.Right) -> None:
        """The answer up to `rev` is queued: go on from there. Replaces the socket's earlier subscription."""
        connection = subscription.connection
        feed = self.feeds[room]
        earlier = connection.subscriptions.get(room)
        if earlier is not None:
            feed.subscriptions.discard(earlier)
        connection.subscriptions[room] = subscription
        subscription.rev = rev
        subscription.checked, subscription.visible_from, subscription.may_write = right
        feed.begin(head)
        subscription.release()
        self._tend(feed)

    def unsubscribe(self, connection: Connection, room: UUID) -> None:
        subscription = connection.subscriptions.pop(room, None)
        if subscription is not None:
            self._drop(subscription, room)

    def _drop(self, subscription: Subscription, room: UUID) -> None:
        feed = self.feeds[room]
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions:
            del self.feeds[room]
            self.groups.leave(room_group(room))

    abandon = _drop
    """Give up a registration that never began."""

    # In: events of the layer and of this process.

    def _hear(self, event: dict[str, Any]) -> None:
        handler = self._handlers.get(str(event.get("type")))
        if handler is None:
            return
        try:
            handler(self, event)
        except (KeyError, ValueError, TypeError):
            log.warning("unreadable event", type=event.get("type"))

    def _on_room(self, event: dict[str, Any]) -> None:
        feed = self.feeds.get(UUID(event["room"]))
        if feed is not None:
            feed.receive(RoomEvent.of(event))
            self._tend(feed)

    def _on_room_changed(self, event: dict[str, Any]) -> None:
        feed = self.feeds.get(UUID(event["room"]))
        if feed is not None:
            self._once("check", feed.room, self._check(feed, every=True))

    def _on_whisper(self, event: dict[str, Any]) -> None:
        feed = self.feeds.get(UUID(event["room"]))
        for subscription in list(feed.subscriptions) if feed else ():
            if subscription.rev is not None and str(subscription.connection.actor.user) != event["but"]:
                subscription.connection.push(event["text"])

    def _on_seat(self, event: dict[str, Any]) -> None:
        seat = UUID(event["seat"])
        for connection in list(self.seats.get(seat, ())):
            if event["version"] == connection.actor.seat_version + 1:
                connection.actor = replace(connection.actor, seat_version=event["version"])
            if event["text"] is not None:
                connection.push(event["text"])
        if event["room"] is not None and seat in self.seats:
            self.spawn(self._tell_room(seat, UUID(event["room"])))

    def _on_seat_changed(self, event: dict[str, Any]) -> None:
        self.spawn(self.check_seats([UUID(event["seat"])]))

    def _on_logins(self, event: dict[str, Any]) -> None:
        for login in event["logins"]:
            self.end_login(UUID(login))

    def end_login(self, login: UUID) -> None:
        for connection in list(self.logins.get(login, ())):
            connection.close(Revoked())

    _handlers: dict[str, Callable[["Hub", dict[str, Any]], None]] = {
        "conclave.room": _on_room,
        "conclave.room_changed": _on_room_changed,
        "conclave.whisper": _on_whisper,
        "conclave.seat": _on_seat,
        "conclave.seat_changed": _on_seat_changed,
        "conclave.logins": _on_logins,
    }

    # What a feed needs.

    def _tend(self, feed: RoomFeed) -> None:
        if feed.gap:
            self._once("repair", feed.room, self._repair(feed, 0 if feed.overfull else OVERTAKING))
        if feed.stale():
            self._once("check", feed.room, self._check(feed))

    def _once(self, duty: str, room: UUID, work: Coroutine[Any, Any, None]) -> None:
        """One such read per room in flight; what arrives meanwhile is tended when it is back."""
        key = (duty, room)
        if key in self._busy:
            work.close()
            return
        self._busy.add(key)

        async def guarded() -> None:
            try:
                await work
            finally:
                self._busy.discard(key)
            if (feed := self.feeds.get(room)) is not None:
                self._tend(feed)

        self.spawn(guarded())

    def notice(self, feed: RoomFeed, head: reads.Head) -> None:
        """A sweep's look at the room's head: read what was missed, check rights where readers have changed."""
        feed.readers = max(feed.readers, head.readers)
        if feed.rev is not None and head.rev > feed.rev:
            self._once("repair", feed.room, self._repair(feed, 0))
        self._tend(feed)

    async def _repair(self, feed: RoomFeed, patience: float) -> None:
        rev = feed.rev
        await asyncio.sleep(patience)
        if feed.rev is None or (patience and not feed.gap):
            return
        found = await run(reads.missed, feed.room, feed.rev)
        if found is None:
            self._evict(feed, set())
            return
        head, event = found
        if event is not None:
            feed.repair(event)
        else:
            feed.skip_to(head.rev, head.readers)
            self.resync(feed)
        log.debug("repaired", room=feed.room, since=rev, head=head.rev)

    def resync(self, feed: RoomFeed) -> None:
        """Too much was missed: the sockets subscribe anew."""
        for subscription in list(feed.subscriptions):
            if subscription.rev is not None:
                subscription.connection.tell(Resync(room=str(feed.room)))
                self.unsubscribe(subscription.connection, feed.room)

    async def _check(self, feed: RoomFeed, *, every: bool = False) -> None:
        """Read the rights of the room's subscribers again: deliver what is held, or put them out."""
        asked = [each for each in feed.subscriptions if each.rev is not None] if every else feed.stale()
        rights = await run(reads.rights, feed.room, {each.seat for each in asked})
        for subscription in asked:
            right = rights.get(subscription.seat)
            if right is not None:
                subscription.checked, subscription.visible_from, subscription.may_write = right
                subscription.release()
        self._evict(feed, set(rights), among=asked)
        if every:
            await self._tell_members(feed)

    def _evict(self, feed: RoomFeed, readers: set[UUID], among: Iterable[Subscription] | None = None) -> None:
        for subscription in list(feed.subscriptions if among is None else among):
            if subscription.seat not in readers and subscription in feed.subscriptions:
                connection = subscription.connection
                if connection.subscriptions.get(feed.room) is subscription:
                    connection.tell(RoomRemoved(room=str(feed.room)))
                    self.unsubscribe(connection, feed.room)

    async def _tell_members(self, feed: RoomFeed) -> None:
        for seat in {each.seat for each in feed.subscriptions}:
            await self._tell_room(seat, feed.room, RoomUpdated)

    async def _tell_room(self, seat: UUID, room: UUID, event: type[RoomAdded | RoomUpdated] = RoomAdded) -> None:
        """The room as this seat sees it now, to all its sockets."""
        connections = list(self.seats.get(seat, ()))
        if connections:
            shape = await run(_shape, connections[0].actor, room)
            for connection in connections if shape else ():
                connection.tell(event(room=shape))

    async def check_seats(self, seats: Iterable[UUID]) -> None:
        """Read these seats again: close the sockets of those that ended, tell the others of a changed role."""
        asked = [seat for seat in seats if seat in self.seats]
        found = await run(reads.actors, asked)
        for seat in asked:
            self._follow(list(self.seats.get(seat, ())), found.get(seat))

    @staticmethod
    def _follow(connections: list[Connection], actor: Actor | None) -> None:
        for connection in connections:
            if actor is None:
                connection.close(NoSeat())
                continue
            before = connection.actor
            connection.follow(actor=actor)
            if before.role is not actor.role:
                connection.tell(RoleChanged(tenant_role=actor.role))
            if actor.seat_version > before.seat_version + (before.role is not actor.role):
                connection.tell(Resync())


def _shape(actor: Actor, room: UUID) -> Any:
    found = rooms_seen_by(actor).filter(pk=room).first()
    return None if found is None else room_shape(found, people_of([found], actor.seat).get(found.pk))
