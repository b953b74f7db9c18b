"""What the tests of delivery share: REST as one person at one server, and the truth that a socket's fold must equal."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self
from uuid import uuid4

import httpx

from tests.cast import Person
from tests.processes import Process
from tests.sockets import PATIENCE, Socket


class Rest:
    """REST in one organization, as one person at one server."""

    def __init__(self, process: Process, person: Person, slug: str = "acme") -> None:
        self.client = httpx.AsyncClient(
            base_url=f"{process.url}/api/v1/tenants/{slug}", headers=person.bearer, timeout=60, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def do(self, method: str, path: str, **sent: Any) -> Any:
        """A request that must succeed; its content."""
        answer = await self.client.request(method, path, **sent)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def make_room(self, *people: Person, **fields: Any) -> str:
        """A private room with these people beside the maker."""
        room = await self.do("POST", "/rooms/", json={"name": f"Room {uuid4().hex[:8]}", **fields})
        for person in people:
            await self.add(room["id"], person)
        return str(room["id"])

    async def add(self, room: str, person: Person, room_role: str = "member") -> None:
        await self.do("POST", f"/rooms/{room}/members/", json={"user": person.id, "room_role": room_role})

    async def remove(self, room: str, person: Person) -> None:
        await self.do("DELETE", f"/rooms/{room}/members/{person.id}/")

    async def send(self, room: str, body: str, **fields: Any) -> Any:
        sent = {"body": body, "nonce": uuid4().hex, **fields}
        return await self.do("POST", f"/rooms/{room}/messages/", json=sent)

    async def head(self, room: str) -> int:
        return int((await self.do("GET", f"/rooms/{room}/"))["rev"])

    async def truth(self, room: str) -> dict[str, Any]:
        """Every message of the room that this person may read, by id, as they are now."""
        path: str | None = f"/rooms/{room}/messages/?limit=100"
        found: dict[str, Any] = {}
        while path:
            page = await self.do("GET", path)
            found |= {message["id"]: message for message in page["results"]}
            path = page["next"]
        return found


async def assert_folded(rest: Rest, room: str, *sockets: Socket, patience: float = PATIENCE) -> dict[str, Any]:
    """Each socket comes to hold what a fresh read shows; answers that."""
    truth = await rest.truth(room)
    newest = max((message["rev"] for message in truth.values()), default=0)
    deadline = time.monotonic() + patience

    def has_all(socket: Socket) -> Callable[[], bool]:
        return lambda: max((each["rev"] for each in socket.rooms[room].messages.values()), default=0) >= newest

    for socket in sockets:
        await socket.until(has_all(socket), max(0.1, deadline - time.monotonic()))
    for socket in sockets:
        await socket.until(lambda held=socket.rooms[room]: held.messages == truth, max(1, deadline - time.monotonic()))
    return truth


def here(socket: Socket, room: str) -> set[str] | None:
    """Who is in the room, as this client folds it; None while it was not told."""
    found: set[str] | None = None
    count = 0
    for event in socket.events:
        if (event["type"], event.get("room")) != ("presence", room):
            continue
        if "here" in event:
            found = {each["id"] for each in event["here"]}
        else:
            assert found is not None, "a change before the whole"
            found = found - set(event["left"]) | {each["id"] for each in event["joined"]}
        count = event["count"]
    assert found is None or len(found) == count
    return found


def numbers(messages: dict[str, Any]) -> list[int]:
    return sorted(message["number"] for message in messages.values())


async def everyone(*tasks: Any) -> list[Any]:
    """All at once; the first failure ends the rest."""
    async with asyncio.TaskGroup() as group:
        started = [group.create_task(task) for task in tasks]
    return [task.result() for task in started]
