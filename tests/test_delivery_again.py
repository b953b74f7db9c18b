"""Coming back: cut in the midst of writes, a client goes on from its cursor and holds what a fresh read shows."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.cast import Cast, Person
from tests.delivering import Rest, assert_folded, everyone
from tests.processes import Process, Stack
from tests.sockets import Room, Socket

pytestmark = pytest.mark.once  # chooses its stacks itself


class Stage(NamedTuple):
    stack: Stack
    servers: list[Process]
    cast: Cast
    rest: Rest


@pytest.fixture(scope="module", params=["real", "embedded"])
def served(request: pytest.FixtureRequest, make_stack: Any) -> Iterator[tuple[Stack, list[Process], Cast]]:
    stack, cast = make_stack(request.param, HUB_SWEEP_SECONDS="2")
    servers = stack.serve(2 if request.param == "real" else 1)
    yield stack, servers, cast
    assert not [server for server in servers if "Traceback" in server.log_text()]


@pytest_asyncio.fixture
async def stage(served: tuple[Stack, list[Process], Cast]) -> AsyncIterator[Stage]:
    stack, servers, cast = served
    async with Rest(servers[0], cast.owner) as rest:
        yield Stage(stack, servers, cast, rest)


class Traveller:
    """A client that loses its connection and keeps what it holds."""

    def __init__(self, stage: Stage, person: Person, room: str, seed: int) -> None:
        self.stage, self.person, self.room = stage, person, room
        self.random = random.Random(seed)
        self.held = Room()
        self.pages = 0
        self.socket: Socket | None = None

    async def come(self) -> Socket:
        """By command or by address, at any of the servers, in small pages."""
        server, by_address = self.random.choice(self.stage.servers), self.random.random() < 0.5
        cursor = self.held.cursor
        query = f"?epoch={cursor['epoch']}&since={cursor['rev']}" if cursor else ""
        path = f"rooms/{self.room}/{query}" if by_address else ""
        self.socket = socket = await Socket.open(server.ws_url, token=self.person.access, path=path)
        socket.rooms[self.room] = self.held
        if by_address:
            result = await self._answer_to_url(socket)
        else:
            result = await self._ask(socket)
        while result["more"]:
            self.pages += 1
            result = await self._ask(socket)
        return socket

    async def _answer_to_url(self, socket: Socket) -> Any:
        await socket.until(lambda: bool(socket._unasked))
        answer = socket._unasked.pop()
        assert answer["type"] == "ok" and answer["id"] == "url"
        return answer["result"]

    async def _ask(self, socket: Socket) -> Any:
        since = {"since": self.held.cursor} if self.held.cursor else {}
        return await socket.do("subscribe", room=self.room, limit=self.random.randint(1, 7), **since)

    async def cut(self) -> None:
        assert self.socket
        self.socket.wire.transport.abort()
        await asyncio.wait_for(self.socket._task, 10)

    async def travel(self, done: asyncio.Event) -> Socket:
        while not done.is_set():
            socket = await self.come()
            for _ in range(self.random.randint(0, 12)):
                await socket.settle()
            await self.cut()
        return await self.come()


async def write(stage: Stage, room: str, changes: int, seed: int) -> None:
    """Sends, edits and deletes over a socket of its own."""
    chance, own = random.Random(seed), list[str]()
    server = stage.servers[seed % len(stage.servers)]
    async with await Socket.open(server.ws_url, token=stage.cast.owner.access) as socket:
        for n in range(changes):
            do = chance.random()
            if do < 0.6 or not own:
                sent = await socket.do("message.send", room=room, body=f"{seed}:{n}", nonce=uuid4().hex)
                own.append(sent["message"]["id"])
            elif do < 0.9:
                await socket.do("message.edit", message=chance.choice(own), body=f"{seed}:{n}, edited")
            else:
                await socket.do("message.delete", message=own.pop(0))


async def travel(stage: Stage, changes: int, travellers: int) -> None:
    room = await stage.rest.make_room(stage.cast.member)
    going = [Traveller(stage, stage.cast.member, room, seed) for seed in range(travellers)]
    done = asyncio.Event()

    async def write_all() -> None:
        await everyone(*(write(stage, room, changes, seed) for seed in (1, 2)))
        done.set()

    *sockets, _ = await everyone(*(each.travel(done) for each in going), write_all())
    try:
        await assert_folded(stage.rest, room, *sockets)
        assert sum(each.pages for each in going), "something came in more than one page"
    finally:
        for socket in sockets:
            await socket.close()


async def test_cut_at_any_point_a_client_goes_on_from_its_cursor(stage: Stage) -> None:
    await travel(stage, changes=60, travellers=3)


@pytest.mark.long
async def test_cut_often_during_many_writes(stage: Stage) -> None:
    await travel(stage, changes=400, travellers=6)


async def test_a_page_that_is_not_the_last_one_subscribes_to_nothing(stage: Stage) -> None:
    room = await stage.rest.make_room(stage.cast.member)
    async with await Socket.open(stage.servers[-1].ws_url, token=stage.cast.member.access) as socket:
        start = await socket.do("subscribe", room=room)
        for n in range(5):
            await stage.rest.send(room, f"{n}")
        await socket.until(lambda: len(socket.rooms[room].messages) == 5)
        since = {"epoch": start["epoch"], "rev": start["rev"]}
        page = await socket.do("subscribe", room=room, since=since, limit=2)
        assert page["more"] and len(page["messages"]) == 2
        sent = await stage.rest.send(room, "not heard")
        await socket.settle()
        while page["more"]:
            since = {"epoch": page["epoch"], "rev": page["rev"]}
            page = await socket.do("subscribe", room=room, since=since, limit=2)
        assert sent["rev"] not in socket.rooms[room].revs, "it came in a page, not as an event"
        await stage.rest.send(room, "heard again")
        await assert_folded(stage.rest, room, socket)


async def test_many_rooms_at_once_share_one_answer_and_nobody_is_cut_off_by_its_size(stage: Stage) -> None:
    rooms = await everyone(*(stage.rest.make_room(stage.cast.member) for _ in range(12)))
    async with await Socket.open(stage.servers[0].ws_url, token=stage.cast.member.access) as socket:
        starts = (await socket.do("subscribe", rooms=[{"room": room} for room in rooms]))["rooms"]
    await everyone(*(stage.rest.send(room, "🦊" * 7_000) for room in rooms))
    asked = [{"room": each["room"], "since": {"epoch": each["epoch"], "rev": each["rev"]}} for each in starts]
    async with await Socket.open(stage.servers[0].ws_url, token=stage.cast.member.access) as socket:
        pages = (await socket.do("subscribe", rooms=asked))["rooms"]
        more = [page for page in pages if page["more"]]
        assert more and len(more) < len(rooms), "some fit, the others are told to ask again"
        for page in more:
            since = {"epoch": page["epoch"], "rev": page["rev"]}
            again = await socket.do("subscribe", room=page["room"], since=since)
            assert not again["more"]
        for room in rooms:
            await assert_folded(stage.rest, room, socket)


async def test_after_a_restore_live_sockets_are_told_and_old_cursors_mean_nothing(stage: Stage) -> None:
    room = await stage.rest.make_room(stage.cast.member)
    sockets = [await Socket.open(each.ws_url, token=stage.cast.member.access) for each in stage.servers]
    for socket in sockets:
        await socket.do("subscribe", room=room)
    await stage.rest.send(room, "before")
    for socket in sockets:
        await socket.until(lambda held=socket.rooms[room]: len(held.messages) == 1)
        await socket.settle()
    before = dict(sockets[0].rooms[room].cursor or {})
    assert not (await sockets[0].do("subscribe", room=room, since=before))["reset"], "until now it means something"
    renewed = await asyncio.to_thread(stage.stack.manage, "epoch", "new")
    assert renewed.returncode == 0, renewed.stderr
    for socket in sockets:
        await socket.until(lambda heard=socket.events: _resyncs(heard) >= {room, None})
        result = await socket.do("subscribe", room=room, since=before)
        assert result["reset"] and result["epoch"] != before["epoch"]
        assert (await socket.do("hello"))["epoch"] == result["epoch"]
    await stage.rest.send(room, "after")
    await assert_folded(stage.rest, room, *sockets)
    for socket in sockets:
        await socket.close()


def _resyncs(events: list[dict[str, Any]]) -> set[str | None]:
    return {event.get("room") for event in events if event["type"] == "resync"}


async def test_a_cursor_above_the_head_or_too_far_below_starts_anew(stage: Stage) -> None:
    room = await stage.rest.make_room()
    await stage.rest.send(room, "here")
    async with await Socket.open(stage.servers[0].ws_url, token=stage.cast.owner.access) as socket:
        result = await socket.do("subscribe", room=room)
        for rev, reset in ((result["rev"], False), (0, False), (result["rev"] + 1, True), (2**53 - 1, True)):
            since = {"epoch": result["epoch"], "rev": rev}
            assert (await socket.do("subscribe", room=room, since=since))["reset"] is reset
