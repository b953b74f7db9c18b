"""Who is in a room, across real processes: they come and go before each other's eyes, also when a process is killed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.cast import Cast, Person
from tests.delivering import Rest, here
from tests.processes import Process
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
PROMISED = 30.0
"""Seconds after which whoever's process was killed is gone."""


def told(socket: Socket) -> list[dict[str, Any]]:
    return [event for event in socket.events if event["type"] == "presence"]


async def sees(socket: Socket, room: str, *people: Person, patience: float = 15.0) -> None:
    wanted = {person.id for person in people}
    await socket.until(lambda: here(socket, room) == wanted, patience)


class Stage:
    """Two servers, or one in two parts where the layer is in memory."""

    def __init__(self, servers: list[Process], cast: Cast, opened: AsyncExitStack) -> None:
        self.one, self.other = servers[0], servers[-1]
        self.cast = cast
        self._opened = opened

    async def open(self, server: Process, person: Person, *rooms: str, slug: str = "acme") -> Socket:
        socket = await self._opened.enter_async_context(await Socket.open(server.ws_url, slug, token=person.access))
        for room in rooms:
            await socket.do("subscribe", room=room)
        return socket

    async def rest(self, person: Person) -> Rest:
        return await self._opened.enter_async_context(Rest(self.one, person))


@pytest.fixture(scope="module", params=["real", "embedded"])
def served(request: pytest.FixtureRequest, make_stack: Any) -> Iterator[tuple[list[Process], Cast]]:
    stack, cast = make_stack(request.param)
    servers = stack.serve(2 if request.param == "real" else 1)
    yield servers, cast
    for server in servers:
        assert "Traceback" not in server.log_text()
        assert "presence not told" not in server.log_text()


@pytest_asyncio.fixture
async def stage(served: tuple[list[Process], Cast]) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as opened:
        yield Stage(*served, opened)


async def test_people_see_each_other_come_and_go(stage: Stage) -> None:
    cast = stage.cast
    room = await (await stage.rest(cast.owner)).make_room(cast.member)
    owner = await stage.open(stage.one, cast.owner, room)
    await sees(owner, room, cast.owner)
    member = await stage.open(stage.other, cast.member, room)
    again = await stage.open(stage.one, cast.member, room)
    for socket in (owner, member, again):
        await sees(socket, room, cast.owner, cast.member)
    await member.close()
    await again.do("ping")
    await again.do("unsubscribe", room=room)
    await sees(owner, room, cast.owner)


async def test_whoever_is_removed_is_gone_for_the_others_and_told_nothing_more(stage: Stage) -> None:
    cast = stage.cast
    rest = await stage.rest(cast.owner)
    room = await rest.make_room(cast.member, cast.guest)
    owner = await stage.open(stage.one, cast.owner, room)
    member = await stage.open(stage.other, cast.member, room)
    for socket in (owner, member):
        await sees(socket, room, cast.owner, cast.member)
    await rest.remove(room, cast.member)
    await member.event("room.removed")
    before = len(told(member))
    await sees(owner, room, cast.owner)
    await stage.open(stage.other, cast.guest, room)
    await sees(owner, room, cast.owner, cast.guest)
    await member.settle()
    assert len(told(member)) == before
    assert (await member.ask("subscribe", room=room))["code"] == "not_found"


async def test_nobody_is_told_of_or_counted_in_a_room_they_do_not_read(stage: Stage) -> None:
    """Not the admin who knows of it, nor a stranger, nor another organization, asking or not."""
    cast = stage.cast
    room = await (await stage.rest(cast.owner)).make_room(cast.member)
    outside = [await stage.open(stage.other, person) for person in (cast.admin, cast.lurker, cast.moderator)]
    outside.append(await stage.open(stage.other, cast.both, slug="globex"))
    for socket in outside:
        assert (await socket.ask("subscribe", room=room))["type"] == "error"
    owner = await stage.open(stage.one, cast.owner, room)
    member = await stage.open(stage.other, cast.member, room)
    for socket in (owner, member):
        await sees(socket, room, cast.owner, cast.member)
    for socket in outside:
        await socket.settle()
        assert told(socket) == []


