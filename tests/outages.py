"""What the tests of lost layers share: two people in a room, each at a server of their own, over a layer that goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from tests.cast import Cast
from tests.delivering import Rest
from tests.processes import Process, Stack
from tests.sockets import Socket

NEVER = "86400"
"""Seconds to the next sweep: whatever is heard was brought by the layer, or by the look at its loss and return."""
LOST, BACK = "channel layer lost", "channel layer back"


class Scene(NamedTuple):
    stack: Stack
    servers: list[Process]
    cast: Cast
    room: str
    here: Socket
    there: Socket
    rest: Rest
    before: dict[str, list[int]]

    async def say(self, body: str) -> dict[str, Any]:
        sent: dict[str, Any] = await self.here.do("message.send", room=self.room, body=body, nonce=body)
        return sent["message"]

    async def heard(self, message: dict[str, Any], patience: float) -> None:
        held = self.there.rooms[self.room].messages
        await self.there.until(lambda: message["id"] in held, patience)

    async def live(self, *, after: str) -> None:
        """One message after the other until one is heard; from then on each is."""
        deadline = time.monotonic() + 30
        for n in range(1_000):
            try:
                await self.heard(await self.say(f"anybody {n} after {after}?"), 0.3)
                break
            except TimeoutError:
                assert time.monotonic() < deadline
        for n in range(10):
            await self.heard(await self.say(f"live {n} after {after}"), 10)

    async def lost(self, patience: float = 10) -> None:
        for server in self.servers:
            await becomes(server, {"status": "ok", "degraded": ["layer"]}, patience)

    async def back(self, patience: float = 15) -> None:
        for server in self.servers:
            await becomes(server, {"status": "ok"}, patience)

    async def well(self) -> None:
        """The layer works, and the logs' count begins: a slow start may look like a loss."""
        await self.back(30)
        self.before.update({words: self.noted(words) for words in (LOST, BACK)})

    def noted_since(self, words: str) -> list[int]:
        return [now - then for now, then in zip(self.noted(words), self.before[words], strict=True)]

    def noted(self, words: str) -> list[int]:
        """How often each server's log says this."""
        return [server.log_text().count(words) for server in self.servers]


@asynccontextmanager
async def scene(stack: Stack, cast: Cast) -> AsyncIterator[Scene]:
    servers = stack.serve(2)
    async with Rest(servers[0], cast.owner) as rest:
        room = await rest.make_room(cast.member)
        async with (
            await Socket.open(servers[0].ws_url, token=cast.owner.access) as here,
            await Socket.open(servers[1].ws_url, token=cast.member.access) as there,
        ):
            for socket in (here, there):
                await socket.do("subscribe", room=room)
            yield Scene(stack, servers, cast, room, here, there, rest, {})
    assert not [server for server in servers if "hub task failed" in server.log_text()]
    assert not [server for server in servers if "Traceback" in server.log_text()]


async def readiness(server: Process) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{server.url}/readyz")
        return answer.status_code, answer.json()


async def becomes(server: Process, content: dict[str, Any], patience: float) -> None:
    deadline = time.monotonic() + patience
    while (now := await readiness(server)) != (200, content):
        assert time.monotonic() < deadline, f"{now}\n{server.log_text()[-4_000:]}"
        await asyncio.sleep(0.1)
