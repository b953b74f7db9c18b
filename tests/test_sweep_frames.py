"""The tenancy sweep over the socket: every frame type, sent by everybody in the cast, with what each must get.

Whoever has no seat at acme is closed with the words for an organization that doesn't exist, whatever they send; what
belongs to globex is refused in the words for what never existed. A frame type that isn't swept fails the guard.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from chat.protocol import COMMANDS
from tests.cast import ACME, GLOBEX, OUTSIDER, Cast
from tests.delivering import here
from tests.policy import filled
from tests.sockets import Socket

pytestmark = pytest.mark.once

SEATED = "owner admin moderator member guest both lurker"
UNSEATED = "suspended expired globex_owner globex_member outsider"
DEN = "moderator member guest both"
"""Those in the den: its moderator, two members and a reader. Owner and admin know of it, `lurker` doesn't."""
WRITERS = "moderator member guest"
SIGNED_OUT = "signed_out"


@dataclass(frozen=True)
class Row:
    """One frame and who gets what for it. `{fresh}` is a message that `member` has just sent to the den."""

    type: str
    fields: dict[str, Any] = field(default_factory=dict)
    ok: str = ""
    forbidden: str = ""
    not_found: str = ""
    not_authenticated: str = ""

    def __str__(self) -> str:
        return f"{self.type} {json.dumps(self.fields)}"

    @property
    def outcomes(self) -> dict[str, str]:
        """By name, of those who have a seat: `ok` or the code."""
        codes = ("ok", "forbidden", "not_found", "not_authenticated")
        return {name: code for code in codes for name in getattr(self, code).split()}


SEND = {"body": "hello", "nonce": "{nonce}"}
FRESH = {"message": "{fresh}"}
ROWS = [
    Row("subscribe", {"room": "{den}"}, ok=DEN, not_found="owner admin lurker"),
    Row("subscribe", {"room": "{lobby}"}, ok="owner moderator member", not_found="admin guest both lurker"),
    Row("subscribe", {"room": "{vault}"}, ok="owner", not_found="admin moderator member guest both lurker"),
    Row("subscribe", {"room": "{talk}"}, ok="moderator member", not_found="owner admin guest both lurker"),
    Row("unsubscribe", {"room": "{den}"}, ok=SEATED),
    Row("message.send", {"room": "{den}", **SEND}, ok=WRITERS, forbidden="owner admin both", not_found="lurker"),
    Row(
        "message.send",
        {"room": "{lobby}", **SEND},
        ok="owner moderator member",
        forbidden="admin both lurker",
        not_found="guest",
    ),
    Row(
        "message.send",
        {"room": "{den}", **SEND, "reply_to": "{den_member}"},
        ok=WRITERS,
        forbidden="owner admin both",
        not_found="lurker",
    ),
    Row(
        "message.edit",
        {**FRESH, "body": "new"},
        ok="member",
        forbidden="moderator guest both",
        not_found="owner admin lurker",
    ),
    Row("message.delete", FRESH, ok="moderator member", forbidden="guest both", not_found="owner admin lurker"),
    Row("reaction.add", {**FRESH, "emoji": "👍"}, ok=WRITERS, forbidden="both", not_found="owner admin lurker"),
    Row("reaction.remove", {**FRESH, "emoji": "👍"}, ok=WRITERS, forbidden="both", not_found="owner admin lurker"),
    Row("read", {"room": "{den}", "number": 1}, ok=DEN, not_found="owner admin lurker"),
    Row("typing", {"room": "{den}"}, ok=WRITERS, forbidden="both", not_found="owner admin lurker"),
    Row("authenticate", {"token": "{own_token}"}, ok=SEATED),
    Row("authenticate", {"token": "{outsiders_token}"}, not_authenticated=SEATED),
    Row("hello", ok=SEATED),
    Row("ping", ok=SEATED),
]
COUNTERPARTS = {
    "{den}": "lab",
    "{lobby}": "lab",
    "{vault}": "lab",
    "{talk}": "lab",
    "{fresh}": "lab_owner",
    "{den_member}": "lab_owner",
}
"""What of globex takes the place of what is named in a row."""


@dataclass
class House:
    """One server over the cast."""

    url: str
    cast: Cast
    serial: Any = field(default_factory=lambda: itertools.count(1))

    async def enter(self, name: str, slug: str = "acme") -> Socket:
        return await Socket.open(self.url, slug, token=self.cast.people[name].access)

    @asynccontextmanager
    async def everybody(self) -> AsyncIterator[dict[str, Socket]]:
        """A socket of each who has a seat."""
        async with AsyncExitStack() as stack:
            yield {name: await stack.enter_async_context(await self.enter(name)) for name in SEATED.split()}

    def names(self, name: str, fresh: str) -> dict[str, str]:
        """What the words in a row stand for when this person sends it."""
        tokens = {"own_token": self.cast.people[name].access, "outsiders_token": self.cast.outsider.access}
        return {**self.cast.rooms, **self.cast.messages, **tokens, "fresh": fresh, "nonce": f"n{next(self.serial)}"}

    async def fresh(self, member: Socket) -> str:
        """A new message by `member` in the den, so that nobody meets what another has done."""
        sent = await member.do("message.send", room=self.cast.rooms["den"], body="x", nonce=f"n{next(self.serial)}")
        return str(sent["message"]["id"])


@pytest.fixture(scope="module")
def house(make_stack: Callable[..., Any]) -> House:
    stack, cast = make_stack("embedded")
    return House(stack.serve(1)[0].ws_url, cast)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_everybody_with_a_seat_gets_what_the_sweep_says(house: House, row: Row) -> None:
    async with house.everybody() as sockets:
        for name, expected in row.outcomes.items():
            fields = filled(row.fields, house.names(name, await house.fresh(sockets["member"])))
            answer = await sockets[name].ask(row.type, **fields)
            assert answer.get("code", answer["type"]) == expected, (name, answer)


