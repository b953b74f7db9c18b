"""What waits for a socket: in order, bounded for each and for the process, and never before what is under way."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from accounts.credentials import Credential
from chat import connection as connection_module
from chat.connection import Connection
from chat.outbox import LOSABLE, Budget, Outbox
from chat.protocol import PingEvent
from core.errors import Restart, SlowConsumer
from core.frames import Text
from tenants.actor import Actor
from tenants.roles import BUILTIN, DEFAULT

pytestmark = pytest.mark.once


def text(size: int) -> Text:
    """A frame of so many bytes on the wire, head and all."""
    made = Text("x" * (size - 4))
    assert len(made) == size
    return made


class Given:
    """An outbox that is cleared when it gives up, and how often it did."""

    def __init__(self, budget: Budget, most: int = 10_000) -> None:
        self.times = 0
        self.outbox = Outbox(budget, self._give_up, most)

    def _give_up(self) -> None:
        self.times += 1
        self.outbox.clear()


def bodies(outbox: Outbox) -> list[str]:
    found = []
    while outbox:
        found.append(outbox.next().text)
    return found


def test_frames_leave_in_the_order_in_which_they_came() -> None:
    outbox = Given(Budget()).outbox
    outbox.add(Text("second"))
    outbox.add(Text("third"))
    outbox.put_first(Text("first"))
    outbox.put_last(Text("last"))
    assert bodies(outbox) == ["first", "second", "third", "last"]
    assert not outbox and outbox.size == 0


def test_past_its_own_bound_an_outbox_gives_up() -> None:
    given = Given(Budget(), most=1_000)
    given.outbox.add(text(500))
    given.outbox.add(text(500))
    assert given.times == 0
    given.outbox.add(text(200))
    assert given.times == 1
    assert given.outbox.size == 0


def test_past_the_bound_of_the_process_the_largest_gives_up_whoever_came_last() -> None:
    budget = Budget(most=1_000)
    small, large, late = Given(budget), Given(budget), Given(budget)
    small.outbox.add(text(200))
    large.outbox.add(text(600))
    late.outbox.add(text(300))
    assert [small.times, large.times, late.times] == [0, 1, 0]
    late.outbox.add(text(200))
    assert [small.times, large.times, late.times] == [0, 1, 0], "what it freed is there for the others"


def test_as_many_give_up_as_must() -> None:
    budget = Budget(most=1_000)
    each = [Given(budget) for _ in range(5)]
    for given in each:
        given.outbox.add(text(200))
    one = Given(budget)
    one.outbox.add(text(900))
    assert one.times == 1 and [given.times for given in each] == [0] * 5
    smaller = Given(budget)
    smaller.outbox.add(text(190))
    assert sum(given.times for given in each) == 1


def test_what_is_written_or_cleared_is_given_back_to_the_process() -> None:
    budget = Budget(most=1_000)
    for _ in range(10):
        given = Given(budget)
        given.outbox.add(text(600))
        given.outbox.next()
        given.outbox.add(text(700))
        given.outbox.clear()
        assert given.times == 0


def test_what_may_be_lost_comes_after_the_rest_and_only_the_newest_about_each_thing() -> None:
    outbox = Given(Budget()).outbox
    outbox.add(Text("ada types, once"), "ada")
    outbox.add(Text("bob types"), "bob")
    outbox.add(Text("a message"))
    outbox.add(Text("ada types, again"), "ada")
    assert bodies(outbox) == ["a message", "bob types", "ada types, again"]


def test_what_may_be_lost_is_bounded_too_and_goes_before_the_last_word() -> None:
    given = Given(Budget())
    for n in range(3 * LOSABLE):
        given.outbox.add(Text(f"{n}"), n)
    assert given.times == 0
    found = bodies(given.outbox)
    assert len(found) == LOSABLE and found[0] == "0"
    given.outbox.add(Text("typing"), "ada")
    given.outbox.put_last(Text("bye"))
    assert bodies(given.outbox) == ["bye"]


# --- a connection over it


class Peer:
    """The server's direct sender, which takes as much as the test lets it."""

    def __init__(self) -> None:
        self.taking = True
        self.written: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.free: Callable[[], None] = lambda: None

    def write(self, framed: bytes) -> bool:
        if self.taking:
            head = {126: 4, 127: 10}.get(framed[1], 2)
            self.written.append(framed[head:].decode())
        return self.taking

    def when_free(self, call: Callable[[], None]) -> None:
        self.free = call

    def take_again(self) -> None:
        self.taking = True
        self.free()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


