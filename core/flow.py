"""One WebSocket's two directions held within bounds, on a Twisted transport.

Out: a framed message goes straight to the kernel while nothing waits; otherwise it joins the transport's buffer, up
to a bound. In: reading stops while the application is behind, or while the peer does not take what it is sent.
"""

import time
from collections.abc import Callable
from typing import Any

INBOX_FRAMES = 64
INBOX_BYTES = 512 * 1024
"""Frames that may wait for the application; past either, nothing more is read from the socket."""
STUCK_SECONDS = 30.0
"""How long a peer may take nothing at all before it is cut off."""


class Flow:
    """The transport's producer, in Twisted's words: it is told when the outgoing buffer is full and when it is empty.

    Touches private names of Twisted (`dataBuffer`, `_tempDataBuffer`), pinned by a test.
    """

    __slots__ = ("_bytes", "_frames", "_free", "_reading", "_transport", "alive", "full_since")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._free: Callable[[], None] | None = None
        self._frames = self._bytes = 0
        self._reading = True
        self.alive = True
        self.full_since: float | None = None
        transport.unregisterProducer()  # of the HTTP channel that the socket came by
        transport.registerProducer(self, True)

    # Out: `core.frames.Direct`.

    def write(self, framed: bytes) -> bool:
        transport = self._transport
        if not self.alive or transport.disconnecting:
            return True
        if self.full_since is not None:
            return False
        if not transport.dataBuffer and not transport._tempDataBuffer:
            try:
                sent = transport.socket.send(framed)
            except BlockingIOError:
                sent = 0
            except OSError:
                return True  # the reactor will notice
            if sent == len(framed):
                return True
            framed = framed[sent:]
        transport.write(framed)
        return True

    def when_free(self, call: Callable[[], None]) -> None:
        self._free = call

    @property
    def stuck(self) -> bool:
        return self.full_since is not None and time.monotonic() - self.full_since > STUCK_SECONDS

    # What the transport tells.

    def pauseProducing(self) -> None:
        self.full_since = time.monotonic()
        self._regulate()

    def resumeProducing(self) -> None:
        self.full_since = None
        self._regulate()
        if self._free is not None:
            self._free()

    def stopProducing(self) -> None:
        self.alive = False
        if self._free is not None:
            self._free()

    # In.

    def arrived(self, size: int) -> None:
        """A frame of so many bytes waits for the application."""
        self._frames += 1
        self._bytes += size
        self._regulate()

    def taken(self, size: int) -> None:
        self._frames -= 1
        self._bytes -= size
        self._regulate()

    @property
    def reading(self) -> bool:
        return self._reading

    def _regulate(self) -> None:
        read = self.full_since is None and self._frames < INBOX_FRAMES and self._bytes < INBOX_BYTES
        if read is not self._reading and self.alive:
            self._reading = read
            if read:
                self._transport.resumeProducing()
            else:
                self._transport.pauseProducing()
