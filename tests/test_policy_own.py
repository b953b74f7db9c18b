"""What is one's own stays one's own: nonces, reactions, markers, addresses, and a seat that changes meanwhile."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse

from accounts.models import User
from tenants.models import Membership
from tests.policy import Stage, request

pytestmark = pytest.mark.once


@pytest.fixture
def stage(cast: Any) -> Stage:
    return Stage(cast)


def told(stage: Stage, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = stage.ask(name, method, path, body)
    assert answer.status_code < 300, answer.content
    return json.loads(answer.content) if answer.content else None


def test_a_nonce_is_its_authors_own(stage: Stage) -> None:
    path = f"rooms/{stage.cast.rooms['den']}/messages/"
    first = told(stage, "member", "POST", path, {"body": "mine", "nonce": "same"})
    second = told(stage, "guest", "POST", path, {"body": "mine, too", "nonce": "same"})
    assert first["id"] != second["id"] and second["author"]["id"] == stage.cast.guest.id
    assert told(stage, "member", "POST", path, {"body": "mine", "nonce": "same"})["id"] == first["id"]


def newcomers_see_nothing_old(stage: Stage) -> str:
    """The address of an open room whose past newcomers don't see, made by the owner."""
    made = told(stage, "owner", "POST", "rooms/", {"name": "New", "kind": "open", "history": "since_join"})
    return f"rooms/{made['id']}"


def refusal(answer: HttpResponse) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.content).get("code", "")


def test_by_a_nonce_from_before_one_left_one_is_told_nothing(stage: Stage) -> None:
    room, mine = newcomers_see_nothing_old(stage), {"body": "mine", "nonce": "mine"}
    told(stage, "member", "POST", f"{room}/join/")
    first = told(stage, "member", "POST", f"{room}/messages/", mine)
    assert told(stage, "member", "POST", f"{room}/messages/", mine) == first, "who stays is answered"
    told(stage, "member", "POST", f"{room}/leave/")
    assert refusal(stage.ask("member", "POST", f"{room}/messages/", mine)) == (403, "forbidden")
    told(stage, "member", "POST", f"{room}/join/")
    assert refusal(stage.ask("member", "POST", f"{room}/messages/", mine)) == (409, "conflict")
    assert told(stage, "member", "POST", f"{room}/messages/", {**mine, "nonce": "new"})["id"] != first["id"]


def test_one_replies_to_what_one_may_read(stage: Stage) -> None:
    room = newcomers_see_nothing_old(stage)
    old = told(stage, "owner", "POST", f"{room}/messages/", {"body": "old", "nonce": "old"})
    told(stage, "member", "POST", f"{room}/join/")
    new = told(stage, "owner", "POST", f"{room}/messages/", {"body": "new", "nonce": "new"})
    reply = {"body": "reply", "nonce": "reply"}
    for hidden in (old["id"], stage.cast.messages["den_member"], stage.cast.messages["vault_owner"]):
        answer = stage.ask("member", "POST", f"{room}/messages/", {**reply, "reply_to": hidden})
        assert refusal(answer) == (404, "not_found")
    assert told(stage, "member", "POST", f"{room}/messages/", {**reply, "reply_to": new["id"]})["reply_to"] == new["id"]
    assert told(stage, "owner", "POST", f"{room}/messages/", {**reply, "reply_to": old["id"]})["reply_to"] == old["id"]


def test_one_takes_back_ones_own_reaction_alone(stage: Stage) -> None:
    path = f"rooms/{stage.cast.rooms['den']}/messages/{stage.cast.messages['den_member']}/reactions/👍/"
    for name in ("member", "guest"):
        told(stage, name, "PUT", path)
    left = told(stage, "guest", "DELETE", path)["reactions"]
    assert left == [{"emoji": "👍", "count": 1, "users": [stage.cast.member.id]}]
    assert [each["id"] for each in told(stage, "guest", "GET", path)["results"]] == [stage.cast.member.id]


def unread(stage: Stage, name: str) -> int:
    return int(told(stage, name, "GET", f"rooms/{stage.cast.rooms['den']}/")["unread"])


