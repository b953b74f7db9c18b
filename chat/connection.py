"""One open socket as the hub sees it: who it is, until when, and what still has to be written to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog

from accounts.credentials import Credential
from chat import protocol
from chat.feed import Subscription
from chat.outbox import BUDGET, Budget, Outbox
from core.errors import ConclaveError, Expired, NoSeat, SlowConsumer
from core.frames import Direct, Text
from core.ids import new_id
from core.metrics import SENT, count_close
from core.wire import encode_text
from tenants.actor import Actor

_PING = Text(encode_text(protocol.PingEvent()))

log = structlog.get_logger(__name__)

LAST_WORDS = 2.0
"""Seconds that a socket which is to be closed has for taking what it is told."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Connection:
    """Frames go in by `push`, in order, from the event loop. What the socket takes at once is written at once, where
    the server offers that; the rest waits in its outbox for a task that lives as long as something waits."""

    def __init__(
        self, actor: Actor, credential: Credential, send: Send, direct: Direct | None = None, budget: Budget = BUDGET
    ) -> None:
        self.id = new_id()
        self.actor = actor
        self.credential = credential
        self.subscriptions: dict[UUID, Subscription[Connection]] = {}
        self.closing: ConclaveError | None = None
        self._busy = 0
        self._leaving: ConclaveError | None = None
        self._gone = False
        self._send = send
        self._direct = direct
        self._outbox = Outbox(budget, self._overflow)
        self._greeted = False
        self._open: Direct | None = None
        """The direct way, while nothing comes before: neither what waits nor what is on its way from there."""
        self._writing: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._end: tuple[float, ConclaveError] | None = None
        self._written_at = time.monotonic()
        if direct is not None:
            direct.when_free(self._free.set)
        self.follow()

    def push(self, frame: Text, about: object = None) -> None:
        """Write or queue a frame. Never waits; a socket that does not keep up is closed.

        With `about` the frame may be lost: where others wait it is dropped for the next one about the same.
        """
        if self._gone or self.closing is not None:
            return
        if self._end is not None and time.time() >= self._end[0]:
            self.close(self._end[1])
            return
        if self._open is not None and self._open.write(frame.framed):
            self._note()
            return
        self._outbox.add(frame, about)
        self._kick()

    def offer(self, frame: Text, about: object) -> bool:
        """Push a frame that builds on the one before it about the same; not where it could be lost: False then."""
        takes = self._outbox.takes(about)
        if takes:
            self.push(frame, about)
        return takes

    def forget(self, about: object) -> None:
        """Lose what waits about this."""
        self._outbox.lose(about)

    def tell(self, event: protocol.Event) -> None:
        self.push(Text(encode_text(event)))

    def greet(self, hello: protocol.Event) -> None:
        """The first frame. What was pushed before it was kept until now, and comes after it."""
        if self.closing is not None:
            return
        self._outbox.put_first(Text(encode_text(hello)))
        self._greeted = True
        self._kick()

    def close(self, why: ConclaveError) -> None:
        """Say `bye`, then close with the error's code; what was queued before still goes out."""
        if self.closing is None:
            self.closing = why
            if not self._greeted:
                self._outbox.clear()
            self._outbox.put_last(Text(encode_text(protocol.bye(why))))
            self._greeted = True
            self._free.set()
            self._kick()

    def _overflow(self) -> None:
        """Too much waits: nothing but the reason is written any more."""
        self._outbox.clear()
        self.close(SlowConsumer())

    # Commands under way.

    def begin(self) -> None:
        """A command is being answered."""
        self._busy += 1

    def end(self) -> None:
        self._busy -= 1
        if self._leaving is not None:
            self.retire(self._leaving)

    @property
    def retiring(self) -> bool:
        """Nothing more is taken in."""
        return self._leaving is not None or self.closing is not None

    def retire(self, why: ConclaveError) -> None:
        """Close once the commands under way are answered."""
        self._leaving = why
        if not self._busy:
            self.close(why)

    # How long it lives.

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

    # Writing what waits.

    def _kick(self) -> None:
        if self._writing is None and self._greeted and not self._gone:
            self._open = None
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            with suppress(TimeoutError):
                while self._outbox:
                    await self._put(self._outbox.next())
                    self._note()
            if self.closing is not None and not self._gone:
                count_close(self.closing.code)
                log.info("socket closed", code=self.closing.code, connection=str(self.id), user=str(self.actor.user))
                await self._send({"type": "websocket.close", "code": self.closing.close or 1011})
        except OSError:
            log.debug("the socket went while it was written to", connection=str(self.id))
        finally:
            self._writing = None
            if not self._outbox and self.closing is None:
                self._open = self._direct

    async def _put(self, frame: Text) -> None:
        """Raises TimeoutError where a socket that is to be closed takes nothing more."""
        if self._direct is None:
            await self._send({"type": "websocket.send", "text": frame.text})
            return
        self._free.clear()
        while not self._gone and not self._direct.write(frame.framed):
            await asyncio.wait_for(self._free.wait(), LAST_WORDS if self.closing else None)
            self._free.clear()

    def _note(self) -> None:
        self._written_at = time.monotonic()
        SENT.count += 1

    def stop(self) -> None:
        """The socket is gone: nothing more is queued or written."""
        self._cancel()
        self._gone = True
        self._outbox.clear()
        self._free.set()
