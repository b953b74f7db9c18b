"""Without Redis: writes go on, everyone catches up by the sweep, readiness says so; with it, all is live again."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from tests.cast import Cast
from tests.delivering import Rest, assert_folded
from tests.processes import Process, Stack
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
SWEEP = 5.0
SLACK = 3.0
"""For a machine that is busy with other tests."""
NEVER = "86400"
"""Seconds to the next sweep: whatever is heard was brought by the layer."""


class Scene(NamedTuple):
    """Two people in a room, each at a server of their own."""

    stack: Stack
    servers: list[Process]
    cast: Cast
    room: str
    here: Socket
    there: Socket
    rest: Rest

    async def say(self, body: str) -> dict[str, Any]:
        sent: dict[str, Any] = await self.here.do("message.send", room=self.room, body=body, nonce=body)
        return sent["message"]

    async def heard(self, message: dict[str, Any], patience: float) -> None:
        held = self.there.rooms[self.room].messages
        await self.there.until(lambda: message["id"] in held, patience)


@asynccontextmanager
async def scene(make_stack: Any, *, redis: bool = True, **settings: str) -> AsyncIterator[Scene]:
    """The cache is the database's, so that Redis is nothing but the layer."""
    stack, cast = make_stack("real", CACHE_URL="", **settings)
    if not redis:
        stack.redis.stop()
    servers = stack.serve(2)
    async with Rest(servers[0], cast.owner) as rest:
        room = await rest.make_room(cast.member)
        async with (
            await Socket.open(servers[0].ws_url, token=cast.owner.access) as here,
            await Socket.open(servers[1].ws_url, token=cast.member.access) as there,
        ):
            for socket in (here, there):
                await socket.do("subscribe", room=room)
            yield Scene(stack, servers, cast, room, here, there, rest)
    assert not [server for server in servers if "hub task failed" in server.log_text()]


async def readiness(server: Process) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{server.url}/readyz")
        return answer.status_code, answer.json()


async def becomes(server: Process, content: dict[str, Any], patience: float) -> None:
    deadline = time.monotonic() + patience
    while (now := await readiness(server)) != (200, content):
        assert time.monotonic() < deadline, now


@pytest.mark.parametrize("away", ["stopped", pytest.param("silent", marks=pytest.mark.long)])
async def test_without_redis_sends_succeed_and_everyone_catches_up_by_the_sweep(make_stack: Any, away: str) -> None:
    async with scene(make_stack, HUB_SWEEP_SECONDS=str(SWEEP)) as play:
        await play.heard(await play.say("with Redis"), SWEEP)
        assert await readiness(play.servers[0]) == (200, {"status": "ok"})
        redis = play.stack.redis
        assert redis
        redis.stop() if away == "stopped" else redis.pause()
        began = time.monotonic()
        sent = [await play.say(f"without Redis {n}") for n in range(3)]
        await play.here.settle()
        local = play.here.rooms[play.room].messages
        assert all(message["id"] in local for message in sent), "the writer's own process needs no layer"
        for message in sent:
            await play.heard(message, SWEEP + SLACK)
        assert time.monotonic() - began < SWEEP + SLACK + 1
        for server in play.servers:
            await becomes(server, {"status": "ok", "degraded": ["layer"]}, 10)
        newcomer = await Socket.open(play.servers[1].ws_url, token=play.cast.member.access)
        async with newcomer:
            await newcomer.do("subscribe", room=play.room)
            await play.say("to a newcomer")
            await assert_folded(play.rest, play.room, play.here, play.there, newcomer, patience=SWEEP + SLACK)
        redis.start() if away == "stopped" else redis.resume()
        for server in play.servers:
            await becomes(server, {"status": "ok"}, 15)
        await assert_folded(play.rest, play.room, play.here, play.there)


async def test_what_was_joined_is_live_again_once_redis_is_back(make_stack: Any) -> None:
    async with scene(make_stack, HUB_SWEEP_SECONDS=NEVER) as play:
        await play.heard(await play.say("with Redis"), 10)
        assert play.stack.redis
        play.stack.redis.stop()
        lost = await play.say("lost")
        await becomes(play.servers[1], {"status": "ok", "degraded": ["layer"]}, 10)
        assert lost["id"] not in play.there.rooms[play.room].messages
        play.stack.redis.start()
        await live_again(play)
        await assert_folded(play.rest, play.room, play.here, play.there)


async def test_a_server_that_starts_without_redis_serves_and_is_live_once_it_comes(make_stack: Any) -> None:
    async with scene(make_stack, redis=False, HUB_SWEEP_SECONDS=NEVER) as play:
        await play.say("to nobody there")
        assert await readiness(play.servers[1]) == (200, {"status": "ok", "degraded": ["layer"]})
        assert play.stack.redis
        play.stack.redis.start()
        await live_again(play)
        await assert_folded(play.rest, play.room, play.here, play.there)


async def live_again(play: Scene) -> None:
    """One message after the other until one is heard; from then on each is."""
    deadline = time.monotonic() + 20
    for n in range(1_000):
        try:
            await play.heard(await play.say(f"anybody {n}?"), 0.3)
            break
        except TimeoutError:
            assert time.monotonic() < deadline
    for n in range(10):
        await play.heard(await play.say(f"live {n}"), 10)


@pytest.mark.long
async def test_without_the_database_sockets_close_soon_and_come_back_with_it(make_stack: Any) -> None:
    stack, cast = make_stack("real", own_database=True, CACHE_URL="")
    (server,) = stack.serve(1)
    room = cast.rooms["den"]
    async with await Socket.open(server.ws_url, token=cast.member.access) as socket:
        await socket.do("subscribe", room=room)
        began = time.monotonic()
        stack.postgres.pause()
        bye = await socket.event("bye", 25)
        assert bye["code"] == "unavailable" and bye["retry_after"]
        assert await socket.closed() == 1013
        assert 10 < time.monotonic() - began < 20
    stack.postgres.resume()
    deadline = time.monotonic() + 30
    while (await readiness(server))[0] != 200:
        assert time.monotonic() < deadline
    async with await Socket.open(server.ws_url, token=cast.member.access) as socket:
        await socket.do("message.send", room=room, body="back", nonce="back")
