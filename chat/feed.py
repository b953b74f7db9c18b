"""One room's events on their way to this process's sockets: in order, each once, and only to those who may read.

Pure: no database, no layer, no clock but what is passed in. The hub acts on what a feed says it needs.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar
from uuid import UUID

WAITING = 1_000
"""Events that may wait for an earlier one; past it, the database is read at once."""


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """Revs `first` to `last` of a room, written at its `readers` version: (rev, message number, frame) each."""

    first: int
    last: int
    readers: int
    frames: tuple[tuple[int, int, str], ...]

    @classmethod
    def of(cls, event: dict[str, Any]) -> Self:
        """From the layer; raises `ValueError`, `KeyError` or `TypeError` for what no publisher of ours wrote."""
        frames = tuple((int(rev), int(number), str(text)) for rev, number, text in event["frames"])
        return cls(int(event["first"]), int(event["last"]), int(event["readers"]), frames)


class Hearer(Protocol):
    """What a subscription needs of a socket."""

    def push(self, text: str) -> None: ...


H = TypeVar("H", bound=Hearer)


@dataclass(slots=True, eq=False)
class Subscription(Generic[H]):
    """One socket in one room, with the right to read as of room version `checked`."""

    connection: H
    seat: UUID
    rev: int | None = None
    """Up to which the socket has everything; None until its first answer is written."""
    checked: int = -1
    visible_from: int = 0
    may_write: bool = False
    held: deque[RoomEvent] = field(default_factory=deque)

    def release(self) -> bool:
        """Deliver what is held as far as the right was read; whether anything must still wait."""
        while self.rev is not None and self.held and self.held[0].readers <= self.checked:
            self._deliver(self.held.popleft())
        return bool(self.held)

    def offer(self, event: RoomEvent) -> bool:
        """Deliver the event, or hold it; whether it must wait for the right to be read again."""
        if self.rev is None or self.held or event.readers > self.checked:
            self.held.append(event)
            return True
        self._deliver(event)
        return False

    def _deliver(self, event: RoomEvent) -> None:
        assert self.rev is not None
        for rev, number, text in event.frames:
            if rev > self.rev and number >= self.visible_from:
                self.connection.push(text)
        self.rev = max(self.rev, event.last)


class Feed(Generic[H]):
    """A room that sockets of this process listen to."""

    def __init__(self, room: UUID) -> None:
        self.room = room
        self.rev: int | None = None
        """Up to which every event has been handed out; None until the first subscriber's answer."""
        self.readers = -1
        self.subscriptions: set[Subscription[H]] = set()
        self._waiting: dict[int, RoomEvent] = {}

    def begin(self, rev: int) -> None:
        """The first statement has told the head."""
        if self.rev is None:
            self.rev = rev
            self._drain()

    def receive(self, event: RoomEvent) -> None:
        """An event from the layer or this process: in order it is handed out, seen it is dropped, early it waits."""
        if self.rev is not None and event.last <= self.rev:
            return
        self._waiting[event.first] = event
        self._drain()

    def repair(self, event: RoomEvent) -> None:
        """Everything since `rev`, from the database."""
        if self.rev is not None and event.last > self.rev:
            self._hand_out(event)
        self._drain()

    def skip_to(self, rev: int, readers: int) -> None:
        """Too much was missed to hand out: the sockets start anew, and the feed goes on from here."""
        self.rev = max(self.rev or 0, rev)
        self.readers = max(self.readers, readers)
        self._drain()

    @property
    def gap(self) -> bool:
        """Something later has arrived than what comes next."""
        return self.rev is not None and bool(self._waiting)

    @property
    def overfull(self) -> bool:
        return len(self._waiting) > WAITING

    def stale(self) -> list[Subscription[H]]:
        """Subscriptions whose right was read at an older version than the room's readers have now."""
        return [each for each in self.subscriptions if each.rev is not None and each.checked < self.readers]

    def _drain(self) -> None:
        if self.rev is None:
            return
        for first in sorted(self._waiting):
            event = self._waiting[first]
            if event.first > self.rev + 1:
                break
            del self._waiting[first]
            if event.last > self.rev:
                self._hand_out(event)

    def _hand_out(self, event: RoomEvent) -> None:
        self.rev = event.last
        self.readers = max(self.readers, event.readers)
        for subscription in self.subscriptions:
            subscription.offer(event)
