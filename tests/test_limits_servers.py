"""Rate limits at real servers, over the socket and REST: what is refused, what then succeeds, who shares what."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from tests import environment
from tests.cast import Cast, Person
from tests.delivering import Rest, everyone
from tests.processes import Process, Stack
from tests.sockets import Socket

pytestmark = pytest.mark.on_real

Served = tuple[list[Process], Cast]


@pytest.fixture(scope="module")
def serve(make_stack: Any) -> Callable[..., Served]:
    """`serve(processes, **settings)`: with the product's limits, except for these."""

    def serve(processes: int = 1, **settings: str) -> Served:
        stack, cast = make_stack(environment.stack_name(), **{"RATE_LIMIT_FACTOR": "1", **settings})
        assert isinstance(stack, Stack)
        return stack.serve(processes), cast

    return serve


@pytest.fixture(scope="module")
def narrow(serve: Callable[..., Served]) -> Served:
    """Small limits. Each test takes other people, so that none spends what is another's."""
    return serve(
        LIMIT_FRAMES="20/2",
        LIMIT_BYTES="20000/2",
        SOCKET_REFUSALS="15",
        LIMIT_SENDS_USER="6/3",
        LIMIT_JOINS_USER="2/3",
        LIMIT_CONNECTS_USER="8/60",
        LIMIT_GUESSES_ADDRESS="8/60",
        LIMIT_GUESSES_USER="3/60",
        LIMIT_BAD_TOKENS_ADDRESS="5/6",
        TRUSTED_PROXY_COUNT="1",
    )


async def greeted(server: Process, person: Person, **how: Any) -> Socket:
    socket = await Socket.open(server.ws_url, token=person.access, **how)
    await socket.event("hello")
    return socket


def rest(server: Process, person: Person | None, **headers: str) -> httpx.AsyncClient:
    shown = {} if person is None else person.bearer
    return httpx.AsyncClient(base_url=f"{server.url}/api/v1", headers={**shown, **headers}, timeout=60, trust_env=False)


def refused(answer: httpx.Response) -> int:
    """That it is the contract's 429; the seconds after which to come back."""
    assert answer.status_code == 429, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "rate_limited"
    return int(answer.headers["Retry-After"])


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[list[Socket]]:
    sockets: list[Socket] = []
    yield sockets
    for socket in sockets:
        await socket.close()


# --- One connection


async def test_frames_past_the_burst_are_refused_by_their_id_and_pass_after_the_wait(narrow: Served) -> None:
    (server,), cast = narrow
    async with await greeted(server, cast.lurker) as socket:
        answers = await asyncio.gather(*(socket.send("ping") for _ in range(26)))
        told = [answer["type"] for answer in answers]
        assert told[:20] == ["ok"] * 20 and "error" in told[20:]
        late = next(answer for answer in answers if answer["type"] == "error")
        assert late["code"] == "rate_limited" and 0 < late["retry_after"] <= 2
        await asyncio.sleep(late["retry_after"])
        await socket.do("ping")


async def test_a_frame_that_is_refused_is_not_obeyed(narrow: Served) -> None:
    (server,), cast = narrow
    den = cast.rooms["den"]
    async with await greeted(server, cast.guest) as socket, rest(server, cast.moderator) as reader:
        for _ in range(20):
            socket.send("ping")
        answer = await socket.ask("message.send", room=den, body="too soon", nonce="too-soon")
        while answer["type"] == "ok":
            answer = await socket.ask("message.send", room=den, body="too soon", nonce=uuid4().hex)
        refusal = answer["retry_after"]
        before = (await reader.get(f"/tenants/acme/rooms/{den}/messages/")).json()["results"]
        await asyncio.sleep(refusal)
        sent = await socket.do("message.send", room=den, body="in time", nonce="in-time")
        assert sent["message"]["number"] == before[-1]["number"] + 1


async def test_bytes_past_the_burst_are_refused(narrow: Served) -> None:
    (server,), cast = narrow
    async with await greeted(server, cast.lurker) as socket:
        large = json.dumps({"type": "ping", "id": "large", "pad": "x" * 15_000})
        assert (await socket.raw(large))["code"] == "bad_frame"
        answer = await socket.raw(large)
        assert (answer["id"], answer["code"]) == ("large", "rate_limited")
        await asyncio.sleep(answer["retry_after"])
        assert (await socket.raw(large))["code"] == "bad_frame", "read again"


