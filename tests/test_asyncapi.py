"""The socket's document: it knows every frame, and its schemas take what the wire takes."""

from typing import Any

import jsonschema
import msgspec
import pytest
from django.test import Client

from chat import protocol
from chat.asyncapi import document
from chat.protocol import COMMANDS, EVENTS, ErrorFrame, Ok
from core.errors import ConclaveError

pytestmark = pytest.mark.once
ID = "01890000-0000-7000-8000-000000000000"
FRAMES = (*COMMANDS, *EVENTS, Ok, ErrorFrame)
MESSAGE = {
    "id": ID, "kind": "text", "room": ID, "number": 1, "rev": 1, "author": {"id": ID, "display_name": "Ada"},
    "body": "x", "html": None, "nonce": "n", "reply_to": None,
    "reactions": [{"emoji": "👍", "count": 1, "users": [ID]}],
    "created_at": "2026-01-01T00:00:00.000Z", "edited_at": None, "deleted_at": None,
}  # fmt: skip
ROOM = {"id": ID, "name": "Den", "kind": "private", "topic": "", "posting": "everyone", "history": "shared"}
INSIDE = {**ROOM, "archived_at": None, "room_role": "member", "rev": 1, "number": 1, "unread": 0}
EXAMPLES: dict[type, dict[str, Any]] = {
    protocol.Subscribe: {"room": ID, "since": {"epoch": ID, "rev": 0}, "limit": 100},
    protocol.Unsubscribe: {"room": ID},
    protocol.MessageSend: {"room": ID, "body": "x", "nonce": "n", "reply_to": None},
    protocol.MessageEdit: {"message": ID, "body": "x", "rev": 1},
    protocol.MessageDelete: {"message": ID},
    protocol.ReactionAdd: {"message": ID, "emoji": "👍"},
    protocol.ReactionRemove: {"message": ID, "emoji": "👍"},
    protocol.Read: {"room": ID, "number": 1},
    protocol.Typing: {"room": ID},
    protocol.Authenticate: {"token": "eyJ"},
    protocol.Hello: {},
    protocol.Ping: {},
    protocol.MessageCreated: {"room": ID, "rev": 1, "message": MESSAGE},
    protocol.MessageUpdated: {"room": ID, "rev": 1, "message": {**MESSAGE, "author": None}},
    protocol.MessageDeleted: {"room": ID, "rev": 1, "message": MESSAGE},
    protocol.HelloEvent: {
        "protocol": "conclave.v1", "epoch": ID, "connection": ID, "user": {"id": ID, "display_name": "Ada"},
        "tenant": {"id": ID, "slug": "acme", "name": "Acme"}, "tenant_role": "member", "heartbeat": 25,
        "expires_at": None, "rooms": [INSIDE], "rooms_more": False,
    },
    protocol.ReadEvent: {"room": ID, "number": 1},
    protocol.TypingEvent: {"room": ID, "user": {"id": ID, "display_name": "Ada"}},
    protocol.PresenceEvent: {
        "room": ID, "count": 1, "here": [{"id": ID, "display_name": "Ada"}],
        "joined": [{"id": ID, "display_name": "Ada"}], "left": [ID],
    },
    protocol.RoomAdded: {"room": INSIDE},
    protocol.RoomUpdated: {"room": {**INSIDE, "people": [{"id": ID, "display_name": "Ada"}]}},
    protocol.RoomRemoved: {"room": ID},
    protocol.MemberChanged: {"room": ID, "user": ID},
    protocol.RoleChanged: {"tenant_role": "admin"},
    protocol.Resync: {},
    protocol.PingEvent: {},
    protocol.Bye: {"code": "restart", "detail": "The server restarts"},
    Ok: {"id": "1", "result": {}},
    ErrorFrame: {"id": None, "code": "invalid", "detail": "No", "retry_after": 1.5},
}  # fmt: skip


def resolved(reference: str) -> Any:
    """What a `#/…` reference of the document leads to."""
    found: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [each for item in part for each in references(item)]
    if not isinstance(part, dict):
        return []
    here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return here + [each for item in part.values() for each in references(item)]


def validator(frame: type) -> jsonschema.Draft202012Validator:
    payload = document()["components"]["messages"][frame.__name__]["payload"]
    return jsonschema.Draft202012Validator({**payload, "components": document()["components"]})


@pytest.mark.once
@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__name__)
def test_every_frame_is_in_the_document_and_its_schema_takes_what_the_wire_takes(frame: Any) -> None:
    tag = frame.__struct_config__.tag
    message = document()["components"]["messages"][frame.__name__]
    assert message["name"] == tag
    example = {"type": tag, **({"id": "1"} if frame in COMMANDS else {}), **EXAMPLES[frame]}
    assert msgspec.to_builtins(msgspec.convert(example, frame)).items() >= example.items()
    assert validator(frame).is_valid(example)
    assert not validator(frame).is_valid({**example, "type": "other"})
    if frame in COMMANDS:
        for wrong in ({**example, "extra": 1}, {**example, "id": ""}, {**example, "id": 1}):
            assert not validator(frame).is_valid(wrong)
    for channel in ("tenant", "room"):
        commands, events = (document()["operations"][f"{channel}.{name}"] for name in ("commands", "events"))
        place = commands if frame in COMMANDS else events if frame in EVENTS else commands["reply"]
        assert message in [resolved(resolved(each["$ref"])["$ref"]) for each in place["messages"]]


@pytest.mark.once
def test_every_reference_of_the_document_leads_somewhere() -> None:
    found = references(document())
    assert found
    for reference in found:
        assert resolved(reference)


@pytest.mark.once
def test_the_document_names_the_ways_in_and_the_ends() -> None:
    told = document()
    assert {each["address"] for each in told["channels"].values()} == {"/ws/v1/{slug}/", "/ws/v1/{slug}/rooms/{room}/"}
    assert [each["$ref"].rsplit("/")[-1] for each in told["servers"]["this"]["security"]] == [
        "bearer",
        "subprotocol",
        "cookie",
    ]
    codes = {each["close"] for each in told["x-close-codes"]}
    assert codes == {kind.close for kind in ConclaveError.__subclasses__()} - {None}
    assert {4400, 4401, 4403, 4408, 4410, 4411, 4429, 1009, 1011, 1012, 1013} <= codes


@pytest.mark.once
def test_anybody_may_read_the_document() -> None:
    answer = Client().get("/api/asyncapi.json")
    assert answer.status_code == 200 and answer["Content-Type"] == "application/json"
    assert answer.json() == document() and answer.json()["asyncapi"] == "3.0.0"
