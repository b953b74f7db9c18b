"""A client of the socket for tests: asks, listens, and folds events as the protocol says."""

import asyncio
import itertools
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PROTOCOL = "conclave.v1"
PATIENCE = 15.0


class Room:
    """What a client holds of one room: messages by id, newest rev wins, and the cursor."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.cursor: dict[str, Any] | None = None
        self.revs: list[int] = []

    def put(self, message: dict[str, Any]) -> None:
        held = self.messages.get(message["id"])
        if held is None or held["rev"] < message["rev"]:
            self.messages[message["id"]] = message

    def start(self, result: dict[str, Any]) -> None:
        if result["reset"]:
            self.messages.clear()
        for message in result["messages"]:
            self.put(message)
        self.cursor = {"epoch": result["epoch"], "rev": result["rev"]}

    def hear(self, event: dict[str, Any]) -> None:
        assert self.cursor is not None, "an event before the answer"
        assert event["rev"] > self.cursor["rev"], f"rev {event['rev']} after {self.cursor['rev']}"
        assert event["rev"] == event["message"]["rev"]
        self.revs.append(event["rev"])
        self.cursor["rev"] = event["rev"]
        self.put(event["message"])

    @property
    def bodies(self) -> list[str]:
        return [each["body"] for each in sorted(self.messages.values(), key=lambda m: m["number"])]


class Socket:
    """One connection. `events` are all frames without an id, `rooms` what they and the subscriptions add up to."""

    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire
        self.events: list[dict[str, Any]] = []
        self.rooms: dict[str, Room] = {}
        self.close_code: int | None = None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unasked: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    @classmethod
    async def open(
        cls,
        ws_url: str,
        slug: str = "acme",
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        subprotocols: tuple[str, ...] = (PROTOCOL,),
        path: str = "",
    ) -> Self:
        """Connect; `token` goes into the Authorization header."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        wire = await connect(
            f"{ws_url}/ws/v1/{slug}/{path}",
            additional_headers=sent,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=None,
            open_timeout=PATIENCE,
            ping_interval=None,
            user_agent_header="tests",
            proxy=None,
        )
        return cls(wire)

    async def _listen(self) -> None:
        try:
            async for text in self.wire:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self.wire.close_code
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(ConnectionError(f"closed with {self.close_code}"))
                    future.exception()
            self._news.set()

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] in ("ok", "error"):
            future = self._answers.pop(frame["id"], None) if frame["id"] else None
            if future is None:
                self._unasked.append(frame)
            elif not future.done():
                future.set_result(frame)
            if frame["type"] == "ok":
                self._begin(frame["result"])
        else:
            self.events.append(frame)
            if frame["type"].startswith("message."):
                self.rooms[frame["room"]].hear(frame)
        self._news.set()

    def _begin(self, result: dict[str, Any]) -> None:
        for each in result.get("rooms", [result]):
            if "epoch" in each and "messages" in each:
                self.rooms.setdefault(each["room"], Room()).start(each)

    def send(self, kind: str, **fields: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a command without waiting; the future is its answer."""
        frame = {"type": kind, "id": str(next(self._ids)), **fields}
        future = asyncio.get_running_loop().create_future()
        self._answers[frame["id"]] = future
        self._sending = asyncio.ensure_future(self.wire.send(json.dumps(frame)))
        self._sending.add_done_callback(lambda sent: _fail(future, sent))
        return future

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command; its `ok` or `error` frame."""
        return await asyncio.wait_for(self.send(kind, **fields), PATIENCE)

    async def do(self, kind: str, **fields: Any) -> Any:
        """Send a command that must succeed; its result."""
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "ok", answer
        return answer["result"]

    async def raw(self, data: str | bytes) -> dict[str, Any]:
        """Send anything; the next answer that no command asked for."""
        self._unasked.clear()
        await self.wire.send(data)
        await self.until(lambda: bool(self._unasked))
        return self._unasked.pop(0)

    async def until(self, true: Any, patience: float = PATIENCE) -> None:
        """Wait until `true()`; fails when the socket ends or patience does."""
        async with asyncio.timeout(patience):
            while not true():
                assert self.close_code is None, f"closed with {self.close_code}: {self.events[-1:]}"
                self._news.clear()
                await self._news.wait()

    async def event(self, kind: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The first event of this type, also one that is there already."""
        await self.until(lambda: any(each["type"] == kind for each in self.events), patience)
        return next(each for each in self.events if each["type"] == kind)

    async def closed(self, patience: float = PATIENCE) -> int:
        """Wait for the end; its code."""
        await asyncio.wait_for(asyncio.shield(self._task), patience)
        assert self.close_code is not None
        return self.close_code

    async def settle(self) -> None:
        """Everything sent to us before now has arrived."""
        await self.do("ping")

    async def close(self) -> None:
        await self.wire.close()
        await self._task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _fail(answer: asyncio.Future[dict[str, Any]], sent: asyncio.Future[None]) -> None:
    """What could not be sent is not answered either."""
    error = None if sent.cancelled() else sent.exception()
    if error is not None and not answer.done():
        answer.set_exception(ConnectionError(str(error)))
        answer.exception()