def without_id(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "id"}


@pytest.mark.parametrize("row", [row for row in ROWS if set(row.fields.values()) & set(COUNTERPARTS)], ids=str)
async def test_what_is_anothers_is_refused_in_the_words_for_what_never_existed(house: House, row: Row) -> None:
    async with house.everybody() as sockets:
        for key, word in [(key, word) for key, word in row.fields.items() if word in COUNTERPARTS]:
            for name, socket in sockets.items():
                names = house.names(name, await house.fresh(sockets["member"]))
                fields = filled(row.fields, names)
                theirs = without_id(await socket.ask(row.type, **{**fields, key: names[COUNTERPARTS[word]]}))
                nothing = without_id(await socket.ask(row.type, **{**fields, key: str(uuid4())}))
                assert theirs == nothing, name
                if row.type != "unsubscribe" and row.outcomes[name] == "ok":
                    assert theirs["code"] == "not_found", name


async def turned_away(house: House, name: str, slug: str, row: Row) -> tuple[int, list[dict[str, Any]], list[Any]]:
    """Come with a frame in hand: the close code, the events that were heard, and the answers."""
    token = None if name == SIGNED_OUT else house.cast.people[name].access
    socket = await Socket.open(house.url, slug, token=token)
    names = house.names(OUTSIDER if name == SIGNED_OUT else name, house.cast.messages["den_member"])
    with suppress(ConnectionClosed):
        await socket.wire.send(json.dumps({"type": row.type, "id": "1", **filled(row.fields, names)}))
    code = await socket.closed()
    return code, socket.events, socket._unasked


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_whoever_has_no_seat_is_turned_away_as_from_an_organization_that_never_was(
    house: House, row: Row
) -> None:
    expected = dict.fromkeys(UNSEATED.split(), (4403, "no_seat")) | {SIGNED_OUT: (4401, "not_authenticated")}
    for name, (code, word) in expected.items():
        here, nowhere = await asyncio.gather(*(turned_away(house, name, slug, row) for slug in ("acme", "never-was")))
        assert here == nowhere, name
        assert (here[0], [each["code"] for each in here[1]], here[2]) == (code, [word], []), name


async def test_a_subscription_to_several_rooms_refuses_each_for_itself(house: House) -> None:
    rooms, never = house.cast.rooms, str(uuid4())
    asked = [{"room": room} for room in (rooms["den"], rooms["vault"], rooms["lab"], never)]
    expected = {
        "member": [None, "not_found", "not_found", "not_found"],
        "owner": ["not_found", None, "not_found", "not_found"],
        "lurker": ["not_found", "not_found", "not_found", "not_found"],
    }
    async with house.everybody() as sockets:
        for name, codes in expected.items():
            found = (await sockets[name].do("subscribe", rooms=asked))["rooms"]
            assert [each.get("code") for each in found] == codes, name


async def test_nobody_hears_a_room_they_were_refused(house: House) -> None:
    """The den's members hear a new message, typing and who is there, who are they; the others, and a seat elsewhere,
    hear none of it and are not among them."""
    den = house.cast.rooms["den"]
    async with house.everybody() as sockets, await house.enter("both", "globex") as elsewhere:
        hearing = {**sockets, "both at globex": elsewhere}
        for socket in hearing.values():
            await socket.ask("subscribe", room=den)
        await sockets["member"].do("typing", room=den)
        sent = await house.fresh(sockets["member"])
        for name in DEN.split():
            socket = sockets[name]
            await socket.until(lambda socket=socket: sent in socket.rooms[den].messages)
        assert (await sockets["guest"].event("typing"))["user"]["id"] == house.cast.member.id
        inside = {house.cast.people[name].id for name in DEN.split()}
        for name in DEN.split():
            await sockets[name].until(lambda socket=sockets[name]: here(socket, den) == inside)
        for name in set(hearing) - set(DEN.split()):
            await hearing[name].do("ping")
            assert [each for each in hearing[name].events if each["type"] not in ("hello", "ping")] == [], name


async def test_hello_names_the_rooms_one_is_in_and_nothing_of_another_organization(house: House) -> None:
    inside = {
        "owner": {"lobby", "vault"},
        "admin": set(),
        "moderator": {"lobby", "den", "talk"},
        "member": {"lobby", "den", "talk"},
        "guest": {"den"},
        "both": {"den"},
        "lurker": set(),
    }
    by_id = {room: name for name, room in house.cast.rooms.items()}
    async with house.everybody() as sockets, await house.enter("both", "globex") as elsewhere:
        for name, socket in sockets.items():
            hello = await socket.event("hello")
            assert {by_id[room["id"]] for room in hello["rooms"]} == inside[name], name
            assert (hello["tenant"]["slug"], hello["tenant_role"]) == ("acme", ACME[name])
        assert {by_id[room["id"]] for room in (await elsewhere.event("hello"))["rooms"]} == {"lab"}


def test_each_row_says_what_everybody_in_the_cast_gets() -> None:
    assert {*SEATED.split(), *UNSEATED.split()} == {*ACME, *GLOBEX, OUTSIDER}
    for row in ROWS:
        listed = f"{row.ok} {row.forbidden} {row.not_found} {row.not_authenticated}".split()
        assert sorted(listed) == sorted(SEATED.split()), str(row)


def test_every_frame_type_is_swept() -> None:
    assert {row.type for row in ROWS} == {str(command.__struct_config__.tag) for command in COMMANDS}
