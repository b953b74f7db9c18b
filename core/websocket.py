"""One WebSocket on Daphne: bounded both ways, looked after at little cost, and ended with a reason that arrives."""

import time
from typing import Any

import structlog
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from core import metrics
from core.errors import BadFrame, ConclaveError, RateLimited, SlowConsumer, TooLarge
from core.flow import Flow
from core.wire import encode_text

PING_SECONDS = 10.0
"""After so long a silence a socket is pinged, and after as long again without a sign of life dropped."""
PING, PONG, PONG_BYTES = b"\x89\x00", b"\x8a\x80", 6
"""An empty ping as it is framed; its answer's first bytes, before four of a mask."""
UNHEARD_FRAMES = 500
"""Pings, pongs and parts of messages from one socket between two looks at it, 2 s apart."""

access = structlog.get_logger("conclave.access")


class Socket(WebSocketProtocol):
    """One WebSocket."""

    asked = False
    counted = False
    deaf = False
    """Nothing that it says is heard any more."""
    unheard = 0
    """Frames since the last look that bring the application nothing: pings, pongs, parts of messages."""
    heard_at = pinged_at = 0.0
    """When anything last came, and when it was last asked for."""
    flow: Flow

    def connectionMade(self) -> None:
        super().connectionMade()
        self.flow = Flow(self.transport)

    def onConnect(self, request: ConnectionRequest) -> Any:
        if not request.headers.get("sec-websocket-protocol", "").isascii():
            raise ConnectionDeny(code=400, reason="Sec-WebSocket-Protocol is not ASCII")
        self.asked = True
        return super().onConnect(request)

    def dataReceived(self, data: bytes) -> None:
        """Nothing is read until the handshake is answered; autobahn would look for a second one in it."""
        if self.asked and self.state == self.STATE_CONNECTING:
            self.data += data
            self.flow.hold()
        elif not self.deaf:
            self.heard_at = time.monotonic()
            if data[:2] == PONG and len(data) == PONG_BYTES and self._between_frames:
                self._bear()
            else:
                super().dataReceived(data)

    @property
    def _between_frames(self) -> bool:
        return not self.data and self.current_frame is None and self.state == self.STATE_OPEN

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.flow.arrived(len(payload))
        super().onMessage(payload, isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        self._bear(not self.current_frame.fin)
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:
        self._bear()
        super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        self._bear()
        super().onPong(payload)

    def _bear(self, counts: bool = True) -> None:
        """What the application never sees it can't limit. Reading on costs nothing and lets the reason arrive."""
        self.unheard += counts
        if self.unheard > UNHEARD_FRAMES and self.state == self.STATE_OPEN:
            self.deaf = True
            self._end(RateLimited("Too many frames without a command."))
            self.sendCloseFrame(code=RateLimited.close)

    def check_timeouts(self) -> None:
        """Comes every two seconds."""
        self.unheard = 0
        if self.flow.stuck:
            if self.state == self.STATE_OPEN:
                self._end(SlowConsumer())
                self.dropConnection(abort=True)
            self.transport.abortConnection()
        elif self.state == self.STATE_OPEN:
            self._look_after(time.monotonic())
        else:
            super().check_timeouts()

    def _look_after(self, now: float) -> None:
        """Ping whoever was silent for long, and drop whoever stays so. A pong that nobody reads is not missing.

        autobahn's own pings carry a number and a random text each, and two timers.
        """
        if not self.flow.reading:
            self.heard_at = now
        elif self.heard_at < self.pinged_at:
            if now - self.pinged_at >= PING_SECONDS:
                self.onAutoPingTimeout()
        elif now - max(self.heard_at, self.pinged_at) >= PING_SECONDS and self.flow.write(PING):
            self.pinged_at = now

    def dropConnection(self, abort: bool = False) -> None:
        """autobahn takes the transport's producer away first, which then hears nothing of the end."""
        super().dropConnection(abort)
        self.flow.stopProducing()

    def onOpen(self) -> None:
        self.counted = True
        metrics.SOCKETS.inc()
        super().onOpen()
        self.flow.release()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self.counted:
            metrics.SOCKETS.dec()
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)

    def serverClose(self, code: int | None = None) -> None:
        """Send a close frame. autobahn's own method refuses the codes that servers need: 1009, 1011, 1012, 1013."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=1000 if code is None else code)

    def serverSend(self, content: Any, binary: bool = False) -> None:
        """Write a frame. autobahn's own sender holds answers to the limit meant for what clients send, and raises."""
        if self.state == self.STATE_OPEN:
            self.sendFrame(opcode=2 if binary else 1, payload=content if binary else content.encode())

    def _end(self, why: ConclaveError) -> None:
        metrics.count_close(why.code)
        access.info("socket cut off", code=why.code, peer=self.peer.partition(":")[2])
        self.farewell(why)

    def farewell(self, why: ConclaveError) -> None:
        """`bye`, where the server closes over the application's head."""
        self.serverSend(encode_text({"type": "bye", "code": why.code, "detail": why.detail}))

    def _fail_connection(self, code: int, reason: str) -> None:
        """autobahn's end of a socket whose frames are broken, too large or no UTF-8."""
        if self.state == self.STATE_OPEN:
            self._end(TooLarge() if code == TooLarge.close else BadFrame())
        super()._fail_connection(code, reason)


class SocketFactory(WebSocketFactory):
    protocol = Socket


def configured(factory: WebSocketFactory) -> type[Socket]:
    """autobahn copies every option into each socket, and writes them all down for a log that nobody keeps."""
    found = {name: getattr(factory, name) for name in Socket.CONFIG_ATTRS}
    options = {name: staticmethod(value) if callable(value) else value for name, value in found.items()}
    return type("ConfiguredSocket", (Socket,), {**options, "CONFIG_ATTRS": ()})