def connected(peer: Peer, budget: Budget | None = None) -> Connection:
    actor = Actor(uuid4(), "Ada", uuid4(), "acme", uuid4(), BUILTIN["member"], DEFAULT, 0, None)
    credential = Credential("jwt", None, uuid4(), None)  # type: ignore[arg-type]  # nobody asks for the person
    return Connection(actor, credential, peer.send, peer, budget or Budget())


async def greeted(peer: Peer, budget: Budget | None = None) -> Connection:
    made = connected(peer, budget)
    made.greet(PingEvent())
    await asyncio.sleep(0)
    peer.written.clear()
    return made


async def test_a_free_socket_is_written_to_at_once() -> None:
    peer = Peer()
    connection = await greeted(peer)
    connection.push(Text("now"))
    assert peer.written == ["now"]


async def test_nothing_is_written_before_the_greeting() -> None:
    peer = Peer()
    connection = connected(peer)
    connection.push(Text("early"))
    await asyncio.sleep(0)
    assert peer.written == []
    connection.greet(PingEvent())
    await asyncio.sleep(0)
    assert [each[:8] for each in peer.written] == ['{"type":', "early"]


async def test_what_comes_while_the_socket_is_full_waits_behind_what_is_under_way() -> None:
    """The one that waits has left the outbox already: one that comes when the socket is free again must not pass it."""
    peer = Peer()
    connection = await greeted(peer)
    peer.taking = False
    connection.push(Text("first"))
    await asyncio.sleep(0.01)
    assert not connection._outbox, "premise: taken out, to be written"
    peer.take_again()
    connection.push(Text("second"))
    await asyncio.sleep(0.01)
    connection.push(Text("third"))
    assert peer.written == ["first", "second", "third"]


async def test_who_does_not_take_what_may_wait_is_told_why_and_closed() -> None:
    peer = Peer()
    connection = await greeted(peer)
    peer.taking = False
    frame = Text("x" * 100_000)
    for _ in range(12):
        connection.push(frame)
        await asyncio.sleep(0)
    assert isinstance(connection.closing, SlowConsumer)
    peer.take_again()
    await asyncio.sleep(0.01)
    assert [json.loads(each)["code"] for each in peer.written if each.startswith("{")] == ["slow_consumer"]
    assert peer.sent == [{"type": "websocket.close", "code": 4408}]
    connection.push(frame)
    assert len(peer.written) <= 2, "at most what was under way, then the reason, then nothing"


async def test_who_takes_nothing_at_all_is_closed_without_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LAST_WORDS", 0.01)
    peer = Peer()
    connection = await greeted(peer)
    peer.taking = False
    connection.push(Text("never read"))
    await asyncio.sleep(0)
    connection.close(Restart())
    await asyncio.sleep(0.1)
    assert peer.sent == [{"type": "websocket.close", "code": 1012}]
    assert peer.written == []


async def test_the_largest_of_the_process_is_closed_for_the_sake_of_the_others() -> None:
    budget, slow, slower = Budget(most=300_000), Peer(), Peer()
    one, other = await greeted(slow, budget), await greeted(slower, budget)
    slow.taking = slower.taking = False
    for connection, size in ((one, 50_000), (other, 120_000), (one, 50_000), (other, 120_000), (other, 120_000)):
        connection.push(Text("x" * size))
    assert one.closing is None
    assert isinstance(other.closing, SlowConsumer)


async def test_commands_under_way_are_answered_before_it_retires() -> None:
    peer = Peer()
    connection = await greeted(peer)
    connection.begin()
    connection.retire(Restart())
    await asyncio.sleep(0.01)
    assert connection.retiring and not peer.sent
    connection.push(Text("the answer"))
    connection.end()
    await asyncio.sleep(0.01)
    assert peer.written[0] == "the answer"
    assert json.loads(peer.written[1])["code"] == "restart"
    assert peer.sent == [{"type": "websocket.close", "code": 1012}]
