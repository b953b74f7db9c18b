"""Slow and hostile sockets: each is cut off, what it costs is bounded, and the others hardly notice."""

import asyncio
import itertools
import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import uuid4

import httpx
import pytest

from tests import servers
from tests.cast import Cast
from tests.delivering import Rest
from tests.hostile import CROWD, PIPELINED
from tests.processes import Process
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
MEGABYTE = 1024 * 1024
GROWTH = 64 * MEGABYTE
WINDOW = 2.0
"""Seconds over which a p99 is taken."""
WINDOWS = 5
PAUSE = 0.02
BETWEEN = 1.0
"""Seconds between two attacks: what starting one costs is not the server's doing."""
FLOOR = 0.1
"""Seconds below which a p99 is no worse than any other."""


class Scene(NamedTuple):
    """One server with a room of large messages, and where its figures are."""

    server: Process
    figures: str
    cast: Cast
    room: str

    @property
    def memory(self) -> int:
        """Resident bytes of the server."""
        status = Path(f"/proc/{self.server.popen.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    async def closes(self) -> dict[str, int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(self.figures)).text
        found = re.findall(r'conclave_closes_total\{code="(\w+)"\} ([\d.]+)', text)
        return {code: int(float(count)) for code, count in found}


@asynccontextmanager
async def scene(make_stack: Any, kind: str, **settings: str) -> AsyncIterator[Scene]:
    stack, cast = make_stack(kind, **settings)
    port = servers.free_port()
    (server,) = stack.serve(1, "serve", f"--metrics=127.0.0.1:{port}")
    async with Rest(server, cast.owner) as rest:
        room = await rest.make_room(cast.member, cast.guest)
        for _ in range(33):
            await rest.send(room, "x" * 8_000)
    yield Scene(server, f"http://127.0.0.1:{port}/metrics", cast, room)
    assert "Traceback" not in server.log_text()


class Watch:
    """What an honest member meets meanwhile: the time from a message to its answer; and the server's memory."""

    def __init__(self, play: Scene) -> None:
        self.play = play
        self.most = play.memory

    async def p99(self, windows: int = WINDOWS) -> float:
        """The median of several windows' p99."""
        async with await Socket.open(self.play.server.ws_url, token=self.play.cast.owner.access) as socket:
            found = [await self._window(socket) for _ in range(windows)]
        return statistics.median(found)

    async def _window(self, socket: Socket) -> float:
        until, took = time.monotonic() + WINDOW, list[float]()
        while time.monotonic() < until:
            began = time.monotonic()
            await socket.do("message.send", room=self.play.room, body="hello", nonce=uuid4().hex)
            took.append(time.monotonic() - began)
            self.most = max(self.most, self.play.memory)
            await asyncio.sleep(PAUSE)
        return sorted(took)[int(len(took) * 0.99)]

    async def memory(self) -> None:
        while True:
            self.most = max(self.most, self.play.memory)
            await asyncio.sleep(0.1)


class Attack:
    """One kind of hostility as a process of its own."""

    _addresses = (f"127.0.{n // 250}.{n % 250 + 2}" for n in itertools.count())
    """Each comes from an address of its own, lest one pay for what another did."""

    def __init__(self, play: Scene, kind: str) -> None:
        self.arguments = [kind, str(play.server.port), play.cast.guest.access, play.room, next(self._addresses)]

    async def __aenter__(self) -> Self:
        command = [sys.executable, "-m", "tests.hostile", *self.arguments]
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert await self._line() == "set"
        return self

    async def _line(self) -> str:
        assert self.process.stdout
        return (await asyncio.wait_for(self.process.stdout.readline(), 90)).decode().strip()

    async def outcome(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._line())
        return found

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


ENDS = {
    "never_reads": {"slow_consumer"},
    "reads_a_byte_a_second": {"slow_consumer"},
    "floods_with_pings": {"rate_limited"},
    "floods_with_empty_parts": {"rate_limited"},
    "floods_before_the_answer": {"not_authenticated", "bad_frame"},
    "says_nothing": {"silent"},
    "half_a_handshake": {"silent"},
    "shows_nothing_good": {"not_authenticated"},
}
"""By which codes the server ends each kind; where its limits are on, they may be quicker."""
CROWDS = ("says_nothing", "half_a_handshake", "shows_nothing_good")


async def attacked(play: Scene, kind: str) -> tuple[dict[str, Any], int]:
    """What came of it, and by how many bytes the server grew."""
    watch, before = Watch(play), play.memory
    watching = asyncio.create_task(watch.memory())
    async with Attack(play, kind) as attack:
        outcome = await attack.outcome()
    watching.cancel()
    return outcome, watch.most - before


async def assert_ended(play: Scene, kind: str, outcomes: list[dict[str, Any]], before: dict[str, int]) -> None:
    """All of its connections, by the code that is documented, in figures and log."""
    number = CROWD if kind in CROWDS else 1
    assert all(outcome["ended"] == number for outcome in outcomes), f"{kind}: {outcomes}"
    deadline = time.monotonic() + 10
    while (closed := await _closed(play, before)).total() < number * len(outcomes):
        assert time.monotonic() < deadline, closed
    assert set(closed) <= ENDS[kind] | {"rate_limited"}
    assert all(f"code={code}" in play.server.log_text() for code in closed)


async def _closed(play: Scene, before: dict[str, int]) -> Counter[str]:
    return Counter(await play.closes()) - Counter(before)


async def test_who_never_reads_or_floods_is_cut_off_and_costs_little(make_stack: Any) -> None:
    async with scene(make_stack, "embedded") as play:
        for kind in ("never_reads", "floods_with_pings", "floods_with_empty_parts", "floods_before_the_answer"):
            before = await play.closes()
            outcome, growth = await attacked(play, kind)
            await assert_ended(play, kind, [outcome], before)
            assert growth < GROWTH, f"{kind}: {growth // MEGABYTE} MB"
        outcome, growth = await attacked(play, "pipelines")
        assert outcome["ended"] == 0 and outcome["received"] == PIPELINED, "each of them is answered"
        assert growth < GROWTH


async def attacked_until(play: Scene, kind: str, done: asyncio.Event) -> list[dict[str, Any]]:
    """One after the other, whole."""
    outcomes = []
    while not done.is_set():
        async with Attack(play, kind) as attack:
            outcomes.append(await attack.outcome())
        await asyncio.sleep(BETWEEN)
    return outcomes


async def assert_others_hardly_notice(play: Scene, quiet: float, kind: str) -> None:
    watch, before, closes, done = Watch(play), play.memory, await play.closes(), asyncio.Event()
    attacking = asyncio.create_task(attacked_until(play, kind, done))
    noisy = await watch.p99()
    done.set()
    outcomes = await attacking
    growth = watch.most - before
    print(f"{kind}: p99 {quiet * 1000:.0f} → {noisy * 1000:.0f} ms, +{growth // MEGABYTE} MB, {outcomes}")
    assert noisy <= max(2 * quiet, FLOOR), kind
    assert growth < GROWTH, kind
    if kind in ENDS:
        await assert_ended(play, kind, outcomes, closes)


@pytest.mark.long
async def test_others_hardly_notice_a_hostile_socket(make_stack: Any) -> None:
    """The one kind after the other, with the limits as they are in use, but for those on what the measuring sends."""
    async with scene(make_stack, "real", RATE_LIMIT_FACTOR="1", LIMIT_SENDS_USER="100000/20") as play:
        watch = Watch(play)
        await watch.p99(1)
        quiet = await watch.p99()
        for kind in ["floods", "pipelines", *ENDS]:
            await assert_others_hardly_notice(play, quiet, kind)


@pytest.mark.long
async def test_a_flood_costs_no_memory_even_without_limits(make_stack: Any) -> None:
    async with scene(make_stack, "embedded") as play:
        outcome, growth = await attacked(play, "floods")
        assert outcome["ended"] == 0 and outcome["sent"] > 199 * MEGABYTE, outcome
        assert growth < GROWTH
