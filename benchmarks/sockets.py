"""One socket of the load: it counts and times what arrives, and sends what it is told. On picows, to cost little."""

import asyncio
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.dialects import DIALECTS, STAMP, Seat

PATIENCE = 30.0
TRIES = 10
STAMP_END = len(STAMP) + 18


@dataclass
class Tally:
    """What one measurement saw, over all its sockets."""

    due: int = -1
    """The number of deliveries that ends it."""
    sent: int = 0
    delays: "array[float]" = field(default_factory=lambda: array("d"))
    waits: "array[float]" = field(default_factory=lambda: array("d"))
    refusals: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, payload: bytes) -> None:
        at = payload.find(STAMP)
        self.delays.append(time.monotonic() - float(payload[at + len(STAMP) : at + STAMP_END]))
        if len(self.delays) == self.due:
            self.done.set()

    def expect(self, deliveries: int) -> None:
        self.due = deliveries
        if len(self.delays) >= deliveries:
            self.done.set()


class Closed(Exception):
    """The server closed a socket of the load, or refused it."""


class Ear(WSListener):
    """`tally` is what it counts into. In a closed loop it sends until `until`, with `flight` unanswered at most."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.dialect = DIALECTS[seat.dialect]
        self.heard, self.acked = self.dialect.heard, self.dialect.acked
        self.tally = Tally()
        self.until = 0.0
        self.sent_at: deque[float] = deque()
        self.idle = asyncio.Event()
        self.closed = ""
        self.entered = False
        self._awaited = self.dialect.greeting
        self._arrived = asyncio.Event()
        self._nonce = ""
        self._number = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.CLOSE:
            self.closed = f"{frame.get_close_code()} {frame.get_close_reason()}"
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif self.heard in payload and not self._awaited:
            self.tally.hear(payload)
        else:
            self._control(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = self.closed or "without a close frame"
        self._arrived.set()
        self.idle.set()

    def _control(self, payload: bytes) -> None:
        if self._awaited and self._awaited in payload:
            self._awaited = b""
            self._arrived.set()
        elif self.acked and self.acked in payload and self.sent_at:
            self.tally.waits.append(time.monotonic() - self.sent_at.popleft())
            self._keep_going()
        elif self.dialect.refused in payload:
            self.tally.refusals.append(payload.decode(errors="replace")[:300])
            self._arrived.set()
            if self.sent_at:
                self.sent_at.popleft()
                self._keep_going()
        elif payload == self.dialect.ping:
            self.transport.send(WSMsgType.TEXT, self.dialect.pong)

    def _keep_going(self) -> None:
        if time.monotonic() < self.until:
            self.say()
        elif not self.sent_at:
            self.idle.set()

    async def arrival(self) -> None:
        """Wait for the frame that is awaited."""
        await asyncio.wait_for(self._arrived.wait(), PATIENCE)
        if self._awaited or self.closed:
            raise Closed(self.closed or str(self.tally.refusals))

    async def enter(self) -> None:
        if self.dialect.entered:
            self._awaited = self.dialect.entered
            self._arrived.clear()
            self.transport.send(WSMsgType.TEXT, self.dialect.enter(self.seat))
            await self.arrival()
        self.entered = True

    def begin(self, tally: Tally, nonce: str) -> None:
        """Count into this tally from now on."""
        self.tally, self._nonce, self._number = tally, nonce, 0
        self.sent_at.clear()
        self.idle.clear()

    def say(self) -> None:
        self._number += 1
        self.tally.sent += 1
        self.sent_at.append(time.monotonic())
        message = self.dialect.message(self.seat, self._number, f"{self._nonce}-{self._number}")
        self.transport.send(WSMsgType.TEXT, message)


async def opened(seat: Seat) -> Ear:
    """A socket that the server has greeted, if it is one that greets. One that is too busy (1013) is asked again."""
    for _ in range(TRIES - 1):
        try:
            return await _opened(seat)
        except Closed as closed:
            if not str(closed).startswith("1013"):
                raise
            await asyncio.sleep(1)
    return await _opened(seat)


async def _opened(seat: Seat) -> Ear:
    headers = dict(seat.headers)
    if DIALECTS[seat.dialect].subprotocol:
        headers["Sec-WebSocket-Protocol"] = DIALECTS[seat.dialect].subprotocol
    _, ear = await ws_connect(
        lambda: Ear(seat),
        seat.url,
        extra_headers=headers,
        websocket_handshake_timeout=PATIENCE,
        read_buffer_init_size=2048,
    )
    assert isinstance(ear, Ear)
    if ear.dialect.greeting:
        await ear.arrival()
    return ear
