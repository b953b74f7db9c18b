"""Whom a socket greets and with what: through the product's own application, in this process and its transaction."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.db import connections

from accounts.models import Login, User
from chat import hub
from core import db
from core.asgi import application
from tenants.models import Membership
from tests.cast import Cast
from tests.sockets import PATIENCE, PROTOCOL
from tests.test_policy_own import after_the_seat_is_read

pytestmark = pytest.mark.once


class Here(Executor):
    """In place of the pool: what is handed over runs in the test's thread, which alone sees its transaction."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        made: Future[Any] = Future()

        def job() -> None:
            if not made.set_running_or_notify_cancel():
                return
            try:
                made.set_result(fn(*args, **kwargs))
            except Exception as error:
                made.set_exception(error)

        self._jobs.put(job)
        return made

    def serve(self, story: Coroutine[Any, Any, None]) -> None:
        """Until the story, on a loop in a thread beside this one, has ended."""
        with ThreadPoolExecutor(1) as beside:
            end = beside.submit(asyncio.run, story)
            end.add_done_callback(lambda _end: self._jobs.put(None))
            while job := self._jobs.get():
                job()
            end.result()


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test of sockets whose database calls all run in the test's own thread."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        here = Here()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(db, "_pool", here)
            patch.setattr(db, "_aside", here)
            patch.setattr(db, "close_old_connections", lambda: None)
            patch.setattr(hub, "carry_with", lambda _carrier: None)
            here.serve(test(*args, **kwargs))

    return run


@asynccontextmanager
async def socket(cast: Cast, name: str, slug: str = "acme") -> AsyncIterator[WebsocketCommunicator]:
    """Someone's, past its greeting."""
    shown = [(key.lower().encode(), value.encode()) for key, value in cast.people[name].bearer.items()]
    opened = WebsocketCommunicator(application, f"/ws/v1/{slug}/", headers=shown, subprotocols=[PROTOCOL])
    assert await opened.connect(PATIENCE) == (True, PROTOCOL)
    assert (await opened.receive_json_from(PATIENCE))["type"] == "hello"
    yield opened
    await opened.disconnect()


async def asked(opened: WebsocketCommunicator) -> Any:
    """What is answered to one who asks again for the greeting: it, or the refusal."""
    await opened.send_json_to({"type": "hello", "id": "again"})
    answer = await opened.receive_json_from(PATIENCE)
    assert answer["id"] == "again"
    return answer.get("result", answer)


@pytest.mark.parametrize(
    ("name", "slug", "rooms"),
    [
        ("both", "acme", {"den"}),
        ("both", "globex", {"lab"}),
        ("owner", "acme", {"lobby", "vault"}),
        ("lurker", "acme", set()),
    ],
)
@story
async def test_one_is_told_ones_organization_and_the_rooms_one_is_in(
    cast: Any, name: str, slug: str, rooms: set[str]
) -> None:
    async with socket(cast, name, slug) as opened:
        hello = await asked(opened)
    assert (hello["user"]["id"], hello["tenant"]["slug"]) == (cast.people[name].id, slug)
    assert hello["tenant"]["name"] == slug.title()
    assert {room["id"] for room in hello["rooms"]} == {cast.rooms[room] for room in rooms}


ENDS: dict[str, Callable[[Any], object]] = {
    "revoked": lambda person: Login.objects.filter(pk=person.sid).delete(),
    "deactivated": lambda person: User.objects.filter(pk=person.id).update(is_active=False),
}


@pytest.mark.parametrize("end", ENDS)
@story
async def test_whose_login_has_ended_is_told_nothing_more(cast: Any, end: str) -> None:
    async with socket(cast, "member") as opened, socket(cast, "guest") as other:
        assert (await asked(opened))["type"] == "hello"
        await db.run(ENDS[end], cast.member)
        assert (await asked(opened))["code"] == "revoked"
        assert (await asked(other))["type"] == "hello"


@pytest.mark.parametrize("end", ["suspended_at", "expires_at"])
@story
async def test_whose_seat_has_ended_is_told_so_and_closed(cast: Any, end: str) -> None:
    async with socket(cast, "member") as opened, socket(cast, "guest") as other:
        assert (await asked(opened))["type"] == "hello"
        await db.run(_end, cast.member.id, end)
        assert (await asked(opened))["code"] == "no_seat"
        assert (await opened.receive_json_from(PATIENCE))["type"] == "bye"
        assert (await opened.receive_output(PATIENCE))["code"] == 4403
        assert (await asked(other))["type"] == "hello"


@pytest.fixture
def database(cast: Any) -> Any:
    """The connection of the test's thread."""
    return connections["default"]


@story
async def test_a_seat_that_ends_while_it_is_greeted_is_told_no_room(cast: Any, database: Any) -> None:
    """Between the statement that finds the seat and the one that lists its rooms, as a race could have it."""
    suspend = functools.partial(_end, cast.member.id, "suspended_at")
    async with socket(cast, "member") as opened:
        assert (await asked(opened))["rooms"], "premise: there is something to tell"
        with database.execute_wrapper(after_the_seat_is_read(suspend)):
            assert (await asked(opened))["rooms"] == []


def _end(user: str, how: str) -> None:
    assert Membership.objects.filter(tenant__slug="acme", user=user).update(**{how: "2026-01-01T00:00Z"})
