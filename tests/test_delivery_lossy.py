"""Processes over a layer that loses, repeats, reorders and is cut off: every client still folds to the truth."""

import itertools
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.delivering import (
    Client,
    Rest,
    assert_all_hold_the_truth,
    everyone,
    staying,
    write_all,
)

pytestmark = pytest.mark.once  # chooses its stack itself
SWEEP = 5.0
SLACK = 3.0
"""For a machine that is busy with other tests."""
CUT = 5.0


async def run(make_stack: Any, processes: int, number: int, rooms: int, changes: int) -> None:
    stack, cast = make_stack("real", HUB_SWEEP_SECONDS=str(SWEEP), ACCESS_TOKEN_SECONDS="7200")
    servers = stack.serve(processes, "serve", "--settings=tests.settings_lying")
    people = [cast.owner, cast.moderator, cast.member, cast.guest, cast.lurker]
    async with AsyncExitStack() as opened:
        rest = await opened.enter_async_context(Rest(servers[0], cast.owner))
        made = await everyone(*(rest.make_room(*people[1:]) for _ in range(rooms)))
        clients = [
            Client([server], person, made, seed)
            for seed, server, person in zip(
                range(number), itertools.cycle(servers), itertools.cycle(people), strict=False
            )
        ]
        await opened.enter_async_context(staying(clients))
        await write_all(clients, changes)
        await assert_all_hold_the_truth(rest, clients, patience=SWEEP + CUT + SLACK)
        assert not any(client.ends for client in clients), "nobody was closed for it"
        await _tell_of_the_room(rest, made[0], clients)
    assert not [server for server in servers if "Traceback" in server.log_text()]


async def _tell_of_the_room(rest: Rest, room: str, clients: list[Client]) -> None:
    """What the room is called, too, comes through."""
    await rest.do("PATCH", f"/rooms/{room}/", json={"name": "By another name"})
    deadline = time.monotonic() + SWEEP + CUT + SLACK
    for client in clients:
        assert client.socket
        await client.socket.until(lambda heard=client.socket.events: _renamed(heard), deadline - time.monotonic())


def _renamed(events: list[dict[str, Any]]) -> bool:
    return any(event["type"] == "room.updated" and event["room"]["name"] == "By another name" for event in events)


async def test_every_client_holds_the_truth_within_a_sweep_whatever_the_layer_does(make_stack: Any) -> None:
    await run(make_stack, processes=2, number=10, rooms=2, changes=150)


@pytest.mark.long
async def test_and_over_many_changes_in_many_rooms_at_four_processes(make_stack: Any) -> None:
    await run(make_stack, processes=4, number=40, rooms=10, changes=5_000)
