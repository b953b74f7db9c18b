"""What the tests of delivery share: REST as one person, clients that come back, and the truth that folds must equal."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import httpx
from websockets.exceptions import WebSocketException

from tests.cast import Person
from tests.processes import Process
from tests.sockets import PATIENCE, Room, Socket


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


AGAIN = {"unavailable", "restart", "rate_limited", "internal"}
"""Answers after which the same command, with the same nonce, is sent again."""
WAITS = {1012: 1.0, 1013: 0.5, 1011: 0.5, None: 0.5, 1006: 0.5}
"""Seconds, at most, before coming back after a close; the contract's five would only make the tests longer."""


class Away(Exception):
    """The server can't be had just now."""


class Listener(Socket):
    """A socket that keeps which rooms it was told to subscribe to again; None stands for all."""

    server: Process

    def __init__(self, wire: Any) -> None:
        self.resyncs: list[str | None] = []
        super().__init__(wire)

    def _take(self, frame: dict[str, Any]) -> None:
        super()._take(frame)
        if frame["type"] == "resync":
            self.resyncs.append(frame.get("room"))


class Client:
    """Does what the protocol asks of clients: folds, comes back with its cursors after whatever close, and sends what
    had no answer again, with the same nonce. `servers` may change while it goes on."""

    def __init__(self, servers: list[Process], person: Person, rooms: Iterable[str], seed: int) -> None:
        self.servers, self.person = servers, person
        self.random = random.Random(seed)
        self.held = {room: Room() for room in rooms}
        self.own: dict[str, list[str]] = {room: [] for room in self.held}
        self.acknowledged: set[str] = set()
        self.ends: list[tuple[int | None, str | None]] = []
        """Of each connection that ended: its close code, and the code of the `bye` before it."""
        self.socket: Listener | None = None
        self.refusals: Counter[str] = Counter()
        """Answers after which a command was sent again."""
        self.changes = 0
        self._here = asyncio.Event()

    async def stay(self) -> None:
        """For ever."""
        while True:
            try:
                self.socket = socket = await self._come()
            except (OSError, TimeoutError, WebSocketException, Away):
                await asyncio.sleep(self.random.uniform(0.1, 0.5))
                continue
            self._here.set()
            try:
                await self._follow(socket)
            finally:
                self._here.clear()
                await socket.close()
            byes = [event["code"] for event in socket.events if event["type"] == "bye"]
            self.ends.append((socket.close_code, byes[0] if byes else None))
            await asyncio.sleep(self.random.uniform(0, WAITS.get(socket.close_code, 0.1)))

    async def _come(self) -> Listener:
        server = self.random.choice(self.servers)
        socket = await Listener.open(server.ws_url, token=self.person.access)
        socket.rooms, socket.server = self.held, server
        try:
            await self._subscribe(socket, list(self.held))
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _subscribe(self, socket: Socket, rooms: list[str]) -> None:
        while rooms:
            asked = [{"room": room, **self._since(room)} for room in rooms]
            answer = await socket.ask("subscribe", rooms=asked, limit=100)
            if answer["type"] == "error":
                raise Away(answer["code"])
            if codes := {each.get("code") for each in answer["result"]["rooms"]} - {None}:
                assert codes <= AGAIN, codes
                raise Away
            rooms = [each["room"] for each in answer["result"]["rooms"] if each["more"]]

    def _since(self, room: str) -> dict[str, Any]:
        cursor = self.held[room].cursor
        return {"since": cursor} if cursor else {}

    async def _follow(self, socket: Listener) -> None:
        """Until it ends; where it is told to, it subscribes again."""
        while not socket._task.done():
            news = asyncio.ensure_future(socket.until(lambda: bool(socket.resyncs), 86_400))
            try:
                await asyncio.wait([socket._task, news], return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
                await asyncio.gather(news, return_exceptions=True)
            if socket.resyncs and not socket._task.done():
                rooms = list(self.held) if None in socket.resyncs else [str(room) for room in set(socket.resyncs)]
                socket.resyncs.clear()
                with contextlib.suppress(ConnectionError, TimeoutError, Away):
                    await self._subscribe(socket, rooms)
        socket._task.result()

    async def do(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A command, until it is answered for good; its `ok` or `error` frame."""
        while True:
            await self._here.wait()
            assert self.socket
            try:
                answer = await self.socket.ask(kind, **fields)
            except (OSError, TimeoutError, WebSocketException):
                await asyncio.sleep(0.05)
                continue
            if answer["type"] == "ok" or answer["code"] not in AGAIN:
                return answer
            self.refusals[answer["code"]] += 1
            await asyncio.sleep(min(answer.get("retry_after") or 0.2, 1.0))

    async def change(self, room: str) -> None:
        """Send, edit, delete or react at random, mostly to what is new."""
        do, own = self.random.random(), self.own[room]
        if do < 0.5 or not own:
            await self.say(room)
        elif do < 0.7:
            await self._must("message.edit", message=self.random.choice(own[-20:]), body=f"edited {do}")
        elif do < 0.8:
            await self._must("message.delete", message=own.pop(self.random.randrange(len(own))))
        else:
            newest = sorted(self.held[room].messages)[-5:] or own
            command = self.random.choice(["reaction.add", "reaction.add", "reaction.remove"])
            answer = await self.do(command, message=self.random.choice(newest), emoji=self.random.choice("👍🎉🙈"))
            assert answer["type"] == "ok" or answer["code"] == "conflict", f"of a deleted message: {answer}"
        self.changes += 1

    async def say(self, room: str) -> dict[str, Any]:
        sent = await self._must("message.send", room=room, body=f"said {self.random.random()}", nonce=uuid4().hex)
        message: dict[str, Any] = sent["message"]
        self.own[room].append(message["id"])
        self.acknowledged.add(message["id"])
        return message

    async def _must(self, kind: str, **fields: Any) -> Any:
        answer = await self.do(kind, **fields)
        assert answer["type"] == "ok", answer
        return answer["result"]


@asynccontextmanager
async def staying(clients: Sequence[Client]) -> AsyncIterator[None]:
    """All of them connected, and again whenever they are not; a fold that breaks the promises fails at the end."""
    tasks = [asyncio.create_task(client.stay()) for client in clients]
    try:
        async with asyncio.timeout(PATIENCE * 4):
            await asyncio.gather(*(client._here.wait() for client in clients))
        yield
    finally:
        broken = [task.exception() for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            if client.socket:
                await client.socket.close()
    assert not broken, broken


@asynccontextmanager
async def writing(clients: Sequence[Client], pause: float = 0.05) -> AsyncIterator[None]:
    """All of them make changes for as long as this lasts; at its end each has had its last answer."""
    done = asyncio.Event()

    async def write(client: Client) -> None:
        while not done.is_set():
            await client.change(client.random.choice(list(client.held)))
            await asyncio.sleep(pause * client.random.random())

    tasks = [asyncio.create_task(write(client)) for client in clients]
    try:
        yield
        done.set()
        async with asyncio.timeout(PATIENCE * 4):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def write_all(clients: Sequence[Client], changes: int, pause: float = 0) -> None:
    """So many changes by all of them together, each in its rooms at random."""

    async def write(client: Client) -> None:
        for _ in range(changes // len(clients)):
            await client.change(client.random.choice(list(client.held)))
            await asyncio.sleep(pause * client.random.random())

    await everyone(*(write(client) for client in clients))


async def assert_all_hold_the_truth(rest: Rest, clients: Sequence[Client], patience: float = PATIENCE) -> None:
    """A last message in each room, then: every client holds what a fresh read shows, whatever was acknowledged is in
    it, numbers have no gap, revs rose and none came twice (a client fails on the spot where they don't)."""
    acknowledged = {message for client in clients for message in client.acknowledged}
    deadline, found = time.monotonic() + patience, set[str]()
    rooms = {room for client in clients for room in client.held}
    for room in rooms:
        await rest.send(room, "the last one may be lost like any other")
    for room in rooms:
        truth = await rest.truth(room)
        found |= truth.keys()
        assert numbers(truth) == list(range(1, len(truth) + 1))
        for client in clients:
            while client.held[room].messages != (fresh := _as_far_back(truth, client.held[room])):
                assert time.monotonic() < deadline, _difference(client.held[room].messages, fresh)
                await asyncio.sleep(0.05)
            revs = client.held[room].revs
            assert len(set(revs)) == len(revs)
    assert acknowledged <= found, f"{len(acknowledged - found)} were acknowledged and are gone"


def _as_far_back(truth: dict[str, Any], room: Room) -> dict[str, Any]:
    """Who had to start anew holds the newest page and what came since."""
    first = min((message["number"] for message in room.messages.values()), default=1)
    return {key: message for key, message in truth.items() if message["number"] >= first}


def _difference(held: dict[str, Any], truth: dict[str, Any]) -> str:
    missing, extra = truth.keys() - held.keys(), held.keys() - truth.keys()
    older = [key for key in truth.keys() & held.keys() if truth[key] != held[key]]
    return f"{len(held)} held, {len(missing)} missing, {len(older)} not as they are, {len(extra)} too many"
