"""Who is in a room, told to a process's sockets: they fold it to the truth whatever they lose, and it costs little."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from chat import attendance
from chat.attendance import Attendance, Roll
from chat.connection import Connection
from chat.duties import Duties
from chat.feed import NOWHERE
from chat.feeds import Feeds, Subscription
from chat.outbox import LOSABLE
from chat.presence import Presence
from chat.protocol import PingEvent
from chat.reads import Head, Right
from core.frames import Text
from tests.test_hub import Ear, someone, turns

pytestmark = pytest.mark.once
ROOM = uuid4()


class Clock:
    """Seconds, as many as the test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Wire:
    """A socket that takes frames while it is free, and what its client makes of those about presence."""

    def __init__(self) -> None:
        self.free = True
        self.frames: list[dict[str, Any]] = []
        self.here: dict[str, dict[str, str]] = {}
        self.counts: dict[str, int] = {}

    def write(self, framed: bytes) -> bool:
        if self.free:
            self.take(msgspec.json.decode(framed[framed.index(b"{") :]))
        return self.free

    def take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        if frame["type"] != "presence":
            return
        here = self.here.setdefault(frame["room"], {})
        if "here" in frame:
            here.clear()
        for user in frame.get("left", ()):
            here.pop(user, None)
        for user in [*frame.get("here", ()), *frame.get("joined", ())]:
            here[user["id"]] = user["display_name"]
        self.counts[frame["room"]] = frame["count"]

    def when_free(self, call: Any) -> None:
        self.call = call

    def release(self) -> None:
        self.free = True
        self.call()

    @property
    def presence(self) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == "presence"]


