"""What is one's own stays one's own: nonces, reactions, markers, addresses, and a seat that changes meanwhile."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tenants.models import Membership
from tests.policy import Stage

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


def _change(stage: Stage, to: dict[str, str]) -> None:
    assert Membership.objects.filter(pk=stage.seats["lurker"].pk).update(**to)


def after_the_seat_is_read(happen: Callable[[], None]) -> Callable[..., Any]:
    """Lets something happen once, right after the first read of a seat."""
    left = [happen]

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if left and "tenants_membership" in sql:
            left.pop()()
        return result

    return wrapper