async def test_who_does_not_slow_down_is_sent_away_and_told_for_how_long(narrow: Served) -> None:
    (server,), cast = narrow
    socket = await greeted(server, cast.admin)
    for _ in range(60):
        socket.send("ping").add_done_callback(lambda done: done.exception())
    assert await socket.closed() == 4429
    bye = socket.events[-1]
    assert (bye["type"], bye["code"]) == ("bye", "rate_limited") and bye["retry_after"] >= 10
    async with await greeted(server, cast.admin) as again:
        await again.do("ping")


# --- Sends


async def test_a_send_that_is_refused_succeeds_later_with_its_nonce_and_none_is_lost_or_doubled(
    narrow: Served,
) -> None:
    (server,), cast = narrow
    async with Rest(server, cast.moderator) as maker:
        room = await maker.make_room(cast.member)
        refusals = 0
        async with await greeted(server, cast.member) as socket:

            async def deliver(number: int) -> None:
                nonlocal refusals
                frame = {"room": room, "body": f"number {number}", "nonce": f"limited-{number}"}
                while (answer := await socket.ask("message.send", **frame))["type"] == "error":
                    assert answer["code"] == "rate_limited"
                    refusals += 1
                    await asyncio.sleep(answer["retry_after"])

            for number in range(9):
                await deliver(number)
            assert refusals
        held = await maker.truth(room)
        assert sorted(each["body"] for each in held.values()) == [f"number {n}" for n in range(9)]
        assert sorted(each["number"] for each in held.values()) == list(range(1, 10))


async def test_rest_and_socket_spend_the_same_sends_and_edits_and_reactions_are_some(narrow: Served) -> None:
    (server,), cast = narrow
    lab = f"/tenants/globex/rooms/{cast.rooms['lab']}/messages/"
    async with rest(server, cast.globex_owner) as client, await greeted(server, cast.globex_owner, slug="globex") as ws:
        made = await client.post(lab, json={"body": "one", "nonce": "one"})
        assert made.status_code == 201
        message = made.json()["id"]
        await ws.do("message.edit", message=message, body="two")
        await ws.do("reaction.add", message=message, emoji="👍")
        assert (await client.put(f"{lab}{message}/reactions/🎉/")).status_code == 200
        assert (await client.patch(f"{lab}{message}/", json={"body": "three"})).status_code == 200
        assert (await client.delete(f"{lab}{message}/reactions/🎉/")).status_code == 200
        for answer in (
            await client.post(lab, json={"body": "seven", "nonce": "seven"}),
            await client.patch(f"{lab}{message}/", json={"body": "seven"}),
            await client.delete(f"{lab}{message}/"),
            await client.put(f"{lab}{message}/reactions/🎉/"),
        ):
            assert 1 <= refused(answer) <= 3
        told = await ws.ask("message.send", room=cast.rooms["lab"], body="seven", nonce="seven")
        assert told["code"] == "rate_limited" and 0 < told["retry_after"] <= 3
        assert (await client.get(lab)).status_code == 200, "reading goes on"
        await asyncio.sleep(told["retry_after"])
        assert (await client.post(lab, json={"body": "seven", "nonce": "seven"})).status_code == 201


async def test_several_processes_share_what_a_person_and_an_organization_may_send(
    serve: Callable[..., Served],
) -> None:
    servers, cast = serve(2, LIMIT_SENDS_USER="64/60", LIMIT_SENDS_TENANT="96/60")

    async def sent(person: Person, room: str) -> int:
        async def flood(server: Process) -> int:
            async with rest(server, person) as client:
                path, passed = f"/tenants/acme/rooms/{room}/messages/", 0
                for _ in range(70):
                    answer = await client.post(path, json={"body": "x", "nonce": uuid4().hex})
                    passed += answer.status_code == 201
                    if answer.status_code != 201:
                        refused(answer)
                return passed

        return sum(await everyone(*(flood(server) for server in servers)))

    one = await sent(cast.member, cast.rooms["den"])
    assert 64 - 4 <= one <= 64 + 2 * 4, "the limit, and a sixteenth for each process"
    two = await sent(cast.moderator, cast.rooms["den"])
    assert 96 - 6 <= one + two <= 96 + 2 * 6, "the organization's, whoever spends it"
    lab = cast.rooms["lab"]
    async with rest(servers[0], cast.globex_owner) as other:
        answer = await other.post(f"/tenants/globex/rooms/{lab}/messages/", json={"body": "x", "nonce": "x"})
        assert answer.status_code == 201, "another organization has its own"


# --- Joins and invitations


