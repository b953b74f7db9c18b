"""Clients that mean no good, each a process of its own: `python -m tests.hostile KIND PORT TOKEN ROOM ADDRESS`.

Prints `set` once everything is under way, and at its end how many connections the server has ended, as JSON.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator

HEADERS = (
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: conclave.v1\r\n"
)
CROWD = 1_000
FLOOD_BYTES = 200 * 1024 * 1024
PIPELINED = 10_000
PATIENCE = 60.0
"""Seconds after which it gives up, however much is still open."""


def framed(payload: bytes, opcode: int = 1, *, last: bool = True) -> bytes:
    """A client's frame; masked with zeros, which costs nothing."""
    head = bytes([(0x80 if last else 0) | opcode])
    if len(payload) < 126:
        length = bytes([0x80 | len(payload)])
    elif len(payload) < 65_536:
        length = b"\xfe" + len(payload).to_bytes(2, "big")
    else:
        length = b"\xff" + len(payload).to_bytes(8, "big")
    return head + length + b"\0\0\0\0" + payload


def command(kind: str, number: int, **fields: object) -> bytes:
    return framed(json.dumps({"type": kind, "id": str(number), **fields}).encode())


class Hostile:
    def __init__(self, port: int, token: str, room: str, address: str) -> None:
        self.port, self.token, self.room, self.address = port, token, room, address
        self.open: list[socket.socket] = []
        self.ended = 0
        self.sent = self.received = 0
        self.until = time.monotonic() + PATIENCE

    @property
    def in_time(self) -> bool:
        return time.monotonic() < self.until

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        made = socket.socket()
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(PATIENCE)
        made.bind((self.address, 0))
        made.connect(("127.0.0.1", self.port))
        self.open.append(made)
        return made

    def upgrade(self, receive_buffer: int | None = None) -> socket.socket:
        """A socket of a member, past its greeting."""
        made = self.connect(receive_buffer)
        made.sendall(f"GET /ws/v1/acme/ HTTP/1.1\r\n{HEADERS}Authorization: Bearer {self.token}\r\n\r\n".encode())
        assert b" 101 " in made.recv(2_000)
        return made

    def send_all(self, connection: socket.socket, frames: Iterator[bytes]) -> bool:
        """As fast as it is taken; whether the server has ended it, or stopped taking for ten seconds."""
        connection.settimeout(10)
        try:
            for each in frames:
                connection.sendall(each)
                self.sent += len(each)
                if not self.in_time:
                    return False
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    def flood_until_ended(self, connection: socket.socket, frames: Iterator[bytes]) -> None:
        """The end may be on its way when everything is sent."""
        if self.send_all(connection, frames):
            self.ended += 1
        else:
            self.wait_for_the_end(connection)

    def wait_for_the_end(self, connection: socket.socket, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Without reading: who writes to a connection that is gone is told."""
        connection.setblocking(False)
        probe = framed(b"", 9)
        while self.in_time:
            try:
                connection.send(probe)
            except BlockingIOError:
                pass
            except OSError:
                self.ended += 1
                return
            meanwhile()
            time.sleep(0.2)

    def watch(self, drip: bytes = b"") -> None:
        """Until all are ended; a drop of something to each now and then."""
        selector = selectors.DefaultSelector()
        for each in self.open:
            each.setblocking(False)
            selector.register(each, selectors.EVENT_READ)
        dripped = time.monotonic()
        while self.in_time and selector.get_map():
            for key, _ in selector.select(0.5):
                try:
                    gone = not key.fileobj.recv(65_536)  # type: ignore[union-attr]
                except OSError:
                    gone = True
                if gone:
                    selector.unregister(key.fileobj)
                    self.ended += 1
            if drip and time.monotonic() - dripped > 2:
                dripped = time.monotonic()
                for key in list(selector.get_map().values()):
                    try:
                        key.fileobj.send(drip)  # type: ignore[union-attr]
                    except OSError:
                        continue

    # The kinds.

    def never_reads(self) -> None:
        connection = self.upgrade(receive_buffer=4_096)
        ready()
        asked = (command("subscribe", n, room=self.room, limit=100) for n in range(200))
        if self.send_all(connection, asked):
            self.ended += 1
        else:
            self.wait_for_the_end(connection)

    def reads_a_byte_a_second(self) -> None:
        connection = self.upgrade(receive_buffer=4_096)
        ready()
        asked = b"".join(command("subscribe", n, room=self.room, limit=100) for n in range(60))
        connection.sendall(asked)
        last = time.monotonic()

        def read_a_byte() -> None:
            nonlocal last
            if time.monotonic() - last > 1:
                last = time.monotonic()
                self.received += len(connection.recv(1))

        self.wait_for_the_end(connection, read_a_byte)

    def floods(self) -> None:
        """Frames that are well-formed and as large as may be."""
        connection = self.upgrade()
        ready()
        each = command("message.send", 1, room=self.room, nonce="n", body="x" * 100_000)
        self.ended += self.send_all(connection, (each for _ in range(FLOOD_BYTES // len(each))))

    def floods_with_pings(self) -> None:
        connection = self.upgrade()
        ready()
        self.flood_until_ended(connection, (framed(b"", 9) * 1_000 for _ in range(FLOOD_BYTES // 6_000)))

    def floods_with_empty_parts(self) -> None:
        connection = self.upgrade()
        connection.sendall(framed(b"", 1, last=False))
        ready()
        part = framed(b"", 0, last=False) * 1_000
        self.flood_until_ended(connection, (part for _ in range(FLOOD_BYTES // 6_000)))

    def floods_before_the_answer(self) -> None:
        """The handshake, and at once more than anyone would keep, with what looks like another one in it."""
        connection = self.connect()
        connection.sendall(f"GET /ws/v1/acme/ HTTP/1.1\r\n{HEADERS}Authorization: Bearer nobody\r\n\r\n".encode())
        ready()
        more = b"GET / HTTP/1.1\r\n\r\n" * 1_000
        self.flood_until_ended(connection, (more for _ in range(FLOOD_BYTES // len(more))))

    def says_nothing(self) -> None:
        for _ in range(CROWD):
            self.connect()
        ready()
        self.watch()

    def half_a_handshake(self) -> None:
        for n in range(CROWD):
            part = f"GET /ws/v1/acme/ HTTP/1.1\r\n{HEADERS}"
            self.connect().sendall(part[: 2 + n % len(part)].encode())
        ready()
        self.watch(drip=b"x")

    def shows_nothing_good(self) -> None:
        for n in range(CROWD):
            shown = "Authorization: Bearer ccl_nobody\r\n" if n % 2 else ""
            self.connect().sendall(f"GET /ws/v1/acme/ HTTP/1.1\r\n{HEADERS}{shown}\r\n".encode())
            time.sleep(0.005)
        ready()
        self.watch()

    def pipelines(self) -> None:
        connection = self.upgrade()
        ready()
        kinds = ("ping", "hello", "subscribe", "typing", "message.send")
        fields: dict[str, dict[str, object]] = {
            "subscribe": {"room": self.room, "limit": 1},
            "typing": {"room": self.room},
            "message.send": {"room": self.room, "body": "!"},
        }
        everything = b""
        for n in range(PIPELINED):
            kind = kinds[n % len(kinds)] if n % 100 == 0 else "ping"
            nonce = {"nonce": str(n)} if kind == "message.send" else {}
            everything += command(kind, n, **fields.get(kind, {}), **nonce)
        connection.setblocking(False)
        at = 0
        while self.in_time:
            try:
                at += connection.send(everything[at : at + 65_536]) if at < len(everything) else 0
            except BlockingIOError:
                pass
            except OSError:
                break
            try:
                got = connection.recv(65_536)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            except OSError:
                break
            self.received += got.count(b'"type":"ok"')
            if not got:
                break
            if self.received >= PIPELINED:
                return
        self.ended += 1


def ready() -> None:
    print("set", flush=True)


if __name__ == "__main__":
    hostile = Hostile(int(sys.argv[2]), *sys.argv[3:])
    began = time.monotonic()
    getattr(hostile, sys.argv[1])()
    seconds = round(time.monotonic() - began, 1)
    told = {"ended": hostile.ended, "sent": hostile.sent, "received": hostile.received, "seconds": seconds}
    print(json.dumps(told), flush=True)
