"""Who may do what to a room and to those in it. Outcomes stand in the order of `ROLES`."""

from typing import Any

import pytest

from tests.policy import ROLES, Act, Place, Stage

pytestmark = pytest.mark.once


@pytest.fixture
def stage(cast: Any) -> Stage:
    return Stage(cast)


INSIDE_PRIVATE, OUTSIDE_PRIVATE = Place(inside="member"), Place()
INSIDE_OPEN, OUTSIDE_OPEN = Place(kind="open", inside="member"), Place(kind="open")
INSIDE_DIRECT, OUTSIDE_DIRECT = Place(kind="direct", inside="member"), Place(kind="direct")
READING, RUNNING = Place(inside="reader"), Place(inside="moderator")
#                         guest member moderator admin owner
EVERYONE = (200, 200, 200, 200, 200)
UNSEEN = (404, 404, 404, 404, 404)
NOBODY = (403, 403, 403, 403, 403)

SEE = [
    Act("room.see", "GET", "rooms/{room}/", about="room={room}"),
    Act("room.member.see", "GET", "rooms/{room}/members/", about="room={room}"),
]


@pytest.mark.parametrize("see", SEE, ids=["the room", "its members"])
def test_members_of_a_room_see_it_and_outside_it_depends_on_its_kind(stage: Stage, see: Act) -> None:
    for place in (INSIDE_OPEN, INSIDE_DIRECT, READING, RUNNING):
        assert stage.tried(see, place) == EVERYONE
    assert stage.tried(see, OUTSIDE_OPEN) == (404, 200, 200, 200, 200)
    assert stage.tried(see, OUTSIDE_PRIVATE) == (404, 404, 404, 200, 200)
    assert stage.tried(see, OUTSIDE_DIRECT) == UNSEEN


@pytest.mark.parametrize("verb", ["room.see", "room.member.see"])
def test_nobody_is_told_that_they_may_see_a_room_when_none_is_named(stage: Stage, verb: str) -> None:
    """Of a direct room they are not in even owners hear nothing, so only here can one be told no."""
    for role in ROLES:
        stage.give("lurker", role)
        assert stage.told(f"verb={verb}") is False
    assert stage.told(f"verb={verb}&room={stage.cast.rooms['den']}") is True


def test_all_but_guests_make_rooms(stage: Stage) -> None:
    assert stage.tried(Act("room.create", "POST", "rooms/", {"name": "New"})) == (403, 201, 201, 201, 201)


def test_guests_talk_directly_to_those_they_share_a_room_with_and_others_to_everyone(stage: Stage) -> None:
    talk = Act("room.direct", "POST", "direct/", {"users": ["{other}"]}, about="target={other}")
    assert stage.tried(talk, Place(met=True)) == (201, 201, 201, 201, 201)
    assert stage.tried(talk, Place(met=False)) == (404, 201, 201, 201, 201)


RUN = {
    "change": (Act("room.change", "PATCH", "rooms/{room}/", {"topic": "new"}, about="room={room}"), 200),
    "archive": (Act("room.archive", "POST", "rooms/{room}/archive/", {}, about="room={room}"), 200),
    "restore": (Act("room.archive", "POST", "rooms/{room}/restore/", {}, about="room={room}"), 200),
    "add": (Act("room.member.add", "POST", "rooms/{room}/members/", {"user": "{other}"}, about="room={room}"), 201),
    "change role": (
        Act(
            "room.member.change",
            "PATCH",
            "rooms/{room}/members/{other}/",
            {"room_role": "reader"},
            about="room={room}",
        ),
        200,
    ),
    "remove": (Act("room.member.remove", "DELETE", "rooms/{room}/members/{other}/", about="room={room}"), 204),
}


@pytest.mark.parametrize("what", RUN)
def test_a_room_is_run_by_its_moderators_and_by_admins_but_never_by_guests(stage: Stage, what: str) -> None:
    act, done = RUN[what]
    there = {"other_inside": what in ("change role", "remove")}
    assert stage.tried(act, Place(inside="moderator", **there)) == (403, done, done, done, done)
    assert stage.tried(act, Place(inside="member", **there)) == (403, 403, 403, done, done)
    assert stage.tried(act, Place(kind="open", **there)) == (404, 403, 403, done, done)
    assert stage.tried(act, Place(**there)) == (404, 404, 404, done, done)
    assert stage.tried(act, Place(kind="direct", inside="member", **there)) == NOBODY
    assert stage.tried(act, Place(kind="direct", **there)) == UNSEEN


def test_all_but_guests_join_open_rooms_until_they_are_archived(stage: Stage) -> None:
    join = Act("room.join", "POST", "rooms/{room}/join/", {}, about="room={room}")
    assert stage.tried(join, OUTSIDE_OPEN) == (404, 200, 200, 200, 200)
    assert stage.tried(join, Place(kind="open", archived=True)) == (404, 403, 403, 403, 403)
    assert stage.tried(join, OUTSIDE_DIRECT) == UNSEEN


def test_admins_enter_private_rooms_until_they_are_archived(stage: Stage) -> None:
    enter = Act("room.enter", "POST", "rooms/{room}/join/", {}, about="room={room}")
    assert stage.tried(enter, OUTSIDE_PRIVATE) == (404, 404, 404, 200, 200)
    assert stage.tried(enter, Place(archived=True)) == (404, 404, 404, 403, 403)


def test_everyone_leaves_the_rooms_they_are_in_but_direct_ones(stage: Stage) -> None:
    leave = Act("room.leave", "POST", "rooms/{room}/leave/", {}, about="room={room}")
    for place in (INSIDE_PRIVATE, INSIDE_OPEN):
        assert stage.tried(leave, place) == (204, 204, 204, 204, 204)
    assert stage.tried(leave, INSIDE_DIRECT) == NOBODY
    for place in (OUTSIDE_OPEN, OUTSIDE_PRIVATE):
        assert stage.tried(leave, place) == UNSEEN
