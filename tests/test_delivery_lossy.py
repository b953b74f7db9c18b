"""Two processes over a layer that loses, repeats and reorders: every client still folds its way to the truth."""

import random
import time
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from tests.delivering import Rest, assert_folded, everyone, numbers
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stack itself
SWEEP = 5.0
SLACK = 3.0
"""For a machine that is busy with other tests."""


class Writer:
    """Sends, edits, deletes and reacts at random, to the newest messages it knows."""

    def __init__(self, socket: Socket, room: str, seed: int) -> None:
        self.socket, self.room = socket, room
        self.random = random.Random(seed)
        self.own: list[str] = []

    async def write(self, changes: int) -> None:
        for _ in range(changes):
            await self._change()

    async def _change(self) -> None:
        others = sorted(self.socket.rooms[self.room].messages)
        do = self.random.random()
        if do < 0.5 or not self.own:
            sent = await self.socket.do("message.send", room=self.room, body=f"said {do}", nonce=uuid4().hex)
            self.own.append(sent["message"]["id"])
        elif do < 0.7:
            await self.socket.do("message.edit", message=self.random.choice(self.own), body=f"edited {do}")
        elif do < 0.8:
            doomed = self.own.pop(self.random.randrange(len(self.own)))
            await self.socket.do("message.delete", message=doomed)
        else:
            await self._react(self.random.choice(others[-5:] or self.own))

    async def _react(self, message: str) -> None:
        command = self.random.choice(["reaction.add", "reaction.add", "reaction.remove"])
        answer = await self.socket.ask(command, message=message, emoji=self.random.choice("👍🎉🙈"))
        assert answer["type"] == "ok" or answer["code"] == "conflict", "of a deleted message"


async def run(make_stack: Any, changes: int, *options: str) -> None:
    stack, cast = make_stack("real", HUB_SWEEP_SECONDS=str(SWEEP))
    servers = stack.serve(2, "serve", *options)
    people = [cast.owner, cast.moderator, cast.member, cast.guest, cast.lurker]
    async with AsyncExitStack() as opened:
        rest = await opened.enter_async_context(Rest(servers[0], cast.owner))
        room = await rest.make_room(*people[1:])
        sockets = [
            await opened.enter_async_context(await Socket.open(server.ws_url, token=person.access))
            for server in servers
            for person in people
        ]
        for socket in sockets:
            await socket.do("subscribe", room=room)
        writers = [Writer(socket, room, seed) for seed, socket in enumerate(sockets)]
        await everyone(*(writer.write(changes // len(writers)) for writer in writers))
        await rest.send(room, "the last one may be lost like any other")
        truth = await assert_folded(rest, room, *sockets, patience=SWEEP + SLACK)
        assert numbers(truth) == list(range(1, len(truth) + 1))
        for socket in sockets:
            revs = socket.rooms[room].revs
            assert revs == sorted(set(revs)), "revs rise, none twice"
        await _tell_of_the_room(rest, room, sockets)
    assert not [server for server in servers if "Traceback" in server.log_text()]


async def _tell_of_the_room(rest: Rest, room: str, sockets: list[Socket]) -> None:
    """What the room is called, too, comes through."""
    await rest.do("PATCH", f"/rooms/{room}/", json={"name": "By another name"})
    deadline = time.monotonic() + SWEEP + SLACK
    for socket in sockets:
        await socket.until(lambda heard=socket.events: _renamed(heard), deadline - time.monotonic())


def _renamed(events: list[dict[str, Any]]) -> bool:
    return any(event["type"] == "room.updated" and event["room"]["name"] == "By another name" for event in events)


async def test_every_client_holds_the_truth_within_a_sweep_whatever_the_layer_does(make_stack: Any) -> None:
    await run(make_stack, 150, "--settings=tests.settings_lying")


@pytest.mark.long
async def test_and_over_many_changes(make_stack: Any) -> None:
    await run(make_stack, 1_500, "--settings=tests.settings_lying")