async def test_joins_are_limited_and_then_succeed(narrow: Served) -> None:
    (server,), cast = narrow
    async with Rest(server, cast.owner) as owner, rest(server, cast.both) as client:
        rooms = [await owner.make_room(kind="open") for _ in range(3)]
        for room in rooms[:2]:
            assert (await client.post(f"/tenants/acme/rooms/{room}/join/")).status_code == 200
        wait = refused(await client.post(f"/tenants/acme/rooms/{rooms[2]}/join/"))
        assert wait <= 3
        await asyncio.sleep(wait)
        assert (await client.post(f"/tenants/acme/rooms/{rooms[2]}/join/")).status_code == 200


async def test_guesses_at_invitations_are_counted_exactly_by_address_and_by_account(narrow: Served) -> None:
    (server,), cast = narrow
    async with Rest(server, cast.owner) as owner:
        made = await owner.do("POST", "/invitations/", json={"max_uses": 5})
    async with rest(server, None) as stranger, rest(server, cast.outsider) as outsider:

        def guess(client: httpx.AsyncClient, address: str, token: str = "", accept: str = "") -> Any:
            path = f"/invitations/{token or uuid4().hex}/{accept}"
            return client.request("POST" if accept else "GET", path, headers={"X-Forwarded-For": address})

        right = await everyone(*(guess(stranger, "192.0.2.1", made["token"]) for _ in range(12)))
        assert {answer.status_code for answer in right} <= {200, 429}
        tried = [answer.status_code for answer in await everyone(*(guess(stranger, "192.0.2.1") for _ in range(30)))]
        assert (tried.count(404), tried.count(429)) == (8, 22)
        assert 1 <= refused(await guess(stranger, "192.0.2.1", made["token"])) <= 60
        spoofed = await guess(stranger, "198.51.100.9, 192.0.2.1", made["token"])
        assert refused(spoofed), "only the last proxy is believed"
        assert (await guess(stranger, "192.0.2.2", made["token"])).status_code == 200

        mine = [await guess(outsider, f"192.0.2.{n}", accept="accept/") for n in range(10, 16)]
        assert [answer.status_code for answer in mine] == [404] * 3 + [429] * 3
        page = await stranger.get(f"{server.url}/invite/{made['token']}/", headers={"X-Forwarded-For": "192.0.2.1"})
        assert page.status_code == 429 and "Too many tries" in page.text
    async with rest(server, cast.globex_member) as other:
        assert (await guess(other, "192.0.2.99", made["token"], "accept/")).status_code == 200


