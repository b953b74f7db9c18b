"""The hub's parts in one event loop, with a layer and a database that answer when and what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from accounts.credentials import Credential
from chat import feeds, groups, hub, watch
from chat.connection import Connection
from chat.consumers import ChatConsumer, Dialogue
from chat.duties import Duties
from chat.feed import RoomEvent
from chat.hello import Greeting
from chat.hub import Hub
from chat.protocol import PingEvent, RoomAdded
from chat.reads import Head, Missed, Right
from chat.watch import WATCH
from core.errors import Revoked, Unavailable
from core.frames import Text
from tenants.actor import Actor
from tenants.roles import BUILTIN, DEFAULT

pytestmark = pytest.mark.once
ROOM = uuid4()


class Layer:
    """Fails, waits for ever, or says nothing more as long as the test says so."""

    def __init__(self) -> None:
        self.away = self.silent = self.deaf = False
        self.failures = 0
        self.groups: set[str] = set()
        self.calls: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.arriving: asyncio.Queue[Any] = asyncio.Queue()

    async def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.silent:
            await asyncio.Event().wait()
        if self.away or self.failures:
            self.failures = max(0, self.failures - 1)
            raise ConnectionError("away")

    async def new_channel(self, prefix: str) -> str:
        await self._called("new_channel")
        return prefix

    async def group_add(self, group: str, channel: str) -> None:
        await self._called("group_add")
        self.groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._called("group_discard")
        self.groups.discard(group)

    async def group_send(self, group: str, event: dict[str, Any]) -> None:
        await self._called("group_send")
        if event.get("type") != WATCH:
            self.sent.append(event)
        elif group in self.groups and not self.deaf:
            self.arriving.put_nowait(event)

    async def reconnect(self, host: int) -> None:
        self.calls.append("reconnect")
        self.groups.clear()

    async def receive(self, channel: str) -> Any:
        return await self.arriving.get()


class Database:
    """Stands in for `run`: each read waits while it is held, then answers what the test has set."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"alive": set, "reread_all": {}, "rights": {}, "missed": None, "_shape": None}
        self.answers["greeting"] = lambda actor, *_: Greeting(actor, PingEvent())  # type: ignore[arg-type]
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        self.asked.append(fn.__name__)
        answer = self.answers[fn.__name__]
        await self.open.wait()
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(*args) if callable(answer) else answer

    async def until_asked(self, name: str) -> None:
        await until(lambda: name in self.asked)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(hub, "get_channel_layer", lambda: made)
    monkeypatch.setattr(hub, "carry_with", lambda _carrier: None)
    monkeypatch.setattr(groups, "PATIENCE", 0.05)
    monkeypatch.setattr(groups, "PAUSE", 0.01)
    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    monkeypatch.setattr(watch, "PERIOD", 0.0)
    monkeypatch.setattr(feeds, "OVERTAKING", 0.001)
    return made


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(hub, "run", made.run)
    monkeypatch.setattr(feeds, "run", made.run)
    return made


@pytest_asyncio.fixture
async def here(layer: Layer, database: Database) -> AsyncIterator[Hub]:
    made = Hub()
    made.start()
    yield made
    for task in list(made.duties._tasks):
        task.cancel()
    await asyncio.gather(*made.duties._tasks, return_exceptions=True)


class Ear(Connection):
    """A connection whose frames can be looked at."""

    def __init__(self, actor: Actor | None = None) -> None:
        self.written: list[dict[str, Any]] = []
        credential = Credential("jwt", None, uuid4(), None)  # type: ignore[arg-type]  # nobody asks for the person
        super().__init__(actor or someone(), credential, self._take)

    async def _take(self, message: dict[str, Any]) -> None:
        self.written.append(message)

    @property
    def queued(self) -> list[str]:
        """The types of the frames that were written or wait for it; of messages, their texts."""
        written = [message["text"] for message in self.written if "text" in message]
        return [_kind(text) for text in [*written, *(frame.text for frame in self._outbox._frames)]]


