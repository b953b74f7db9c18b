"""One room's events on their way to this process's sockets: in order, each once, and only to those who may read.

Pure: no database, no layer, no clock but what is passed in. The hub acts on what a feed says it needs.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar
from uuid import UUID

from core.frames import Text
from tenants.permissions import Facts

NOWHERE = Facts()
WAITING = 1_000
"""Events that may wait for an earlier one; past it, the database is read at once."""


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """Revs `first` to `last` of a room, written at its `readers` version: (rev, message number, frame) each."""

    first: int
    last: int
    readers: int
    frames: tuple[tuple[int, int, Text], ...]

    @classmethod
    def of(cls, event: dict[str, Any]) -> Self:
        """From the layer; raises `ValueError`, `KeyError` or `TypeError` for what no publisher of ours wrote."""
        return cls.made(int(event["first"]), int(event["last"]), int(event["readers"]), event["frames"])

    @classmethod
    def made(cls, first: int, last: int, readers: int, frames: Iterable[tuple[int, int, str]]) -> Self:
        """From frames as they are published."""
        return cls(
            first, last, readers, tuple((int(rev), int(number), Text(str(text))) for rev, number, text in frames)
        )


class Hearer(Protocol):
    """What a subscription needs of a socket."""

    def push(self, frame: Text, about: object = None) -> None: ...


H = TypeVar("H", bound=Hearer)


@dataclass(slots=True, eq=False)
class Subscription(Generic[H]):
    """One socket in one room, with the right to read as of room version `checked`."""

    connection: H
    seat: UUID
    room: UUID
    rev: int | None = None
    """Up to which the socket has everything; None until its first answer is written."""
    checked: int = -1
    visible_from: int = 0
    facts: Facts = NOWHERE
    attends: bool = False
    """The socket was told who is in the room, and everything about it since."""
    held: deque[RoomEvent] = field(default_factory=deque)

    @property
    def presence(self) -> str:
        """What those of its frames are about."""
        return f"presence {self.room}"

    def begin(self, rev: int, checked: int, visible_from: int, facts: Facts) -> None:
        """The answer up to `rev` is written, with the right as it was read for it."""
        self.rev, self.visible_from = rev, visible_from
        self.renew(checked, facts)

    def renew(self, checked: int, facts: Facts) -> None:
        """The right was read again: deliver what is held as far as it reaches."""
        if checked > self.checked:
            self.checked, self.facts = checked, facts
        while self.held and self.held[0].readers <= self.checked:
            self._deliver(self.held.popleft())

    def offer(self, event: RoomEvent) -> None:
        """Deliver the event, or hold it until there is an answer and a right that reaches it."""
        if self.rev is None or self.held or event.readers > self.checked:
            self.held.append(event)
        else:
            self._deliver(event)

    def _deliver(self, event: RoomEvent) -> None:
        assert self.rev is not None
        for rev, number, frame in event.frames:
            if rev > self.rev and number >= self.visible_from:
                self.connection.push(frame)
        self.rev = max(self.rev, event.last)


class Feed(Generic[H]):
    """A room that sockets of this process listen to, from a head that was read before the first of them came."""

    def __init__(self, room: UUID, rev: int, readers: int) -> None:
        self.room = room
        self.rev = rev
        """Up to which every event has been handed out."""
        self.readers = self.changed = self.told = readers
        """The newest readers' version that is known; of those, the newest after which the room may look different;
        and the one as of which the sockets were told how it looks."""
        self.subscriptions: set[Subscription[H]] = set()
        self._waiting: dict[int, RoomEvent] = {}

    def receive(self, event: RoomEvent) -> None:
        """An event from the layer or this process: in order it is handed out, seen it is dropped, early it waits."""
        if event.last <= self.rev:
            return
        known = self._waiting.get(event.first)
        if known is None or known.last < event.last:
            self._waiting[event.first] = event
        self._drain()

    def repair(self, event: RoomEvent) -> None:
        """Everything since a rev that was handed out, from the database."""
        if event.last > self.rev:
            self.change(event.readers)
            self._hand_out(event)
        self._drain()

    def change(self, readers: int) -> None:
        """The room has come to this readers' version, by what no event of a rev tells."""
        if readers > self.readers:
            self.readers = self.changed = readers

    @property
    def heard(self) -> int:
        """The newest rev that was heard of."""
        return max([self.rev, *(event.last for event in self._waiting.values())])

    @property
    def gap(self) -> bool:
        """Something later has arrived than what comes next."""
        return bool(self._waiting)

    @property
    def overfull(self) -> bool:
        return len(self._waiting) > WAITING

    @property
    def untold(self) -> bool:
        """The sockets don't know yet how the room looks."""
        return self.told < self.changed

    def begun(self) -> Collection[Subscription[H]]:
        return [each for each in self.subscriptions if each.rev is not None]

    def stale(self) -> Collection[Subscription[H]]:
        """Subscriptions whose right was read at an older version than the room's readers have now."""
        return [each for each in self.begun() if each.checked < self.readers]

    def _drain(self) -> None:
        for first in sorted(self._waiting):
            event = self._waiting[first]
            if event.first > self.rev + 1:
                break
            del self._waiting[first]
            if event.last > self.rev:
                self._hand_out(event)

    def _hand_out(self, event: RoomEvent) -> None:
        self.rev = event.last
        if event.frames:
            self.change(event.readers)
        self.readers = max(self.readers, event.readers)
        for subscription in self.subscriptions:
            subscription.offer(event)
