"""A removal that races all that one can do in a room: nothing committed after it comes in or goes out."""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.delivering import Rest, everyone, numbers
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
AT_ONCE = 4
"""Rooms in which a removal races the rest at one time."""
WRITES = 3
"""Messages, and as many edits, by those who stay, in each trial; who goes sends until refused."""
PAUSE = 0.05
"""Seconds between two subscribes or reads of the one who goes."""
LISTENING = 3
"""Sockets in each room, of the one who goes, that do nothing but listen; one more sends, one more comes and goes."""


class Place:
    """One room, and the sockets with which the one who is removed from it time and again is there."""

    def __init__(self, room: str, *, old: bool, sockets: list[Socket], rest: Rest) -> None:
        self.room = room
        self.old = old
        """Whether newcomers see what was before them."""
        self.sender, self.caller, *_ = self.sockets = sockets
        self.rest = rest
        self.revs: set[int] = set()
        """Those that answers told of."""
        self.removals: set[int] = set()
        self.joined = 0
        """The newest number before the last join."""

    def removal(self, head: int) -> int:
        """The rev of the newest removal: the one that no change was answered with."""
        unseen = set(range(1, head + 1)) - self.revs - self.removals
        assert len(unseen) == 1, unseen
        self.removals |= unseen
        return unseen.pop()


class Play:
    """`guest` is removed from every room while both people write at every server; `member` stays, and is the witness.
    Half of the rooms show newcomers nothing from before."""

    def __init__(self, servers: list[Any], cast: Any, seed: int) -> None:
        self.servers, self.cast = servers, cast
        self.random = random.Random(seed)
        self.outcomes: dict[str, int] = defaultdict(int)
        self.places: list[Place] = []

    async def run(self, rooms: int, rounds: int) -> None:
        async with AsyncExitStack() as opened:
            self.owners = [await opened.enter_async_context(Rest(each, self.cast.owner)) for each in self.servers]
            reading = [await opened.enter_async_context(Rest(each, self.cast.guest)) for each in self.servers]
            self.stays = [
                await opened.enter_async_context(await self._open(each, self.cast.member)) for each in self.servers
            ]
            at = itertools.cycle(self.servers)
            for n in range(rooms):
                history = ("shared", "since_join")[n % 2]
                room = await self.owners[0].make_room(self.cast.member, history=history)
                sockets = [
                    await opened.enter_async_context(await self._open(next(at), self.cast.guest))
                    for _ in range(LISTENING + 2)
                ]
                rest = reading[n % len(reading)]
                self.places.append(Place(room, old=history == "shared", sockets=sockets, rest=rest))
            for socket in self.stays:
                await everyone(*(self._subscribe(socket, place) for place in self.places))
            for number in range(rounds):
                await self._round(number)

    async def _open(self, server: Any, person: Any) -> Socket:
        return await Socket.open(server.ws_url, token=person.access)

    async def _subscribe(self, socket: Socket, place: Place) -> None:
        await socket.do("subscribe", room=place.room)

    async def _round(self, number: int) -> None:
        few = asyncio.Semaphore(AT_ONCE)
        await everyone(*(self._trial(place, number, few) for place in self.places))

    async def _trial(self, place: Place, number: int, few: asyncio.Semaphore) -> None:
        async with few:
            await self._enter(place, number)
            async with asyncio.TaskGroup() as group:
                going = [
                    group.create_task(self._send_until_refused(place, f"going {number}")),
                    group.create_task(self._subscribe_until_refused(place)),
                    group.create_task(self._read_until_refused(place)),
                ]
                staying = self._write(place, f"staying {number}")
                await self.random.choice(staying)
                await self.random.choice(self.owners).remove(place.room, self.cast.guest)
            sent, *got = [task.result() for task in going]
            place.revs |= {self._rev(answer) for answer in [*sent, *await asyncio.gather(*staying)]}
            after = self._rev(
                await self.stays[0].ask("message.send", room=place.room, body="after", nonce=f"after {number}")
            )
            place.revs.add(after)
            removal = place.removal(after)
            assert max([*map(self._rev, sent), *itertools.chain(*got)], default=0) < removal
            for witness in self.stays:
                await witness.until(lambda held=witness.rooms[place.room]: held.revs and held.revs[-1] >= after)
            for socket in place.sockets:
                await self._assert_out(socket, place, removal)

    async def _enter(self, place: Place, number: int) -> None:
        """Someone writes before the guest is there, who then comes and listens on every socket."""
        old = await self.stays[0].do("message.send", room=place.room, body="old", nonce=f"old {number}")
        place.revs.add(old["message"]["rev"])
        place.joined = old["message"]["number"]
        await self.owners[0].add(place.room, self.cast.guest)
        for socket in place.sockets:
            socket.rooms.clear()
            socket.events.clear()
            await self._subscribe(socket, place)

    def _write(self, place: Place, name: str) -> list[asyncio.Future[dict[str, Any]]]:
        """New messages, and edits of the one from before the guest came."""
        room, old = place.room, max(self.stays[0].rooms[place.room].messages.values(), key=lambda each: each["number"])
        return [
            act
            for n, socket in zip(range(WRITES), itertools.cycle(self.stays), strict=False)
            for act in (
                socket.send("message.send", room=room, body=name, nonce=f"{name} {n}"),
                socket.send("message.edit", message=old["id"], body=f"{name} {n}"),
            )
        ]

    async def _send_until_refused(self, place: Place, name: str) -> list[dict[str, Any]]:
        answers = []
        for n in itertools.count():
            answer = await place.sender.ask("message.send", room=place.room, body=name, nonce=f"{name} {n}")
            self._note("send", answer.get("code"))
            if answer["type"] == "error":
                return answers
            answers.append(answer)
        raise AssertionError

    async def _subscribe_until_refused(self, place: Place) -> list[int]:
        """The revs that came with it."""
        revs = []
        while True:
            answer = await place.caller.ask("subscribe", room=place.room)
            self._note("subscribe", answer.get("code"))
            if answer["type"] == "error":
                return revs
            revs += [answer["result"]["rev"], *(message["rev"] for message in answer["result"]["messages"])]
            await place.caller.do("unsubscribe", room=place.room)
            await asyncio.sleep(PAUSE)

    async def _read_until_refused(self, place: Place) -> list[int]:
        revs = []
        epoch = (self.stays[0].rooms[place.room].cursor or {})["epoch"]
        paths = itertools.cycle(["messages/", f"changes/?since=0&epoch={epoch}", "messages/?after=0"])
        while True:
            answer: httpx.Response = await place.rest.client.get(f"/rooms/{place.room}/{next(paths)}")
            self._note("read", None if answer.is_success else answer.json()["code"])
            if not answer.is_success:
                return revs
            messages = answer.json().get("results", answer.json().get("messages"))
            assert place.old or all(message["number"] > place.joined for message in messages)
            revs += [message["rev"] for message in messages]
            await asyncio.sleep(PAUSE)

    def _note(self, act: str, code: str | None) -> None:
        assert code in (None, "not_found")
        self.outcomes[f"{act} {'refused' if code else 'done'}"] += 1

    @staticmethod
    def _rev(answer: dict[str, Any]) -> int:
        assert answer["type"] == "ok", answer
        rev: int = answer["result"]["message"]["rev"]
        return rev

    async def _assert_out(self, socket: Socket, place: Place, removal: int) -> None:
        """It holds nothing from after the removal, nor from before the guest came where that is not shown."""
        if socket is not place.caller:
            await socket.until(lambda: _removed(socket.events, place.room))
        late = await socket.ask("message.send", room=place.room, body="too late", nonce="late")
        assert late["code"] == "not_found"
        held = socket.rooms[place.room]
        assert max([*held.revs, *(message["rev"] for message in held.messages.values())], default=0) < removal
        assert place.old or all(number > place.joined for number in numbers(held.messages))


