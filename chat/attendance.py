"""Who is in the rooms of this process: its subscriptions told to the other processes, and all of it to its sockets."""

import heapq
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.conf import settings

from chat.duties import Duties
from chat.feeds import Feeds, RoomFeed, Subscription
from chat.groups import Groups
from chat.presence import Outgoing, People, Presence
from chat.protocol import Author, PresenceEvent
from core.frames import Text
from core.wire import encode_text

EVERYONE = "presence"
"""The group that every process is in."""
FRAMES = 250
"""Frames a second that a room's changes may cost a process: the more sockets, the rarer they are told."""


class Roll:
    """What the sockets of one room were told: of those who are there the first so many by id, and how many there are.

    What all of them hold is the same, so a change is encoded once, and so is the whole for those who come later.
    """

    def __init__(self, room: UUID, most: int) -> None:
        self.told_at = 0.0
        self._room = str(room)
        self._most = most
        self._shown: People = {}
        self._count = 0
        self._whole: Text | None = None

    def call(self, people: People) -> Text | None:
        """Who is there now: the change since it was last called, if there is one."""
        shown = {user: people[user] for user in heapq.nsmallest(self._most, people)}
        joined = {user: name for user, name in shown.items() if self._shown.get(user) != name}
        left = [user for user in self._shown if user not in shown]
        if not joined and not left and len(people) == self._count:
            return None
        self._shown, self._count, self._whole = shown, len(people), None
        return _text(PresenceEvent(room=self._room, count=self._count, joined=_authors(joined), left=left))

    def whole(self) -> Text:
        """Everything that was told, for a socket that was not told, or may have lost some of it."""
        if self._whole is None:
            here = _authors(self._shown)
            self._whole = _text(PresenceEvent(room=self._room, count=self._count, here=here))
        return self._whole


def _authors(people: People) -> list[Author]:
    return [Author(id=user, display_name=name) for user, name in people.items()]


def _text(event: PresenceEvent) -> Text:
    return Text(encode_text(event))


class Attendance:
    """Lives on one event loop. Telling the sockets here waits for nothing; the layer gets what it can take."""

    def __init__(self, hub: str, feeds: Feeds, groups: Groups, duties: Duties) -> None:
        self._hub = hub
        self._feeds = feeds
        self._groups = groups
        self._duties = duties
        self._presence = Presence(hub)
        self._rolls: dict[UUID, Roll] = {}
        self._changed: set[UUID] = set()
        """Rooms of whose people the sockets may have to be told."""
        self._behind: dict[UUID, set[Subscription]] = {}
        """By room, whose sockets were not told everything."""

    async def start(self) -> None:
        for group in (EVERYONE, _group(self._hub)):
            await self._groups.join(group)

    def hear(self, event: dict[str, Any]) -> None:
        """Of another process."""
        answer = self._presence.hear(event, time.monotonic())
        if answer is not None:
            self._duties.spawn(self._send([answer]))

    def look(self) -> None:
        """Now and then: who listens where by now. Tell the sockets here, then the other processes."""
        now = time.monotonic()
        for room in self._feeds.take_stirred():
            feed = self._feeds.get(room)
            self._presence.settle(str(room), _listening(feed))
            if feed is None:
                self._rolls.pop(room, None)
            else:
                self._behind[room] = {each for each in feed.begun() if not each.attends}
        self._presence.expire(now)
        self._changed.update(map(UUID, self._presence.take_stirred()))
        for room in self._changed | self._behind.keys():
            self._tell(room, now)
        self._duties.once("presence", UUID(self._hub), self._speak)

    async def leave(self) -> None:
        """This process ends: nobody need wait for its lease to run out."""
        await self._send([self._presence.leave()])

    def _tell(self, room: UUID, now: float) -> None:
        """The room's change, if it is time for one, to the sockets that hold the rest, and the whole to the others."""
        feed, behind = self._feeds.get(room), self._behind.pop(room, set())
        if feed is None:
            self._changed.discard(room)
            return
        roll = self._rolls.get(room)
        if roll is None:
            roll = self._rolls[room] = Roll(room, settings.PRESENCE_SHOWN)
        change = None
        if room in self._changed and now >= roll.told_at + len(feed.subscriptions) / FRAMES:
            self._changed.discard(room)
            change = roll.call(self._presence.people(str(room)))
            roll.told_at = now
        told = feed.begun() if change else behind & feed.subscriptions
        for each in told:
            frame = change if change and each.attends else roll.whole()
            each.attends = each.checked >= feed.readers and each.connection.offer(frame, each.presence)
        if behind := {each for each in told if not each.attends}:
            self._behind[room] = behind

    async def _speak(self) -> None:
        await self._send(self._presence.speak(time.monotonic()))

    async def _send(self, spoken: Iterable[Outgoing]) -> None:
        """One after the other: they are numbered."""
        for hub, event in spoken:
            await self._groups.send(EVERYONE if hub is None else _group(hub), event)


def _group(hub: str) -> str:
    return f"p.{hub}"


def _listening(feed: RoomFeed | None) -> People:
    actors = [each.connection.actor for each in feed.begun()] if feed else []
    return {str(actor.user): actor.display_name for actor in actors}
