"""The socket's commands and events, line by line, as docs/protocol.md has them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import jsonschema
import pytest
import pytest_asyncio

from tests import environment
from tests.cast import Cast, Person
from tests.delivering import Rest
from tests.fuzz import NOWHERE
from tests.processes import Process, Stack
from tests.sockets import PATIENCE, Socket
from tests.test_contract_handshake import aged, cookie, fresh_login

HEARTBEAT = 2
MESSAGE = {
    *("id", "kind", "room", "number", "rev", "author", "body", "html", "nonce", "reply_to", "reactions"),
    *("created_at", "edited_at", "deleted_at"),
}
ROOM = {"id", "name", "kind", "topic", "posting", "history", "archived_at", "room_role", "rev", "number", "unread"}
CATCH_UP = {"room", "epoch", "rev", "messages", "more", "reset"}
EVENTS = {
    "hello": {"protocol", "epoch", "connection", "user", "tenant", "tenant_role", "heartbeat", "rooms", "rooms_more"},
    "message.created": {"room", "rev", "message"},
    "message.updated": {"room", "rev", "message"},
    "message.deleted": {"room", "rev", "message"},
    "read": {"room", "number"},
    "typing": {"room", "user"},
    "presence": {"room", "count"},
    "room.added": {"room"},
    "room.updated": {"room"},
    "room.removed": {"room"},
    "member.changed": {"room", "user"},
    "role.changed": {"tenant_role"},
    "resync": set(),
    "ping": set(),
    "bye": {"code", "detail"},
}
"""What each event holds at least; more may be added."""


class Stage(NamedTuple):
    """A server, the cast, and ways to open sockets and REST that end with the test."""

    server: Process
    cast: Cast
    open: Callable[..., Awaitable[Socket]]
    rest: Callable[..., Rest]

    async def room(self, *people: Person, **fields: Any) -> str:
        """A new room that the moderator runs."""
        return await self.rest(self.cast.moderator).make_room(*people, **fields)


@pytest.fixture(scope="module")
def served(make_stack: Any) -> tuple[Stack, Process, Cast]:
    stack, cast = make_stack(environment.stack_name(), SOCKET_HEARTBEAT=str(HEARTBEAT))
    return stack, stack.serve()[0], cast


@pytest_asyncio.fixture
async def stage(served: tuple[Stack, Process, Cast]) -> AsyncIterator[Stage]:
    """In the end, everything that any socket has heard is as the contract writes it."""
    _, server, cast = served
    heard: list[Socket] = []
    async with contextlib.AsyncExitStack() as opened:

        async def open_socket(person: Person, *rooms: str, slug: str = "acme", **how: Any) -> Socket:
            how.setdefault("token", person.access)
            socket = await opened.enter_async_context(await Socket.open(server.ws_url, slug, **how))
            heard.append(socket)
            await socket.event("hello")
            for room in rooms:
                await socket.do("subscribe", room=room)
            return socket

        def rest(person: Person, slug: str = "acme") -> Rest:
            made = Rest(server, person, slug)
            opened.push_async_exit(made)
            return made

        yield Stage(server, cast, open_socket, rest)
    for socket in heard:
        check_events(socket.events)
    assert "Traceback" not in server.log_text()


def check_events(events: list[dict[str, Any]]) -> None:
    from chat import protocol  # noqa: PLC0415  settings first
    from core.openapi import schema  # noqa: PLC0415

    schemas = {event.__struct_config__.tag: schema(event) for event in protocol.EVENTS}
    for event in events:
        assert set(event) >= EVENTS[event["type"]] | {"type"} and "id" not in event, event
        jsonschema.validate(event, schemas[event["type"]])
        if "message" in event:
            check_message(event["message"])
            assert (event["room"], event["rev"]) == (event["message"]["room"], event["message"]["rev"])


def check_message(message: dict[str, Any]) -> None:
    assert set(message) >= MESSAGE, message
    assert message["kind"] in ("text", "notice")
    for at in ("created_at", "edited_at", "deleted_at"):
        assert message[at] is None or (message[at].endswith("Z") and "T" in message[at])


def kinds(socket: Socket) -> list[str]:
    aside = ("ping", "read", "presence", "member.changed")
    return [event["type"] for event in socket.events if event["type"] not in aside]


# --- subscribe


async def test_a_subscription_answers_the_newest_messages_in_rising_order(stage: Stage) -> None:
    room, rest = await stage.room(), stage.rest(stage.cast.moderator)
    sent = [await rest.send(room, f"number {number}") for number in range(1, 5)]
    socket = await stage.open(stage.cast.moderator)
    whole = await socket.do("subscribe", room=room)
    assert set(whole) == CATCH_UP
    assert (whole["room"], whole["rev"], whole["more"], whole["reset"]) == (room, 4, False, False)
    assert whole["messages"] == sent
    assert whole["epoch"] == socket.events[0]["epoch"]
    assert (await socket.do("subscribe", room=room, limit=2))["messages"] == sent[2:]
    nothing = await socket.do("subscribe", room=room, limit=0)
    assert (nothing["messages"], nothing["rev"], nothing["more"]) == ([], 4, False)
    await rest.send(room, "number 5")
    await socket.event("message.created")


async def test_since_answers_what_changed_and_more_means_not_yet_subscribed(stage: Stage) -> None:
    room, rest = await stage.room(), stage.rest(stage.cast.moderator)
    first, second, third = [await rest.send(room, f"number {number}") for number in range(1, 4)]
    edited = await rest.do("PATCH", f"/rooms/{room}/messages/{first['id']}/", json={"body": "changed"})
    socket = await stage.open(stage.cast.moderator)
    epoch = socket.events[0]["epoch"]
    told = await socket.do("subscribe", room=room, since={"epoch": epoch, "rev": 1})
    assert told["messages"] == [second, third, edited] and (told["rev"], told["more"], told["reset"]) == (
        4,
        False,
        False,
    )
    same = await socket.do("subscribe", room=room, since={"epoch": epoch, "rev": 4})
    assert (same["messages"], same["rev"], same["reset"]) == ([], 4, False)
    some = await stage.open(stage.cast.moderator)
    part = await some.do("subscribe", room=room, since={"epoch": epoch, "rev": 1}, limit=1)
    assert (part["messages"], part["rev"], part["more"]) == ([second], 2, True)
    fourth = await rest.send(room, "number 4")
    await socket.event("message.created")
    await some.settle()
    assert kinds(some) == ["hello"], "it is not subscribed while there is more"
    rest_of_it = await some.do("subscribe", room=room, since={"epoch": epoch, "rev": part["rev"]})
    assert rest_of_it["messages"] == [third, edited, fourth] and not rest_of_it["more"]


async def test_a_cursor_of_elsewhere_or_of_the_future_resets(stage: Stage) -> None:
    room, rest = await stage.room(), stage.rest(stage.cast.moderator)
    sent = await rest.send(room, "one")
    socket = await stage.open(stage.cast.moderator)
    epoch = socket.events[0]["epoch"]
    for since in ({"epoch": NOWHERE, "rev": 1}, {"epoch": epoch, "rev": 2}, {"epoch": epoch, "rev": 2**53 - 1}):
        told = await socket.do("subscribe", room=room, since=since)
        assert (told["reset"], told["messages"], told["rev"], told["more"]) == (True, [sent], 1, False)
    changes = await rest.do("GET", f"/rooms/{room}/changes/?epoch={NOWHERE}&since=1")
    assert changes == told


async def test_several_rooms_at_once_and_the_refused_among_them_by_code(stage: Stage) -> None:
    one, other = await stage.room(), await stage.room()
    rest = stage.rest(stage.cast.moderator)
    socket = await stage.open(stage.cast.moderator)
    epoch = socket.events[0]["epoch"]
    lab, vault = stage.cast.rooms["lab"], stage.cast.rooms["vault"]
    asked = [{"room": one}, {"room": lab}, {"room": other, "since": {"epoch": epoch, "rev": 0}}, {"room": vault}]
    told = (await socket.do("subscribe", rooms=asked))["rooms"]
    assert [each["room"] for each in told] == [one, lab, other, vault]
    assert told[1] == {"room": lab, "code": "not_found"} and told[3] == {"room": vault, "code": "not_found"}
    assert set(told[0]) == set(told[2]) == CATCH_UP
    for room in (one, other):
        await rest.send(room, "heard")
    await socket.until(lambda: kinds(socket).count("message.created") == 2)


async def test_unsubscribing_ends_the_events_and_may_be_repeated(stage: Stage) -> None:
    room = await stage.room()
    rest = stage.rest(stage.cast.moderator)
    socket, other = await stage.open(stage.cast.moderator, room), await stage.open(stage.cast.moderator, room)
    assert await socket.do("unsubscribe", room=room) == {}
    await rest.send(room, "unheard")
    await other.event("message.created")
    await socket.settle()
    assert kinds(socket) == ["hello"]
    assert await socket.do("unsubscribe", room=room) == {}
    assert await socket.do("unsubscribe", room=NOWHERE) == {}


async def test_the_address_may_subscribe_and_its_answer_has_the_id_url(stage: Stage) -> None:
    room, rest = await stage.room(), stage.rest(stage.cast.moderator)
    first, second = await rest.send(room, "one"), await rest.send(room, "two")

    async def told(path: str) -> tuple[dict[str, Any], Socket]:
        socket = await Socket.open(stage.server.ws_url, token=stage.cast.moderator.access, path=path)
        await socket.until(lambda: bool(socket._unasked))
        assert [event["type"] for event in socket.events] == ["hello"], "hello comes first"
        assert await socket.do("ping") == {}
        return socket._unasked[0], socket

    answer, socket = await told(f"rooms/{room}/")
    async with socket:
        assert (answer["type"], answer["id"], answer["result"]["messages"]) == ("ok", "url", [first, second])
        epoch = socket.events[0]["epoch"]
        await rest.send(room, "three")
        await socket.event("message.created")
    answer, socket = await told(f"rooms/{room}/?epoch={epoch}&since=1")
    async with socket:
        assert [each["body"] for each in answer["result"]["messages"]] == ["two", "three"]
    refusals = {
        f"rooms/{stage.cast.rooms['lab']}/": "not_found",
        f"rooms/{NOWHERE}/": "not_found",
        "rooms/nonsense/": "invalid",
        f"rooms/{room.upper()}/": "invalid",
        "rooms/%00/": "invalid",
        f"rooms/{room}/?epoch={epoch}&since=%00": "invalid",
        f"rooms/{room}/?epoch=%00&since=1": "invalid",
        f"rooms/{room}/?epoch={epoch}&since=x": "invalid",
        f"rooms/{room}/?epoch={epoch}&since=-1": "invalid",
        f"rooms/{room}/?epoch=x&since=1": "invalid",
    }
    for path, code in refusals.items():
        answer, socket = await told(path)
        async with socket:
            assert (answer["type"], answer["id"], answer["code"]) == ("error", "url", code), path


# --- messages


async def test_a_message_is_the_same_in_the_answer_the_event_and_over_rest(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    sender, hearer = await stage.open(stage.cast.moderator, room), await stage.open(stage.cast.member, room)
    sent = await sender.do("message.send", room=room, body="**hi** there", nonce="n1")
    assert set(sent) == {"message"}
    message = sent["message"]
    check_message(message)
    assert message == {
        **message,
        "kind": "text",
        "room": room,
        "number": 1,
        "rev": 1,
        "author": {"id": stage.cast.moderator.id, "display_name": "Moderator"},
        "body": "**hi** there",
        "html": "<p><strong>hi</strong> there</p>",
        "nonce": "n1",
        "reply_to": None,
        "reactions": [],
        "edited_at": None,
        "deleted_at": None,
    }
    event = await hearer.event("message.created")
    assert event == {"type": "message.created", "room": room, "rev": 1, "message": message}
    assert (await sender.event("message.created")) == event, "the sender hears it too"
    place = f"/rooms/{room}/messages/"
    assert await stage.rest(stage.cast.member).do("GET", f"{place}{message['id']}/") == message
    assert (await stage.rest(stage.cast.member).do("GET", place))["results"] == [message]
    reply = await hearer.do("message.send", room=room, body="plain", nonce="n1", reply_to=message["id"])
    assert (reply["message"]["reply_to"], reply["message"]["html"]) == (message["id"], None)
    over_rest = await stage.rest(stage.cast.moderator).send(room, "by rest")
    await hearer.until(lambda: over_rest in [each.get("message") for each in hearer.events])


async def test_the_same_nonce_again_answers_that_message_as_it_is_now(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    socket = await stage.open(stage.cast.moderator, room)
    first = (await socket.do("message.send", room=room, body="one", nonce="same"))["message"]
    assert (await socket.do("message.send", room=room, body="other", nonce="same"))["message"] == first
    edited = (await socket.do("message.edit", message=first["id"], body="changed"))["message"]
    assert (await socket.do("message.send", room=room, body="one", nonce="same"))["message"] == edited
    over_rest = await stage.rest(stage.cast.moderator).send(room, "one", nonce="same")
    assert over_rest == edited
    theirs = await stage.open(stage.cast.member)
    assert (await theirs.do("message.send", room=room, body="two", nonce="same"))["message"]["number"] == 2


async def test_edits_reactions_and_deletion_take_revs_and_no_ops_take_none(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    socket, hearer = await stage.open(stage.cast.moderator, room), await stage.open(stage.cast.member, room)
    pk = (await socket.do("message.send", room=room, body="one", nonce="n"))["message"]["id"]

    async def after(command: str, **fields: Any) -> dict[str, Any]:
        told = await socket.do(command, message=pk, **fields)
        assert set(told) == {"message"}
        check_message(told["message"])
        return dict(told["message"])

    edited = await after("message.edit", body="two", rev=1)
    assert (edited["rev"], edited["number"], edited["body"]) == (2, 1, "two") and edited["edited_at"]
    assert (await after("message.edit", body="two"))["rev"] == 2
    assert (await socket.ask("message.edit", message=pk, body="three", rev=1))["code"] == "conflict"
    reacted = await after("reaction.add", emoji="👍")
    assert reacted["reactions"] == [{"emoji": "👍", "count": 1, "users": [stage.cast.moderator.id]}]
    assert (await after("reaction.add", emoji="👍"))["rev"] == reacted["rev"] == 3
    assert (await after("reaction.remove", emoji="👎"))["rev"] == 3
    bare = await after("reaction.remove", emoji="👍")
    assert (bare["reactions"], bare["rev"]) == ([], 4)
    gone = await after("message.delete")
    assert (gone["body"], gone["html"], gone["reactions"], gone["number"], gone["rev"]) == ("", None, [], 1, 5)
    assert gone["deleted_at"] and (await after("message.delete"))["rev"] == 5
    assert (await socket.ask("message.edit", message=pk, body="back"))["code"] == "conflict"
    assert (await socket.ask("reaction.add", message=pk, emoji="👍"))["code"] == "conflict"
    await hearer.event("message.deleted")
    heard = [(each["type"], each["rev"]) for each in hearer.events if each["type"].startswith("message.")]
    assert [rev for _, rev in heard] == [1, 2, 3, 4, 5]
    assert [kind for kind, _ in heard][::4] == ["message.created", "message.deleted"]
    assert {kind for kind, _ in heard[1:4]} == {"message.updated"}


async def test_others_messages_are_not_mine_to_change(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    socket, member = await stage.open(stage.cast.moderator), await stage.open(stage.cast.member)
    pk = (await socket.do("message.send", room=room, body="one", nonce="n"))["message"]["id"]
    assert (await member.ask("message.edit", message=pk, body="mine"))["code"] == "forbidden"
    assert (await member.ask("message.delete", message=pk))["code"] == "forbidden"
    assert (await member.do("reaction.add", message=pk, emoji="🎉"))["message"]["rev"] == 2
    assert (await socket.do("message.edit", message=pk, body="still"))["message"]["rev"] == 3


async def test_a_read_marker_only_rises_and_my_other_sockets_hear_it(stage: Stage) -> None:
    room, rest = await stage.room(stage.cast.member), stage.rest(stage.cast.moderator)
    for number in range(3):
        await rest.send(room, f"number {number}")
    here, there = await stage.open(stage.cast.member), await stage.open(stage.cast.member)
    stranger = await stage.open(stage.cast.moderator, room)

    async def unread() -> int:
        found = (await there.do("hello"))["rooms"]
        return next(int(each["unread"]) for each in found if each["id"] == room)

    assert await unread() == 3
    assert await here.do("read", room=room, number=2) == {}
    assert await there.event("read") == {"type": "read", "room": room, "number": 2}
    assert await unread() == 1
    assert await here.do("read", room=room, number=1) == {}
    assert await unread() == 1
    await stage.rest(stage.cast.member).do("POST", f"/rooms/{room}/read/", json={"number": 2**53 - 1})
    await there.until(lambda: [each["number"] for each in there.events if each["type"] == "read"] == [2, 3])
    assert await unread() == 0
    await stranger.settle()
    assert "read" not in [each["type"] for each in stranger.events]


async def test_typing_reaches_the_others_in_the_room(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    typist, hearer = await stage.open(stage.cast.moderator, room), await stage.open(stage.cast.member, room)
    assert await typist.do("typing", room=room) == {}
    user = {"id": stage.cast.moderator.id, "display_name": "Moderator"}
    assert await hearer.event("typing") == {"type": "typing", "room": room, "user": user}
    await typist.settle()
    assert kinds(typist) == ["hello"]


async def test_who_is_in_the_room_is_told_whole_and_then_as_it_changes(stage: Stage) -> None:
    room = await stage.room(stage.cast.member)
    moderator = {"id": stage.cast.moderator.id, "display_name": "Moderator"}
    member = {"id": stage.cast.member.id, "display_name": "Member"}
    here = await stage.open(stage.cast.moderator, room)
    whole = {"type": "presence", "room": room, "count": 1, "here": [moderator]}
    assert await here.event("presence") == whole
    there = await stage.open(stage.cast.member, room)
    found = await there.event("presence")
    assert found["count"] == 2 and {each["id"] for each in found["here"]} == {moderator["id"], member["id"]}
    await here.until(lambda: len(of_kind(here, "presence")) == 2)
    came = {"type": "presence", "room": room, "count": 2, "joined": [member], "left": []}
    assert of_kind(here, "presence") == [whole, came]
    await there.do("unsubscribe", room=room)
    await here.until(lambda: len(of_kind(here, "presence")) == 3)
    went = {"type": "presence", "room": room, "count": 1, "joined": [], "left": [member["id"]]}
    assert of_kind(here, "presence")[-1] == went


def of_kind(socket: Socket, kind: str) -> list[dict[str, Any]]:
    return [event for event in socket.events if event["type"] == kind]


async def test_pipelined_commands_take_effect_in_the_order_sent(stage: Stage) -> None:
    room = await stage.room()
    socket = await stage.open(stage.cast.moderator, room)
    wire = socket.wire
    for number in range(50):
        sent = {
            "type": "message.send",
            "id": f"p{number}",
            "room": room,
            "body": f"number {number}",
            "nonce": f"{number}",
        }
        await wire.send(json.dumps(sent))
        await wire.send(json.dumps({"type": "ping", "id": f"q{number}"}))
    await socket.until(lambda: len(socket._unasked) == 100, 60)
    answers = socket._unasked
    assert [each["id"] for each in answers] == [f"{kind}{number}" for number in range(50) for kind in "pq"]
    sent_numbers = [each["result"]["message"]["number"] for each in answers[::2]]
    assert sent_numbers == list(range(1, 51))


async def test_an_id_comes_back_as_it_was_sent(stage: Stage) -> None:
    socket = await stage.open(stage.cast.member)
    for each in ("1", "i" * 64, "😀" * 64, "null", "url", "\x7f\u202e"):
        assert await socket.raw(json.dumps({"type": "ping", "id": each})) == {"type": "ok", "id": each, "result": {}}
        answer = await socket.raw(json.dumps({"type": "typing", "id": each, "room": NOWHERE}))
        assert (set(answer), answer["id"], answer["code"]) == ({"type", "id", "code", "detail"}, each, "not_found")


# --- rooms and people


async def test_rooms_come_change_and_go_before_ones_eyes(stage: Stage) -> None:
    moderator, member = stage.rest(stage.cast.moderator), await stage.open(stage.cast.member)
    room = await stage.room()
    watcher = await stage.open(stage.cast.moderator, room)
    await moderator.add(room, stage.cast.member)
    added = (await member.event("room.added"))["room"]
    assert set(added) >= ROOM and (added["id"], added["room_role"], added["rev"]) == (room, "member", 0)
    assert added == await stage.rest(stage.cast.member).do("GET", f"/rooms/{room}/")
    changed = await watcher.event("member.changed")
    assert changed == {"type": "member.changed", "room": room, "user": stage.cast.member.id}
    await member.do("subscribe", room=room)
    await moderator.do("PATCH", f"/rooms/{room}/", json={"topic": "new"})
    assert (await member.event("room.updated"))["room"]["topic"] == "new"
    await moderator.send(room, "before")
    await member.event("message.created")
    await moderator.remove(room, stage.cast.member)
    await moderator.send(room, "after")
    assert await member.event("room.removed") == {"type": "room.removed", "room": room}
    await watcher.until(lambda: watcher.rooms[room].bodies == ["before", "after"])
    await member.settle()
    assert member.rooms[room].bodies == ["before"]
    assert (await member.ask("subscribe", room=room))["code"] == "not_found"


async def test_a_changed_role_is_told(stage: Stage) -> None:
    socket = await stage.open(stage.cast.lurker)
    owner = stage.rest(stage.cast.owner)
    await owner.do("PATCH", f"/members/{stage.cast.lurker.id}/", json={"tenant_role": "moderator"})
    assert await socket.event("role.changed") == {"type": "role.changed", "tenant_role": "moderator"}
    assert (await socket.do("hello"))["tenant_role"] == "moderator"


# --- how long it lasts


async def test_a_silent_server_says_ping_within_the_heartbeat(stage: Stage) -> None:
    socket = await stage.open(stage.cast.both, slug="globex")
    assert socket.events[0]["heartbeat"] == HEARTBEAT
    for count in (1, 2):
        await socket.until(lambda count=count: kinds_of(socket, "ping") == count, patience=HEARTBEAT + 3)
    assert [each for each in socket.events if each["type"] == "ping"] == [{"type": "ping"}] * 2


def kinds_of(socket: Socket, kind: str) -> int:
    return sum(event["type"] == kind for event in socket.events)


async def test_a_token_that_ends_closes_unless_it_is_renewed(stage: Stage) -> None:
    member = stage.cast.member
    idle = await stage.open(member, token=aged(member, 4))
    renewed = await stage.open(member, token=aged(member, 4))
    longer = aged(member, 600)
    result = await renewed.do("authenticate", token=longer)
    assert set(result) == {"expires_at"} and result["expires_at"] > renewed.events[0]["expires_at"]
    assert await idle.closed() == 4410
    assert (idle.events[-1]["type"], idle.events[-1]["code"]) == ("bye", "expired")
    assert await renewed.do("ping") == {}
    assert (await renewed.do("hello"))["expires_at"] == result["expires_at"]


async def test_nobody_elses_token_renews_and_no_cookie_socket_is_renewed(stage: Stage) -> None:
    member, owner = stage.cast.member, stage.cast.owner
    socket = await stage.open(member)
    assert (await socket.ask("authenticate", token=owner.access))["code"] == "not_authenticated"
    assert (await socket.ask("authenticate", token=aged(member, -60)))["code"] == "expired"
    assert (await socket.ask("authenticate", token="nonsense"))["code"] == "not_authenticated"
    assert (await socket.do("hello"))["user"]["id"] == member.id
    paged = await stage.open(member, token=None, headers=cookie(member, stage.server.public_url))
    assert (await paged.ask("authenticate", token=member.access))["code"] == "forbidden"
    assert await paged.do("ping") == {}


@pytest.mark.parametrize("within", [PATIENCE, pytest.param(1.0, marks=pytest.mark.long)])
async def test_the_end_of_a_session_closes_its_sockets(stage: Stage, within: float) -> None:
    token = fresh_login(stage.server, stage.cast.member)
    ending = await stage.open(stage.cast.member, token=token)
    moved = await stage.open(stage.cast.member, token=token)
    await moved.do("authenticate", token=stage.cast.member.access)
    staying = await stage.open(stage.cast.member)
    rest = stage.rest(stage.cast.member)
    answer = await rest.client.delete(f"{stage.server.url}/api/v1/me/sessions/")
    assert answer.status_code == 204
    assert await ending.closed(within) == 4411
    assert (ending.events[-1]["type"], ending.events[-1]["code"]) == ("bye", "revoked")
    assert await staying.do("ping") == {} == await moved.do("ping")


@pytest.mark.parametrize(("name", "within"), [("both", PATIENCE), pytest.param("guest", 1.0, marks=pytest.mark.long)])
async def test_the_end_of_a_seat_closes_its_sockets(stage: Stage, name: str, within: float) -> None:
    socket, other = await stage.open(stage.cast.people[name]), await stage.open(stage.cast.both, slug="globex")
    await stage.rest(stage.cast.owner).do("DELETE", f"/members/{stage.cast.people[name].id}/")
    assert await socket.closed(within) == 4403
    assert (socket.events[-1]["type"], socket.events[-1]["code"]) == ("bye", "no_seat")
    assert await other.do("ping") == {}, "the seat elsewhere stands"


async def test_a_server_that_restarts_says_so(served: tuple[Stack, Process, Cast]) -> None:
    stack, _, cast = served
    server = stack.serve()[0]
    async with await Socket.open(server.ws_url, token=cast.member.access) as socket:
        await socket.event("hello")
        ended = asyncio.create_task(asyncio.to_thread(server.terminate))
        assert await socket.closed() == 1012
        assert (socket.events[-1]["type"], socket.events[-1]["code"]) == ("bye", "restart")
        assert await ended == 0


async def test_a_frame_in_many_pieces_is_read_like_any_other(stage: Stage) -> None:
    socket = await stage.open(stage.cast.member)
    await socket.wire.send(list(json.dumps({"type": "ping", "id": "pieces"})))
    await socket.until(lambda: bool(socket._unasked))
    assert socket._unasked == [{"type": "ok", "id": "pieces", "result": {}}]
