"""The handshake, line by line: who is refused how and in which order, which credential counts, and `hello`."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tests import environment
from tests.cast import PASSWORD, Cast, Person
from tests.fuzz import NOWHERE
from tests.processes import Process
from tests.sockets import PROTOCOL, Socket

FOREIGN = "https://evil.test"
HELLO = {"type", "protocol", "epoch", "connection", "user", "tenant", "tenant_role", "heartbeat", "expires_at"}
ROOM = {"id", "name", "kind", "room_role", "rev", "number", "unread"}
Refusal = tuple[str, int]
TurnAway = Callable[..., Awaitable[Refusal]]


@pytest.fixture(scope="module")
def served(make_stack: Any) -> tuple[Process, Cast]:
    stack, cast = make_stack(environment.stack_name())
    return stack.serve()[0], cast


@pytest.fixture
def server(served: tuple[Process, Cast]) -> Process:
    return served[0]


@pytest.fixture
def people(served: tuple[Process, Cast]) -> Cast:
    return served[1]


@pytest.fixture
def turned_away(server: Process) -> TurnAway:
    """Open a socket that is accepted and closed at once: the code in its `bye`, and that of its close."""

    async def refused(slug: str = "acme", **how: Any) -> Refusal:
        async with await Socket.open(server.ws_url, slug, **how) as socket:
            code = await socket.closed()
            [bye] = socket.events
            assert bye["type"] == "bye" and bye["detail"]
            return bye["code"], code

    return refused


async def denied(server: Process, slug: str = "acme", **how: Any) -> int:
    """Open a socket that is refused before it is accepted: the status."""
    with pytest.raises(InvalidStatus) as refused:
        await Socket.open(server.ws_url, slug, **how)
    return refused.value.response.status_code


async def who(server: Process, slug: str = "acme", **how: Any) -> str:
    """Open a socket that is welcome: the name in its `hello`."""
    async with await Socket.open(server.ws_url, slug, **how) as socket:
        hello = await socket.event("hello")
        assert socket.events[0] is hello
        return str(hello["user"]["display_name"])


def aged(person: Person, seconds: float) -> str:
    """Their access token, as if it ended so many seconds from now."""
    from accounts.tokens import ALGORITHM, Keyring  # noqa: PLC0415  settings first

    claims = jwt.decode(person.access, options={"verify_signature": False})
    return Keyring(ALGORITHM).encode({**claims, "exp": int(time.time() + seconds)})


def cookie(person: Person, origin: str | None) -> dict[str, str]:
    return {"Cookie": f"sessionid={person.session}"} | ({"Origin": origin} if origin else {})


def fresh_login(server: Process, person: Person) -> str:
    credentials = {"email": person.email, "password": PASSWORD}
    answer = httpx.post(f"{server.url}/_allauth/app/v1/auth/login", json=credentials, trust_env=False)
    return str(answer.raise_for_status().json()["meta"]["access_token"])


async def ended(server: Process, person: Person) -> str:
    """An access token whose login has been ended since."""
    token = fresh_login(server, person)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        mine = (await http.get("/api/v1/me/sessions/", headers={"Authorization": f"Bearer {token}"})).json()["results"]
        [current] = [each["id"] for each in mine if each["current"]]
        gone = await http.delete(f"/api/v1/me/sessions/{current}/", headers=person.bearer)
        assert gone.status_code == 204
    return token


async def test_a_foreign_origin_is_403_whatever_else_it_brings(server: Process, people: Cast) -> None:
    foreign = {"Origin": FOREIGN}
    assert await denied(server, headers=foreign) == 403
    assert await denied(server, headers=foreign, subprotocols=()) == 403
    assert await denied(server, headers=foreign, token="nonsense") == 403
    assert await denied(server, headers=foreign, token=people.member.access) == 403
    assert await denied(server, headers=foreign, token=aged(people.member, -60)) == 403
    assert await denied(server, "nowhere", headers=foreign, token=people.member.access) == 403
    assert await denied(server, headers=cookie(people.member, FOREIGN)) == 403
    assert await denied(server, headers=foreign, subprotocols=(PROTOCOL, f"bearer.{people.member.access}")) == 403
    assert await who(server, headers={"Origin": server.public_url}, token=people.member.access) == "Member"


async def test_without_our_subprotocol_it_is_4400_before_any_credential(
    server: Process, people: Cast, turned_away: TurnAway
) -> None:
    for offered in ((), ("chat",), ("conclave.v2",), ("Conclave.V1",), (f"bearer.{people.member.access}",)):
        for how in ({}, {"headers": {"Authorization": "Bearer nonsense"}}):
            assert await turned_away(subprotocols=offered, **how) == ("bad_frame", 4400)
    assert await turned_away("nowhere", subprotocols=(), token=people.member.access) == ("bad_frame", 4400)
    assert await turned_away(subprotocols=(), token=aged(people.member, -60)) == ("bad_frame", 4400)


async def test_a_credential_is_judged_before_the_seat(server: Process, people: Cast, turned_away: TurnAway) -> None:
    gone = await ended(server, people.member)
    for slug in ("acme", "globex", "nowhere"):
        assert await turned_away(slug) == ("not_authenticated", 4401)
        assert await turned_away(slug, token="nonsense") == ("not_authenticated", 4401)
        assert await turned_away(slug, token=people.member.refresh) == ("not_authenticated", 4401)
        assert await turned_away(slug, token=aged(people.member, -60)) == ("expired", 4410)
        assert await turned_away(slug, token=gone) == ("revoked", 4411)
    assert await who(server, token=people.member.access) == "Member"


async def test_no_seat_and_no_such_organization_look_the_same(
    server: Process, people: Cast, turned_away: TurnAway
) -> None:
    strangers = (people.outsider, people.suspended, people.expired)
    for person in strangers:
        assert await turned_away(token=person.access) == ("no_seat", 4403), person.name
    for slug in ("globex", "nowhere", "ACME", "a%00b", "a%ff", "%F0%9F%98%80", "acme%0A", NOWHERE, "%27", "a" * 2_000):
        assert await turned_away(slug, token=people.member.access) == ("no_seat", 4403), slug
    assert await turned_away(f"acme/rooms/{people.rooms['den']}", token=people.outsider.access) == ("no_seat", 4403)
    assert await who(server, "globex", token=people.both.access) == "Both"


async def test_only_our_subprotocol_is_selected_and_no_token_is_echoed(server: Process, people: Cast) -> None:
    bearer = f"bearer.{people.member.access}"
    for offered in ((PROTOCOL, bearer), (bearer, PROTOCOL), ("other", bearer, PROTOCOL)):
        async with await Socket.open(server.ws_url, subprotocols=offered) as socket:
            await socket.event("hello")
            assert socket.wire.subprotocol == PROTOCOL
            assert socket.wire.response is not None
            assert people.member.access not in str(socket.wire.response.headers)
    assert people.member.access not in server.log_text()


async def test_the_first_credential_that_is_present_decides_alone(
    server: Process, people: Cast, turned_away: TurnAway
) -> None:
    ours = cookie(people.owner, server.public_url)
    bearer = (PROTOCOL, f"bearer.{people.member.access}")
    assert await who(server, headers=ours) == "Owner"
    assert await who(server, headers=ours, token=people.member.access) == "Member"
    assert await who(server, headers=ours, subprotocols=bearer) == "Member"
    assert await turned_away(headers=ours, token="nonsense") == ("not_authenticated", 4401)
    assert await turned_away(headers=ours, token=aged(people.owner, -60)) == ("expired", 4410)
    assert await turned_away(headers=ours, subprotocols=(PROTOCOL, "bearer.nonsense")) == ("not_authenticated", 4401)
    assert await turned_away(headers={**ours, "Authorization": "Basic YTpi"}) == ("not_authenticated", 4401)


async def test_two_tokens_are_4401_also_if_they_are_the_same(people: Cast, turned_away: TurnAway) -> None:
    mine, theirs = f"bearer.{people.member.access}", f"bearer.{people.owner.access}"
    for other in (mine, theirs):
        told = await turned_away(token=people.member.access, subprotocols=(PROTOCOL, other))
        assert told == ("not_authenticated", 4401)
    assert await turned_away(subprotocols=(PROTOCOL, mine, theirs)) == ("not_authenticated", 4401)


async def test_a_cookie_counts_only_with_an_allowed_origin(
    server: Process, people: Cast, turned_away: TurnAway
) -> None:
    for origin in (None, "null", FOREIGN):
        assert await denied(server, headers=cookie(people.owner, origin)) == 403
    assert await who(server, headers=cookie(people.owner, server.public_url)) == "Owner"
    assert await who(server, headers={"Origin": "null"}, token=people.owner.access) == "Owner"
    bad = {"Cookie": "sessionid=" + "a" * 32, "Origin": server.public_url}
    assert await turned_away(headers=bad) == ("not_authenticated", 4401)


async def test_a_token_in_the_query_string_is_never_read(server: Process, people: Cast, turned_away: TurnAway) -> None:
    token = people.member.access
    query = f"?token={token}&access_token={token}&bearer={token}&Authorization=Bearer%20{token}"
    assert await turned_away(path=query) == ("not_authenticated", 4401)
    assert await who(server, path=query, token=people.owner.access) == "Owner"
    assert token not in server.log_text()


async def test_nothing_is_read_before_it_is_authenticated(server: Process, people: Cast) -> None:
    for how in ({"token": "nonsense"}, {"token": people.outsider.access}, {"subprotocols": ()}):
        async with await Socket.open(server.ws_url, **how) as socket:
            socket.send("ping")
            socket.send("message.send", room=people.rooms["den"], body="in", nonce="early")
            await socket.closed()
            assert [frame["type"] for frame in socket.events] == ["bye"]
            assert not socket._unasked


async def test_other_addresses_are_refused(server: Process, people: Cast) -> None:
    for path in ("x", "rooms/", "rooms/x", f"rooms/{people.rooms['den']}/messages/"):
        assert await denied(server, path=path, token=people.member.access) == 403


async def test_hello_comes_first_and_says_who_and_where(server: Process, people: Cast) -> None:
    async with await Socket.open(server.ws_url, token=people.member.access) as socket:
        hello = await socket.event("hello")
        assert socket.events[0] is hello and "id" not in hello
        assert set(hello) >= HELLO | {"rooms", "rooms_more"}
        assert (hello["protocol"], hello["tenant_role"], hello["rooms_more"]) == (PROTOCOL, "member", False)
        assert hello["user"] == {"id": people.member.id, "display_name": "Member"}
        assert hello["tenant"]["slug"] == "acme"
        assert hello["heartbeat"] == 25 and hello["expires_at"].endswith("Z")
        assert {room["id"]: room["room_role"] for room in hello["rooms"]} == {
            people.rooms["lobby"]: "member",
            people.rooms["den"]: "member",
            people.rooms["talk"]: "member",
        }
        assert all(set(room) >= ROOM for room in hello["rooms"])
        [den] = [room for room in hello["rooms"] if room["id"] == people.rooms["den"]]
        assert (den["kind"], den["number"], den["rev"], den["unread"]) == ("private", 3, 3, 1)
        again = await socket.do("hello")
        assert {name: again[name] for name in hello} == hello
    async with await Socket.open(server.ws_url, hello["tenant"]["id"], token=people.member.access) as socket:
        assert (await socket.event("hello"))["tenant"] == hello["tenant"]
