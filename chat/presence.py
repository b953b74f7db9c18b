"""Who is in which room, as this process knows it of itself and of the others, whatever is lost on the way.

Pure: no layer, no database, no clock but what is passed in. Each process (here: a *hub*) tells only what it alone
knows, who listens at it. What it says is numbered without gaps, beats included, which say that nothing changed; whoever
misses a number asks for the newest state of what has changed since, as clients do with revs. So quiet rooms cost
nothing, and a hub that is not heard of any more takes its people with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LEASE = 20.0
"""Seconds after which the people of a hub that says nothing new are gone."""
BEAT = 6.0
"""Seconds after which a hub without news says that it is there."""
AGAIN = 2.0
"""Seconds after which a question without an answer is asked again."""
PEOPLE = 500
"""People that one event tells of."""
ROOMS = 200
"""Rooms that one question asks for."""
EMPTIED = 1_000
"""Rooms without people whose last change is remembered."""

People = dict[str, str]
"""Display names by user id."""
Step = tuple[str, str | None]
"""A user who is there by this name, or is not there any more."""
Outgoing = tuple[str | None, dict[str, Any]]
"""An event for one hub, or for all of them."""


@dataclass(slots=True)
class Other:
    """What is known of another hub: its people in rooms that matter here, as of its event `n`."""

    n: int
    newest: int
    """The newest of its events that was heard of: above `n`, something was missed."""
    heard_at: float
    unknown: set[str]
    """Rooms that matter here and that it was not yet heard about."""
    rooms: dict[str, People] = field(default_factory=dict)
    ask_at: float = 0.0

    def note(self, n: int, now: float) -> None:
        """Only what is new shows that it lives: events may be repeated or late."""
        if n > self.newest:
            self.newest, self.heard_at = n, now

    def follow(self, n: int, changes: Iterable[tuple[str, Iterable[Step]]]) -> Iterator[str]:
        """Apply its next event; what was seen or comes too early is left. Answers the rooms that changed."""
        if n != self.n + 1:
            return
        self.n = n
        for room, steps in changes:
            people = self.rooms.get(room)
            if people is None:
                continue
            for user, name in steps:
                if name is None:
                    people.pop(user, None)
                else:
                    people[user] = name
            yield room


class Own:
    """Who listens at this hub, and what of that the others were told."""

    def __init__(self) -> None:
        self.rooms: dict[str, People] = {}
        self.n = 0
        self._untold: dict[str, People] = {}
        """Rooms that changed since event `n`, as they were told before."""
        self._changed: dict[str, int] = {}
        """The event that last told of a room, oldest first."""
        self._floor = 0
        """Up to this event, changes may have been forgotten."""

    def put(self, room: str, people: People) -> None:
        self._untold.setdefault(room, self.rooms.pop(room, {}))
        if people:
            self.rooms[room] = people

    def news(self) -> Iterator[dict[str, Any]]:
        """What has changed since the last event, in as many as it takes."""
        batch: list[tuple[str, list[Step]]] = []
        size = 0
        for room, before in self._untold.items():
            for piece in _pieces(before, self.rooms.get(room, {})):
                if batch and size + len(piece) > PEOPLE:
                    yield self.says(batch)
                    batch, size = [], 0
                batch.append((room, piece))
                size += len(piece)
        self._untold = {}
        if batch:
            yield self.says(batch)
        self._forget()

    def says(self, changes: Iterable[tuple[str, list[Step]]]) -> dict[str, Any]:
        """The next event; without changes, a beat."""
        self.n += 1
        for room, _ in changes:
            self._changed.pop(room, None)
            self._changed[room] = self.n
        return {"what": "says", "n": self.n, "rooms": list(changes)}

    def answer(self, since: int, asked: Iterable[str]) -> dict[str, Any]:
        """The rooms that are asked for and those that changed since an event, whole, as of event `n`."""
        rooms = dict.fromkeys(asked)
        if since >= self._floor:
            rooms |= dict.fromkeys(self._since(since))
        return {
            "what": "answers",
            "n": self.n,
            "since": since if since >= self._floor else None,
            "rooms": [(room, list(self._told(room).items())) for room in rooms],
        }

    def _told(self, room: str) -> Mapping[str, str]:
        return self._untold[room] if room in self._untold else self.rooms.get(room, {})

    def _since(self, n: int) -> Iterator[str]:
        for room, changed in reversed(self._changed.items()):
            if changed <= n:
                return
            yield room

    def _forget(self) -> None:
        if len(self._changed) - len(self.rooms) <= 2 * EMPTIED:
            return
        for room in [room for room in self._changed if room not in self.rooms][:-EMPTIED]:
            self._floor = max(self._floor, self._changed.pop(room))


def _pieces(before: People, now: People) -> Iterator[list[Step]]:
    steps: list[Step] = [(user, name) for user, name in now.items() if before.get(user) != name]
    steps += [(user, None) for user in before if user not in now]
    for start in range(0, len(steps), PEOPLE):
        yield steps[start : start + PEOPLE]


class Presence:
    """Rooms that somebody listens to here, with everyone in them anywhere."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._own = Own()
        self._others: dict[str, Other] = {}
        self._left: dict[str, float] = {}
        """Hubs that took leave, until when a late event of theirs may still come."""
        self._beat_at = 0.0
        self._stirred: set[str] = set()

    def people(self, room: str) -> People:
        """Everyone who is in the room, once each."""
        found: People = {}
        for other in self._others.values():
            found |= other.rooms.get(room, {})
        return found | self._own.rooms.get(room, {})

    def take_stirred(self) -> set[str]:
        """The rooms whose people may have changed since this was last asked."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    def settle(self, room: str, people: People) -> None:
        """Who listens to the room here, from now on. Nobody: it does not matter here any more."""
        before = self._own.rooms.get(room, {})
        if people == before:
            return
        self._own.put(room, people)
        self._stirred.add(room)
        for other in self._others.values():
            if not before:
                other.unknown.add(room)
                other.ask_at = 0.0
            elif not people:
                other.unknown.discard(room)
                other.rooms.pop(room, None)

    def expire(self, now: float) -> None:
        """Hubs that have not been heard of are gone, with their people."""
        for hub in [hub for hub, other in self._others.items() if now - other.heard_at >= LEASE]:
            self._drop(hub)
        self._left = {hub: until for hub, until in self._left.items() if now < until}

    def speak(self, now: float) -> list[Outgoing]:
        """What is to be said now, in order: news to all, or a beat; then questions to those who know something."""
        said = list(self._own.news())
        if not said and now >= self._beat_at:
            said = [self._own.says(())]
        if said:
            self._beat_at = now + BEAT
        spoken: list[Outgoing] = [(None, self._signed(event)) for event in said]
        for hub, other in self._others.items():
            if now >= other.ask_at and (other.unknown or other.newest > other.n):
                other.ask_at = now + AGAIN
                rooms = sorted(other.unknown)[:ROOMS]
                spoken.append((hub, self._signed({"what": "asks", "since": other.n, "rooms": rooms})))
        return spoken

    def leave(self) -> Outgoing:
        """The last word."""
        return None, self._signed({"what": "leaves"})

    def hear(self, event: dict[str, Any], now: float) -> Outgoing | None:
        """An event of another hub. What it asks is answered at once."""
        hub, what = event["hub"], event["what"]
        if what == "asks":
            return hub, self._signed(self._own.answer(event["since"], event["rooms"]))
        if what == "leaves":
            self._left[hub] = now + LEASE
            self._drop(hub)
        elif hub not in self._left:
            if what == "says":
                other = self._others.get(hub) or self._meet(hub, event["n"], now)
                other.note(event["n"], now)
                self._stirred.update(other.follow(event["n"], event["rooms"]))
            elif hub in self._others:
                self._learn(self._others[hub], event, now)
        return None

    def _signed(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"type": "conclave.presence", "hub": self._hub, **event}

    def _meet(self, hub: str, n: int, now: float) -> Other:
        """A hub that is new here has not met this one, either: be heard soon."""
        self._beat_at = now
        self._others[hub] = Other(n, n, now, set(self._own.rooms))
        return self._others[hub]

    def _learn(self, other: Other, event: dict[str, Any], now: float) -> None:
        """An answer holds unless it is older than what is known, or begins after it.

        Without a beginning it does not tell what else has changed: everything is asked for again.
        """
        n, since = event["n"], event["since"]
        if n < other.n or (since is not None and since > other.n):
            return
        if since is None:
            other.unknown = set(self._own.rooms)
        for room, people in event["rooms"]:
            if room in self._own.rooms:
                other.rooms[room] = dict(people)
                other.unknown.discard(room)
                self._stirred.add(room)
        other.n = n
        other.note(n, now)
        other.ask_at = 0.0

    def _drop(self, hub: str) -> None:
        other = self._others.pop(hub, None)
        if other is not None:
            self._stirred.update(other.rooms)