def test_what_one_reads_or_writes_is_unread_for_the_others(stage: Stage) -> None:
    path = f"rooms/{stage.cast.rooms['den']}"
    before = unread(stage, "guest"), unread(stage, "both")
    assert unread(stage, "moderator") > 0
    told(stage, "moderator", "POST", f"{path}/read/", {"number": 3})
    assert unread(stage, "moderator") == 0
    assert (unread(stage, "guest"), unread(stage, "both")) == before
    told(stage, "moderator", "POST", f"{path}/messages/", {"body": "news", "nonce": "n"})
    assert (unread(stage, "guest"), unread(stage, "both")) == (before[0] + 1, before[1] + 1)
    assert unread(stage, "moderator") == 0


def test_people_are_found_by_address_by_admins_alone_and_everyone_by_their_own(stage: Stage) -> None:
    def found(name: str, start: str) -> list[str]:
        return [each["user"]["id"] for each in told(stage, name, "GET", f"members/?q={start}")["results"]]

    assert found("admin", "both@people") == [stage.cast.both.id]
    assert found("lurker", "both@people") == []
    assert found("lurker", "lurker@people") == [stage.cast.lurker.id]


CHANGES = {"suspended": {"suspended_at": "2026-01-01T00:00Z"}, "made a guest": {"role": "guest"}}
LISTS = ["rooms/", "members/", "invitations/"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_seat_that_changes_while_a_list_is_read_is_shown_nothing_more(stage: Stage, path: str, change: str) -> None:
    """Between the statement that finds the seat and the one that lists, as a race could have it."""
    stage.give("lurker", "admin")
    told(stage, "lurker", "POST", "invitations/", {"tenant_role": "guest"})
    assert told(stage, "lurker", "GET", path)["results"], "premise: there is something to see"
    with connection.execute_wrapper(after_the_seat_is_read(lambda: _change(stage, CHANGES[change]))):
        assert told(stage, "lurker", "GET", path)["results"] == []


@pytest.mark.parametrize("path", ["messages/", "changes/"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_seat_that_changes_while_a_room_is_read_is_shown_nothing_of_it(stage: Stage, path: str, change: str) -> None:
    path = f"rooms/{stage.cast.rooms['den']}/{path}"
    assert b"first in the den" in stage.ask("member", "GET", path).content, "premise: there is something to read"
    with connection.execute_wrapper(after_the_seat_is_read(lambda: _change(stage, CHANGES[change], "member"))):
        assert refusal(stage.ask("member", "GET", path)) == (404, "not_found")


@pytest.mark.parametrize("name", ["member", "admin"], ids=["in the room", "outside it"])
def test_a_seat_that_ends_while_a_message_is_sent_is_none_when_it_is_judged(stage: Stage, name: str) -> None:
    path, sent = f"rooms/{stage.cast.rooms['lobby']}/messages/", {"body": "hello", "nonce": "n"}
    here = stage.ask(name, "POST", path, sent)
    assert here.status_code == 201 if name == "member" else refusal(here) == (403, "forbidden"), "premise: a seat"
    with connection.execute_wrapper(after_the_seat_is_read(lambda: _change(stage, CHANGES["suspended"], name))):
        assert refusal(stage.ask(name, "POST", path, {**sent, "nonce": "m"})) == (404, "no_seat")


def test_who_is_deactivated_is_nobody_with_the_token_of_before(stage: Stage) -> None:
    me = stage.cast.member
    assert request("GET", "me/", me.bearer).status_code == 200
    User.objects.filter(pk=me.id).update(is_active=False)
    assert request("GET", "me/", me.bearer).status_code == 401
    assert request("GET", "me/", stage.cast.guest.bearer).status_code == 200


def _change(stage: Stage, to: dict[str, str], name: str = "lurker") -> None:
    assert Membership.objects.filter(pk=stage.seats[name].pk).update(**to)


def after_the_seat_is_read(happen: Callable[[], None]) -> Callable[..., Any]:
    """Lets something happen once, right after the first read of a seat."""
    left = [happen]

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if left and "tenants_membership" in sql:
            left.pop()()
        return result

    return wrapper
