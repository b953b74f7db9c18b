"""The load: many sockets in one room, one sender at a steady rate, every delivery counted and timed."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

OPENING = 20
"""Sockets opened at once."""
PATIENCE = 30.0
PLAIN = "x" * 180
MARKUP = "**bold** and _italic_ and `code` " + "x" * 147


@dataclass(frozen=True)
class Target:
    """How to talk to a server: its address, what to send first, a message, and how to tell one that arrives."""

    url: str
    headers: dict[str, str]
    subprotocols: list[str]
    opening: str | None
    """Sent once connected; answered before the load starts."""
    message: Callable[[int, str], str]
    is_delivery: Callable[[str], bool]
    body: Callable[[str], str]


@dataclass(frozen=True)
class Outcome:
    deliveries: int
    expected: int
    p50_ms: float
    p99_ms: float


def body(number: int) -> str:
    """200 bytes, half of them with markup, stamped with the time of sending."""
    return f"{time.monotonic():020.6f}" + (MARKUP if number % 2 else PLAIN)


async def open_sockets(target: Target, count: int) -> list[ClientConnection]:
    gate = asyncio.Semaphore(OPENING)

    async def one() -> ClientConnection:
        async with gate:
            socket = await connect(
                target.url,
                additional_headers=target.headers,
                subprotocols=[Subprotocol(name) for name in target.subprotocols] or None,
                max_size=None,
                compression=None,
                ping_interval=None,
                open_timeout=PATIENCE,
                proxy=None,
            )
            if target.opening:
                await socket.send(target.opening)
                while json.loads(await socket.recv())["type"] != "ok":
                    continue
            return socket

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def run(
    target: Target, sockets: list[ClientConnection], rate: float, seconds: float, on_start: Callable[[], None]
) -> Outcome:
    """Send `rate` messages a second for so long; wait until all have arrived everywhere, or patience ends."""
    delays: list[float] = []
    total = int(rate * seconds)
    done = asyncio.Event()

    async def listen(socket: ClientConnection) -> None:
        try:
            async for text in socket:
                if isinstance(text, str) and target.is_delivery(text):
                    delays.append(time.monotonic() - float(target.body(text)[:20]))
                    if len(delays) == total * len(sockets):
                        done.set()
        except ConnectionClosed:
            return

    listeners = [asyncio.create_task(listen(socket)) for socket in sockets]
    on_start()
    began = time.monotonic()
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        await sockets[0].send(target.message(number, body(number)))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), PATIENCE)
    for task in listeners:
        task.cancel()
    delays.sort()
    return Outcome(len(delays), total * len(sockets), _percentile(delays, 0.5), _percentile(delays, 0.99))


def _percentile(delays: list[float], share: float) -> float:
    return delays[min(len(delays) - 1, int(len(delays) * share))] * 1000 if delays else float("nan")


async def close(sockets: list[ClientConnection]) -> None:
    await asyncio.gather(*(socket.close() for socket in sockets))


def tutorial(ws_url: str) -> Target:
    return Target(
        url=f"{ws_url}/ws/chat/bench/",
        headers={},
        subprotocols=[],
        opening=None,
        message=lambda _number, text: json.dumps({"message": text}),
        is_delivery=lambda _text: True,
        body=lambda text: str(json.loads(text)["message"]),
    )


def conclave(ws_url: str, slug: str, room: str, token: str, run_id: str) -> Target:
    def message(number: int, text: str) -> str:
        nonce = f"{run_id}-{number}"
        return json.dumps({"type": "message.send", "id": nonce, "room": room, "body": text, "nonce": nonce})

    def read(text: str) -> str:
        frame: dict[str, Any] = json.loads(text)
        return str(frame["message"]["body"])

    return Target(
        url=f"{ws_url}/ws/v1/{slug}/",
        headers={"Authorization": f"Bearer {token}"},
        subprotocols=["conclave.v1"],
        opening=json.dumps({"type": "subscribe", "id": "1", "room": room, "limit": 0}),
        message=message,
        is_delivery=lambda text: text.startswith('{"type":"message.created"'),
        body=read,
    )
