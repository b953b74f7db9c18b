"""Messages on their way: between processes on PostgreSQL and Redis, and within one on SQLite and memory."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.cast import Cast, Person
from tests.delivering import Rest, assert_folded, everyone, numbers
from tests.processes import Process
from tests.sockets import Socket

pytestmark = pytest.mark.once  # chooses its stacks itself
WRITERS = 20
MESSAGES = 5


class Stage(NamedTuple):
    """Where a play takes place: the second server is the first one again where the layer is in memory."""

    servers: tuple[Process, Process]
    cast: Cast
    open: Callable[..., Any]
    rest: Callable[..., Rest]


@pytest.fixture(scope="module", params=["real", "embedded"])
def served(request: pytest.FixtureRequest, make_stack: Any) -> Iterator[tuple[tuple[Process, Process], Cast]]:
    stack, cast = make_stack(request.param)
    servers = stack.serve(2 if request.param == "real" else 1)
    yield (servers[0], servers[-1]), cast
    for server in servers:
        assert "Traceback" not in server.log_text()


@pytest_asyncio.fixture
async def stage(served: tuple[tuple[Process, Process], Cast]) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as opened:

        async def open_socket(server: Process, person: Person, *rooms: str) -> Socket:
            socket = await opened.enter_async_context(await Socket.open(server.ws_url, token=person.access))
            for room in rooms:
                await socket.do("subscribe", room=room)
            return socket

        def rest(server: Process, person: Person) -> Rest:
            made = Rest(server, person)
            opened.push_async_exit(made)
            return made

        yield Stage(*served, open_socket, rest)


async def test_a_message_sent_at_one_process_is_seen_at_the_other(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    room = await stage.rest(one, cast.owner).make_room(cast.member)
    here, there = await stage.open(one, cast.owner, room), await stage.open(other, cast.member, room)
    outside = await stage.open(other, cast.lurker)
    sent = await here.do("message.send", room=room, body="hello over there", nonce="1")
    heard = await there.event("message.created")
    assert heard["message"] == sent["message"]
    await there.do("message.send", room=room, body="and back", nonce="2")
    await assert_folded(stage.rest(one, cast.owner), room, here, there)
    refused = await outside.ask("subscribe", room=room)
    assert refused["code"] == "not_found"
    assert not [event for event in outside.events if event["type"].startswith("message.")]


async def test_twenty_writers_at_once_are_numbered_without_gaps_and_in_one_order(stage: Stage) -> None:
    cast, people = stage.cast, [stage.cast.member, stage.cast.guest, stage.cast.both, stage.cast.lurker]
    room = await stage.rest(stage.servers[0], cast.owner).make_room(*people)
    writers = [
        await stage.open(server, person, room)
        for server, person in itertools.islice(
            zip(itertools.cycle(stage.servers), itertools.cycle(people), strict=False), WRITERS
        )
    ]
    answers = await asyncio.gather(
        *(
            writer.send("message.send", room=room, body=f"{index}:{n}", nonce=f"{index}-{n}")
            for n in range(MESSAGES)
            for index, writer in enumerate(writers)
        )
    )
    assert {answer["type"] for answer in answers} == {"ok"}
    sent = [answer["result"]["message"] for answer in answers]
    total = WRITERS * MESSAGES
    assert sorted(message["number"] for message in sent) == list(range(1, total + 1))
    for index in range(WRITERS):
        own = [message["number"] for message in sent if message["nonce"].startswith(f"{index}-")]
        assert own == sorted(own), "the commands of one socket take effect in the order sent"
    truth = await assert_folded(stage.rest(stage.servers[1], cast.owner), room, *writers)
    assert numbers(truth) == list(range(1, total + 1))
    for writer in writers:
        assert writer.rooms[room].revs == list(range(1, total + 1)), "every change once, in one order"


async def test_a_fresh_subscription_shows_what_the_others_have_folded(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    room = await stage.rest(one, cast.owner).make_room(cast.member)
    here, there = await stage.open(one, cast.owner, room), await stage.open(other, cast.member, room)
    sent = [(await here.do("message.send", room=room, body=f"{n}", nonce=f"{n}"))["message"] for n in range(6)]
    await there.do("reaction.add", message=sent[0]["id"], emoji="👍")
    await here.do("message.edit", message=sent[1]["id"], body="edited")
    await here.do("message.delete", message=sent[2]["id"])
    await there.do("message.send", room=room, body="a reply", nonce="r", reply_to=sent[1]["id"])
    truth = await assert_folded(stage.rest(other, cast.member), room, here, there)
    late = await stage.open(other, cast.owner, room)
    assert late.rooms[room].messages == truth
    assert truth[sent[1]["id"]]["body"] == "edited" and truth[sent[2]["id"]]["deleted_at"]


async def test_newcomers_to_a_room_without_a_past_get_nothing_from_before(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    owner = stage.rest(one, cast.owner)
    room = await owner.make_room(cast.member, history="since_join")
    old = [await owner.send(room, f"old {n}") for n in range(3)]
    await owner.add(room, cast.lurker)
    newcomer, witness = await stage.open(other, cast.lurker, room), await stage.open(other, cast.member, room)
    assert newcomer.rooms[room].messages == {}
    assert len(witness.rooms[room].messages) == 3, "those who were there have it all"
    await owner.do("PATCH", f"/rooms/{room}/messages/{old[0]['id']}/", json={"body": "old, but edited"})
    await owner.do("PUT", f"/rooms/{room}/messages/{old[1]['id']}/reactions/👍/")
    await owner.do("DELETE", f"/rooms/{room}/messages/{old[2]['id']}/")
    new = await owner.send(room, "new")
    await witness.until(lambda: new["id"] in witness.rooms[room].messages)
    await newcomer.until(lambda: bool(newcomer.rooms[room].messages))
    assert [event["type"] for event in witness.events if "message" in event].count("message.updated") == 2
    assert newcomer.rooms[room].revs == [new["rev"]]
    assert await assert_folded(stage.rest(one, cast.lurker), room, newcomer) == {new["id"]: new}
    epoch = newcomer.rooms[room].cursor["epoch"]
    changes = await stage.rest(one, cast.lurker).do("GET", f"/rooms/{room}/changes/?epoch={epoch}&since=0")
    assert [message["id"] for message in changes["messages"]] == [new["id"]]
    for command, fields in (
        ("message.send", {"room": room, "body": "re", "nonce": "re", "reply_to": old[0]["id"]}),
        ("reaction.add", {"message": old[0]["id"], "emoji": "👍"}),
    ):
        assert (await newcomer.ask(command, **fields))["code"] == "not_found"
        assert (await witness.ask(command, **fields))["type"] == "ok"


async def test_who_comes_back_to_such_a_room_starts_anew_and_gets_nothing_from_between(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    owner = stage.rest(one, cast.owner)
    room = await owner.make_room(cast.member, history="since_join")
    socket = await stage.open(other, cast.member, room)
    await owner.send(room, "before")
    await socket.until(lambda: len(socket.rooms[room].messages) == 1)
    cursor = dict(socket.rooms[room].cursor)
    await owner.remove(room, cast.member)
    await socket.event("room.removed")
    between = await owner.send(room, "between")
    await owner.add(room, cast.member)
    await socket.event("room.added")
    after = await owner.send(room, "after")
    result = await socket.do("subscribe", room=room, since=cursor)
    assert result["reset"], "what it held is no longer what a fresh read shows"
    assert await assert_folded(stage.rest(one, cast.member), room, socket) == {after["id"]: after}
    assert between["rev"] not in socket.rooms[room].revs


async def test_the_same_nonce_at_once_and_everywhere_makes_one_message(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    room = await stage.rest(one, cast.owner).make_room(cast.member)
    sockets = [await stage.open(server, cast.member, room) for server in (one, other) * 3]
    rests = [stage.rest(server, cast.member) for server in (one, other) * 2]
    for attempt in range(5):
        fields = {"body": f"once {attempt}", "nonce": f"nonce {attempt}"}
        answers = await everyone(
            *(socket.do("message.send", room=room, **fields) for socket in sockets),
            *(rest.send(room, **fields) for rest in rests),
        )
        messages = [answer.get("message", answer) for answer in answers]
        assert all(message == messages[0] for message in messages)
        assert messages[0]["number"] == attempt + 1
    another = await stage.rest(one, cast.owner).send(room, "mine", nonce="nonce 0")
    assert another["number"] == 6, "a nonce is its author's own"
    truth = await assert_folded(stage.rest(one, cast.owner), room, *sockets)
    assert numbers(truth) == [1, 2, 3, 4, 5, 6]


async def test_a_retry_answers_the_message_as_it_is_now(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    room = await stage.rest(one, cast.owner).make_room(cast.member)
    here, there = await stage.open(one, cast.member), await stage.open(other, cast.member)
    first = (await here.do("message.send", room=room, body="as it was", nonce="n"))["message"]
    edited = (await here.do("message.edit", message=first["id"], body="as it is"))["message"]
    again = (await there.do("message.send", room=room, body="as it was", nonce="n"))["message"]
    assert again == edited != first


async def test_two_who_open_their_direct_room_at_once_find_one_room(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    pairs = [(cast.owner, cast.lurker), (cast.admin, cast.both), (cast.owner, cast.both)]
    for left, right in pairs:
        lefts, rights = stage.rest(one, left), stage.rest(other, right)
        answers = await everyone(
            *(lefts.client.post("/direct/", json={"users": [right.id]}) for _ in range(3)),
            *(rights.client.post("/direct/", json={"users": [left.id]}) for _ in range(3)),
        )
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200] * 5 + [201]
        assert len({answer.json()["id"] for answer in answers}) == 1


async def test_coming_going_and_changing_roles_among_sends_leaves_no_gap_and_no_error(stage: Stage) -> None:
    (one, other), cast = stage.servers, stage.cast
    owner = stage.rest(one, cast.owner)
    room = await owner.make_room(cast.moderator, kind="open")
    stays = [
        await stage.open(server, person, room) for server in (one, other) for person in (cast.owner, cast.moderator)
    ]
    answers: list[dict[str, Any]] = []

    async def say(person: Person, server: Process, times: int) -> None:
        socket = await stage.open(server, person)
        answers.extend(
            [await socket.ask("message.send", room=room, body=f"{n}", nonce=uuid4().hex) for n in range(times)]
        )

    async def come_and_go(person: Person, server: Process, times: int) -> None:
        rest = stage.rest(server, person)
        for _ in range(times):
            await rest.do("POST", f"/rooms/{room}/join/")
            await rest.do("POST", f"/rooms/{room}/leave/")

    async def change(times: int) -> None:
        for n in range(times):
            role = "reader" if n % 2 else "moderator"
            await owner.do("PATCH", f"/rooms/{room}/members/{cast.moderator.id}/", json={"room_role": role})
            await owner.do("PATCH", f"/rooms/{room}/", json={"topic": f"topic {n}"})

    await everyone(
        say(cast.moderator, one, 15),
        say(cast.moderator, other, 15),
        say(cast.owner, other, 15),
        say(cast.member, one, 15),
        say(cast.lurker, other, 15),
        come_and_go(cast.member, other, 6),
        come_and_go(cast.lurker, one, 6),
        change(6),
    )
    codes = {answer.get("code", "ok") for answer in answers}
    assert "ok" in codes and codes <= {"ok", "not_found", "forbidden"}
    truth = await assert_folded(owner, room, *stays)
    assert numbers(truth) == list(range(1, len(truth) + 1))
    assert len(truth) == sum(answer["type"] == "ok" for answer in answers)
    for socket in stays:
        await socket.until(lambda heard=socket.events: any(_topic(event) == "topic 5" for event in heard))


async def follow_a_changed_cell(stage: Stage, patience: float) -> None:
    """Taken from the role that somebody online has, and given back."""
    (one, other), cast = stage.servers, stage.cast
    rest = stage.rest(one, cast.owner)
    room = await rest.make_room(cast.guest)
    there = await stage.open(other, cast.guest, room)
    await there.do("typing", room=room)
    for rule, code in (("no", "forbidden"), (None, None)):
        there.events.clear()
        await rest.do("PATCH", "/roles/guest/", json={"cells": {"message.send": rule}})
        changed = await there.event("role.changed", patience)
        assert changed["tenant_role"] == "guest"
        typing = await there.ask("typing", room=room)
        sent = await there.ask("message.send", room=room, body="may I?", nonce=str(rule))
        assert [typing.get("code"), sent.get("code")] == [code, code]


async def test_what_a_role_may_do_changes_under_open_sockets(stage: Stage) -> None:
    await follow_a_changed_cell(stage, patience=10)


@pytest.mark.long
async def test_what_a_role_may_do_changes_under_open_sockets_within_a_second(stage: Stage) -> None:
    await follow_a_changed_cell(stage, patience=1)


def _topic(event: dict[str, Any]) -> Any:
    return event["room"]["topic"] if event["type"] == "room.updated" else None
