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
CHUNK = 4 * 1024
"""Bytes that are read from a socket at a time, and may wait in the transport's buffer for it to be full: who sends
hundreds of small frames at once holds up the others only for as many as fit in here."""
TURN = 8
"""Frames of one socket that the application takes in a row while others may wait."""
STUCK_SECONDS = 30.0
"""How long a peer may leave the buffer full before it is cut off."""
ENDING_SECONDS = 5.0
"""How long a connection that is to be closed may take for what it was sent."""


class Flow:
    """The transport's producer, in Twisted's words: it is told when the outgoing buffer is full and when it is empty.

    Touches private names of Twisted (`dataBuffer`, `_tempDataBuffer`), pinned by a test.
    """

    __slots__ = ("_bytes", "_ended_at", "_frames", "_free", "_full_since", "_held", "_reading", "_row", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._free: Callable[[], None] | None = None
        self._frames = self._bytes = self._row = 0
        self._reading = True
        self._held = False
        self._full_since: float | None = None
        self._ended_at: float | None = None
        transport.bufferSize = CHUNK
        transport.unregisterProducer()  # of the HTTP channel that the socket came by
        transport.registerProducer(self, True)

    # Out: `core.frames.Direct`.

    def write(self, framed: bytes) -> bool:
        transport = self._transport
        if self._ended_at is not None or transport.disconnecting:
            return True
        if self._full_since is not None:
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
        """The peer has not taken what it was sent, for longer than anybody waits."""
        now = time.monotonic()
        if self._ended_at is not None:
            return now - self._ended_at > ENDING_SECONDS
        return self._full_since is not None and now - self._full_since > STUCK_SECONDS

    # What the transport tells.

    def pauseProducing(self) -> None:
        self._full_since = time.monotonic()
        self._regulate()

    def resumeProducing(self) -> None:
        self._full_since = None
        self._regulate()
        self._tell()

    def stopProducing(self) -> None:
        """The connection is lost, or will be: whatever is still written to it is written to nobody."""
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        self._tell()

    def _tell(self) -> None:
        if self._free is not None:
            self._free()

    # In.

    def hold(self) -> None:
        """Read nothing until `release`."""
        self._held = True
        self._regulate()

    def release(self) -> None:
        self._held = False
        self._regulate()

    def arrived(self, size: int) -> None:
        """A frame of so many bytes waits for the application."""
        self._frames += 1
        self._bytes += size
        self._regulate()

    def taken(self, size: int) -> bool:
        """The application has taken one; whether it is for others to have their turn before the next."""
        self._frames -= 1
        self._bytes -= size
        self._row = self._row + 1 if self._frames else 0
        self._regulate()
        return self._row % TURN == TURN - 1

    @property
    def reading(self) -> bool:
        return self._reading

    def _regulate(self) -> None:
        behind = self._frames >= INBOX_FRAMES or self._bytes >= INBOX_BYTES
        read = self._full_since is None and not behind and not self._held
        if read is not self._reading and self._ended_at is None:
            self._reading = read
            if read:
                self._transport.resumeProducing()
            else:
                self._transport.pauseProducing()
