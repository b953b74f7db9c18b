"""One per process: rooms' and seats' events in by one channel, sockets' frames out. Truth is the database."""

import asyncio
import math
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer

from accounts.credentials import Credential, alive
from chat.attendance import Attendance
from chat.connection import Connection
from chat.duties import Duties
from chat.feed import RoomEvent
from chat.feeds import Feeds
from chat.groups import Groups
from chat.hello import greeting
from chat.protocol import Resync, RoleChanged, RoomAdded, RoomUpdated
from chat.publish import CONTROL, carry_with, seat_group
from chat.queries import INSIDE, rooms_seen_by
from chat.shapes import people_of, room_shape
from core.db import run
from core.errors import NoSeat, Restart, Revoked
from core.frames import Text
from core.ids import new_id
from tenants.access import reread_all
from tenants.actor import Actor

log = structlog.get_logger(__name__)

BATCHES, BATCH, SPREAD = 20, 25, 0.6
"""A drain sends the sockets away in at most so many batches of at least so many, in this part of its time."""


Ask = Callable[..., Awaitable[Any]]
"""`core.db.run`, or a like of it."""


class Hub:
    """All state lives on one event loop; only `emit` may be called from other threads."""

    def __init__(self) -> None:
        self.id = str(new_id())
        self.loop = asyncio.get_running_loop()
        self.seats: dict[UUID, set[Connection]] = defaultdict(set)
        self.logins: dict[UUID, set[Connection]] = defaultdict(set)
        self.duties = Duties()
        self.groups = Groups(get_channel_layer())
        self.feeds = Feeds(self.groups, self.duties, self.tell_room)
        self.attendance = Attendance(self.id, self.feeds, self.groups, self.duties)
        self._draining, self._deserted = False, asyncio.Event()
        self.vouched_at = time.monotonic()
        """When the database last told who is still whom."""

    def start(self) -> None:
        """Begin to listen, and take over what this process publishes."""
        carry_with(self.emit)
        self.duties.spawn(self.groups.listen(self._hear_others))
        self.duties.spawn(self.groups.join(CONTROL))

    # Out: what this process has committed.

    def emit(self, group: str, event: dict[str, Any]) -> None:
        """Hand an event to the local sockets, then to the layer for the other processes. From any thread."""
        self.loop.call_soon_threadsafe(self._emit, group, event)

    def _emit(self, group: str, event: dict[str, Any]) -> None:
        self._hear(event)
        self.duties.spawn(self.groups.send(group, {**event, "hub": self.id}))

    # In: connections.

    @property
    def connections(self) -> list[Connection]:
        return [connection for connections in self.seats.values() for connection in connections]

    async def connect(self, connection: Connection) -> None:
        """Listen for it, then look again, for what ended since the handshake's look was told to nobody here; then
        greet. NoSeat or Revoked where there is nobody to be greeted any more."""
        self.seats[connection.actor.seat].add(connection)
        self.logins[connection.credential.sid].add(connection)
        await self.groups.join(seat_group(connection.actor.seat))
        before = connection.actor
        now, event = await run(greeting, before, connection.credential, connection.id)
        connection.greet(event)
        if connection.actor == before:
            connection.follow(actor=now)
        else:
            await self.check_seats([before.seat])  # an event was quicker than this look, which may be the older one
        if self._draining:
            connection.retire(Restart())

    async def drain(self, seconds: float) -> None:
        """Send every socket away, once its commands are answered, in batches, lest all come back at the same moment."""
        self._draining = True
        self._deserted.clear()
        until = self.loop.time() + seconds
        leaving = self.connections
        random.shuffle(leaving)
        size = max(BATCH, math.ceil(len(leaving) / BATCHES))
        for start in range(0, len(leaving), size):
            if start:
                await asyncio.sleep(seconds * SPREAD / BATCHES * random.uniform(0.5, 1.5))  # noqa: S311  jitter
            for connection in leaving[start : start + size]:
                connection.retire(Restart())
        if self.seats:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._deserted.wait(), until - self.loop.time())
        await self.attendance.leave()

    def disconnect(self, connection: Connection) -> None:
        connection.stop()
        for room in list(connection.subscriptions):
            self.feeds.unsubscribe(connection, room)
        self._forget(self.logins, connection.credential.sid, connection)
        self._forget(self.seats, connection.actor.seat, connection)
        if not self.seats:
            self._deserted.set()
        if connection.actor.seat not in self.seats:
            self.groups.leave(seat_group(connection.actor.seat))

    @staticmethod
    def _forget(index: dict[UUID, set[Connection]], key: UUID, connection: Connection) -> None:
        index[key].discard(connection)
        if not index[key]:
            del index[key]

    async def renew(self, connection: Connection, credential: Credential) -> None:
        """Another credential stands behind the socket from now on; it may have ended before it was listed here."""
        self._forget(self.logins, connection.credential.sid, connection)
        connection.follow(credential=credential)
        self.logins[credential.sid].add(connection)
        await self.check_logins([credential.sid])

    # In: events of the layer and of this process.

    def _hear_others(self, event: dict[str, Any]) -> None:
        if event.get("hub") != self.id:
            self._hear(event)

    def _hear(self, event: dict[str, Any]) -> None:
        """Never raises: one event that can't be read must not end the listening."""
        try:
            handler = self._handlers.get(str(event.get("type")))
            if handler is not None:
                handler(self, event)
        except Exception:
            log.warning("unreadable event", type=event.get("type"), exc_info=True)

    def _on_room(self, event: dict[str, Any]) -> None:
        self.feeds.receive(UUID(event["room"]), RoomEvent.of(event))

    def _on_room_changed(self, event: dict[str, Any]) -> None:
        self.feeds.change(UUID(event["room"]), int(event["readers"]))

    def _on_whisper(self, event: dict[str, Any]) -> None:
        self.feeds.whisper(UUID(event["room"]), event["text"], event["but"], event["about"])

    def _on_presence(self, event: dict[str, Any]) -> None:
        self.attendance.hear(event)

    def _on_seat(self, event: dict[str, Any]) -> None:
        seat = UUID(event["seat"])
        for connection in list(self.seats.get(seat, ())):
            if event["version"] == connection.actor.seat_version + 1:
                connection.actor = replace(connection.actor, seat_version=event["version"])
            if event["text"] is not None:
                connection.push(Text(event["text"]))
        if event["room"] is not None:
            self.duties.spawn(self.tell_room(seat, UUID(event["room"]), RoomAdded))

    def _on_seat_changed(self, event: dict[str, Any]) -> None:
        self.duties.spawn(self.check_seats([UUID(event["seat"])]))

    def _on_policy(self, event: dict[str, Any]) -> None:
        tenant = UUID(event["tenant"])
        seats = {each.actor.seat for each in self.connections if each.actor.tenant == tenant}
        if seats:
            self.duties.spawn(self.check_seats(seats))

    def _on_logins(self, event: dict[str, Any]) -> None:
        for login in event["logins"]:
            self._end_login(UUID(login))

    _handlers: dict[str, Callable[["Hub", dict[str, Any]], None]] = {
        "conclave.room": _on_room,
        "conclave.room_changed": _on_room_changed,
        "conclave.whisper": _on_whisper,
        "conclave.presence": _on_presence,
        "conclave.seat": _on_seat,
        "conclave.seat_changed": _on_seat_changed,
        "conclave.policy": _on_policy,
        "conclave.logins": _on_logins,
    }

    # What the database says of those who are connected.

    async def check_logins(self, logins: Iterable[UUID], ask: Ask | None = None) -> None:
        """Close the sockets of those of these logins that are no more."""
        asked = set(logins)
        for login in asked - await (ask or run)(alive, asked):
            self._end_login(login)

    def _end_login(self, login: UUID) -> None:
        for connection in list(self.logins.get(login, ())):
            connection.close(Revoked())

    async def check_seats(self, seats: Iterable[UUID], ask: Ask | None = None) -> None:
        """Read these seats again: close the sockets of those that ended, tell the others of a changed role."""
        asked = [(each, each.actor) for seat in seats for each in self.seats.get(seat, ())]
        found = await (ask or run)(reread_all, {actor.seat for _, actor in asked})
        overtaken = set()
        for connection, before in asked:
            actor = found.get(before.seat)
            if actor is None:
                connection.close(NoSeat())
            elif connection.actor == before:
                if actor != before:
                    _follow(connection, actor)
            else:
                overtaken.add(before.seat)  # an event was quicker than this look, which may be the older one
        if overtaken:
            await self.check_seats(overtaken)

    async def tell_room(self, seat: UUID, room: UUID, event: type[RoomAdded | RoomUpdated]) -> None:
        """The room as this seat sees it from inside, to all its sockets. Read again if the seat changes meanwhile,
        lest a room be added after the event of its removal."""
        while seen := [(each, each.actor) for each in self.seats.get(seat, ())]:
            shape = await run(_shape, seen[0][1], room)
            if all(each.actor == before for each, before in seen):
                for connection in list(self.seats.get(seat, ())) if shape else ():
                    connection.tell(event(room=shape))
                return

    def start_anew(self) -> None:
        """The database was restored: what the sockets hold means nothing any more."""
        self.feeds.give_up_all()
        for connection in self.connections:
            connection.tell(Resync())


def _follow(connection: Connection, actor: Actor) -> None:
    before = connection.actor
    connection.follow(actor=actor)
    changed = before.role.name != actor.role.name
    if before.role != actor.role:
        connection.tell(RoleChanged(tenant_role=actor.role.name))
    if actor.seat_version != before.seat_version + changed:
        connection.tell(Resync())


def _shape(actor: Actor, room: UUID) -> Any:
    found = rooms_seen_by(actor).filter(INSIDE, pk=room).first()
    return None if found is None else room_shape(found, people_of([found], actor.seat).get(found.pk))
