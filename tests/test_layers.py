"""Every channel layer that `CHANNELS_URL` may name, by real servers: Redis on two hosts, RabbitMQ, a forgetful wire."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from channels_redis.utils import _consistent_hash

from chat.watch import Watch
from core import environment
from core.layers import RedisLayer
from tests import broker, servers
from tests.cast import Cast
from tests.delivering import assert_folded
from tests.holes import Way
from tests.outages import BACK, LOST, NEVER, Scene, scene
from tests.processes import Stack

pytestmark = pytest.mark.once  # chooses its stacks itself


# What `CHANNELS_URL` may say.


def layer_of(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> dict[str, Any]:
    monkeypatch.setenv("CHANNELS_URL", url)
    return environment.Environment(tmp_path).layer()


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("", "channels.layers.InMemoryChannelLayer"),
        ("redis://a:6379/0", "core.layers.RedisLayer"),
        ("redis://a:6379/0, rediss://b:6379/0", "core.layers.RedisLayer"),
        ("amqp://guest:guest@a", "core.rabbit.RabbitLayer"),
    ],
)
def test_the_layer_is_named_by_one_setting(
    url: str, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert layer_of(url, monkeypatch, tmp_path)["BACKEND"] == backend


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("kafka://a", "is neither memory://"),
        ("memory://,redis://a", "is neither memory://"),
        ("amqp://a,amqp://b", "only one amqp:// address"),
    ],
)
def test_a_layer_that_there_is_not_stops_the_start_with_one_line(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        layer_of(url, monkeypatch, tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("conclave: CHANNELS_URL: ") and words in line


def test_rabbitmq_without_what_it_needs_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit):
        layer_of("amqp://guest:guest@a", monkeypatch, tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert "requirements/rabbitmq.txt" in line


async def test_each_redis_has_a_watch_of_its_own_where_channels_redis_looks_for_the_group() -> None:
    layer = RedisLayer(hosts=[{"address": f"redis://h{n}"} for n in range(3)], prefix="p")
    groups = [f"r.{n}" for n in range(200)]
    assert {layer.host_of(group) for group in groups} == {0, 1, 2}
    for group in groups:
        assert layer.host_of(group) == _consistent_hash(f"p__group__{group}", 3)
        assert layer._get_layer()._shards[layer.host_of(group)].host == {"address": f"redis://h{layer.host_of(group)}"}
    watch = Watch(layer)
    assert [layer.host_of(host.group) for host in watch._hosts] == [0, 1, 2]


# Redis on two hosts.


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[servers.Server]]:
    started = [servers.redis(private=True) for _ in range(2)]
    found = [host for host in started if host]
    if len(found) < 2:
        pytest.skip("no Redis")
    yield found
    for host in found:
        host.stop()


@pytest.fixture
def sharded(make_stack: Callable[..., Any], hosts: list[servers.Server]) -> tuple[Stack, Cast]:
    urls = ",".join(f"{host.url}/0" for host in hosts)
    made: tuple[Stack, Cast] = make_stack("real", CHANNELS_URL=urls, CACHE_URL="", HUB_SWEEP_SECONDS=NEVER)
    return made


async def rooms_on_each(play: Scene) -> list[str]:
    """A room whose group lies on the first host, and one of the second; both sockets subscribed."""
    found: dict[int, str] = {}
    while len(found) < 2:
        room = await play.rest.make_room(play.cast.member)
        host = _consistent_hash(f"conclave__group__r.{room}", 2)
        if found.setdefault(host, room) == room:
            for ear in (play.here, play.there):
                await ear.do("subscribe", room=room)
    return [found[0], found[1]]


async def say_in(play: Scene, room: str, body: str, patience: float) -> None:
    sent = await play.here.do("message.send", room=room, body=body, nonce=body)
    await play.there.until(lambda: sent["message"]["id"] in play.there.rooms[room].messages, patience)


async def test_two_redis_servers_share_the_rooms_and_one_that_is_lost_takes_only_its_own_along(
    sharded: tuple[Stack, Cast], hosts: list[servers.Server]
) -> None:
    async with scene(*sharded) as play:
        await play.well()
        rooms = await rooms_on_each(play)
        for room in rooms:
            await say_in(play, room, f"all is well {room}", 10)
        for host in hosts:
            flush(host)
        for room in rooms:
            await say_in(play, room, f"nothing lay in Redis {room}", 10)
        hosts[1].stop()
        await play.lost()
        for n in range(20):
            await say_in(play, rooms[0], f"on the other host {n}", 10)
            await play.here.do("message.send", room=rooms[1], body=f"to nobody there {n}", nonce=f"lost {n}")
        assert [play.noted_since(LOST), play.noted_since(BACK)] == [[1, 1], [0, 0]], (
            "each said once, whatever the calls meet"
        )
        hosts[1].start()
        await play.back()
        for n in range(10):
            for room in rooms:
                await say_in(play, room, f"all is well again {n} {room}", 10)
        for room in rooms:
            await assert_folded(play.rest, room, play.here, play.there)
        assert play.noted_since(LOST) == play.noted_since(BACK) == [1, 1]


def flush(host: servers.Server) -> None:
    """Everything that Redis holds is gone."""
    with socket.create_connection(("127.0.0.1", int(urlsplit(host.url).port or 0)), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")


@pytest.mark.long
async def test_a_connection_that_went_silent_is_noticed_and_replaced(
    make_stack: Any, hosts: list[servers.Server]
) -> None:
    """Publishing works again by new connections at once; the subscription's would be waited on for ever."""
    stack, cast = make_stack("real", CACHE_URL="", HUB_SWEEP_SECONDS=NEVER)
    async with Way(int(urlsplit(hosts[0].url).port or 0)) as way:
        stack.environ["CHANNELS_URL"] = f"redis://127.0.0.1:{way.port}/0"
        async with scene(stack, cast) as play:
            await play.well()
            await play.heard(await play.say("all is well"), 10)
            way.forget()
            missed = [await play.say(f"on a dead connection {n}") for n in range(3)]
            for message in missed:
                await play.heard(message, 15)
            await play.back()
            await play.live(after="a dead connection")
            await assert_folded(play.rest, play.room, play.here, play.there)
            assert play.noted_since(LOST) == play.noted_since(BACK) == [1, 1]


