"""Sockets that went silent: pinged, and dropped where no sign of life comes (core/websocket.py)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.websocket import PING, PING_SECONDS, PONG, Socket
from tests.cast import Person
from tests.hostile import HEADERS, framed
from tests.processes import Process

pytestmark = pytest.mark.once
LATE = 2 * 2.0 + 2.0
"""Seconds: the server looks every two, twice, on a busy machine."""


class Flow:
    """A transport that takes what is written, unless it is full."""

    def __init__(self) -> None:
        self.reading = True
        self.full = False
        self.written: list[bytes] = []

    def write(self, framed: bytes) -> bool:
        if not self.full:
            self.written.append(framed)
        return not self.full


class Silent:
    """Of a socket, what is asked when it is looked after; `now` is the time of the last look."""

    heard_at = pinged_at = now = 0.0
    dropped = False

    def __init__(self) -> None:
        self.flow = Flow()

    def onAutoPingTimeout(self) -> None:
        self.dropped = True

    def look(self, seconds: float = 2.0) -> None:
        self.now += seconds
        Socket._look_after(self, self.now)  # type: ignore[arg-type]

    @property
    def pings(self) -> int:
        assert set(self.flow.written) <= {PING}
        return len(self.flow.written)


def test_a_silence_is_broken_by_a_ping_and_only_by_one() -> None:
    socket = Silent()
    for _ in range(4):
        socket.look()
    assert socket.pings == 0
    for _ in range(5):
        socket.look()
    assert socket.pings == 1 and not socket.dropped


def test_whoever_does_not_answer_is_dropped() -> None:
    socket = Silent()
    socket.look(PING_SECONDS)
    socket.look(PING_SECONDS - 0.1)
    assert not socket.dropped
    socket.look(0.1)
    assert socket.dropped


def test_whatever_is_heard_is_a_sign_of_life() -> None:
    socket = Silent()
    for n in range(1, 6):
        socket.look(PING_SECONDS + 0.5)
        assert socket.pings == n
        socket.heard_at = socket.now + 0.1
    assert not socket.dropped


def test_a_pong_that_nobody_reads_is_not_missing() -> None:
    socket = Silent()
    socket.look(PING_SECONDS)
    socket.flow.reading = False
    socket.look(PING_SECONDS)
    socket.flow.reading = True
    socket.look(0.1)
    assert not socket.dropped and socket.pings == 1


def test_a_ping_that_finds_no_room_is_written_later() -> None:
    socket = Silent()
    socket.flow.full = True
    socket.look(PING_SECONDS)
    socket.flow.full = False
    socket.look()
    assert socket.pings == 1 and socket.pinged_at == socket.now


# With a real server.


@pytest.fixture(scope="module")
def served(make_stack: Any) -> tuple[Process, Person]:
    stack, cast = make_stack("embedded")
    return stack.serve(1)[0], cast.member


@asynccontextmanager
async def raw(served: tuple[Process, Person]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket after its handshake, byte by byte."""
    server, person = served
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    bearer = f"Authorization: Bearer {person.access}\r\n"
    writer.write(f"GET /ws/v1/acme/ HTTP/1.1\r\n{HEADERS}{bearer}\r\n".encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_part_of_a_message_that_looks_like_a_pong_is_part_of_it(served: tuple[Process, Person]) -> None:
    async with raw(served) as (reader, writer):
        text = json.dumps({"type": "ping", "id": "looks like a pong"}).encode()
        mask = bytes([text[0] ^ PONG[0], text[1] ^ PONG[1], 0, 0])
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
        assert masked.startswith(PONG)
        for piece in (bytes([0x81, 0x80 | len(text)]) + mask, masked[:6], masked[6:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.2)
        async with asyncio.timeout(10):
            await reader.readuntil(b'"looks like a pong"')


@pytest.mark.long
async def test_a_socket_that_answers_no_ping_is_dropped_and_one_that_does_stays(served: tuple[Process, Person]) -> None:
    async def live(answers: bool) -> float:
        """Seconds until the server ends it."""
        async with raw(served) as (reader, writer):
            began = time.monotonic()
            try:
                async with asyncio.timeout(3 * PING_SECONDS + LATE):
                    while data := await reader.read(65_536):
                        if answers and data.endswith(PING):
                            writer.write(framed(b"", 10))
            except (TimeoutError, ConnectionError):
                pass
            return time.monotonic() - began

    silent, lively = await asyncio.gather(live(answers=False), live(answers=True))
    assert 2 * PING_SECONDS <= silent <= 2 * PING_SECONDS + LATE
    assert lively >= 3 * PING_SECONDS + LATE
