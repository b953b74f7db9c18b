"""A removal that races sends: nothing committed after it comes in or goes out, over many trials."""

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.delivering import Rest, everyone
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
AT_ONCE = 4
"""Rooms in which a removal races sends at one time."""
EACH = 2
"""Messages that each of those who stay sends in each room of a round; who goes sends until refused."""


class Play:
    """`goes` is removed from every room while both people send from sockets at both servers; `stays` is the witness."""

    def __init__(self, servers: list[Any], cast: Any, seed: int) -> None:
        self.servers, self.cast = servers, cast
        self.random = random.Random(seed)
        self.accepted = self.refused = 0
        self.removals: dict[str, set[int]] = {}

    async def run(self, rooms: int, rounds: int) -> None:
        async with AsyncExitStack() as opened:
            self.owners = [await opened.enter_async_context(Rest(each, self.cast.owner)) for each in self.servers]
            goes = [self.servers[0], self.servers[-1]] * 2
            self.goes = [await opened.enter_async_context(await self._open(each, self.cast.guest)) for each in goes]
            stays = [self.servers[0], self.servers[-1]]
            self.stays = [await opened.enter_async_context(await self._open(each, self.cast.member)) for each in stays]
            made = await everyone(*(self.owners[0].make_room(self.cast.member) for _ in range(rooms)))
            self.removals = {room: set() for room in made}
            for socket in self.stays:
                await self._subscribe(socket)
            for number in range(rounds):
                await self._round(number)

    async def _open(self, server: Any, person: Any) -> Socket:
        return await Socket.open(server.ws_url, token=person.access)

    async def _subscribe(self, socket: Socket) -> None:
        result = await socket.do("subscribe", rooms=[{"room": room} for room in self.removals])
        assert not [each for each in result["rooms"] if "code" in each]

    async def _round(self, number: int) -> None:
        await everyone(*(self.owners[0].add(room, self.cast.guest) for room in self.removals))
        for socket in self.goes:
            socket.rooms.clear()
            socket.events.clear()
            await self._subscribe(socket)
        few = asyncio.Semaphore(AT_ONCE)
        await everyone(*(self._trial(room, number, few) for room in self.removals))

    async def _trial(self, room: str, number: int, few: asyncio.Semaphore) -> None:
        async with few:
            going = [
                asyncio.ensure_future(self._send_until_refused(socket, room, f"going {number} {index}"))
                for index, socket in enumerate(self.goes)
            ]
            staying = self._send(self.stays, room, f"staying {number}")
            await self.random.choice(staying)
            await self.random.choice(self.owners).remove(room, self.cast.guest)
            answers = [answer for each in await asyncio.gather(*going) for answer in each]
            assert all(answer["type"] == "ok" for answer in await asyncio.gather(*staying))
        after = await self.stays[0].do("message.send", room=room, body="after", nonce=f"after {number}")
        removal = await self._removal(room, after["message"]["rev"])
        self._judge(answers, removal)
        for witness in self.stays:
            await witness.until(lambda heard=witness.rooms[room].messages: after["message"]["id"] in heard)
        for socket in self.goes:
            await self._assert_out(socket, room, removal)

    async def _assert_out(self, socket: Socket, room: str, removal: int) -> None:
        await socket.until(lambda: _removed(socket.events, room))
        late = await socket.ask("message.send", room=room, body="too late", nonce="late")
        assert late["code"] == "not_found"
        held = socket.rooms[room]
        assert max([*held.revs, *(message["rev"] for message in held.messages.values())], default=0) < removal

    async def _send_until_refused(self, socket: Socket, room: str, name: str) -> list[dict[str, Any]]:
        answers = []
        for n in itertools.count():
            answers.append(await socket.ask("message.send", room=room, body=name, nonce=f"{name} {n}"))
            if answers[-1]["type"] == "error":
                break
        return answers

    def _send(self, sockets: list[Socket], room: str, name: str) -> list[asyncio.Future[dict[str, Any]]]:
        return [
            socket.send("message.send", room=room, body=name, nonce=f"{name} {index} {n}")
            for n in range(EACH)
            for index, socket in enumerate(sockets)
        ]

    async def _removal(self, room: str, head: int) -> int:
        """The rev that no message shows, besides those of the rounds before."""
        truth = await self.owners[-1].truth(room)
        assert sorted(message["number"] for message in truth.values()) == list(range(1, len(truth) + 1))
        unseen = set(range(1, head + 1)) - {message["rev"] for message in truth.values()} - self.removals[room]
        assert len(unseen) == 1
        self.removals[room] |= unseen
        return unseen.pop()

    def _judge(self, answers: list[dict[str, Any]], removal: int) -> None:
        for answer in answers:
            if answer["type"] == "ok":
                assert answer["result"]["message"]["rev"] < removal
                self.accepted += 1
            else:
                assert answer["code"] == "not_found"
                self.refused += 1


def _removed(events: list[dict[str, Any]], room: str) -> bool:
    return any(event["type"] == "room.removed" and event["room"] == room for event in events)


async def play(make_stack: Any, kind: str, rooms: int, rounds: int, seed: int) -> None:
    stack, cast = make_stack(kind)
    servers = stack.serve(2 if kind == "real" else 1)
    story = Play(servers, cast, seed)
    await story.run(rooms, rounds)
    assert story.accepted and story.refused, "the removals came in the midst of the sends"
    assert not [server for server in servers if "Traceback" in server.log_text()]


@pytest.mark.parametrize("kind", ["real", "embedded"])
async def test_a_removal_racing_sends_lets_nothing_later_in_or_out(make_stack: Any, kind: str) -> None:
    await play(make_stack, kind, rooms=6, rounds=1, seed=1)


async def test_who_sends_without_a_pause_from_many_sockets_is_removed_all_the_same(make_stack: Any) -> None:
    stack, cast = make_stack("real")
    servers = stack.serve(2)
    async with AsyncExitStack() as opened:
        owner = await opened.enter_async_context(Rest(servers[0], cast.owner))
        room = await owner.make_room(cast.guest)
        spammers = [
            await opened.enter_async_context(await Socket.open(server.ws_url, token=cast.guest.access))
            for server in servers * 3
        ]
        under_way = asyncio.Event()

        async def spam(socket: Socket, index: int) -> str:
            for n in itertools.count():
                two = [socket.send("message.send", room=room, body="!", nonce=f"{index} {n} {k}") for k in range(2)]
                for answer in await asyncio.gather(*two):
                    if answer["type"] == "error":
                        return str(answer["code"])
                if n == 3:
                    under_way.set()
            raise AssertionError("nobody refused")

        async def remove() -> None:
            await under_way.wait()
            await owner.remove(room, cast.guest)

        async with asyncio.timeout(60):
            *codes, _ = await everyone(*(spam(socket, index) for index, socket in enumerate(spammers)), remove())
        assert set(codes) == {"not_found"}


@pytest.mark.long
async def test_two_hundred_removals_racing_sends_let_nothing_later_in_or_out(make_stack: Any) -> None:
    await play(make_stack, "real", rooms=20, rounds=10, seed=2)
