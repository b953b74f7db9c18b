"""Without Redis: writes go on, everyone catches up by the sweep, readiness says so; with it, all is live again."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.delivering import assert_folded
from tests.outages import BACK, LOST, NEVER, Scene, readiness, scene
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
SWEEP = 5.0
SLACK = 3.0
"""For a machine that is busy with other tests."""
BOUND = 15.0
"""Seconds within which who may no longer read is out, without the layer; a second with it."""


def made(make_stack: Any, **settings: str) -> Any:
    """The cache is the database's, so that Redis is nothing but the layer."""
    return make_stack("real", CACHE_URL="", **settings)


@pytest.mark.parametrize("away", ["stopped", pytest.param("silent", marks=pytest.mark.long)])
async def test_without_redis_sends_succeed_and_everyone_catches_up_by_the_sweep(make_stack: Any, away: str) -> None:
    async with scene(*made(make_stack, HUB_SWEEP_SECONDS=str(SWEEP))) as play:
        await play.heard(await play.say("with Redis"), SWEEP)
        await play.well()
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
        await play.lost()
        newcomer = await Socket.open(play.servers[1].ws_url, token=play.cast.member.access)
        async with newcomer:
            await newcomer.do("subscribe", room=play.room)
            await play.heard(await play.say("looked for more often"), SWEEP / 2 + SLACK)
            await assert_folded(play.rest, play.room, play.here, play.there, newcomer, patience=SWEEP + SLACK)
        if away == "silent":
            await asyncio.sleep(10)
        redis.start() if away == "stopped" else redis.resume()
        await play.back()
        await play.live(after=away)
        await assert_folded(play.rest, play.room, play.here, play.there)
        assert play.noted_since(LOST) == play.noted_since(BACK) == [1, 1], "each said once"


async def test_redis_may_be_away_at_the_start_and_again_and_what_was_joined_is_live_each_time_it_comes(
    make_stack: Any,
) -> None:
    """No sweep but those at its loss and return: what is live was brought by the layer."""
    stack, cast = made(make_stack, HUB_SWEEP_SECONDS=NEVER)
    stack.redis.stop()
    async with scene(stack, cast) as play:
        await play.lost()
        unheard = await play.say("to nobody there")
        stack.redis.start()
        await play.heard(unheard, 15)
        await play.live(after="the start")
        stack.redis.stop()
        await play.lost()
        unheard = await play.say("to nobody there again")
        stack.redis.start()
        await play.heard(unheard, 15)
        await play.live(after="a restart")
        await assert_folded(play.rest, play.room, play.here, play.there)


# Who may no longer read is out in time, whatever the layer does.


@pytest.mark.long
@pytest.mark.parametrize("away", ["", "stopped", "silent"])
async def test_what_ends_a_right_takes_effect_in_time_with_and_without_redis(make_stack: Any, away: str) -> None:
    """Done in the very moment of the loss, which nobody has noticed yet."""
    async with scene(*made(make_stack, HUB_SWEEP_SECONDS=str(SWEEP))) as play, AsyncExitStack() as opened:
        cast, far = play.cast, play.servers[1].ws_url
        for person in (cast.guest, cast.moderator):
            await play.rest.add(play.room, person)
        ears = []
        for person in (cast.member, cast.guest, cast.moderator):
            ear = await opened.enter_async_context(await Socket.open(far, token=person.access))
            await ear.do("subscribe", room=play.room)
            ears.append(ear)
        redis = play.stack.redis
        assert redis
        if away:
            redis.stop() if away == "stopped" else redis.pause()
        began = time.monotonic()
        await asyncio.gather(
            end_session(play, ears[0], began, away),
            end_seat(play, ears[1], began, away),
            end_membership(play, ears[2], began, away),
        )


def in_time(began: float, away: str) -> None:
    assert time.monotonic() - began < (BOUND if away else 1)


async def end_session(play: Scene, ear: Socket, began: float, away: str) -> None:
    async with httpx.AsyncClient(headers=play.cast.member.bearer, trust_env=False, timeout=30) as client:
        ended = await client.delete(f"{play.servers[0].url}/api/v1/me/sessions/{play.cast.member.sid}/")
        assert ended.is_success
    assert await ear.closed(BOUND + SLACK) == 4411
    in_time(began, away)


async def end_seat(play: Scene, ear: Socket, began: float, away: str) -> None:
    await play.rest.do("DELETE", f"/members/{play.cast.guest.id}/")
    assert await ear.closed(BOUND + SLACK) == 4403
    in_time(began, away)


async def end_membership(play: Scene, ear: Socket, began: float, away: str) -> None:
    await play.rest.remove(play.room, play.cast.moderator)
    await ear.event("room.removed", BOUND + SLACK)
    in_time(began, away)
    after = await play.say("after the removal")
    await ear.settle()
    assert after["id"] not in ear.rooms[play.room].messages


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
