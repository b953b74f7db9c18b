"""One socket: reads frames, calls, answers. Decides nothing."""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import structlog
from channels.consumer import AsyncConsumer
from django.conf import settings

from chat import protocol
from chat.batch import Sent
from chat.commands import Commands
from chat.connection import Connection
from chat.hub import Hub
from chat.limits import Pace, Streak
from chat.parsing import Refused, id_of, parse
from chat.process import this_hub
from chat.protocol import Ok, error_frame
from core.errors import (
    BadFrame,
    ConclaveError,
    Internal,
    Invalid,
    NoSeat,
    RateLimited,
    TenantSuspended,
    TooLarge,
    Unavailable,
)
from core.frames import EXTENSION, Text
from core.metrics import FRAMES, REFUSALS, count_close
from core.wire import convert, encode_text

log = structlog.get_logger(__name__)

FATAL = (NoSeat, TenantSuspended, TooLarge)
"""What ends the whole socket, besides too many bad frames."""
URL = "url"
"""The id of the answer to a `subscribe` that the address itself asks for."""
AWAY = 10.0
"""Seconds, at least, that one who did not slow down is to stay away."""


class ChatConsumer(AsyncConsumer):
    """Frames are read here and not dispatched: Channels' dispatch hops to one process-wide thread per frame, and a
    slow handler would skip the clean-up. What others send arrives through the hub, so it needs no channel either."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        refused = _refusal(scope)
        subprotocol = protocol.PROTOCOL if protocol.PROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        if refused:
            await _turn_away(refused, send)
            return
        direct = scope.get("extensions", {}).get(EXTENSION)
        hub, connection = this_hub(), Connection(scope["actor"], scope["credential"], send, direct)
        try:
            await self._serve(hub, connection, scope, receive)
        finally:
            hub.disconnect(connection)

    async def _serve(self, hub: Hub, connection: Connection, scope: Any, receive: Any) -> None:
        dialogue = Dialogue(hub, connection)
        await _begin(hub, connection)
        if (room := scope["url_route"]["kwargs"].get("room")) and connection.closing is None:
            await dialogue.subscribe_from_url(room, scope["query_string"])
        while (message := await receive())["type"] != "websocket.disconnect":
            if not connection.retiring:
                await dialogue.hear(message.get("text"), message.get("bytes"))


async def _begin(hub: Hub, connection: Connection) -> None:
    """Be listed, so that nothing is missed, then say hello."""
    try:
        await hub.connect(connection)
    except ConclaveError as error:
        connection.close(error if error.close else Unavailable(retry_after=1))
    except Exception:
        log.exception("socket not begun", connection=str(connection.id))
        connection.close(Internal())


class Refuse(AsyncConsumer):
    """Any other address: refused before it is accepted."""

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})


def _refusal(scope: Any) -> ConclaveError | None:
    if protocol.PROTOCOL not in scope["subprotocols"]:
        return BadFrame(f"Offer the subprotocol {protocol.PROTOCOL}.")
    refused: ConclaveError | None = scope.get("refused")
    return refused


async def _turn_away(why: ConclaveError, send: Any) -> None:
    count_close(why.code)
    log.info("socket refused", code=why.code)
    await send({"type": "websocket.send", "text": encode_text(protocol.bye(why))})
    await send({"type": "websocket.close", "code": why.close or Internal.close})


class Dialogue:
    """Exactly one answer to each frame. Commands take effect in the order of the frames: messages may wait for their
    commit together, anything else waits until they are answered."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._commands = Commands(hub, connection)
        self._connection = connection
        self._pace = Pace()
        self._bad = Streak(settings.SOCKET_BAD_FRAMES)
        self._fast = Streak(settings.SOCKET_REFUSALS)
        self._sending = 0
        self._sent = asyncio.Event()

    async def hear(self, text: str | None, data: bytes | None) -> None:
        """Read one frame and answer it; whatever goes wrong, the socket lives on as far as the contract lets it."""
        try:
            size = len(data or (text or "").encode())
            if size > settings.SOCKET_FRAME_BYTES:
                raise TooLarge(f"More than {settings.SOCKET_FRAME_BYTES} bytes.")
            self._pace.hear(size)
            if text is None:
                raise BadFrame("Text frames only.")
            frame = parse(text)
        except RateLimited as error:
            self._refuse(error, id_of(text or ""))
        except Refused as refused:
            await self._fewer_than(1)
            self._refuse(refused.error, refused.frame_id)
        except ConclaveError as error:
            await self._fewer_than(1)
            self._refuse(error, None)
        else:
            await self._run(frame)

    async def subscribe_from_url(self, room: str, query: bytes) -> None:
        """The first `subscribe`, with `epoch` and `since` of the address."""
        try:
            frame = _frame_from_url(room, query)
        except ConclaveError as error:
            self._refuse(error, URL)
        else:
            await self._run(frame)

    async def _run(self, frame: protocol.Frame) -> None:
        FRAMES.labels(frame.__struct_config__.tag).inc()
        self._connection.begin()
        try:
            if isinstance(frame, protocol.MessageSend):
                await self._submit(frame)
                return
            await self._fewer_than(1)
            await self._commands.handle(frame, partial(self._answer, frame.id))
        except Exception as error:
            self._fail(error, frame.id)
        self._connection.end()

    async def _submit(self, frame: protocol.MessageSend) -> None:
        await self._fewer_than(settings.SOCKET_PIPELINE)
        await self._commands.submit(frame, partial(self._settle, frame.id))
        self._sending += 1

    def _settle(self, frame_id: str, outcome: Sent | Exception) -> None:
        """A message was committed or refused."""
        if isinstance(outcome, Exception):
            self._fail(outcome, frame_id)
        else:
            self._answer(frame_id, {"message": outcome.message})
        self._sending -= 1
        self._sent.set()
        self._connection.end()

    async def _fewer_than(self, most: int) -> None:
        while self._sending >= most:
            self._sent.clear()
            await self._sent.wait()

    def _answer(self, frame_id: str, result: Any) -> None:
        self._connection.push(Text(encode_text(Ok(id=frame_id, result=result))))

    def _fail(self, error: Exception, frame_id: str) -> None:
        if not isinstance(error, ConclaveError):
            log.error("command failed", connection=str(self._connection.id), exc_info=error)
            error = Internal()
        self._refuse(error, frame_id)

    def _refuse(self, error: ConclaveError, frame_id: str | None) -> None:
        REFUSALS.labels("socket", error.code).inc()
        self._connection.push(Text(encode_text(error_frame(error, frame_id))))
        if isinstance(error, BadFrame):
            if self._bad.again():
                self._connection.close(error)
        elif isinstance(error, RateLimited):
            if self._fast.again():
                self._connection.close(RateLimited(error.detail, retry_after=max(error.retry_after or 0, AWAY)))
        elif isinstance(error, FATAL):
            self._connection.close(error)


def _frame_from_url(room: str, query: bytes) -> protocol.Subscribe:
    asked = dict(parse_qsl(query.decode("latin-1")))
    plain: dict[str, Any] = {"type": "subscribe", "id": URL, "room": room}
    if "since" in asked or "epoch" in asked:
        try:
            plain["since"] = {"epoch": asked.get("epoch", ""), "rev": int(asked.get("since", ""))}
        except ValueError:
            raise Invalid("since: a whole number.") from None
    return convert(plain, protocol.Subscribe)
