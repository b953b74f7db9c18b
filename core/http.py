"""Twisted's HTTP within bounds: a request's body ends, and the whole request arrives in time."""

from typing import Any

import structlog
from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet import reactor
from twisted.web.http import HTTPChannel

from core.metrics import count_close

BODY_BYTES = 1024 * 1024
"""An HTTP body above this is refused while it arrives; Twisted would put it on the disk, however long."""
REFUSAL_SECONDS = 2
ARRIVAL_SECONDS = 20
"""From a connection's beginning to its first request, from one answer to the next request's first byte, and from there
to its last: who says nothing, or a byte now and then, holds no connection for longer."""

access = structlog.get_logger("conclave.access")


class Request(WebRequest):
    """One HTTP request, whose body ends at BODY_BYTES."""

    received = 0
    refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > BODY_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > BODY_BYTES:
            self._refuse()
        elif not self.refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        return None if self.refused else super().process()

    def _refuse(self) -> None:
        """Answer at once, then read on for a moment: who closes on unread data takes the answer back."""
        if self.refused:
            return
        self.refused = True
        body = b'{"type": "about:blank", "title": "That is too large", "status": 413, "code": "too_large"}'
        head = b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
        transport = self.channel.transport
        transport.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        reactor.callLater(REFUSAL_SECONDS, transport.loseConnection)


class Channel(HTTPChannel):
    """One connection. Twisted gives each byte that arrives the whole time anew; here a request's first one is."""

    _arriving = False
    _answered = False

    def resetTimeout(self) -> None:
        if not self._arriving:
            self._arriving = True
            super().resetTimeout()

    def requestDone(self, request: Any) -> None:
        self._arriving, self._answered = False, True
        super().requestDone(request)

    def timeoutConnection(self) -> None:
        if self._arriving or not self._answered:
            count_close("silent")
            peer = self.transport.getPeer()
            access.info("connection cut off", code="silent", peer=f"{peer.host}:{peer.port}")
        super().timeoutConnection()


class RequestFactory(HTTPFactory):
    protocol = Channel

    def buildProtocol(self, addr: Any) -> Any:
        channel = super().buildProtocol(addr)
        channel.requestFactory = Request
        channel.timeOut = ARRIVAL_SECONDS
        return channel