def _kind(text: str) -> str:
    try:
        return str(msgspec.json.decode(text)["type"])
    except msgspec.DecodeError:
        return text


def someone(role: str = "member") -> Actor:
    return Actor(uuid4(), "Ada", uuid4(), "acme", uuid4(), BUILTIN[role], DEFAULT, 0, None)


def greeted(actor: Actor | None = None) -> Ear:
    ear = Ear(actor)
    ear.greet(PingEvent())
    ear._outbox.clear()
    return ear


async def subscribed(to: Hub, ear: Ear, rev: int = 0, readers: int = 0, visible_from: int = 1) -> feeds.Subscription:
    subscription = await to.feeds.register(ear, ROOM, Head(rev, readers))
    to.feeds.begin(subscription, rev, Right(readers, visible_from, True))
    return subscription


def said(rev: int, readers: int = 0) -> RoomEvent:
    return RoomEvent.made(rev, rev, readers, [(rev, rev, f"message {rev}")])


async def turns(times: int = 20) -> None:
    """Let everything that can run, run."""
    for _ in range(times):
        await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to be")


# The layer.


@pytest.mark.parametrize("loss", ["away", "silent"])
async def test_a_layer_that_is_lost_at_the_start_holds_nobody_up_and_is_joined_later(layer: Layer, loss: str) -> None:
    setattr(layer, loss, True)
    made = groups.Groups(layer)
    listening = asyncio.ensure_future(made.listen(lambda _event: None))
    async with asyncio.timeout(1):
        await made.join("a")
        await until(lambda: made.watch.lost)
        before = len(layer.calls)
        await made.join("b")
        assert layer.calls[before:].count("group_add") == 0, "nobody waits for a layer that is known to be lost"
    setattr(layer, loss, False)
    await until(made._ready.is_set)
    await made.tend()
    assert layer.groups > {"a", "b"}
    assert not made.watch.lost
    listening.cancel()


async def test_a_layer_that_is_lost_is_tried_by_its_watch_alone(here: Hub, layer: Layer) -> None:
    await here.groups.join("first")
    layer.away = True
    for number in range(50):
        await here.groups.join(f"group {number}")
    before = len(layer.calls)
    await here.groups.tend()
    assert layer.calls[before:] == ["reconnect", "group_add"]
    layer.away = False
    await here.groups.tend()
    assert len(layer.groups) == 53, "all of them, the control group and the watch's"
    assert not here.groups.watch.lost


