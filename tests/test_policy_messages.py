"""Who may read, write, change and react in a room. Outcomes stand in the order of `ROLES`."""

import json
from typing import Any

import pytest

from tests.permissions_page import PAGE
from tests.policy import Act, Place, Stage

#                         guest member moderator admin owner
EVERYONE = (200, 200, 200, 200, 200)
UNSEEN = (404, 404, 404, 404, 404)
NOBODY = (403, 403, 403, 403, 403)
KINDS = ("private", "open", "direct")


pytestmark = pytest.mark.once


@pytest.fixture
def stage(cast: Any) -> Stage:
    return Stage(cast)


def test_only_members_of_a_room_read_it_whatever_their_role_outside(stage: Stage) -> None:
    see = Act("message.see", "GET", "rooms/{room}/messages/{message}/", about="room={room}")
    for kind in KINDS:
        assert stage.tried(see, Place(kind=kind, inside="reader")) == EVERYONE
        assert stage.tried(see, Place(kind=kind)) == UNSEEN
    assert stage.tried(see, Place(inside="member", archived=True)) == EVERYONE


@pytest.mark.parametrize("what", ["messages/", "messages/{message}/history/", "changes/"])
def test_only_members_read_what_else_there_is_of_a_room(stage: Stage, what: str) -> None:
    see = Act("message.see", "GET", f"rooms/{{room}}/{what}", about="room={room}")
    assert stage.tried(see, Place(inside="reader")) == EVERYONE
    assert stage.tried(see, Place(kind="open")) == UNSEEN


def test_members_of_a_room_write_in_it_and_readers_do_not(stage: Stage) -> None:
    send = Act("message.send", "POST", "rooms/{room}/messages/", {"body": "hello", "nonce": "n"}, about="room={room}")
    done = (201, 201, 201, 201, 201)
    for kind in KINDS:
        assert stage.tried(send, Place(kind=kind, inside="member")) == done
    assert stage.tried(send, Place(inside="moderator")) == done
    assert stage.tried(send, Place(inside="moderator", posting="moderators")) == done
    assert stage.tried(send, Place(inside="member", posting="moderators")) == NOBODY
    assert stage.tried(send, Place(inside="reader")) == NOBODY
    assert stage.tried(send, Place(inside="moderator", archived=True)) == NOBODY
    assert stage.tried(send, Place(kind="private")) == (404, 404, 404, 403, 403)
    assert stage.tried(send, Place(kind="open")) == (404, 403, 403, 403, 403)
    assert stage.tried(send, Place(kind="direct")) == UNSEEN


def test_everyone_edits_their_own_messages_and_nobody_anothers(stage: Stage) -> None:
    edit = Act("message.edit", "PATCH", "rooms/{room}/messages/{message}/", {"body": "new"}, about="message={message}")
    for inside in ("reader", "member"):
        assert stage.tried(edit, Place(inside=inside, mine=True)) == EVERYONE
    assert stage.tried(edit, Place(inside="moderator")) == NOBODY
    assert stage.tried(edit, Place(inside="member", mine=True, archived=True)) == NOBODY
    assert stage.tried(edit, Place(mine=True)) == UNSEEN


def test_moderators_and_above_delete_any_message_of_their_rooms_and_others_their_own(stage: Stage) -> None:
    delete = Act("message.delete", "DELETE", "rooms/{room}/messages/{message}/", about="message={message}")
    assert stage.tried(delete, Place(inside="reader", mine=True)) == EVERYONE
    assert stage.tried(delete, Place(inside="member", mine=True, archived=True)) == NOBODY
    assert stage.tried(delete, Place(inside="moderator", archived=True)) == NOBODY
    assert stage.tried(delete, Place(inside="moderator")) == EVERYONE
    assert stage.tried(delete, Place(inside="member")) == (403, 403, 200, 200, 200)
    assert stage.tried(delete, Place(inside="reader")) == (403, 403, 200, 200, 200)
    assert stage.tried(delete, Place(mine=True)) == UNSEEN


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_those_who_may_speak_in_a_room_react_in_it_also_where_only_moderators_post(stage: Stage, method: str) -> None:
    react = Act("message.react", method, "rooms/{room}/messages/{message}/reactions/👍/", about="message={message}")
    assert stage.tried(react, Place(inside="member")) == EVERYONE
    assert stage.tried(react, Place(inside="member", posting="moderators")) == EVERYONE
    assert stage.tried(react, Place(inside="reader")) == NOBODY
    assert stage.tried(react, Place(inside="moderator", archived=True)) == NOBODY
    for place in (Place(), Place(kind="open")):
        assert stage.tried(react, place) == UNSEEN


def test_the_page_on_permissions_shows_an_explanation_as_it_is_given(stage: Stage) -> None:
    answer = stage.ask("both", "GET", f"permissions/explain/?verb=message.send&room={stage.cast.rooms['den']}")
    assert json.loads(answer.content) == json.loads(PAGE.read_text().split("```json\n")[1].split("```")[0])