# RabbitMQ.


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[servers.Server]:
    found = broker.rabbitmq()
    if found is None:
        pytest.skip("no RabbitMQ (INSTALL=1 make test installs it)")
    with found:
        yield found


@pytest.fixture
def over_rabbitmq(make_stack: Callable[..., Any], rabbitmq: servers.Server) -> tuple[Stack, Cast]:
    made: tuple[Stack, Cast] = make_stack("real", CHANNELS_URL=rabbitmq.url, CACHE_URL="", HUB_SWEEP_SECONDS=NEVER)
    return made


@pytest.mark.long
async def test_two_servers_converse_over_rabbitmq(over_rabbitmq: tuple[Stack, Cast]) -> None:
    async with scene(*over_rabbitmq) as play:
        for n in range(20):
            await play.heard(await play.say(f"over RabbitMQ {n}"), 10)
        answer = await play.there.do("message.send", room=play.room, body="and back", nonce="back")
        await play.here.until(lambda: answer["message"]["id"] in play.here.rooms[play.room].messages)
        await assert_folded(play.rest, play.room, play.here, play.there)
        await play.well()


@pytest.mark.long
@pytest.mark.skipif("TEST_AMQP_URL" in os.environ, reason="a broker that was given is not restarted")
async def test_a_broker_that_restarts_costs_nobody_a_message(
    over_rabbitmq: tuple[Stack, Cast], rabbitmq: servers.Server
) -> None:
    async with scene(*over_rabbitmq) as play:
        await play.well()
        await play.heard(await play.say("all is well"), 10)
        await asyncio.to_thread(rabbitmq.stop)
        for n in range(3):
            await play.say(f"without a broker {n}")
        await play.lost()
        rabbitmq.launch()
        await asyncio.to_thread(rabbitmq.wait_until_it_answers)
        await play.back(60)
        await play.live(after="a restart of the broker")
        await assert_folded(play.rest, play.room, play.here, play.there)
        assert play.noted_since(LOST) == play.noted_since(BACK) == [1, 1]


@pytest.mark.long
@pytest.mark.skipif("TEST_AMQP_URL" in os.environ, reason="a broker that was given is not paused")
async def test_a_broker_that_says_nothing_for_a_while_is_named_and_waited_for(
    over_rabbitmq: tuple[Stack, Cast], rabbitmq: servers.Server
) -> None:
    async with scene(*over_rabbitmq) as play:
        await play.well()
        await play.heard(await play.say("all is well"), 10)
        rabbitmq.pause()
        try:
            for n in range(3):
                await play.say(f"into the silence {n}")
            await play.lost(20)
            await asyncio.sleep(10)
        finally:
            rabbitmq.resume()
        await play.back(60)
        await play.live(after="the silence")
        await assert_folded(play.rest, play.room, play.here, play.there)
