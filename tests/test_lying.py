"""The layers that lie, themselves: what they let through, lest a dead one pass for one that lies."""

import asyncio
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests import lying, servers
from tests.lying import CUT_EVERY, CUT_FOR, ForgetfulLayer, LyingLayer

pytestmark = pytest.mark.once
SENT = 300


@pytest.fixture
def hosts() -> list[dict[str, str]]:
    redis = servers.redis()
    if redis is None:
        pytest.skip("no Redis")
    return [{"address": redis.url}]


async def heard_by(layer: Any, events: list[dict[str, Any]], patience: float) -> list[dict[str, Any]]:
    channel = await layer.new_channel("test")
    await layer.group_add("room", channel)
    for event in events:
        await layer.group_send("room", event)
    heard = []
    try:
        while True:
            heard.append(await asyncio.wait_for(layer.receive(channel), patience))
    except TimeoutError:
        return heard
    finally:
        await layer._get_layer().flush()


async def test_a_lying_layer_loses_repeats_and_reorders_but_lets_most_through(
    hosts: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lying, "CUT_FOR", 0.0)
    events = [{"type": "told", "n": n} for n in range(SENT)]
    numbers = [event["n"] for event in await heard_by(LyingLayer(hosts=hosts), events, 1.0)]
    times = Counter(numbers)
    assert 0.55 * SENT < len(times) < 0.85 * SENT, "about 70 % come at all"
    assert sum(count > 1 for count in times.values()) > 0.08 * SENT, "some of them twice"
    assert sum(a > b for a, b in pairwise(numbers)) > 0.05 * SENT, "some too late"


async def test_a_lying_layer_is_cut_off_now_and_then(
    hosts: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = LyingLayer(hosts=hosts)
    monkeypatch.setattr(time, "time", lambda: 4 * CUT_EVERY + CUT_FOR / 2)
    with pytest.raises(ConnectionError):
        await layer.group_send("room", {"type": "told"})
    with pytest.raises(ConnectionError):
        await layer.group_add("room", "channel")
    monkeypatch.setattr(time, "time", lambda: 4 * CUT_EVERY + CUT_FOR)
    await layer.group_add("room", await layer.new_channel("test"))
    await layer._get_layer().flush()


async def test_a_forgetful_layer_loses_removals_and_nothing_else(hosts: list[dict[str, str]]) -> None:
    told: list[dict[str, Any]] = [
        {"type": "conclave.seat"},
        {"type": "conclave.room", "frames": ["a message"]},
        {"type": "conclave.room", "frames": []},
        {"type": "conclave.presence"},
        {"type": "conclave.room_changed"},
        {"type": "conclave.seat_changed"},
    ]
    assert await heard_by(ForgetfulLayer(hosts=hosts), told, 0.5) == [told[1], told[3]]