async def test_many_who_come_at_once_are_a_few_events_to_each(stage: Stage) -> None:
    cast = stage.cast
    people = [cast.owner, cast.member, cast.guest, cast.moderator, cast.both]
    room = await (await stage.rest(cast.owner)).make_room(*people[1:])
    witness = await stage.open(stage.one, cast.owner, room)
    await sees(witness, room, cast.owner)
    began, before = time.monotonic(), len(told(witness))
    sockets = [await stage.open([stage.one, stage.other][n % 2], people[n % 5]) for n in range(40)]
    await asyncio.gather(*(socket.do("subscribe", room=room) for socket in sockets))
    for socket in [witness, *sockets]:
        await sees(socket, room, *people)
    seconds = time.monotonic() - began
    assert len(told(witness)) - before <= min(4, seconds + 1), "there are four others"


async def scene(make_stack: Any, *ends: str) -> None:
    """Two people at two processes, of which one ends; the other sees them gone, and back on a new process."""
    stack, cast = make_stack("real")
    stays, goes = stack.serve(2)
    async with AsyncExitStack() as opened:
        stage = Stage([stays, goes], cast, opened)
        room = await (await stage.rest(cast.owner)).make_room(cast.member)
        owner, member = await stage.open(stays, cast.owner, room), await stage.open(goes, cast.member, room)
        for socket in (owner, member):
            await sees(socket, room, cast.owner, cast.member)
        for end in ends:
            began = time.monotonic()
            if end == "killed":
                goes.kill()
            else:
                await asyncio.to_thread(goes.terminate)
                began = time.monotonic()
            await sees(owner, room, cast.owner, patience=PROMISED if end == "killed" else 3)
            assert time.monotonic() - began < PROMISED
            (goes,) = stack.serve(1)
            again = await stage.open(goes, cast.member, room)
            for socket in (owner, again):
                await sees(socket, room, cast.owner, cast.member)


@pytest.mark.long
async def test_whoever_was_at_a_process_that_is_killed_is_gone_within_30_seconds(make_stack: Any) -> None:
    await scene(make_stack, "killed")


async def test_a_process_that_is_stopped_takes_its_people_with_it_at_once(make_stack: Any) -> None:
    await scene(make_stack, "stopped")


@pytest.mark.long
async def test_presence_lives_on_within_a_process_without_the_layer_and_mends_with_it(make_stack: Any) -> None:
    stack, cast = make_stack("real", CACHE_URL="")
    servers = stack.serve(2)
    async with AsyncExitStack() as opened:
        stage = Stage(servers, cast, opened)
        room = await (await stage.rest(cast.owner)).make_room(cast.member, cast.guest)
        owner = await stage.open(stage.one, cast.owner, room)
        member = await stage.open(stage.other, cast.member, room)
        for socket in (owner, member):
            await sees(socket, room, cast.owner, cast.member)
        stack.redis.stop()
        guest = await stage.open(stage.one, cast.guest, room)
        await owner.until(lambda: cast.guest.id in (here(owner, room) or ()), 10)
        await sees(owner, room, cast.owner, cast.guest, patience=PROMISED)
        await member.do("unsubscribe", room=room)
        await member.do("subscribe", room=room)
        stack.redis.start()
        for socket in (owner, member, guest):
            await sees(socket, room, cast.owner, cast.member, cast.guest, patience=PROMISED)


@pytest.mark.long
async def test_over_a_layer_that_lies_everyone_comes_to_see_the_same(make_stack: Any) -> None:
    stack, cast = make_stack("real")
    servers = stack.serve(2, "serve", "--settings=tests.settings_lying")
    people = [cast.owner, cast.member, cast.guest]
    async with AsyncExitStack() as opened:
        stage = Stage(servers, cast, opened)
        room = await (await stage.rest(cast.owner)).make_room(*people[1:])
        sockets = [await stage.open(servers[n % 2], person, room) for n, person in enumerate(people)]
        for _ in range(5):
            await sockets[1].do("unsubscribe", room=room)
            await asyncio.sleep(1.2)
            sockets[1].events.clear()
            await sockets[1].do("subscribe", room=room)
            await asyncio.sleep(1.2)
        for socket in sockets:
            await sees(socket, room, *people, patience=PROMISED)