async def test_a_flood_of_bad_tokens_is_refused_before_any_look_and_an_address_beside_it_is_not(
    narrow: Served,
) -> None:
    (server,), cast = narrow
    async with rest(server, None) as client:

        async def me(token: str, address: str) -> httpx.Response:
            return await client.get("/me/", headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": address})

        told = [(await me(f"eyJ.{n}.bad", "203.0.113.5")).status_code for n in range(12)]
        assert told[:5] == [401] * 5 and 429 in told[5:]
        assert refused(await me(cast.member.access, "203.0.113.5")) <= 2, "not even looked at"
        assert (await me(cast.member.access, "203.0.113.6")).status_code == 200
        await asyncio.sleep(2)
        assert (await me(cast.member.access, "203.0.113.5")).status_code == 200


# --- Connects


async def test_a_person_who_connects_too_often_is_told_so_by_a_code_that_browsers_can_read(narrow: Served) -> None:
    (server,), cast = narrow
    codes = []
    for _ in range(11):
        socket = await Socket.open(server.ws_url, "globex", token=cast.globex_member.access)
        await socket.until(lambda socket=socket: bool(socket.events))
        codes.append(await socket.closed() if socket.events[0]["type"] == "bye" else 1000)
        await socket.close()
    assert codes == [1000] * 8 + [4429] * 3
    assert socket.events[0]["code"] == "rate_limited" and 0 < socket.events[0]["retry_after"] <= 60
    async with await greeted(server, cast.owner):
        pass


async def test_an_address_is_limited_before_its_credential_is_looked_at_and_after_its_origin(
    serve: Callable[..., Served],
) -> None:
    (server,), cast = serve(LIMIT_CONNECTS_ADDRESS="4/6", TRUSTED_PROXY_COUNT="1")

    async def connect(address: str, token: str, **headers: str) -> tuple[int | None, list[Any]]:
        sent = {"X-Forwarded-For": address, **headers}
        socket = await Socket.open(server.ws_url, token=token, headers=sent)
        await socket.until(lambda: bool(socket.events))
        if socket.events[0]["type"] == "bye":
            return await socket.closed(), socket.events
        await socket.close()
        return None, socket.events

    began = time.monotonic()
    codes = [(await connect("198.51.100.1", "eyJ.bad.token"))[0] for _ in range(6)]
    assert codes == [4401] * 4 + [4429] * 2
    code, events = await connect("198.51.100.1", cast.member.access)
    assert code == 4429, "a good credential is not looked at either"
    assert [event["type"] for event in events] == ["bye"] and 0 < events[0]["retry_after"] <= 6
    assert (await connect("198.51.100.1, 198.51.100.2", cast.member.access))[0] is None, "another address"
    assert (await connect("198.51.100.2, 198.51.100.1", cast.member.access))[0] == 4429, "what a client claims"
    with pytest.raises(InvalidStatus) as foreign:
        await connect("198.51.100.1", cast.member.access, Origin="https://evil.test")
    assert foreign.value.response.status_code == 403
    await asyncio.sleep(max(0, 6 - (time.monotonic() - began)))
    assert (await connect("198.51.100.1", cast.member.access))[0] is None


# --- The factor


async def test_a_factor_of_nought_lifts_all_limits_but_those_on_guessing(serve: Callable[..., Served]) -> None:
    (server,), cast = serve(
        RATE_LIMIT_FACTOR="0",
        LIMIT_FRAMES="1/60",
        LIMIT_BYTES="1/60",
        LIMIT_CONNECTS_ADDRESS="1/60",
        LIMIT_CONNECTS_USER="1/60",
        LIMIT_CONNECTS_TENANT="1/60",
        LIMIT_SENDS_USER="1/60",
        LIMIT_SENDS_TENANT="1/60",
        LIMIT_JOINS_USER="1/60",
        LIMIT_BAD_TOKENS_ADDRESS="1/60",
        LIMIT_GUESSES_ADDRESS="2/60",
    )
    async with rest(server, cast.owner) as client, Rest(server, cast.owner) as owner:
        room = await owner.make_room()
        for _ in range(3):
            async with await greeted(server, cast.owner) as socket:
                for _ in range(10):
                    await socket.do("message.send", room=room, body="x", nonce=uuid4().hex)
            assert (await client.post(f"/tenants/acme/rooms/{cast.rooms['lobby']}/join/")).status_code == 200
            assert (await client.get("/me/", headers={"Authorization": "Bearer eyJ.bad"})).status_code == 401
        codes = [(await client.get(f"/invitations/{uuid4().hex}/")).status_code for _ in range(4)]
        assert codes == [404, 404, 429, 429]


async def test_parallel_guesses_at_a_password_are_counted_exactly_at_several_processes(
    serve: Callable[..., Served],
) -> None:
    """The `Host` header differs, too: it must not begin a count of its own."""
    servers, cast = serve(2, RATE_LIMIT_FACTOR="0", TRUSTED_PROXY_COUNT="1")
    login = "/_allauth/app/v1/auth/login"

    async def guess(number: int) -> str:
        async with httpx.AsyncClient(base_url=servers[number % 2].url, timeout=60, trust_env=False) as client:
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            sent = {"email": cast.guest.email, "password": f"wrong {number}"}
            answer = await client.post(login, json=sent, headers=headers)
            assert answer.status_code in (400, 429), answer.text
            errors = answer.json().get("errors", [])
            return str(errors[0]["code"]) if errors else "too_many_login_attempts"

    told = await everyone(*(guess(number) for number in range(24)))
    assert told.count("email_password_mismatch") <= 5, "no more than so many were compared"
    assert set(told) == {"email_password_mismatch", "too_many_login_attempts"}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        sent = {"email": cast.member.email, "password": "correct horse battery staple"}
        answer = await client.post(f"{servers[0].url}{login}", json=sent, headers={"X-Forwarded-For": "192.0.2.99"})
        assert answer.status_code in (200, 401), "others sign in"


# --- Without the counter


@pytest.mark.once  # chooses its stack itself
async def test_without_redis_sends_go_on_within_the_limit_and_guessing_does_not(make_stack: Any) -> None:
    stack, cast = make_stack("real", RATE_LIMIT_FACTOR="1", LIMIT_SENDS_USER="6/60")
    (server,) = stack.serve()
    stack.redis.stop()
    async with rest(server, cast.member) as client, rest(server, None) as stranger:
        den = f"/tenants/acme/rooms/{cast.rooms['den']}/messages/"
        told = [(await client.post(den, json={"body": "x", "nonce": uuid4().hex})).status_code for _ in range(9)]
        assert told == [201] * 6 + [429] * 3
        answer = await stranger.get(f"/invitations/{uuid4().hex}/")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        guesses = {"login": {"email": cast.member.email, "password": "a guess"}, "email/verify": {"key": "BCDF-1234"}}
        for path, guess in guesses.items():
            answer = await stranger.post(f"{server.url}/_allauth/app/v1/auth/{path}", json=guess)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.text
