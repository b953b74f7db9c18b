"""Rooms and messages over REST: each endpoint does its work for one who may, and refuses who may not."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import pytest
from django.test import Client

from chat.models import Message, Room, RoomMember
from tenants.models import Membership
from tests.callers import Caller
from tests.cast import Cast

pytestmark = pytest.mark.django_db

NOWHERE = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def by(cast: Cast) -> Callable[..., Caller]:
    return lambda name, slug="acme": Caller(cast.people[name], slug)


NOT_FOUND = (404, "not_found")
FORBIDDEN = (403, "forbidden")
INVALID = (400, "invalid")
CONFLICT = (409, "conflict")


def ids(page: Any) -> set[str]:
    return {each["id"] for each in page["results"]}


def numbers(page: Any) -> list[int]:
    return [each["number"] for each in page["results"]]


# Rooms


def test_the_list_shows_what_each_may_see(cast: Cast, by: Any) -> None:
    room = cast.rooms
    assert ids(by("member").get("rooms/")) == {room["lobby"], room["den"], room["talk"]}
    assert ids(by("guest").get("rooms/")) == {room["den"]}
    assert ids(by("lurker").get("rooms/")) == {room["lobby"]}
    assert ids(by("admin").get("rooms/")) == {room["lobby"], room["den"], room["vault"]}
    assert ids(by("admin").get("rooms/?joined=1")) == set()
    assert ids(by("member").get("rooms/?joined=1")) == {room["lobby"], room["den"], room["talk"]}
    assert ids(by("both", "globex").get("rooms/")) == {room["lab"]}


def test_the_list_is_walked_by_cursor_both_ways(cast: Cast, by: Any) -> None:
    admin = by("admin")
    first = admin.get("rooms/?limit=2")
    assert len(first["results"]) == 2 and first["previous"] is None
    second = admin.get(first["next"].removeprefix("http://testserver"))
    assert len(second["results"]) == 1 and second["next"] is None
    assert ids(first) | ids(second) == {cast.rooms["lobby"], cast.rooms["den"], cast.rooms["vault"]}
    assert admin.get(second["previous"].removeprefix("http://testserver"))["results"] == first["results"]


def test_an_admin_outside_a_private_room_sees_no_counters_or_times(cast: Cast, by: Any) -> None:
    inside, outside = (by(name).get(f"rooms/{cast.rooms['den']}/") for name in ("member", "admin"))
    counters = {"archived_at", "rev", "number", "unread"}
    assert counters <= inside.keys() and inside["room_role"] == "member"
    assert not counters & outside.keys() and outside["room_role"] is None
    assert outside["name"] == "Den" and outside["topic"] == "where the work is"


def test_who_makes_a_room_is_its_moderator(by: Any) -> None:
    asked = {"name": "Plans", "kind": "open", "topic": "soon", "posting": "moderators", "history": "since_join"}
    made = by("member").post("rooms/", asked, 201)
    assert asked.items() <= made.items()
    assert made["room_role"] == "moderator" and made["number"] == made["unread"] == 0 and made["archived_at"] is None
    assert by("member").post("rooms/", {"name": "Bare"}, 201)["kind"] == "private"
    assert by("guest").refused("POST", "rooms/", {"name": "Mine"}) == FORBIDDEN


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "x" * 81},
        {"name": " "},
        {"name": ""},
        {"name": "x\x00"},
        {"name": "x", "topic": "x" * 251},
        {"name": "x", "kind": "direct"},
        {"name": "x", "posting": "nobody"},
    ],
)
def test_a_room_out_of_bounds_is_refused(by: Any, asked: Any) -> None:
    assert by("member").refused("POST", "rooms/", asked) == INVALID


def test_a_body_of_the_wrong_shape_is_refused(by: Any) -> None:
    for body in ({}, {"name": 1}, {"name": "x", "extra": 1}, []):
        assert by("member").refused("POST", "rooms/", body) == (400, "bad_request")


def test_an_idempotency_key_makes_one_room(by: Any) -> None:
    key = {"Idempotency-Key": "once"}
    made = by("member").post("rooms/", {"name": "Once"}, 201, **key)
    assert by("member").post("rooms/", {"name": "Once"}, 201, **key)["id"] == made["id"]
    assert Room.objects.filter(name="Once").count() == 1
    assert by("member").refused("POST", "rooms/", {"name": "Other"}, **key) == CONFLICT


def test_a_replay_by_one_who_lost_the_room_finds_nothing(by: Any) -> None:
    key = {"Idempotency-Key": "once"}
    made = by("member").post("rooms/", {"name": "Once"}, 201, **key)
    by("member").post(f"rooms/{made['id']}/leave/", status=204)
    assert by("member").refused("POST", "rooms/", {"name": "Once"}, **key) == NOT_FOUND


def test_a_moderator_changes_a_room_and_a_member_does_not(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    changed = by("moderator").patch(den, {"name": "Lair", "topic": "", "posting": "moderators"})
    assert (changed["name"], changed["topic"], changed["posting"]) == ("Lair", "", "moderators")
    assert changed["history"] == "shared"
    assert by("admin").patch(den, {"history": "since_join"})["history"] == "since_join"
    assert by("member").refused("PATCH", den, {"name": "Mine"}) == FORBIDDEN
    assert by("lurker").refused("PATCH", den, {"name": "Mine"}) == NOT_FOUND
    assert by("moderator").refused("PATCH", den, {"name": None}) == (400, "bad_request")
    assert by("moderator").refused("PATCH", den, {"kind": "open"}) == (400, "bad_request")


def test_an_archived_room_is_read_and_not_written(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    assert by("member").refused("POST", f"{den}archive/") == FORBIDDEN
    assert by("moderator").post(f"{den}archive/")["archived_at"] is not None
    assert by("moderator").post(f"{den}archive/")["archived_at"] is not None
    assert numbers(by("member").get(f"{den}messages/")) == [1, 2, 3]
    assert by("member").refused("POST", f"{den}messages/", {"body": "x", "nonce": "n"}) == FORBIDDEN
    assert by("member").refused("POST", f"{den}restore/") == FORBIDDEN
    assert by("moderator").post(f"{den}restore/")["archived_at"] is None
    assert by("member").say(cast.rooms["den"])["number"] == 4


def test_an_open_room_is_read_once_joined(cast: Cast, by: Any) -> None:
    lobby = f"rooms/{cast.rooms['lobby']}/"
    assert by("lurker").refused("GET", f"{lobby}messages/") == NOT_FOUND
    assert by("lurker").post(f"{lobby}join/")["room_role"] == "member"
    assert by("lurker").post(f"{lobby}join/")["room_role"] == "member"
    assert numbers(by("lurker").get(f"{lobby}messages/")) == [1]
    by("lurker").post(f"{lobby}leave/", status=204)
    assert by("lurker").refused("GET", f"{lobby}messages/") == NOT_FOUND
    assert by("lurker").refused("POST", f"{lobby}leave/") == NOT_FOUND
    assert by("guest").refused("POST", f"{lobby}join/") == NOT_FOUND


def test_an_admin_enters_a_private_room_visibly_and_from_now_on(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    assert by("lurker").refused("POST", f"{den}join/") == NOT_FOUND
    assert by("admin").refused("GET", f"{den}messages/") == NOT_FOUND
    assert by("admin").post(f"{den}join/")["room_role"] == "member"
    (notice,) = by("admin").get(f"{den}messages/")["results"]
    assert notice["kind"] == "notice" and notice["number"] == 4 and notice["author"] is None
    assert numbers(by("member").get(f"{den}messages/")) == [1, 2, 3, 4]
    first = cast.messages["den_member"]
    assert by("admin").refused("GET", f"{den}messages/{first}/") == NOT_FOUND
    assert by("admin").refused("PUT", f"{den}messages/{first}/reactions/{quote('👍')}/") == NOT_FOUND


def test_newcomers_read_what_the_history_policy_lets_them(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    by("moderator").post(f"{den}members/", {"user": cast.lurker.id}, 201)
    assert numbers(by("lurker").get(f"{den}messages/")) == [1, 2, 3]
    by("moderator").patch(den, {"history": "since_join"})
    by("moderator").post(f"{den}members/", {"user": cast.admin.id}, 201)
    assert by("admin").get(f"{den}messages/") == {"next": None, "previous": None, "results": []}
    by("member").say(cast.rooms["den"])
    assert numbers(by("admin").get(f"{den}messages/")) == [4]
    page = by("admin").get(f"{den}messages/?around=1")
    assert numbers(page) == [4] and page["next"] is page["previous"] is None
    assert [each["number"] for each in by("admin").get(f"{den}changes/")["messages"]] == [4]


def test_rooms_of_another_organization_do_not_exist(cast: Cast, by: Any) -> None:
    for room in (cast.rooms["lab"], NOWHERE):
        for method, path in [
            ("GET", ""),
            ("POST", "archive/"),
            ("POST", "restore/"),
            ("POST", "join/"),
            ("POST", "leave/"),
            ("GET", "members/"),
            ("DELETE", f"members/{cast.both.id}/"),
            ("GET", "messages/"),
            ("GET", f"messages/{cast.messages['lab_owner']}/"),
            ("GET", "changes/"),
        ]:
            assert by("owner").refused(method, f"rooms/{room}/{path}") == NOT_FOUND, (method, path)
            assert by("both").refused(method, f"rooms/{room}/{path}") == NOT_FOUND, (method, path)
        for path, body in [
            ("members/", {"user": cast.member.id}),
            ("messages/", {"body": "x", "nonce": "n"}),
            ("read/", {"number": 1}),
        ]:
            assert by("both").refused("POST", f"rooms/{room}/{path}", body) == NOT_FOUND
    assert by("both", "globex").get(f"rooms/{cast.rooms['lab']}/")["name"] == "Lab"


def test_whoever_has_no_seat_that_counts_finds_no_organization(cast: Cast, by: Any) -> None:
    for name in ("outsider", "suspended", "expired", "globex_owner"):
        assert by(name).refused("GET", "rooms/") == (404, "no_seat")
        assert by(name).refused("GET", f"rooms/{cast.rooms['den']}/messages/") == (404, "no_seat")
    assert Client().get("/api/v1/tenants/acme/rooms/").status_code == 401


# Direct rooms


def test_the_same_people_have_one_direct_room(cast: Cast, by: Any) -> None:
    made = by("member").post("direct/", {"users": [cast.lurker.id]}, 201)
    assert made["kind"] == "direct" and made["people"] == [{"id": cast.lurker.id, "display_name": "Lurker"}]
    assert by("lurker").post("direct/", {"users": [cast.member.id, cast.lurker.id]}, 200)["id"] == made["id"]
    assert by("member").post("direct/", {"users": [cast.lurker.id, cast.admin.id]}, 201)["id"] != made["id"]
    listed = {room["id"]: room for room in by("lurker").get("rooms/?joined=1")["results"]}
    assert listed[made["id"]]["people"] == [{"id": cast.member.id, "display_name": "Member"}]
    assert by("owner").refused("GET", f"rooms/{made['id']}/") == NOT_FOUND
    assert by("lurker").refused("POST", f"rooms/{made['id']}/leave/") == FORBIDDEN


def test_a_direct_room_needs_people_one_may_write_to(cast: Cast, by: Any) -> None:
    assert by("member").refused("POST", "direct/", {"users": []}) == INVALID
    assert by("member").refused("POST", "direct/", {"users": [cast.member.id]}) == INVALID
    assert by("member").refused("POST", "direct/", {"users": ["no"]}) == INVALID
    for name in ("outsider", "globex_owner", "suspended"):
        assert by("member").refused("POST", "direct/", {"users": [cast.people[name].id]}) == NOT_FOUND
    assert by("guest").refused("POST", "direct/", {"users": [cast.lurker.id]}) == NOT_FOUND
    assert by("guest").post("direct/", {"users": [cast.member.id]}, 201)


# Members


def test_the_members_of_a_room_are_listed_for_those_who_see_it(cast: Cast, by: Any) -> None:
    members = f"rooms/{cast.rooms['den']}/members/"
    found = {each["user"]["display_name"]: each for each in by("member").get(members)["results"]}
    assert {name: each["room_role"] for name, each in found.items()} == {
        "Moderator": "moderator", "Member": "member", "Both": "reader", "Guest": "member",
    }  # fmt: skip
    assert found["Guest"]["tenant_role"] == "guest" and found["Guest"]["suspended"] is False
    assert found["Guest"].keys() == {"user", "tenant_role", "expires_at", "suspended", "joined_at", "room_role"}
    assert "email" not in found["Guest"]["user"] and found["Member"]["user"]["email"] == cast.member.email
    emails = {each["user"]["email"] for each in by("admin").get(members)["results"]}
    assert emails == {cast.people[name].email for name in ("moderator", "member", "both", "guest")}
    assert by("lurker").refused("GET", members) == NOT_FOUND
    assert by("owner").refused("GET", f"rooms/{cast.rooms['talk']}/members/") == NOT_FOUND


def test_a_moderator_adds_people_and_a_member_does_not(cast: Cast, by: Any) -> None:
    members = f"rooms/{cast.rooms['den']}/members/"
    body = {"user": cast.lurker.id, "room_role": "reader"}
    assert by("member").refused("POST", members, body) == FORBIDDEN
    key = {"Idempotency-Key": "add"}
    added = by("moderator").post(members, body, 201, **key)
    assert added["user"]["id"] == cast.lurker.id and added["room_role"] == "reader"
    assert by("moderator").post(members, body, 201, **key) == added
    assert by("moderator").refused("POST", members, body) == CONFLICT
    assert (
        by("lurker").refused("POST", f"rooms/{cast.rooms['den']}/messages/", {"body": "x", "nonce": "n"}) == FORBIDDEN
    )
    for name in ("outsider", "globex_owner", "suspended"):
        assert by("moderator").refused("POST", members, {"user": cast.people[name].id}) == NOT_FOUND
    assert by("admin").refused("POST", members, {"user": cast.admin.id}) == INVALID


def test_an_admin_manages_a_private_room_without_reading_it(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    by("admin").post(f"{den}members/", {"user": cast.lurker.id}, 201)
    assert by("lurker").get(f"{den}messages/")["results"] == []
    by("admin").delete(f"{den}members/{cast.lurker.id}/")
    assert by("lurker").refused("GET", den) == NOT_FOUND
    assert by("admin").refused("GET", f"{den}messages/") == NOT_FOUND


def test_a_member_of_a_room_gets_another_role_in_it(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    assert by("both").refused("POST", f"{den}messages/", {"body": "x", "nonce": "n"}) == FORBIDDEN
    path = f"{den}members/{cast.both.id}/"
    assert by("member").refused("PATCH", path, {"room_role": "member"}) == FORBIDDEN
    assert by("moderator").patch(path, {"room_role": "member"})["room_role"] == "member"
    assert by("both").say(cast.rooms["den"])["number"] == 4
    assert by("moderator").refused("PATCH", path, {"room_role": "king"}) == INVALID
    assert by("moderator").refused("PATCH", f"{den}members/{cast.lurker.id}/", {"room_role": "member"}) == NOT_FOUND


def test_a_removed_member_reads_nothing_more(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    assert by("guest").refused("DELETE", f"{den}members/{cast.member.id}/") == FORBIDDEN
    assert by("member").get(f"{den}messages/")["results"]
    by("moderator").delete(f"{den}members/{cast.member.id}/")
    for path in ("", "messages/", f"messages/{cast.messages['den_member']}/", "changes/", "members/"):
        assert by("member").refused("GET", den + path) == NOT_FOUND
    assert by("moderator").refused("DELETE", f"{den}members/{cast.member.id}/") == NOT_FOUND


def test_removing_oneself_is_leaving(cast: Cast, by: Any) -> None:
    by("guest").delete(f"rooms/{cast.rooms['den']}/members/{cast.guest.id}/")
    assert by("guest").get("rooms/")["results"] == []
    talk = f"rooms/{cast.rooms['talk']}/members/{cast.member.id}/"
    assert by("member").refused("DELETE", talk) == FORBIDDEN


# Messages


def test_a_message_is_sent_once_for_a_nonce(cast: Cast, by: Any) -> None:
    messages = f"rooms/{cast.rooms['den']}/messages/"
    body = {"body": "a **bold** word", "nonce": "n", "reply_to": cast.messages["den_guest"]}
    sent = by("member").post(messages, body, 201)
    assert (sent["number"], sent["kind"], sent["nonce"]) == (4, "text", "n") and "<strong>bold</strong>" in sent["html"]
    assert sent["author"] == {"id": cast.member.id, "display_name": "Member"}
    assert sent["reply_to"] == cast.messages["den_guest"] and sent["edited_at"] is sent["deleted_at"] is None
    assert by("member").post(messages, body, 200) == sent
    by("member").patch(f"{messages}{sent['id']}/", {"body": "else"})
    assert by("member").post(messages, body, 200)["body"] == "else"
    assert by("guest").post(messages, body, 201)["number"] == 5
    assert by("member").post(messages, {"body": "plain", "nonce": "m"}, 201)["html"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {"body": "", "nonce": "n"},
        {"body": " \n", "nonce": "n"},
        {"body": "x" * 8001, "nonce": "n"},
        {"body": "x", "nonce": ""},
        {"body": "x", "nonce": "n" * 65},
        {"body": "\x00", "nonce": "n"},
        {"body": "x", "nonce": "n", "reply_to": "ABCDEF00-0000-7000-8000-000000000000"},
    ],
)
def test_a_message_out_of_bounds_is_refused(cast: Cast, by: Any, asked: Any) -> None:
    assert by("member").refused("POST", f"rooms/{cast.rooms['den']}/messages/", asked) == INVALID
    assert numbers(by("member").get(f"rooms/{cast.rooms['den']}/messages/")) == [1, 2, 3]


def test_a_message_at_its_bounds_is_taken(cast: Cast, by: Any) -> None:
    body = {"body": "🎉" * 8000, "nonce": "n" * 64}
    assert by("member").post(f"rooms/{cast.rooms['den']}/messages/", body, 201)["body"] == body["body"]


def test_a_reply_needs_a_message_of_the_same_room(cast: Cast, by: Any) -> None:
    for other in ("lobby_owner", "vault_owner", "lab_owner"):
        asked = {"body": "x", "nonce": "n", "reply_to": cast.messages[other]}
        assert by("member").refused("POST", f"rooms/{cast.rooms['den']}/messages/", asked) == NOT_FOUND


def test_a_nonce_from_before_one_left_is_no_longer_answered(cast: Cast, by: Any) -> None:
    messages, asked = f"rooms/{cast.rooms['den']}/messages/", {"body": "x", "nonce": "n"}
    by("member").post(messages, asked, 201)
    by("moderator").patch(f"rooms/{cast.rooms['den']}/", {"history": "since_join"})
    by("member").post(f"rooms/{cast.rooms['den']}/leave/", status=204)
    assert by("member").refused("POST", messages, asked) == NOT_FOUND
    by("moderator").post(f"rooms/{cast.rooms['den']}/members/", {"user": cast.member.id}, 201)
    assert by("member").refused("POST", messages, asked) == CONFLICT
    assert by("member").say(cast.rooms["den"])["number"] == 5


@pytest.fixture
def long_room(cast: Cast, by: Any) -> str:
    """The den with twelve messages."""
    for _ in range(9):
        by("member").say(cast.rooms["den"])
    return cast.rooms["den"]


def test_messages_are_walked_back_to_the_first_and_forward_to_the_newest(long_room: str, by: Any) -> None:
    messages = f"rooms/{long_room}/messages/"
    page = by("guest").get(f"{messages}?limit=5")
    assert numbers(page) == [8, 9, 10, 11, 12] and page["previous"] is None
    found = [numbers(page)]
    while page["next"]:
        page = by("guest").get(page["next"].removeprefix("http://testserver"))
        found.append(numbers(page))
    assert found == [[8, 9, 10, 11, 12], [3, 4, 5, 6, 7], [1, 2]]
    found = [numbers(page)]
    step = "previous"
    while page[step]:
        page, step = by("guest").get(page[step].removeprefix("http://testserver")), "next"
        found.append(numbers(page))
    assert found == [[1, 2], [3, 4, 5, 6, 7], [8, 9, 10, 11, 12]]


@pytest.mark.parametrize(
    ("query", "expected", "onwards", "back"),
    [
        ("", list(range(1, 13)), None, None),
        ("limit=2", [11, 12], "before=11", None),
        ("before=5&limit=2", [3, 4], "before=3", "after=4"),
        ("before=1", [], None, "after=0"),
        ("before=99&limit=3", [10, 11, 12], "before=10", None),
        ("after=5&limit=2", [6, 7], "after=7", "before=6"),
        ("after=10", [11, 12], None, "before=11"),
        ("after=12", [], None, "before=13"),
        ("after=0&limit=1", [1], "after=1", None),
        ("around=6&limit=5", [4, 5, 6, 7, 8], "before=4", "after=8"),
        ("around=1&limit=3", [1, 2, 3], None, "after=3"),
        ("around=12&limit=3", [10, 11, 12], "before=10", None),
        ("around=99&limit=3", [10, 11, 12], "before=10", None),
        ("around=6&limit=1", [6], "before=6", "after=6"),
        ("after=9007199254740991", [], None, "before=13"),
    ],
)
def test_a_page_of_messages_and_its_links(
    long_room: str, by: Any, query: str, expected: list[int], onwards: str | None, back: str | None
) -> None:
    page = by("member").get(f"rooms/{long_room}/messages/?{query}")
    assert numbers(page) == expected
    for link, place in ((page["next"], onwards), (page["previous"], back)):
        assert (link and urlsplit(link).query.split("&")[0]) == place
        if link and "limit=" in query:
            assert link.endswith(query[query.index("limit=") :])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "before=-1", "after=x", "around=1.5", "before=1&after=1", "limit="]
)
def test_a_page_out_of_bounds_is_refused(cast: Cast, by: Any, query: str) -> None:
    assert by("member").refused("GET", f"rooms/{cast.rooms['den']}/messages/?{query}") == INVALID


def test_a_message_lives_at_the_address_of_its_own_room_only(cast: Cast, by: Any) -> None:
    mine = cast.messages["den_member"]
    assert by("member").get(f"rooms/{cast.rooms['den']}/messages/{mine}/")["body"] == "second in the den"
    emoji = quote("👍")
    for room, message in [
        (cast.rooms["lobby"], mine),
        (cast.rooms["den"], cast.messages["lab_owner"]),
        (cast.rooms["den"], NOWHERE),
        (cast.rooms["vault"], cast.messages["vault_owner"]),
    ]:
        wrong = f"rooms/{room}/messages/{message}/"
        for method, path in [
            ("GET", ""), ("DELETE", ""), ("GET", "history/"),
            ("GET", f"reactions/{emoji}/"), ("PUT", f"reactions/{emoji}/"), ("DELETE", f"reactions/{emoji}/"),
        ]:  # fmt: skip
            assert by("member").refused(method, wrong + path) == NOT_FOUND, (method, path)
        assert by("member").refused("PATCH", wrong, {"body": "x"}) == NOT_FOUND
    assert Message.objects.filter(pk=mine, body="second in the den", reactions=[]).exists()


def test_an_edit_keeps_what_was_said_before(cast: Cast, by: Any) -> None:
    mine = f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_member']}/"
    before = by("member").get(mine)
    edited = by("member").patch(mine, {"body": "third thoughts", "rev": before["rev"]})
    assert edited["body"] == "third thoughts" and edited["rev"] > before["rev"] and edited["edited_at"]
    assert by("member").refused("PATCH", mine, {"body": "late", "rev": before["rev"]}) == CONFLICT
    assert by("member").patch(mine, {"body": "third thoughts"})["rev"] == edited["rev"]
    by("member").patch(mine, {"body": "fourth"})
    history = by("guest").get(f"{mine}history/")
    assert [each["body"] for each in history["results"]] == ["second in the den", "third thoughts"]
    assert [each["written_at"] for each in history["results"]] == [before["created_at"], edited["edited_at"]]
    short = by("guest").get(f"{mine}history/?limit=1")
    rest = by("guest").get(short["next"].removeprefix("http://testserver"))
    assert short["results"] + rest["results"] == history["results"] and rest["next"] is None
    for name in ("guest", "moderator"):
        assert by(name).refused("PATCH", mine, {"body": "x"}) == FORBIDDEN
    assert by("lurker").refused("GET", f"{mine}history/") == NOT_FOUND


def test_a_deleted_message_keeps_its_place_and_nothing_else(cast: Cast, by: Any) -> None:
    mine = f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_member']}/"
    by("member").patch(mine, {"body": "else"})
    assert by("guest").refused("DELETE", mine) == FORBIDDEN
    gone = by("member").delete(mine, 200)
    assert gone["body"] == "" and gone["html"] is None and gone["deleted_at"] and gone["number"] == 2
    assert by("member").delete(mine, 200) == gone == by("guest").get(mine)
    assert by("guest").get(f"{mine}history/")["results"] == []
    assert by("member").refused("PATCH", mine, {"body": "back"}) == CONFLICT
    assert by("member").refused("PUT", f"{mine}reactions/{quote('👍')}/") == CONFLICT
    assert numbers(by("guest").get(f"rooms/{cast.rooms['den']}/messages/")) == [1, 2, 3]
    assert by("moderator").delete(f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_guest']}/", 200)[
        "deleted_at"
    ]


def test_reactions_are_counted_listed_and_taken_back(cast: Cast, by: Any) -> None:
    mine = f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_member']}/"
    heart = f"{mine}reactions/{quote('❤️')}/"
    first = by("guest").put(heart)
    assert first["reactions"] == [{"emoji": "❤️", "count": 1, "users": [cast.guest.id]}]
    assert by("guest").put(heart)["rev"] == first["rev"]
    assert by("moderator").put(heart)["reactions"][0]["users"] == [cast.guest.id, cast.moderator.id]
    page = by("member").get(f"{heart}?limit=1")
    rest = by("member").get(page["next"].removeprefix("http://testserver"))
    assert [*page["results"], *rest["results"]] == [
        {"id": cast.guest.id, "display_name": "Guest"},
        {"id": cast.moderator.id, "display_name": "Moderator"},
    ]
    assert by("guest").delete(heart, 200)["reactions"] == [{"emoji": "❤️", "count": 1, "users": [cast.moderator.id]}]
    assert by("moderator").delete(heart, 200)["reactions"] == []
    assert by("member").get(heart)["results"] == []
    assert by("both").refused("PUT", heart) == FORBIDDEN
    assert by("member").put(f"{mine}reactions/{quote('#️⃣', safe='')}/")["reactions"][0]["emoji"] == "#️⃣"


@pytest.mark.parametrize("emoji", ["x", "%00", quote("👍" * 17), "%ff", quote("👍x")])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_emoji_are_reactions(cast: Cast, by: Any, emoji: str, method: str) -> None:
    mine = f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_member']}/"
    assert by("member").refused(method, f"{mine}reactions/{emoji}/") == INVALID


# Changes and read markers


def test_changes_since_a_cursor_are_the_newest_states(cast: Cast, by: Any) -> None:
    changes = f"rooms/{cast.rooms['den']}/changes/"
    start = by("guest").get(changes)
    assert numbers({"results": start["messages"]}) == [1, 2, 3] and not start["more"] and not start["reset"]
    cursor = f"epoch={start['epoch']}&since={start['rev']}"
    assert by("guest").get(f"{changes}?{cursor}")["messages"] == []
    by("member").patch(f"rooms/{cast.rooms['den']}/messages/{cast.messages['den_member']}/", {"body": "else"})
    new = by("member").say(cast.rooms["den"])
    by("member").patch(f"rooms/{cast.rooms['den']}/messages/{new['id']}/", {"body": "newer"})
    found = by("guest").get(f"{changes}?{cursor}")
    assert [each["body"] for each in found["messages"]] == ["else", "newer"] and found["rev"] == start["rev"] + 3
    part = by("guest").get(f"{changes}?{cursor}&limit=1")
    assert part["more"] and [each["body"] for each in part["messages"]] == ["else"]
    rest = by("guest").get(f"{changes}?epoch={part['epoch']}&since={part['rev']}&limit=1")
    assert not rest["more"] and [each["body"] for each in rest["messages"]] == ["newer"]
    assert by("guest").get(f"{changes}?limit=0")["messages"] == []


def test_a_cursor_that_means_nothing_starts_anew(cast: Cast, by: Any) -> None:
    changes = f"rooms/{cast.rooms['den']}/changes/"
    start = by("guest").get(changes)
    for query in (f"epoch={NOWHERE}&since=0", f"epoch={start['epoch']}&since={start['rev'] + 1}"):
        found = by("guest").get(f"{changes}?{query}")
        assert found["reset"] and found["messages"] == start["messages"] and found["rev"] == start["rev"]


@pytest.mark.parametrize(
    "query", ["since=1", f"epoch={NOWHERE}", "epoch=x&since=1", f"epoch={NOWHERE}&since=-1", "limit=101"]
)
def test_half_a_cursor_is_refused(cast: Cast, by: Any, query: str) -> None:
    assert by("guest").refused("GET", f"rooms/{cast.rooms['den']}/changes/?{query}") == INVALID
    assert by("lurker").refused("GET", f"rooms/{cast.rooms['den']}/changes/") == NOT_FOUND


def test_a_read_marker_only_rises(cast: Cast, by: Any) -> None:
    den = f"rooms/{cast.rooms['den']}/"
    assert by("both").get(den)["unread"] == 3
    by("both").post(f"{den}read/", {"number": 2}, 204)
    assert by("both").get(den)["unread"] == 1
    by("both").post(f"{den}read/", {"number": 1}, 204)
    assert by("both").get(den)["unread"] == 1
    by("both").post(f"{den}read/", {"number": 2**53 - 1}, 204)
    assert by("both").get(den)["unread"] == 0
    by("member").say(cast.rooms["den"])
    assert by("both").get(den)["unread"] == 1
    assert by("both").refused("POST", f"{den}read/", {"number": -1}) == INVALID
    assert by("member").get(den)["unread"] == 0, "what one writes oneself is read"
    assert by("admin").refused("POST", f"{den}read/", {"number": 1}) == NOT_FOUND


# Explanations


def test_an_explanation_tells_what_one_is_in_a_room(cast: Cast, by: Any) -> None:
    why = "permissions/explain/?verb=message.send&room="
    found = by("both").get(why + cast.rooms["den"])
    assert not found["allowed"] and found["room_role"] == "reader" and found["rule"] == "writer"
    assert by("guest").get(why + cast.rooms["den"])["allowed"]
    assert by("lurker").refused("GET", why + cast.rooms["den"]) == NOT_FOUND
    assert by("member").refused("GET", why + cast.rooms["lab"]) == NOT_FOUND
    assert by("owner").refused("GET", why + cast.rooms["talk"]) == NOT_FOUND


def test_an_explanation_of_another_tells_their_role_in_the_room(cast: Cast, by: Any) -> None:
    why = f"permissions/explain/?verb=message.send&room={cast.rooms['den']}&user="
    assert by("admin").get(why + cast.both.id)["room_role"] == "reader"
    assert by("admin").get(why + cast.guest.id)["allowed"]
    assert by("admin").get(why + cast.lurker.id)["room_role"] is None
    assert by("member").refused("GET", why + cast.guest.id) == FORBIDDEN
    direct = f"permissions/explain/?verb=message.see&room={cast.rooms['talk']}&user={cast.member.id}"
    assert by("admin").refused("GET", direct) == NOT_FOUND


def test_an_explanation_knows_whose_message_it_is(cast: Cast, by: Any) -> None:
    why = f"permissions/explain/?verb=message.edit&message={cast.messages['den_member']}"
    assert by("member").get(why)["allowed"]
    assert not by("guest").get(why)["allowed"]
    assert by("member").get(f"{why}&room={cast.rooms['den']}")["allowed"]
    assert by("member").refused("GET", f"{why}&room={cast.rooms['lobby']}") == NOT_FOUND
    assert by("admin").refused("GET", why) == NOT_FOUND
    by("moderator").post(f"rooms/{cast.rooms['den']}/members/", {"user": cast.admin.id}, 201)
    assert by("admin").get(f"{why}&user={cast.member.id}")["allowed"]
    RoomMember.objects.filter(seat__user=cast.member.id, room=cast.rooms["den"]).update(visible_from=3)
    assert by("admin").refused("GET", f"{why}&user={cast.member.id}") == NOT_FOUND


# Conventions


def test_a_cookie_writes_only_with_its_csrf_token(cast: Cast) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies["sessionid"] = cast.member.session
    path = f"/api/v1/tenants/acme/rooms/{cast.rooms['den']}/messages/"
    assert browser.get(path).status_code == 200
    body = {"body": "x", "nonce": "n"}
    refused = browser.post(path, body, content_type="application/json")
    assert refused.status_code == 403 and refused["Content-Type"] == "application/problem+json"
    browser.cookies["csrftoken"] = "t" * 32
    sent = browser.post(path, body, content_type="application/json", headers={"X-CSRFToken": "t" * 32})
    assert sent.status_code == 201


def test_the_id_of_an_organization_stands_for_its_slug(cast: Cast) -> None:
    tenant = Membership.objects.get(user=UUID(cast.owner.id)).tenant_id
    assert Caller(cast.owner, str(tenant)).get(f"rooms/{cast.rooms['vault']}/")["name"] == "Vault"


@pytest.mark.once
def test_every_operation_of_chat_is_documented(by: Any) -> None:
    from drf_spectacular.generators import SchemaGenerator  # noqa: PLC0415  reads the whole URLconf
    from openapi_spec_validator import validate  # noqa: PLC0415

    document = SchemaGenerator().get_schema(public=True)
    validate(document)
    room = "/api/v1/tenants/{slug}/rooms/{room}/"
    assert document["paths"][room].keys() == {"get", "patch"}
    send = document["paths"][f"{room}messages/"]["post"]["responses"]
    assert send.keys() == {"200", "201", "4XX", "5XX"}
    assert "application/problem+json" in send["4XX"]["content"]
    assert document["paths"]["/api/v1/tenants/{slug}/direct/"]["post"]["responses"].keys() == send.keys()
