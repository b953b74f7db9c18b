"""What each peer speaks on its socket: what opens it, how a message is sent, and how deliveries and answers look."""

import json
import random
import string
import time
from dataclasses import dataclass, field

LENGTH = 200
STAMP = b"sent="
"""Every body begins with it and 18 digits: when it was sent. That also makes each body a new one for any cache."""


@dataclass(frozen=True)
class Seat:
    """One socket to be opened: where, who, and the room it is in."""

    dialect: str
    url: str
    room: str
    headers: dict[str, str] = field(default_factory=dict)
    token: str = ""


def _tails(count: int = 512) -> list[str]:
    """Random words, every second time with Markdown between them. The same in every run."""
    source = random.Random(20)

    def word() -> str:
        return "".join(source.choices(string.ascii_lowercase, k=source.randint(2, 9)))

    def tail(number: int) -> str:
        one, two, three, four = (word() for _ in range(4))
        marked = f" **{one}** and _{two}_ with `{three}` at [{four}](https://example.org/{four})"
        text = marked if number % 2 else ""
        while len(text) < LENGTH:
            text += " " + word()
        return text

    return [tail(number) for number in range(count)]


TAILS = _tails()


def body(number: int) -> str:
    """200 bytes, half of them with markup, stamped with the time of sending."""
    return f"sent={time.monotonic():018.6f}{TAILS[number % len(TAILS)]}"[:LENGTH]


class Dialect:
    """`greeting` is in the first frame the server sends on its own, `entered` in its answer to `enter`; empty: none.

    `heard` is in every delivery; of the other frames, `acked` is in every answer to a message, `refused` in a failure.
    """

    subprotocol = ""
    greeting = b""
    entered = b""
    heard = STAMP
    acked = b""
    refused = b"\0"
    ping, pong = b"\0", b""

    def enter(self, seat: Seat) -> bytes:
        """What is sent to be in the room."""
        return b""

    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        raise NotImplementedError


class Bare(Dialect):
    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        return body(number).encode()


class Tutorial(Dialect):
    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        return json.dumps({"message": body(number)}).encode()


class Usual(Dialect):
    greeting = b'"welcome"'
    heard = b'"message"'
    acked = b'"ack"'

    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        return json.dumps({"id": nonce, "body": body(number)}).encode()


class Conclave(Dialect):
    subprotocol = "conclave.v1"
    greeting = b'"hello"'
    entered = acked = b'"ok"'
    heard = b'"message.created"'
    refused = b'"error"'

    def enter(self, seat: Seat) -> bytes:
        return json.dumps({"type": "subscribe", "id": "1", "room": seat.room, "limit": 0}).encode()

    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        frame = {"type": "message.send", "id": nonce, "room": seat.room, "body": body(number), "nonce": nonce}
        return json.dumps(frame).encode()


class SocketIO(Dialect):
    """Engine.IO 4 frames over a WebSocket: `40` opens with the token, `42` is an event, `43` its answer."""

    greeting = b'0{"sid"'
    entered = b'40{"sid"'
    heard = b'42["message"'
    acked = b"43"
    refused = b"44{"
    ping, pong = b"2", b"3"

    def enter(self, seat: Seat) -> bytes:
        return b"40" + json.dumps({"token": seat.token}).encode()

    def message(self, seat: Seat, number: int, nonce: str) -> bytes:
        return f"42{number}".encode() + json.dumps(["message", {"room": seat.room, "body": body(number)}]).encode()


DIALECTS: dict[str, Dialect] = {
    "bare": Bare(),
    "tutorial": Tutorial(),
    "usual": Usual(),
    "conclave": Conclave(),
    "socketio": SocketIO(),
}
