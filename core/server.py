"""Daphne with what it lacks: bounded frames and bodies, close codes that arrive, no trusted headers, an end in time."""

import asyncio
import gc
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from daphne.server import Server as Daphne
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner

from core import metrics
from core.errors import BadFrame, ConclaveError, RateLimited, Restart, SlowConsumer, TooLarge
from core.flow import Flow
from core.frames import EXTENSION
from core.health import health
from core.http import RequestFactory
from core.ticks import Ticks
from core.wire import encode_text

HANDSHAKE_SECONDS = 20  # Daphne's 5 s turn a storm of logins into refusals and so into the next storm
PING_SECONDS = 10
LEAVING, FINISHING = 0.6, 0.2
"""Of the seconds that an ending process has: for the application's leave, then for answers under way. At the end of
them it ends whatever still runs: a query that hangs must not hold a restart up."""
CLOSE_SECONDS = 5
"""How long an application may go on after its socket or request has gone."""
BACKLOG = 1024
UNHEARD_FRAMES = 500
"""Pings, pongs and parts of messages from one socket between two looks at it, 2 s apart."""
PROBES = ("/livez", "/readyz")

Application = Callable[..., Awaitable[None]]
access = structlog.get_logger("conclave.access")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any. Raises OSError where the address can't be had."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


class Socket(WebSocketProtocol):
    """One WebSocket."""

    asked = False
    counted = False
    deaf = False
    """Nothing that it says is heard any more."""
    unheard = 0
    """Frames since the last look that bring the application nothing: pings, pongs, parts of messages."""
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
            super().dataReceived(data)

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
        """Who does not take what was sent can't answer a ping yet; but not for ever."""
        self.unheard = 0
        if self.flow.stuck:
            if self.state == self.STATE_OPEN:
                self._end(SlowConsumer())
                self.dropConnection(abort=True)
            self.transport.abortConnection()
        elif self.flow.reading or self.state != self.STATE_OPEN:
            super().check_timeouts()

    def dropConnection(self, abort: bool = False) -> None:
        """autobahn takes the transport's producer away first, which then hears nothing of the end."""
        super().dropConnection(abort)
        self.flow.stopProducing()

    def onAutoPingTimeout(self) -> None:
        """A pong that nobody reads is not missing."""
        if self.flow.reading:
            super().onAutoPingTimeout()
        else:
            self.autoPingTimeoutCall = None

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


def _metered(application: Application) -> Application:
    """Tells a socket's flow what the application has taken."""

    async def metered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        flow = scope.get("extensions", {}).get(EXTENSION)
        if flow is None:
            await application(scope, receive, send)
            return

        async def receive_and_tell() -> Any:
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                if flow.taken(len(message["bytes"] if text is None else text.encode())):
                    await asyncio.sleep(0)
            return message

        await application(scope, receive_and_tell, send)

    return metered


def _configured(factory: WebSocketFactory) -> type[Socket]:
    """autobahn copies every option into each socket, and writes them all down for a log that nobody keeps."""
    found = {name: getattr(factory, name) for name in Socket.CONFIG_ATTRS}
    options = {name: staticmethod(value) if callable(value) else value for name, value in found.items()}
    return type("ConfiguredSocket", (Socket,), {**options, "CONFIG_ATTRS": ()})


class SocketFactory(WebSocketFactory):
    protocol = Socket


class Server(Daphne):
    """Serves one ASGI application on one socket that is listening already, until SIGTERM or SIGINT."""

    def __init__(self, application: Application, listener: socket.socket, *, when_ready: Callable[[], None]) -> None:
        super().__init__(
            _metered(application),
            endpoints=["inherited"],
            action_logger=log_access,
            websocket_timeout=-1,
            websocket_connect_timeout=HANDSHAKE_SECONDS,
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            application_close_timeout=CLOSE_SECONDS,
            server_name="",
        )
        self.listener = listener
        self.when_ready = when_ready

    def run(self) -> None:
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = RequestFactory(self)
        self.ws_factory = SocketFactory(self, server="")
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,  # the application judges origins
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxFramePayloadSize=settings.SOCKET_FRAME_BYTES,
            maxMessagePayloadSize=settings.SOCKET_FRAME_BYTES,
            failByDrop=False,  # else 1007 and 1009 never arrive
        )
        self.ws_factory._batched_timer = Ticks(reactor)
        self.ws_factory.protocol = _configured(self.ws_factory)
        globalLogBeginner.beginLoggingTo([lambda _event: None], redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(reactor._asyncioEventloop)
        self.listener.setblocking(False)
        self.port = reactor.adoptStreamPort(self.listener.fileno(), self.listener.family, self.http_factory)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.addSystemEventTrigger("before", "shutdown", self.drain)
        loop = asyncio.get_event_loop()
        metrics.TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
        loop.call_soon(self.when_ready)
        gc.collect()
        gc.freeze()  # the program itself is not looked through again: that took a sixth of a second at a time
        reactor.run()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Daphne believes a `Daphne-Root-Path` header from anyone."""
        scope = {**scope, "root_path": self.root_path}
        if isinstance(protocol, Socket):
            scope["extensions"] = {EXTENSION: protocol.flow}
        return super().create_application(protocol, scope)

    def protocol_disconnected(self, protocol: Any) -> None:
        """Daphne assumes that everything that goes had come; a handshake that fails early has not."""
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    def drain(self) -> Deferred[None]:
        """Take no more, let the application take leave of its sockets and finish its answers, then end the rest."""
        health.draining = True
        hard_stop = threading.Timer(settings.DRAIN_SECONDS, os._exit, (1,))
        hard_stop.daemon = True
        hard_stop.start()
        self.listener.close()
        self.port.stopListening()
        return Deferred.fromFuture(asyncio.ensure_future(self._leave()))

    async def _leave(self) -> None:
        leave = health.drains.get(asyncio.get_running_loop())
        if leave is not None:
            await leave(settings.DRAIN_SECONDS * LEAVING)
        for protocol, details in list(self.connections.items()):
            if isinstance(protocol, Socket) and "disconnected" not in details:
                protocol.farewell(Restart())
                protocol.handle_reply({"type": "websocket.close", "code": Restart.close})
        running = {task for each in self.connections.values() if (task := each.get("application_instance"))}
        if running:
            _, late = await asyncio.wait(running, timeout=settings.DRAIN_SECONDS * FINISHING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)


def log_access(protocol: str, action: str, details: dict[str, Any]) -> None:
    """One line an answer, never with the query: people put secrets there."""
    path = details["path"].partition("?")[0]
    if protocol == "http":
        metrics.count_request(details["method"], details["status"], details["time_taken"])
        if path not in PROBES:
            access.info(
                "http",
                method=details["method"],
                path=path,
                status=details["status"],
                ms=round(details["time_taken"] * 1000, 1),
                bytes=details["size"],
                peer=details["client"],
            )
    elif action != "connecting":
        access.info(f"socket {action}", path=path, peer=details["client"])