class Quiet:
    """Groups that remember what is sent, and join at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.joined: list[str] = []

    async def join(self, group: str) -> None:
        self.joined.append(group)

    def leave(self, group: str) -> None:
        pass

    async def send(self, group: str, event: dict[str, Any]) -> None:
        self.sent.append((group, event))


class Process:
    """One process without a database: sockets that come into rooms and go."""

    def __init__(self) -> None:
        self.id = str(uuid4())
        self.groups = Quiet()
        duties = Duties()
        self.feeds = Feeds(self.groups, duties, None)  # type: ignore[arg-type]  # nobody is told of rooms here
        self.attendance = Attendance(self.id, self.feeds, self.groups, duties)  # type: ignore[arg-type]
        self.wires: dict[Connection, Wire] = {}

    async def come(self, room: UUID = ROOM, name: str = "Ada", connection: Connection | None = None) -> Connection:
        made = connection or self.connected(name)
        subscription = await self.feeds.register(made, room, Head(0, 0))
        self.feeds.begin(subscription, 0, Right(0, 1, True))
        return made

    def connected(self, name: str = "Ada") -> Connection:
        wire, person = Wire(), someone()
        object.__setattr__(person, "display_name", name)
        made = Connection(person, Ear(person).credential, self._never, wire)
        made._greeted = True
        self.wires[made] = wire
        return made

    async def _never(self, _message: Any) -> None:
        raise AssertionError("everything is written directly")

    def go(self, connection: Connection, room: UUID = ROOM) -> None:
        self.feeds.unsubscribe(connection, room)

    async def look(self) -> None:
        self.attendance.look()
        await turns()

    def people(self, room: UUID = ROOM) -> dict[str, str]:
        feed = self.feeds.get(room)
        actors = [each.connection.actor for each in feed.begun()] if feed else []
        return {str(actor.user): actor.display_name for actor in actors}

    def subscription(self, connection: Connection, room: UUID = ROOM) -> Subscription:
        return connection.subscriptions[room]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(attendance, "time", made)
    return made


async def test_a_newcomer_is_told_everyone_and_the_others_the_newcomer(clock: Clock) -> None:
    process = Process()
    ada = await process.come(name="Ada")
    await process.look()
    ben = await process.come(name="Ben")
    clock.now += 1
    await process.look()
    (first, change), (whole,) = process.wires[ada].presence, process.wires[ben].presence
    names = {str(each.actor.user): each.actor.display_name for each in (ada, ben)}
    assert {each["id"]: each["display_name"] for each in whole["here"]} == names
    assert first["count"] == 1 and len(first["here"]) == 1
    assert [each["display_name"] for each in change["joined"]] == ["Ben"]
    assert (change["left"], change["count"], whole["count"]) == ([], 2, 2)
    process.go(ben)
    clock.now += 1
    await process.look()
    gone = process.wires[ada].presence[-1]
    assert (gone["left"], gone["joined"], gone["count"]) == ([str(ben.actor.user)], [], 1)
    assert len(process.wires[ben].presence) == 1, "who went is told nothing"


async def test_a_second_socket_of_someone_changes_nothing_for_the_others(clock: Clock) -> None:
    process = Process()
    ada, ben = await process.come(), await process.come(name="Ben")
    await process.look()
    again = process.connected()
    again.actor = ben.actor
    await process.come(connection=again)
    clock.now += 1
    await process.look()
    assert len(process.wires[ada].presence) == 1
    assert process.wires[again].presence[0]["count"] == 2
    process.go(ben)
    clock.now += 1
    await process.look()
    assert len(process.wires[ada].presence) == 1, "their other socket is still there"


async def test_a_room_is_nobodys_business_but_of_those_who_hear_it() -> None:
    process = Process()
    await process.come()
    outside = await process.come(room=uuid4())
    await process.look()
    assert [frame["room"] for frame in process.wires[outside].presence] != [str(ROOM)]
    assert str(ROOM) not in process.wires[outside].here


async def test_whoever_may_not_read_any_more_is_told_nothing_until_that_is_checked(clock: Clock) -> None:
    process = Process()
    ada, ben = await process.come(), await process.come(name="Ben")
    await process.look()
    feed = process.feeds.get(ROOM)
    assert feed
    feed.readers = 5
    process.subscription(ada).renew(5, facts=NOWHERE)
    await process.come(name="Cy")
    clock.now += 1
    await process.look()
    assert process.wires[ada].counts[str(ROOM)] == 3
    assert len(process.wires[ben].presence) == 1
    process.subscription(ben).renew(5, facts=NOWHERE)
    clock.now += 1
    await process.look()
    assert "here" in process.wires[ben].presence[-1] and process.wires[ben].counts[str(ROOM)] == 3


# What it costs.


async def test_a_thousand_who_come_in_a_moment_are_one_event_and_one_frame_each(clock: Clock) -> None:
    process = Process()
    process.groups.sent.clear()
    first = await process.come()
    await process.look()
    crowd = [await process.come(name=f"P{n}") for n in range(499)]
    clock.now += 10
    await process.look()
    says = [event for _, event in process.groups.sent if event["what"] == "says"]
    assert len(says) == 2, "the first one, and the crowd"
    assert len(process.wires[first].presence) == 2
    assert all(len(process.wires[each].presence) == 1 for each in crowd)
    assert all(process.wires[each].counts == {str(ROOM): 500} for each in [first, *crowd])
    assert len(process.wires[crowd[0]].presence[0]["here"]) == 100, "the rest is a number"


async def test_one_who_comes_into_a_crowd_is_one_small_frame_for_each(clock: Clock) -> None:
    process = Process()
    crowd = [await process.come(name=f"P{n}") for n in range(300)]
    clock.now += 10
    await process.look()
    before = {each: len(process.wires[each].frames) for each in crowd}
    await process.come(name="One more")
    clock.now += 10
    await process.look()
    for each in crowd:
        new = process.wires[each].frames[before[each] :]
        assert len(new) == 1 and new[0]["count"] == 301
        assert len(msgspec.json.encode(new[0])) < 400


async def test_the_more_sockets_the_rarer_they_are_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "FRAMES", 10)
    process = Process()
    crowd = [await process.come() for _ in range(40)]
    await process.look()
    told = len(process.wires[crowd[0]].presence)
    for _ in range(20):
        clock.now += 1
        process.go(crowd.pop())
        await process.look()
    frames = len(process.wires[crowd[0]].presence) - told
    assert 4 <= frames <= 12, "about every third second, and more often as they get fewer"
    clock.now += 10
    await process.look()
    assert process.wires[crowd[0]].here[str(ROOM)].keys() == process.people().keys()


async def test_where_nothing_changes_nobody_is_told_anything(clock: Clock) -> None:
    process = Process()
    ears = [await process.come() for _ in range(20)]
    await process.look()
    sent = Counter(event["what"] for _, event in process.groups.sent)
    for _ in range(60):
        clock.now += 1
        await process.look()
    assert {len(process.wires[each].frames) for each in ears} == {1}
    beats = Counter(event["what"] for _, event in process.groups.sent) - sent
    assert beats == {"says": 10}


def test_of_many_the_first_by_id_are_named_and_all_are_counted() -> None:
    roll = Roll(ROOM, 3)
    roll.call({str(n): f"P{n}" for n in range(1, 9)})
    whole = msgspec.json.decode(roll.whole().text)
    assert ([each["id"] for each in whole["here"]], whole["count"]) == (["1", "2", "3"], 8)
    change = roll.call({str(n): f"P{n}" for n in range(1, 10)})
    assert change
    assert msgspec.json.decode(change.text) == {
        "type": "presence", "room": str(ROOM), "count": 9, "joined": [], "left": []
    }  # fmt: skip
    change = roll.call({str(n): f"P{n}" for n in range(2, 10)})
    assert change
    found = msgspec.json.decode(change.text)
    assert (found["left"], [each["id"] for each in found["joined"]], found["count"]) == (["1"], ["4"], 8)
    assert roll.call({str(n): f"P{n}" for n in range(2, 10)}) is None


# What is lost.


async def test_a_socket_that_was_full_is_told_the_whole_once_it_takes_again(clock: Clock) -> None:
    process = Process()
    ada, ben = await process.come(), await process.come()
    await process.look()
    wire = process.wires[ada]
    wire.free = False
    for _ in range(5):
        await process.come()
        clock.now += 1
        await process.look()
    assert len(wire.presence) == 1
    assert len(ada._outbox._losable) == 1, "one waits, and nothing builds on what may be lost"
    wire.release()
    await turns()
    clock.now += 1
    await process.look()
    assert "here" in wire.presence[-1]
    assert wire.here == process.wires[ben].here


async def test_what_waits_is_lost_with_the_subscription() -> None:
    process = Process()
    ada = await process.come()
    process.wires[ada].free = False
    ada.push(Text('{"type":"typing"}'), "typing")
    await turns()
    await process.look()
    assert ada._outbox._losable
    process.go(ada)
    process.wires[ada].release()
    await turns()
    assert not process.wires[ada].presence, "nothing more of a room comes after one is out of it"


async def test_what_waits_for_a_full_socket_is_bounded(clock: Clock) -> None:
    process = Process()
    ada = process.connected()
    process.wires[ada].free = False
    for _ in range(LOSABLE + 50):
        await process.come(uuid4(), connection=ada)
    await process.look()
    assert len(ada._outbox._losable) <= LOSABLE
    process.wires[ada].release()
    for _ in range(3):
        await turns()
        clock.now += 1
        await process.look()
    assert len(process.wires[ada].here) == LOSABLE + 50


async def test_messages_go_before_presence() -> None:
    process = Process()
    ada = await process.come()
    process.wires[ada].free = False
    ada.tell(PingEvent())
    await process.look()
    assert not ada._outbox._losable, "it is not even queued while others wait"


async def happen(process: Process, rooms: list[UUID], chance: random.Random) -> None:
    """Somebody comes or goes; some socket fills or is free again."""
    connections = list(process.wires)
    connection, room = chance.choice(connections), chance.choice(rooms)
    if chance.random() < 0.5:
        await process.come(room, connection=connection)
    else:
        process.go(connection, room)
    wire = process.wires[chance.choice(connections)]
    if chance.random() < 0.3:
        wire.free = False
    elif not wire.free:
        wire.release()


@pytest.mark.parametrize("seed", range(20))
async def test_every_client_folds_what_it_gets_to_the_truth(clock: Clock, seed: int) -> None:
    chance, process = random.Random(seed), Process()
    rooms = [uuid4() for _ in range(3)]
    connections = [process.connected(f"P{n}") for n in range(8)]
    for connection in connections[4:]:
        connection.actor = chance.choice(connections[:4]).actor  # several sockets of one person
    for _ in range(120):
        await happen(process, rooms, chance)
        if chance.random() < 0.5:
            clock.now += chance.choice([0.1, 1, 2])
            await process.look()
    for connection in connections:
        process.wires[connection].release()
    for _ in range(3):
        await turns()
        clock.now += 2
        await process.look()
    for connection in connections:
        for room in connection.subscriptions:
            wire = process.wires[connection]
            assert wire.here[str(room)] == process.people(room)
            assert wire.counts[str(room)] == len(process.people(room))


# With other processes.


async def test_what_others_say_is_told_here_and_what_they_ask_is_answered(clock: Clock) -> None:
    process, other = Process(), Presence("other")
    ada = await process.come()
    await process.look()
    other.settle(str(ROOM), {"ben": "Ben"})

    async def exchange() -> None:
        for to, event in other.speak(clock.now):
            if to in (None, process.id):
                process.attendance.hear(event)
        await turns()
        for group, event in process.groups.sent:
            if group in ("presence", "p.other"):
                answer = other.hear(event, clock.now)
                if answer:
                    process.attendance.hear(answer[1])
        process.groups.sent.clear()
        clock.now += 1
        await process.look()

    for _ in range(4):
        await exchange()
    assert other.people(str(ROOM)) == {"ben": "Ben", **process.people()}
    assert process.wires[ada].here[str(ROOM)] == {"ben": "Ben", **process.people()}
    assert [each["display_name"] for each in process.wires[ada].presence[-1]["joined"]] == ["Ben"]
    process.attendance.hear(other.leave()[1])
    await exchange()
    assert process.wires[ada].here[str(ROOM)] == process.people()
    process.groups.sent.clear()
    await process.attendance.leave()
    assert [event["what"] for _, event in process.groups.sent] == ["leaves"]


async def test_a_layer_that_does_not_answer_holds_up_nothing_here(clock: Clock) -> None:
    process = Process()
    stuck = asyncio.Event()

    async def send(_group: str, _event: dict[str, Any]) -> None:
        await stuck.wait()

    process.groups.send = send  # type: ignore[method-assign]
    ada = await process.come()
    for _ in range(5):
        await process.come()
        clock.now += 1
        await process.look()
    assert process.wires[ada].counts[str(ROOM)] == 6
    stuck.set()
    await turns()


async def test_a_process_is_in_the_group_of_all_and_in_one_of_its_own() -> None:
    process = Process()
    await process.attendance.start()
    assert process.groups.joined == ["presence", f"p.{process.id}"]
