"""Half of what saturates it, for SOAK_SECONDS: memory, tasks, threads, connections and Redis' keys do not grow."""

import asyncio
import itertools
import os
import random
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis

from tests import servers
from tests.cast import Cast, Person
from tests.delivering import Client, Rest, assert_all_hold_the_truth, everyone, staying
from tests.processes import Process, Stack
from tests.sockets import Socket

pytestmark = [pytest.mark.once, pytest.mark.long]
SECONDS = float(os.environ.get("SOAK_SECONDS") or 60)
WARM = 15.0
"""Seconds of the same load before the first look: caches fill, pools open."""
SATURATION = 6.0
"""Seconds in which saturation is measured."""
CLIENTS, ROOMS, PASSERS_BY = 16, 8, 2
SETTLED = 60.0
"""Seconds in which all is as before, once nobody does anything: groups linger for 30."""
SLACK = {"memory": 24 * 1024 * 1024, "tasks": 2, "threads": 2, "files": 6, "database": 4, "redis": 2, "keys": 16}


class Look(NamedTuple):
    """What there is of each. `files` are open sockets, too; `keys` are Redis' own."""

    memory: int
    tasks: int
    threads: int
    files: int
    database: int
    redis: int
    keys: int

    def grown(self, before: "Look") -> dict[str, int]:
        """What is more by more than its slack."""
        more = {name: now - was for name, now, was in zip(self._fields, self, before, strict=True)}
        return {name: by for name, by in more.items() if by > SLACK[name]}


class Soak:
    def __init__(self, stack: Stack, cast: Cast, server: Process, figures: str) -> None:
        self.stack, self.cast, self.server, self.figures = stack, cast, server, figures
        self.people = [cast.owner, cast.moderator, cast.member, cast.guest, cast.lurker]
        self.random = random.Random(1)

    async def look(self) -> Look:
        place = Path(f"/proc/{self.server.popen.pid}")
        status = (place / "status").read_text()
        async with httpx.AsyncClient(trust_env=False) as client:
            figures = (await client.get(self.figures)).text
        assert self.stack.redis
        with psycopg.connect(self.stack.environ["DATABASE_URL"]) as database:
            open_now = database.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            connections = open_now.fetchone()
        keys = 0
        for number in (0, 1):
            with redis.Redis.from_url(f"{self.stack.redis.url}/{number}") as client:
                keys += int(client.dbsize())
                clients = len(client.client_list())
        assert connections
        return Look(
            memory=_number(status, r"VmRSS:\s+(\d+)") * 1024,
            tasks=_number(figures, r"conclave_tasks ([\d.]+)"),
            threads=_number(status, r"Threads:\s+(\d+)"),
            files=len(list((place / "fd").iterdir())),
            database=int(connections[0]),
            redis=clients,
            keys=keys,
        )

    async def settled(self, before: Look | None = None) -> Look:
        """A look at it once it is quiet; where it is to be as before, when it is, or never is."""
        deadline = time.monotonic() + SETTLED
        while True:
            await asyncio.sleep(3)
            now = await self.look()
            if not now.grown(before or now) or time.monotonic() > deadline:
                return now

    async def saturation(self, clients: Sequence[Client]) -> float:
        """Changes a second, when each makes the next as soon as the last is answered."""
        until = time.monotonic() + SATURATION

        async def write(client: Client) -> int:
            for changes in itertools.count():
                if time.monotonic() > until:
                    return changes
                await client.change(client.random.choice(list(client.held)))
            raise AssertionError

        return float(sum(await everyone(*(write(client) for client in clients)))) / SATURATION

    async def load(self, clients: Sequence[Client], rate: float, seconds: float) -> int:
        """So many changes a second, evenly; beside them people who come, listen, write once and go."""
        until = time.monotonic() + seconds
        changes = 0

        async def write(client: Client, index: int) -> None:
            nonlocal changes
            interval = len(clients) / rate
            due = time.monotonic() + interval * index / len(clients)
            while due < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await client.change(client.random.choice(list(client.held)))
                changes += 1
                due = max(due + interval, time.monotonic() - 1)

        async def pass_by(person: Person, rooms: list[str]) -> None:
            while time.monotonic() < until:
                async with await Socket.open(self.server.ws_url, token=person.access) as socket:
                    room = self.random.choice(rooms)
                    await socket.do("subscribe", room=room)
                    await socket.do("typing", room=room)
                    await socket.do("message.send", room=room, body="passing by", nonce=uuid4().hex)
                await asyncio.sleep(0.2)

        rooms = list(clients[0].held)
        await everyone(
            *(write(client, index) for index, client in enumerate(clients)),
            *(pass_by(self.people[n % len(self.people)], rooms) for n in range(PASSERS_BY)),
        )
        return changes


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found, pattern
    return int(float(found[1]))


async def test_under_load_for_long_nothing_grows(make_stack: Any) -> None:
    stack, cast = make_stack("real", RATE_LIMIT_FACTOR="1000", ACCESS_TOKEN_SECONDS="7200")
    port = servers.free_port()
    (server,) = stack.serve(1, "serve", f"--metrics=127.0.0.1:{port}")
    soak = Soak(stack, cast, server, f"http://127.0.0.1:{port}/metrics")
    async with AsyncExitStack() as opened:
        rest = await opened.enter_async_context(Rest(server, cast.owner))
        rooms = await everyone(*(rest.make_room(*soak.people[1:]) for _ in range(ROOMS)))
        people = itertools.cycle(soak.people)
        clients = [Client([server], next(people), rooms, seed) for seed in range(CLIENTS)]
        await opened.enter_async_context(staying(clients))
        rate = await soak.saturation(clients) / 2
        await soak.load(clients, rate, WARM)
        before = await soak.settled()
        changes = await soak.load(clients, rate, SECONDS)
        after = await soak.settled(before)
        print(f"{rate:.0f} changes a second, {changes} in all\n{before}\n{after}")
        assert changes > rate * SECONDS / 2, "premise: it kept up"
        assert not after.grown(before)
        await assert_all_hold_the_truth(rest, clients, patience=30)
    assert "Traceback" not in server.log_text()
