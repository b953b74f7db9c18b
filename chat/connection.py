"""One open socket as the hub sees it: who it is, until when, and what still has to be written to it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from accounts.credentials import Credential
from chat import protocol
from chat.feed import Subscription
from core.errors import ConclaveError, Expired, NoSeat, SlowConsumer
from core.ids import new_id
from core.metrics import CLOSES, SENT
from core.wire import encode_text
from tenants.actor import Actor

OUTBOX_BYTES = 1024 * 1024
"""What one socket may have waiting; past it, it is told `slow_consumer` and closed."""

_PING = encode_text(protocol.PingEvent())

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Connection:
    """Frames go in by `push`, in order, from the event loop; one task writes them."""

    def __init__(self, actor: Actor, credential: Credential, send: Send) -> None:
        self.id = new_id()
        self.actor = actor
        self.credential = credential
        self.subscriptions: dict[UUID, Subscription[Connection]] = {}
        self.closing: ConclaveError | None = None
        self._gone = False
        self._send = send
        self._outbox: deque[str] = deque()
        self._early: list[str] | None = []
        self._waiting = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._end: tuple[float, ConclaveError] | None = None
        self._written_at = time.monotonic()
        self.follow()

    def push(self, text: str) -> None:
        """Queue a frame. Never waits; a socket that does not keep up is closed."""
        if self._gone or self.closing is not None:
            return
        if self._end is not None and time.time() >= self._end[0]:
            self.close(self._end[1])
            return
        (self._outbox if self._early is None else self._early).append(text)
        self._waiting += len(text)
        if self._waiting > OUTBOX_BYTES:
            self._outbox.clear()
            self.close(SlowConsumer())
        self._wake.set()

    def tell(self, event: protocol.Event) -> None:
        self.push(encode_text(event))

    def greet(self, hello: protocol.Event) -> None:
        """The first frame. What was pushed before it is kept until now, and comes after it."""
        early, self._early = self._early or [], None
        self.tell(hello)
        for text in early:
            self._waiting -= len(text)
            self.push(text)

    def close(self, why: ConclaveError) -> None:
        """Say `bye`, then close with the error's code; what was queued before still goes out."""
        if self.closing is None:
            self._outbox.append(encode_text(protocol.bye(why)))
            self.closing = why
            self._wake.set()

    def heartbeat(self, silence: float) -> None:
        """Break a silence of so many seconds."""
        if time.monotonic() - self._written_at >= silence:
            self.push(_PING)

    def follow(self, *, actor: Actor | None = None, credential: Credential | None = None) -> None:
        """Who they are now, or what proves it now: the socket ends when either does."""
        self.actor = actor or self.actor
        self.credential = credential or self.credential
        self._cancel()
        ends = [
            (end.timestamp(), why)
            for end, why in ((self.credential.expires_at, Expired()), (self.actor.expires_at, NoSeat()))
            if end is not None
        ]
        if ends:
            self._end = min(ends, key=lambda each: each[0])
            delay = max(0.0, self._end[0] - time.time())
            self._timer = asyncio.get_running_loop().call_later(delay, self.close, self._end[1])

    def _cancel(self) -> None:
        self._end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def write(self) -> None:
        """Write what is queued, until closed."""
        while True:
            while self._outbox:
                text = self._outbox.popleft()
                self._waiting -= len(text)
                self._written_at = time.monotonic()
                await self._send({"type": "websocket.send", "text": text})
                SENT.inc()
            if self._gone:
                return
            if self.closing is not None:
                CLOSES.labels(self.closing.code).inc()
                await self._send({"type": "websocket.close", "code": self.closing.close or 1011})
                return
            self._wake.clear()
            await self._wake.wait()

    def stop(self) -> None:
        """The socket is gone: nothing more is queued or written."""
        self._cancel()
        self._gone = True
        self._outbox.clear()
        self._wake.set()
