"""One socket's bounds in both directions, on a transport of Twisted's own; and how frames are headed."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import error, tcp
from twisted.python.failure import Failure

from core import flow
from core.flow import CHUNK, INBOX_BYTES, INBOX_FRAMES, TURN, Flow
from core.frames import Text

pytestmark = pytest.mark.once
MUCH = 8 * 1024 * 1024
"""More than a kernel takes for a peer that does not read."""


class Reactor:
    """Remembers who waits for what; time never passes."""

    def __init__(self) -> None:
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def callLater(self, _seconds: float, call: Any, *arguments: Any) -> None:  # noqa: N802  Twisted's name
        call(*arguments)


class Protocol:
    def connectionLost(self, reason: Any) -> None:  # noqa: N802  Twisted's name
        pass


class Wire:
    """A server's side of a connection with its flow, and the peer's socket."""

    def __init__(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.ours.setblocking(False)
        self.reactor, server = Reactor(), SimpleNamespace(_realPortNumber=1)
        self.transport: Any = tcp.Server(self.ours, Protocol(), ("peer", 1), server, 0, self.reactor)
        self.flow = Flow(self.transport)
        self.told = 0
        self.flow.when_free(self._note)

    def _note(self) -> None:
        self.told += 1

    @property
    def reads(self) -> bool:
        return self.transport in self.reactor.readers

    def fill(self) -> int:
        """Write until nothing more is taken; how many bytes that was."""
        written = 0
        while self.flow.write(b"x" * 1000):
            written += 1000
            assert written < MUCH
        return written

    def drain(self) -> int:
        """Read everything, letting the transport write what it holds."""
        self.peer.setblocking(False)
        read = 0
        while True:
            try:
                read += len(self.peer.recv(65_536))
            except BlockingIOError:
                if self.transport not in self.reactor.writers:
                    return read
                self.transport.doWrite()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.peer.close()
    made.ours.close()


def test_a_free_socket_is_written_to_past_the_transport(wire: Wire) -> None:
    assert wire.flow.write(b"at once")
    assert wire.peer.recv(100) == b"at once"
    assert wire.transport not in wire.reactor.writers


def test_the_private_names_that_it_touches_are_twisteds(wire: Wire) -> None:
    assert wire.transport.dataBuffer == b""
    assert wire.transport._tempDataBuffer == []
    wire.transport.write(b"first")
    assert wire.transport._tempDataBuffer == [b"first"]
    assert wire.flow.write(b"second"), "behind what waits, never before it"
    assert wire.drain() == 11
    assert wire.transport.dataBuffer == b"" and wire.transport._tempDataBuffer == []


def test_what_waits_for_a_peer_that_never_reads_is_bounded_and_arrives_whole_once_it_reads(wire: Wire) -> None:
    written = wire.fill()
    assert len(wire.transport.dataBuffer) + wire.transport._tempDataLen <= CHUNK + 1000
    assert not wire.flow.write(b"no more")
    assert not wire.reads, "who does not take answers is not read from"
    assert wire.told == 0
    assert wire.drain() == written
    assert wire.told == 1
    assert wire.reads
    assert wire.flow.write(b"more")


def test_who_leaves_the_buffer_full_is_stuck_after_a_while_and_who_reads_is_not(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(flow.time, "monotonic", lambda: clock[0])
    wire.fill()
    clock[0] += flow.STUCK_SECONDS
    assert not wire.flow.stuck
    clock[0] += 1
    assert wire.flow.stuck
    wire.drain()
    assert not wire.flow.stuck


def test_after_the_connection_is_lost_writing_is_harmless(wire: Wire) -> None:
    wire.transport.connectionLost(Failure(error.ConnectionLost()))
    assert wire.told == 1, "nobody waits for it any more"
    assert wire.flow.write(b"to nobody")


def test_a_dropped_connection_that_has_forgotten_its_producer_is_written_to_in_vain(wire: Wire) -> None:
    """autobahn unregisters the producer before it drops a connection: the transport then tells nobody of its end."""
    wire.flow.stopProducing()
    wire.transport.unregisterProducer()
    wire.transport.connectionLost(Failure(error.ConnectionAborted()))
    assert not hasattr(wire.transport, "socket"), "premise"
    assert wire.flow.write(b"to nobody")
    wire.flow.release()
    assert not wire.reads


def test_a_connection_that_ends_may_not_wait_for_ever_for_its_peer(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(flow.time, "monotonic", lambda: clock[0])
    wire.flow.stopProducing()
    assert not wire.flow.stuck
    clock[0] += flow.ENDING_SECONDS + 1
    wire.flow.stopProducing()
    assert wire.flow.stuck


@pytest.mark.parametrize(("frames", "size"), [(INBOX_FRAMES, 10), (INBOX_BYTES // 100_000 + 1, 100_000)])
def test_reading_stops_while_the_application_is_behind(wire: Wire, frames: int, size: int) -> None:
    for _ in range(frames - 1):
        wire.flow.arrived(size)
        assert wire.reads
    wire.flow.arrived(size)
    assert not wire.reads and not wire.flow.reading
    wire.flow.taken(size)
    assert wire.reads and wire.flow.reading


def test_reading_goes_on_only_when_nothing_at_all_speaks_against_it(wire: Wire) -> None:
    wire.fill()
    wire.flow.hold()
    for _ in range(INBOX_FRAMES):
        wire.flow.arrived(1)
    wire.drain()
    assert not wire.reads
    wire.flow.taken(1)
    assert not wire.reads
    wire.flow.release()
    assert wire.reads


def test_a_socket_is_read_in_small_pieces(wire: Wire) -> None:
    seen: list[int] = []
    wire.transport.protocol.dataReceived = lambda data: seen.append(len(data))
    wire.peer.sendall(b"x" * CHUNK * 2)
    wire.transport.doRead()
    assert seen == [CHUNK]


def test_others_have_their_turn_while_one_socket_has_many_frames(wire: Wire) -> None:
    for _ in range(3 * TURN):
        wire.flow.arrived(1)
    turns = [wire.flow.taken(1) for _ in range(3 * TURN)]
    assert sum(turns) in (2, 3)
    wire.flow.arrived(1)
    assert not wire.flow.taken(1), "a lone frame waits for nobody"


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_tells_its_length_as_the_standard_says(length: int, head: bytes) -> None:
    assert Text("x" * length).framed == head + b"x" * length


def test_a_frame_is_as_long_as_its_bytes_and_framed_once() -> None:
    text = Text("é" * 100)
    assert text.framed.startswith(b"\x81\x7e\x00\xc8")
    assert text.framed is text.framed
    assert len(text) == 204