async def test_a_layer_that_takes_everything_and_brings_nothing_is_noticed_and_left_for_a_new_connection(
    here: Hub, layer: Layer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """As with a subscription whose connection a firewall forgot: nothing ever fails."""
    await here.groups.join("a")
    await here.groups.tend()
    assert await here.groups.watch.works()
    layer.deaf = True
    await here.groups.tend()
    assert not here.groups.watch.lost, "one may be late because this process was busy"
    await here.groups.tend()
    assert here.groups.watch.lost and here.groups.watch.turned.is_set()
    here.groups.watch.turned.clear()
    for _ in range(3):
        await here.groups.send("a", {"type": "conclave.room"})
        await here.groups.tend()
    assert here.groups.watch.lost and not here.groups.watch.turned.is_set(), "what goes out proves nothing"
    layer.deaf = False
    await here.groups.tend()
    assert not here.groups.watch.lost and here.groups.watch.turned.is_set()
    assert "a" in layer.groups, "joined anew: a new connection knows of no group"
    said = "".join([*capsys.readouterr(), caplog.text])
    assert said.count("channel layer lost") == said.count("channel layer back") == 1


async def test_a_late_echo_of_an_earlier_try_is_not_taken_for_the_newest(here: Hub, layer: Layer) -> None:
    await here.groups.join("a")
    await here.groups.tend()
    layer.deaf = True
    (host,) = here.groups.watch._hosts
    late = {"type": WATCH, "sent": f"{host.group} {host.sent}"}
    for _ in range(watch.MISSES):
        asyncio.get_running_loop().call_later(watch.PATIENCE / 2, layer.arriving.put_nowait, late)
        await here.groups.tend()
    assert here.groups.watch.lost


async def test_many_who_wait_for_one_group_do_not_wait_one_after_the_other(here: Hub, layer: Layer) -> None:
    await here.groups._ready.wait()
    layer.silent = True
    async with asyncio.timeout(groups.PATIENCE * 10):
        await asyncio.gather(*(here.groups.join("crowded") for _ in range(100)))
    assert layer.calls.count("group_add") <= 2, "the control group's, and one"


async def test_a_publish_is_tried_again_once_where_the_connection_was_dead(here: Hub, layer: Layer) -> None:
    await here.groups._ready.wait()
    layer.failures = 1
    await here.groups.send("a", {"n": 1})
    assert layer.sent == [{"n": 1}]
    layer.failures = 2
    await here.groups.send("a", {"n": 2})
    assert layer.sent == [{"n": 1}], "and not for ever"


async def test_a_group_is_kept_for_a_while_renewed_and_left_in_the_end(
    here: Hub, layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.groups.join("a")
    here.groups.leave("a")
    await here.groups.tend()
    assert "a" in layer.groups
    await here.groups.join("a")
    monkeypatch.setattr(groups, "LINGER", 0.0)
    await here.groups.tend()
    assert "a" in layer.groups, "it is wanted again"
    layer.groups.discard("a")
    monkeypatch.setattr(groups, "RENEWAL", 0.0)
    await here.groups.tend()
    assert "a" in layer.groups, "the layer had forgotten it"
    here.groups.leave("a")
    await here.groups.tend()
    assert "a" not in layer.groups
    assert not here.groups._locks.keys() - {"control"}


@pytest.mark.parametrize("event", [{}, {"type": "conclave.room"}, {"type": "conclave.seat", "seat": 5}, {"type": {}}])
async def test_an_event_that_cannot_be_read_does_not_end_the_listening(
    here: Hub, layer: Layer, event: dict[str, Any]
) -> None:
    ear = greeted()
    await subscribed(here, ear)
    await layer.arriving.put(event)
    whole = {"type": "conclave.room", "room": str(ROOM), "first": 1, "last": 1, "readers": 0, "frames": [[1, 1, "m"]]}
    await layer.arriving.put(whole)
    await until(lambda: ear.queued == ["m"])


async def test_what_this_process_said_itself_is_not_heard_twice(here: Hub, layer: Layer) -> None:
    ear = greeted()
    here.seats[ear.actor.seat].add(ear)
    event = {"type": "conclave.seat", "seat": str(ear.actor.seat), "text": "told", "room": None, "version": None}
    here.emit("u.seat", event)
    await until(lambda: bool(layer.sent))
    await layer.arriving.put(layer.sent[0])
    await layer.arriving.put(event | {"text": "told by another process"})
    await until(lambda: "told by another process" in ear.queued)
    assert ear.queued == ["told", "told by another process"]


# Duties.


async def test_a_duty_asked_for_while_it_is_done_is_done_once_more() -> None:
    duties, done = Duties(), []
    go = asyncio.Event()

    async def work(name: str) -> None:
        done.append(name)
        await go.wait()

    duties.once("duty", ROOM, lambda: work("first"))
    await turns()
    for name in ("second", "third"):
        duties.once("duty", ROOM, lambda name=name: work(name))  # type: ignore[misc]
    duties.once("duty", uuid4(), lambda: work("of another room"))
    await turns()
    assert done == ["first", "of another room"]
    go.set()
    await turns()
    assert done == ["first", "of another room", "third"]
    duties.once("duty", ROOM, lambda: work("later"))
    await turns()
    assert done[-1] == "later"


@pytest.mark.parametrize(("error", "word"), [(Unavailable(), "without the database"), (ValueError("x"), "task failed")])
async def test_a_duty_that_fails_says_so_and_can_be_done_again(
    error: Exception, word: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    duties, done = Duties(), []

    async def fail() -> None:
        raise error

    async def work() -> None:
        done.append(1)

    duties.once("duty", ROOM, fail)
    await turns()
    said = capsys.readouterr()
    assert word in said.out + said.err + caplog.text
    duties.once("duty", ROOM, work)
    await turns()
    assert done


# Connections.


async def test_hello_is_first_whatever_is_told_before_it() -> None:
    ear = Ear()
    ear.push(Text("early"))
    await turns()
    assert ear.written == []
    ear.greet(PingEvent())
    ear.push(Text("late"))
    await turns()
    assert [_kind(message["text"]) for message in ear.written] == ["ping", "early", "late"]
    ear.stop()


async def test_who_is_closed_before_hello_hears_only_why() -> None:
    ear = Ear()
    ear.push(Text("early"))
    ear.close(Revoked())
    ear.greet(PingEvent())
    await turns()
    assert [_kind(message["text"]) for message in ear.written[:-1]] == ["bye"]
    assert ear.written[-1] == {"type": "websocket.close", "code": 4411}


async def test_a_frame_that_comes_after_the_end_was_decided_is_not_obeyed(
    here: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    obeyed: list[str | None] = []

    async def hear(_self: Dialogue, text: str | None, _data: bytes | None) -> None:
        obeyed.append(text)
        ear.close(Revoked())

    async def begin(_hub: Hub, _connection: Connection) -> None:
        pass

    monkeypatch.setattr(Dialogue, "hear", hear)
    monkeypatch.setattr("chat.consumers._begin", begin)
    ear = greeted()
    frames = iter([{"type": "websocket.receive", "text": text} for text in ("before", "after")])

    async def receive() -> Any:
        return next(frames, {"type": "websocket.disconnect"})

    await ChatConsumer()._serve(here, ear, {"url_route": {"kwargs": {}}}, receive)
    assert obeyed == ["before"]


async def test_what_ended_between_the_handshake_and_the_listening_is_noticed(here: Hub, database: Database) -> None:
    ear, other = Ear(), Ear()
    await here.connect(ear)
    assert ear.queued == ["ping"]
    database.answers["greeting"] = Revoked()
    with pytest.raises(Revoked):
        await here.connect(other)
    assert other.queued == []


async def test_a_seat_that_changes_while_it_is_read_for_the_greeting_is_read_again(
    here: Hub, database: Database
) -> None:
    ear = Ear()
    newer = replace(ear.actor, role=BUILTIN["admin"], seat_version=2)
    database.answers["reread_all"] = {ear.actor.seat: newer}
    database.open.clear()
    connecting = asyncio.ensure_future(here.connect(ear))
    await database.until_asked("greeting")
    ear.follow(actor=replace(ear.actor, seat_version=1))
    database.open.set()
    await connecting
    assert ear.actor == newer
    assert ear.queued[:2] == ["ping", "role.changed"]


async def test_a_login_that_comes_while_the_logins_are_read_is_not_taken_for_ended(
    here: Hub, database: Database
) -> None:
    first, second = greeted(), greeted()
    here.logins[first.credential.sid].add(first)
    database.answers["alive"] = lambda asked: {first.credential.sid} & set(asked)
    database.open.clear()
    looking = asyncio.ensure_future(here.check_logins(here.logins))
    await database.until_asked("alive")
    here.logins[second.credential.sid].add(second)
    database.open.set()
    await looking
    assert first.closing is None and second.closing is None
    await here.check_logins(here.logins)
    assert second.closing, "had it been there before, it would have been"


async def test_an_older_look_at_a_seat_does_not_undo_a_newer_event(here: Hub, database: Database) -> None:
    ear = greeted()
    here.seats[ear.actor.seat].add(ear)
    before, after = ear.actor, replace(ear.actor, seat_version=1)
    looks = iter([before, after])
    database.answers["reread_all"] = lambda _asked: {ear.actor.seat: next(looks)}
    database.open.clear()
    looking = asyncio.ensure_future(here.check_seats([ear.actor.seat]))
    await database.until_asked("reread_all")
    here._hear({"type": "conclave.seat", "seat": str(ear.actor.seat), "text": "told", "room": None, "version": 1})
    database.open.set()
    await looking
    assert ear.actor.seat_version == 1
    assert ear.queued == ["told"], "nothing was missed, so nothing has to be asked for anew"


async def test_a_seat_whose_events_were_lost_is_told_to_ask_anew(here: Hub, database: Database) -> None:
    ear = greeted()
    here.seats[ear.actor.seat].add(ear)
    database.answers["reread_all"] = {ear.actor.seat: replace(ear.actor, seat_version=3)}
    await here.check_seats([ear.actor.seat])
    await here.check_seats([ear.actor.seat])
    assert ear.queued == ["resync"]


async def test_a_room_left_while_it_is_being_described_is_not_added(here: Hub, database: Database) -> None:
    ear = greeted()
    seat = ear.actor.seat
    here.seats[seat].add(ear)
    shapes = iter([{"id": str(ROOM)}, None])
    database.answers["_shape"] = lambda _actor, _room: next(shapes)
    database.open.clear()
    telling = asyncio.ensure_future(here.tell_room(seat, ROOM, RoomAdded))
    await database.until_asked("_shape")
    here._hear({"type": "conclave.seat", "seat": str(seat), "text": "removed", "room": None, "version": 1})
    database.open.set()
    await telling
    assert ear.queued == ["removed"]
    assert database.asked.count("_shape") == 2


# Feeds.


async def test_a_subscription_replaced_while_its_right_is_read_says_nothing_twice(
    here: Hub, database: Database
) -> None:
    ear = greeted()
    await subscribed(here, ear)
    database.open.clear()
    here.feeds.receive(ROOM, RoomEvent(1, 1, 1, ()))
    here.feeds.receive(ROOM, said(2, readers=1))
    await database.until_asked("rights")
    await subscribed(here, ear, rev=2, readers=1)
    database.answers["rights"] = {ear.actor.seat: Right(1, 1, True)}
    database.open.set()
    await turns()
    here.feeds.receive(ROOM, said(3, readers=1))
    assert ear.queued == ["message 3"]


async def test_who_may_no_longer_read_is_put_out_and_who_may_goes_on(here: Hub, database: Database) -> None:
    goes, stays = greeted(), greeted()
    for ear in (goes, stays):
        await subscribed(here, ear)
    database.answers["rights"] = {stays.actor.seat: Right(1, 1, True)}
    here.feeds.receive(ROOM, RoomEvent(1, 1, 1, ()))
    here.feeds.receive(ROOM, said(2, readers=1))
    await until(lambda: goes.queued == ["room.removed"] and stays.queued == ["message 2"])
    assert ROOM not in goes.subscriptions and ROOM in stays.subscriptions


async def test_who_came_back_with_another_past_subscribes_anew(here: Hub, database: Database) -> None:
    ear = greeted()
    await subscribed(here, ear, visible_from=1)
    database.answers["rights"] = {ear.actor.seat: Right(1, 7, True)}
    here.feeds.receive(ROOM, RoomEvent(1, 1, 1, ()))
    await until(lambda: ear.queued == ["resync"])
    assert not ear.subscriptions and not here.feeds.rooms


async def test_a_gap_is_read_from_the_database_and_too_wide_a_one_is_not(here: Hub, database: Database) -> None:
    ear = greeted()
    await subscribed(here, ear)
    database.answers["missed"] = Missed(Head(2, 0), RoomEvent(1, 2, 0, said(1).frames + said(2).frames))
    here.feeds.receive(ROOM, said(2))
    await until(lambda: ear.queued == ["message 1", "message 2"])
    database.answers["missed"] = Missed(Head(900, 0), None)
    here.feeds.notice(ROOM, Head(900, 0))
    await until(lambda: ear.queued[2:] == ["resync"])
    assert not here.feeds.rooms


async def test_who_is_about_to_begin_when_a_feed_is_given_up_subscribes_anew(here: Hub) -> None:
    ear, begun = greeted(), greeted()
    waiting = await here.feeds.register(ear, ROOM, Head(0, 0))
    await subscribed(here, begun)
    here.feeds.give_up_all()
    assert begun.queued == ["resync"]
    here.feeds.begin(waiting, 0, Right(0, 1, True))
    assert ear.queued == ["resync"]
    assert not ear.subscriptions and not here.feeds.rooms


@pytest.mark.parametrize("look", ["rights", "missed"])
async def test_a_database_older_than_what_was_heard_is_believed_and_not_asked_for_ever(
    here: Hub, database: Database, look: str
) -> None:
    """As after a restore under running servers."""
    ear = greeted()
    await subscribed(here, ear, rev=9, readers=5)
    if look == "rights":
        database.answers["rights"] = {ear.actor.seat: Right(2, 1, True)}
        here.feeds.change(ROOM, 6)
    else:
        database.answers["missed"] = Missed(Head(4, 0), RoomEvent(10, 4, 0, ()))
        here.feeds.receive(ROOM, said(11, readers=5))
    await until(lambda: "resync" in ear.queued)
    await turns()
    assert database.asked.count(look) == 1


async def test_a_failing_look_is_repeated_by_the_next_sweep(here: Hub, database: Database) -> None:
    ear = greeted()
    await subscribed(here, ear)
    database.answers["rights"] = Unavailable()
    here.feeds.receive(ROOM, RoomEvent(1, 1, 1, ()))
    here.feeds.receive(ROOM, said(2, readers=1))
    await database.until_asked("rights")
    await turns()
    assert ear.queued == []
    database.answers["rights"] = {ear.actor.seat: Right(1, 1, True)}
    here.feeds.notice(ROOM, Head(2, 1))
    await until(lambda: ear.queued == ["message 2"])


async def test_two_changes_of_a_room_in_quick_succession_end_in_the_newest_look(here: Hub, database: Database) -> None:
    ear = greeted()
    here.seats[ear.actor.seat].add(ear)
    await subscribed(here, ear)
    told: list[str] = []
    names = iter(["old", "new", "new"])
    database.answers["rights"] = lambda _room, seats: dict.fromkeys(seats, Right(2, 1, True))

    async def tell_room(_seat: UUID, _room: UUID, _event: Any) -> None:
        name = next(names)
        await database.open.wait()
        told.append(name)

    here.feeds._tell_room = tell_room
    database.open.clear()
    here.feeds.change(ROOM, 1)
    await turns()
    here.feeds.change(ROOM, 2)
    database.open.set()
    await until(lambda: "new" in told)
    assert told[0] == "old", "the first look was under way when the second change came"


async def test_an_abandoned_registration_leaves_nothing_behind(here: Hub, layer: Layer) -> None:
    layer.silent = True
    ear = greeted()
    registering = asyncio.ensure_future(here.feeds.register(ear, ROOM, Head(0, 0)))
    await turns()
    assert here.feeds.rooms == [ROOM]
    registering.cancel()
    await asyncio.gather(registering, return_exceptions=True)
    assert here.feeds.rooms == []
    subscription = await here.feeds.register(ear, ROOM, Head(0, 0))
    here.feeds.abandon(subscription)
    here.feeds.abandon(subscription)
    assert here.feeds.rooms == []


async def test_a_socket_that_goes_takes_everything_of_it_along(here: Hub, database: Database) -> None:
    ear = greeted()
    database.answers["reread_all"] = {ear.actor.seat: ear.actor}
    database.answers["alive"] = set
    await here.connect(ear)
    await subscribed(here, ear)
    here.disconnect(ear)
    assert not here.feeds.rooms and not here.seats and not here.logins and not here.connections