def _removed(events: list[dict[str, Any]], room: str) -> bool:
    return any(event["type"] == "room.removed" and event["room"] == room for event in events)


async def play(make_stack: Callable[..., Any], kind: str, processes: int, rooms: int, rounds: int) -> None:
    stack, cast = make_stack(kind, ACCESS_TOKEN_SECONDS="7200")
    options = ["--settings=tests.settings_forgetful"] if kind == "real" else []
    servers = stack.serve(processes, "serve", *options)
    story = Play(servers, cast, seed=rooms)
    await story.run(rooms, rounds)
    print(f"{rooms * rounds} trials: {dict(story.outcomes)}")
    acts = {f"{act} {outcome}" for act in ("send", "subscribe", "read") for outcome in ("done", "refused")}
    assert story.outcomes.keys() == acts, "the removals came in the midst of it all"
    assert story.outcomes["send refused"] == rooms * rounds
    assert not [server for server in servers if "Traceback" in server.log_text()]


@pytest.mark.parametrize(("kind", "processes"), [("real", 2), ("embedded", 1)])
async def test_a_removal_racing_all_one_can_do_lets_nothing_later_in_or_out(
    make_stack: Any, kind: str, processes: int
) -> None:
    await play(make_stack, kind, processes, rooms=6, rounds=1)


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
async def test_a_thousand_removals_with_two_hundred_sockets_let_nothing_later_in_or_out(make_stack: Any) -> None:
    await play(make_stack, "real", processes=4, rooms=40, rounds=25)
