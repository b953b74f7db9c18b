"""Daphne with what it lacks: bounded frames and bodies, close codes that arrive, no trusted headers, an end in time."""

import asyncio
import gc
import itertools
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
from daphne.server import Server as Daphne
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner

from core import metrics
from core.errors import Restart
from core.frames import EXTENSION
from core.health import health
from core.http import RequestFactory
from core.ticks import Ticks
from core.websocket import Socket, SocketFactory, configured

HANDSHAKE_SECONDS = 20  # Daphne's 5 s turn a storm of logins into refusals and so into the next storm
LEAVING, FINISHING = 0.6, 0.2
"""Of the seconds that an ending process has: for the application's leave, then for answers under way. At the end of
them it ends whatever still runs: a query that hangs must not hold a restart up."""
CLOSE_SECONDS = 5
"""How long an application may go on after its socket or request has gone."""
BACKLOG = 1024
LOOK_SECONDS, LOOK_ROW = 2, 25
"""Between two looks at all sockets; looked at in a row before others have their turn."""
PROBES = ("/livez", "/readyz")

Application = Callable[..., Awaitable[None]]
access = structlog.get_logger("conclave.access")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any. Raises OSError where the address can't be had."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


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
            allowNullOrigin=True,  # the application judges origins
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxFramePayloadSize=settings.SOCKET_FRAME_BYTES,
            maxMessagePayloadSize=settings.SOCKET_FRAME_BYTES,
            failByDrop=False,  # else 1007 and 1009 never arrive
        )
        self.ws_factory._batched_timer = Ticks(reactor)
        self.ws_factory.protocol = configured(self.ws_factory)
        globalLogBeginner.beginLoggingTo([lambda _event: None], redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(reactor._asyncioEventloop)
        self.listener.setblocking(False)
        self.port = reactor.adoptStreamPort(self.listener.fileno(), self.listener.family, self.http_factory)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(LOOK_SECONDS, self.timeout_checker)
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

    def timeout_checker(self) -> None:
        """Look at every connection, a few at a time."""
        self._look(iter(list(self.connections)))

    def _look(self, left: Iterator[Any]) -> None:
        row = list(itertools.islice(left, LOOK_ROW))
        for protocol in row:
            protocol.check_timeouts()
        reactor.callLater(0 if row else LOOK_SECONDS, *((self._look, left) if row else (self.timeout_checker,)))

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
