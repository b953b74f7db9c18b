"""The rooms that this process listens to: subscriptions begin and end here, and what a feed needs is read for it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from chat import reads
from chat.connection import Connection
from chat.duties import Duties
from chat.feed import Feed, RoomEvent
from chat.feed import Subscription as FeedSubscription
from chat.groups import Groups
from chat.protocol import Resync, RoomAdded, RoomRemoved, RoomUpdated
from chat.publish import room_group
from core.db import run
from core.frames import Text

Subscription = FeedSubscription[Connection]
RoomFeed = Feed[Connection]
TellRoom = Callable[[UUID, UUID, type[RoomAdded | RoomUpdated]], Awaitable[None]]
"""Seat, room, event: tell that seat's sockets how it sees the room, if it is inside."""

OVERTAKING = 0.025
"""Seconds that an early event waits for the one before it, ere the database is read."""


class Feeds:
    """Lives on one event loop. A feed is there while it has subscriptions."""

    def __init__(self, groups: Groups, duties: Duties, tell_room: TellRoom) -> None:
        self._feeds: dict[UUID, RoomFeed] = {}
        self._stirred: set[UUID] = set()
        self._groups = groups
        self._duties = duties
        self._tell_room = tell_room

    @property
    def rooms(self) -> list[UUID]:
        return list(self._feeds)

    def get(self, room: UUID) -> RoomFeed | None:
        return self._feeds.get(room)

    def take_stirred(self) -> set[UUID]:
        """The rooms in which subscriptions have begun or ended since this was last asked."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    # Subscriptions.

    async def register(self, connection: Connection, room: UUID, head: reads.Head) -> Subscription:
        """Listen to a room that the socket was found to read, at a head as it was then; events are held until `begin`.

        The feed starts at that head: what is committed before the group is joined shows as a gap, never as nothing.
        """
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = Feed(room, head.rev, head.readers)
        subscription = Subscription(connection, connection.actor.seat, room)
        feed.subscriptions.add(subscription)
        try:
            await self._groups.join(room_group(room))
        except BaseException:
            self.abandon(subscription)
            raise
        return subscription

    def begin(self, subscription: Subscription, rev: int, right: reads.Right) -> None:
        """The answer up to `rev` is queued: go on from there. Replaces the socket's earlier subscription."""
        connection, room = subscription.connection, subscription.room
        feed = self._feeds.get(room)
        if feed is None or subscription not in feed.subscriptions:
            connection.tell(Resync(room=str(room)))  # the feed was given up meanwhile
            return
        self.unsubscribe(connection, room)
        connection.subscriptions[room] = subscription
        subscription.begin(rev, right.readers, right.visible_from, right.facts)
        self._stirred.add(room)
        self._tend(feed)

    def unsubscribe(self, connection: Connection, room: UUID) -> None:
        subscription = connection.subscriptions.pop(room, None)
        if subscription is not None:
            self.abandon(subscription)

    def abandon(self, subscription: Subscription) -> None:
        """Drop a subscription, begun or not."""
        feed = self._feeds.get(subscription.room)
        if feed is None or subscription not in feed.subscriptions:
            return
        feed.subscriptions.discard(subscription)
        subscription.connection.forget(subscription.presence)
        self._stirred.add(feed.room)
        if not feed.subscriptions:
            del self._feeds[feed.room]
            self._groups.leave(room_group(feed.room))

    def give_up_all(self) -> None:
        """The revs mean nothing any more: every socket subscribes anew."""
        for feed in list(self._feeds.values()):
            self._give_up(feed)

    # Events.

    def receive(self, room: UUID, event: RoomEvent) -> None:
        if feed := self._feeds.get(room):
            feed.receive(event)
            self._tend(feed)

    def change(self, room: UUID, readers: int) -> None:
        """What the room is or what its members may do has changed."""
        if feed := self._feeds.get(room):
            feed.change(readers)
            self._tend(feed)

    def whisper(self, room: UUID, text: str, but: str | None, about: str) -> None:
        """To the room's subscribers except one person, without a rev; may be lost for a newer one about the same."""
        feed, frame = self._feeds.get(room), Text(text)
        for subscription in feed.begun() if feed else ():
            if str(subscription.connection.actor.user) != but:
                subscription.connection.push(frame, about)

    def notice(self, room: UUID, head: reads.Head | None) -> None:
        """A sweep's look at the room: read what was missed, check rights where readers have changed."""
        feed = self._feeds.get(room)
        if feed is None:
            return
        if head is None:
            self._put_out_all(feed)
            return
        feed.change(head.readers)
        if head.rev > feed.rev:
            self._once("repair", feed, partial(self._repair, patience=0))
        self._tend(feed)

    # What a feed needs.

    def _tend(self, feed: RoomFeed) -> None:
        if feed.gap:
            self._once("repair", feed, partial(self._repair, patience=0 if feed.overfull else OVERTAKING))
        if feed.stale():
            self._once("check", feed, self._check)
        if feed.untold:
            self._once("tell", feed, self._tell)

    def _once(self, duty: str, feed: RoomFeed, work: Callable[[RoomFeed], Awaitable[None]]) -> None:
        async def tended() -> None:
            await work(feed)
            if self._feeds.get(feed.room) is feed:
                self._tend(feed)

        self._duties.once(duty, feed.room, tended)

    async def _repair(self, feed: RoomFeed, *, patience: float) -> None:
        if patience:
            await asyncio.sleep(patience)
            if not feed.gap:
                return
        heard = feed.heard
        found = await run(reads.missed, feed.room, feed.rev)
        if found is None:
            self._put_out_all(feed)
        elif found.event is None or found.head.rev < heard:
            self._give_up(feed)  # missed too much, or the database is older than what was heard: it has been restored
        else:
            feed.repair(found.event)

    def _give_up(self, feed: RoomFeed) -> None:
        """Its sockets subscribe anew; those that are about to begin will find that they are not listed."""
        subscriptions = feed.begun()
        for subscription in list(feed.subscriptions):
            self.abandon(subscription)
        for subscription in subscriptions:
            subscription.connection.subscriptions.pop(feed.room, None)
            subscription.connection.tell(Resync(room=str(feed.room)))

    async def _check(self, feed: RoomFeed) -> None:
        """Read again the rights of those whose right is older than the room's readers."""
        asked, known = feed.stale(), feed.readers
        if not asked:
            return
        rights = await run(reads.rights, feed.room, {each.seat for each in asked})
        if any(right.readers < known for right in rights.values()):
            self._give_up(feed)  # restored, as above
        for subscription in asked:
            if subscription in feed.subscriptions:
                self._judge(subscription, rights.get(subscription.seat))

    def _judge(self, subscription: Subscription, right: reads.Right | None) -> None:
        """Deliver what is held, or put the socket out. Who left and came back may read something else than before."""
        if right is None:
            self._put_out(subscription)
        elif right.visible_from == subscription.visible_from:
            subscription.renew(right.readers, right.facts)
        else:
            self.unsubscribe(subscription.connection, subscription.room)
            subscription.connection.tell(Resync(room=str(subscription.room)))

    def _put_out(self, subscription: Subscription) -> None:
        """Say that the room is gone; if they are in it again by now, say that, too."""
        self.unsubscribe(subscription.connection, subscription.room)
        subscription.connection.tell(RoomRemoved(room=str(subscription.room)))
        self._duties.spawn(self._added(subscription.seat, subscription.room))

    async def _added(self, seat: UUID, room: UUID) -> None:
        await self._tell_room(seat, room, RoomAdded)

    def _put_out_all(self, feed: RoomFeed) -> None:
        for subscription in feed.begun():
            self._put_out(subscription)

    async def _tell(self, feed: RoomFeed) -> None:
        """How the room looks now, to each seat that listens."""
        changed = feed.changed
        for seat in {each.seat for each in feed.begun()}:
            await self._tell_room(seat, feed.room, RoomUpdated)
        feed.told = changed
