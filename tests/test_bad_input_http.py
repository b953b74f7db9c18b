"""Broken HTTP at a real server: refused, never half-done, and never an error in its log."""

import socket
from typing import Any

import pytest

from tests import environment
from tests.cast import Cast
from tests.processes import Process


@pytest.fixture(scope="module")
def served(make_stack: Any) -> tuple[Process, Cast]:
    stack, cast = make_stack(environment.stack_name())
    return stack.serve()[0], cast


def raw(server: Process, request: bytes, *, no_more: bool = False) -> tuple[int, bytes]:
    """What comes back for these bytes, where nobody waits for `no_more`: status, or 0 where the server just closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(request)
        if no_more:
            connection.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: connection.recv(65_536), b""))
    return (int(told.split(b" ", 2)[1]) if told.startswith(b"HTTP/1.") else 0), told


ROOMS = b"/api/v1/tenants/acme/rooms/"
POST = b"POST " + ROOMS + b" HTTP/1.1\r\n%sContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = POST + b"Content-Length: 2\r\n"
BROKEN: tuple[tuple[str, set[int], bytes], ...] = (
    ("chunks of nonsense", {400, 0}, CHUNKED + b"zz\r\nx\r\n0\r\n\r\n"),
    ("chunks that are too large", {413}, CHUNKED + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 9 + b"0\r\n\r\n"),
    ("a length that is none", {400, 0}, POST + b"Content-Length: x\r\n\r\n{}"),
    ("a negative length", {400, 0}, POST + b"Content-Length: -1\r\n\r\n{}"),
    ("a length and chunks", {400, 0}, SIZED + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ("a giant header", {400, 0}, SIZED + b"X-Giant: " + b"a" * 200_000 + b"\r\n\r\n{}"),
    ("many headers", {400, 0}, SIZED + b"X-Many: 1\r\n" * 2_000 + b"\r\n{}"),
    ("a NUL in a header", {400, 0}, SIZED + b"X-Y: a\x00b\r\n\r\n{}"),
    ("a bad address", {404}, b"GET /api/v1/tenants/%%ff%%fe/ HTTP/1.1\r\n%s\r\n"),
    ("a NUL in an address", {404}, b"GET /api/v1/tenants/%%00/ HTTP/1.1\r\n%s\r\n"),
    ("raw bytes in an address", {404, 400, 0}, b"GET /api/v1/tenants/\xff\xfe/ HTTP/1.1\r\n%s\r\n"),
    ("a bad query", {400}, b"GET " + ROOMS + b"?limit=%%ff HTTP/1.1\r\n%s\r\n"),
    ("raw bytes in a query", {400, 0}, b"GET " + ROOMS + b"?limit=\xff HTTP/1.1\r\n%s\r\n"),
    ("a method that is none", {405}, b"BREW " + ROOMS + b" HTTP/1.1\r\n%s\r\n"),
    ("a long address", {400, 404, 414, 0}, b"GET /api/v1/" + b"a" * 100_000 + b" HTTP/1.1\r\n%s\r\n"),
    (
        "another host",
        {400},
        b"GET " + ROOMS + b" HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nX-Y: %.0s\r\n\r\n",
    ),
)
"""What is wrong, the statuses it may get (0: the connection is closed), and the request; `%s` are the usual headers."""
CUT = (
    CHUNKED + b'f\r\n{"name": "Hall"',
    POST + b"Content-Length: 99\r\n\r\n{}",
    b"GET /api%.0s",
    b"\x16\x03\x01\x00%.0s",
)


def test_broken_http_is_refused_and_the_server_goes_on(served: tuple[Process, Cast]) -> None:
    server, cast = served
    head = f"Host: localhost\r\nAuthorization: Bearer {cast.owner.access}\r\nConnection: close\r\n".encode()

    def rooms() -> bytes:
        status, told = raw(server, b"GET " + ROOMS + b" HTTP/1.1\r\n" + head + b"\r\n")
        assert status == 200
        return told.partition(b"\r\n\r\n")[2]

    assert raw(server, CHUNKED % head + b'f\r\n{"name": "Hall"\r\n1\r\n}\r\n0\r\n\r\n')[0] == 201
    before = rooms()
    for what, expected, request in BROKEN:
        status, told = raw(server, request % head)
        assert status in expected, (what, told[:500])
        assert len(expected) > 1 or b"Content-Type: application/problem+json" in told, (what, told[:500])
    for request in CUT:
        assert raw(server, request % head, no_more=True)[0] in (0, 400), request
    assert rooms() == before
    log = server.log_text()
    assert "ready at" in log and "Traceback" not in log and "[error" not in log, log[-3000:]
