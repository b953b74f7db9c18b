"""Frames that are written to many sockets: encoded once, framed once."""

from collections.abc import Callable
from typing import Protocol

EXTENSION = "conclave.direct"
"""In `scope["extensions"]` of a WebSocket, where the server offers a `Direct` beside plain `send`."""


class Direct(Protocol):
    """Writes whole framed messages straight to the socket."""

    def write(self, framed: bytes) -> bool:
        """Take a message, also where nobody is left to read it; False where the socket takes no more for now."""

    def when_free(self, call: Callable[[], None]) -> None:
        """Call this each time the socket, after `write` was False, takes more."""


class Text:
    """One text message on its way to any number of sockets."""

    __slots__ = ("_framed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._framed: bytes | None = None

    @property
    def framed(self) -> bytes:
        """As an unmasked WebSocket frame of its own (RFC 6455, 5.2)."""
        if self._framed is None:
            payload = self.text.encode()
            self._framed = _head(len(payload)) + payload
        return self._framed

    def __len__(self) -> int:
        """Bytes on the wire."""
        return len(self.framed)


def _head(length: int) -> bytes:
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
