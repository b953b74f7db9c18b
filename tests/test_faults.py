"""Faults of the real parts while everyone writes: nothing acknowledged is lost, and every client holds the truth."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest
import redis

from tests.delivering import Client, Rest, assert_all_hold_the_truth, everyone, staying, writing
from tests.processes import Process, Stack

pytestmark = pytest.mark.once  # chooses its stacks itself
SWEEP = 2.0
PATIENCE = 30.0
BEFORE, AFTER = 0.7, 0.7
"""Seconds of writing around each fault."""
IN_TIME = 12.0
"""Seconds in which a server that is told to go has gone: the drain has ten."""


class Scene(NamedTuple):
    """`servers` are those that run now; clients come back to any of them."""

    stack: Stack
    servers: list[Process]
    clients: list[Client]

    async def serve(self) -> None:
        self.servers.extend(await asyncio.to_thread(self.stack.serve, 1))

    @property
    def refusals(self) -> set[str]:
        return {code for client in self.clients for code in client.refusals}


@asynccontextmanager
async def scene(make_stack: Any, processes: int, number: int, rooms: int) -> AsyncIterator[tuple[Scene, Any]]:
    stack, cast = make_stack("real", own_database=True, HUB_SWEEP_SECONDS=str(SWEEP))
    servers = stack.serve(processes)
    people = [cast.owner, cast.moderator, cast.member, cast.guest, cast.lurker]
    async with AsyncExitStack() as opened:
        async with Rest(servers[0], cast.owner) as rest:
            made = await everyone(*(rest.make_room(*people[1:]) for _ in range(rooms)))
        clients = [
            Client(servers, person, made, seed)
            for seed, person in zip(range(number), itertools.cycle(people), strict=False)
        ]
        await opened.enter_async_context(staying(clients))
        yield Scene(stack, servers, clients), cast
    assert not [each for each in stack.processes if "hub task failed" in each.log_text()]


Fault = Callable[[Scene], Awaitable[None]]


async def suffer(play: Scene, cast: Any, fault: Fault) -> None:
    """The fault in the midst of writes, then the check."""
    before = sum(client.changes for client in play.clients)
    async with writing(play.clients):
        await asyncio.sleep(BEFORE)
        await fault(play)
        await asyncio.sleep(AFTER)
    assert sum(client.changes for client in play.clients) > before, "premise: something was written"
    async with Rest(play.servers[0], cast.owner) as rest:
        await assert_all_hold_the_truth(rest, play.clients, PATIENCE)


async def a_server_is_killed(play: Scene) -> None:
    victim = play.servers.pop(0)
    await asyncio.to_thread(victim.kill)
    await play.serve()


async def the_database_is_away(play: Scene) -> None:
    assert play.stack.postgres
    await asyncio.to_thread(play.stack.postgres.stop)
    await asyncio.sleep(2)
    await asyncio.to_thread(play.stack.postgres.start)
    assert "unavailable" in play.refusals, "premise: someone was told to send again"


async def redis_restarts(play: Scene) -> None:
    assert play.stack.redis
    await asyncio.to_thread(play.stack.redis.restart)


async def redis_forgets(play: Scene) -> None:
    assert play.stack.redis
    with redis.Redis.from_url(play.stack.redis.url) as client:
        client.flushall()


async def redis_is_silent(play: Scene, seconds: float = 10) -> None:
    assert play.stack.redis
    play.stack.redis.pause()
    await asyncio.sleep(seconds)
    play.stack.redis.resume()


async def every_server_is_told_to_go(play: Scene) -> None:
    """One after the other, each replaced before the next."""
    for victim in list(play.servers):
        before = [len(client.ends) for client in play.clients]
        there = [client for client in play.clients if client.socket and client.socket.server is victim]
        play.servers.remove(victim)
        began = time.monotonic()
        assert await asyncio.to_thread(victim.terminate) == 0
        assert time.monotonic() - began < IN_TIME
        ends = {end for client, n in zip(play.clients, before, strict=True) for end in client.ends[n:]}
        assert ends <= {(1012, "restart")}
        assert ends or not there
        await play.serve()


async def test_whatever_fails_nothing_acknowledged_is_lost_and_everyone_holds_the_truth(make_stack: Any) -> None:
    async with scene(make_stack, processes=2, number=6, rooms=2) as (play, cast):
        for fault in (a_server_is_killed, the_database_is_away, redis_forgets, every_server_is_told_to_go):
            await suffer(play, cast, fault)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        a_server_is_killed,
        the_database_is_away,
        redis_restarts,
        redis_forgets,
        redis_is_silent,
        every_server_is_told_to_go,
    ],
)
async def test_a_fault_among_many_clients(make_stack: Any, fault: Fault) -> None:
    async with scene(make_stack, processes=4, number=20, rooms=5) as (play, cast):
        for _ in range(1 if fault in (redis_is_silent, every_server_is_told_to_go) else 2):
            await suffer(play, cast, fault)
