"""docs/protocol.md says what the product does: every example in it is read by the wire, every table is complete."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from msgspec.structs import fields

from chat import protocol
from chat.parsing import parse
from core import errors
from core.api import Problem
from core.errors import ConclaveError
from core.openapi import schema
from tests.processes import ROOT
from tests.test_bad_input_rest import _endpoints

pytestmark = pytest.mark.once

TEXT = (ROOT / "docs" / "protocol.md").read_text()
LIST = {
    "type": "object",
    "required": ["next", "previous", "results"],
    "additionalProperties": False,
    "properties": {"next": {}, "previous": {}, "results": {}},
}


def examples(kind: str) -> list[dict[str, Any]]:
    """The objects in the blocks that are opened by this word."""
    found: list[dict[str, Any]] = []
    for block in re.findall(rf"^```json {kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        found += _objects(block)
    assert found, kind
    return found


def _objects(block: str) -> Iterator[dict[str, Any]]:
    rest = block.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        assert isinstance(value, dict)
        yield value
        rest = rest[end:].strip()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table after the line that begins so."""
    after = TEXT[TEXT.index(f"\n{heading}") :]
    table = re.search(r"^\|.*?\n\|[-|]+\n((?:\|.*\n)+)", after, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[1].splitlines()]


def words(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)\??`", cell)


def test_every_example_is_of_a_kind_that_is_checked() -> None:
    kinds = set(re.findall(r"^```json ?(.*)$", TEXT, re.MULTILINE))
    assert kinds == {"command", "answer", "event", "catch-up", "message", "room", "problem", "list"}


def test_every_command_is_shown_and_is_read() -> None:
    shown = [parse(json.dumps(each)) for each in examples("command")]
    assert {type(frame) for frame in shown} == set(protocol.COMMANDS)


def test_every_command_is_listed_with_its_fields() -> None:
    listed = {words(name)[0]: set(words(held)) for name, held, _ in rows("## Frames")}
    known = {tag(each): {field.encode_name for field in fields(each)} - {"id"} for each in protocol.COMMANDS}
    assert listed == known


def test_every_event_is_listed_and_every_example_is_one() -> None:
    known = {tag(each): each for each in protocol.EVENTS}
    assert {words(row[0])[0] for row in rows("## Events")} == set(known)
    for each in examples("event"):
        jsonschema.validate(each, schema(known[each["type"]]))
        assert set(each) <= {"type", *(field.encode_name for field in fields(known[each["type"]]))}
    for row in rows("## Events"):
        names = {field.encode_name for field in fields(known[words(row[0])[0]])}
        assert set(words(row[1])) - {"rooms"} <= names, row


def test_answers_and_shapes_are_as_the_structs_write_them() -> None:
    kinds: dict[str, Any] = {"message": protocol.MessageShape, "catch-up": protocol.CatchUp, "problem": Problem}
    for kind, struct in kinds.items():
        for each in examples(kind):
            jsonschema.validate(each, schema(struct))
            assert set(each) == {field.encode_name for field in fields(struct)}
    for each in examples("room"):
        jsonschema.validate(each, schema(protocol.RoomShape))
        assert set(each) == {field.encode_name for field in fields(protocol.RoomShape)} - {"people"}
    for each in examples("answer"):
        jsonschema.validate(each, schema(protocol.Ok if each["type"] == "ok" else protocol.ErrorFrame))
        assert each["type"] == "ok" or each["code"] in codes()
    for each in examples("list"):
        jsonschema.validate(each, LIST)


def test_every_code_is_listed_with_its_status_and_close() -> None:
    listed = {words(code)[0]: (status, close) for code, status, close, _ in rows("## Come back")}
    assert listed == codes()


def codes() -> dict[str, tuple[str, str]]:
    """Every code with its HTTP status and its close code, empty where that way never says it."""
    found: dict[str, tuple[str, str]] = {}
    for kind in vars(errors).values():
        if not (isinstance(kind, type) and issubclass(kind, ConclaveError)) or kind is ConclaveError:
            continue
        status = "" if kind in (errors.SlowConsumer, errors.Restart) else str(kind.status)
        close = str(kind.close or "")
        if kind.http_code:
            found[kind.http_code] = (status, "")
            status = ""
        found[kind.code] = (status, close)
    return found


def test_every_address_is_listed_with_its_methods() -> None:
    listed = {words_of(row[0]): set(re.findall(r"\b[A-Z]{3,6}\b", row[1])) for row in rows("## REST")}
    assert listed == {each.path.removeprefix("/api/v1"): set(each.methods) for each in _endpoints()}


def words_of(cell: str) -> str:
    return cell.strip("`| ")


def test_the_limits_named_are_those_that_hold(settings: Any) -> None:
    assert settings.SOCKET_FRAME_BYTES == 128 * 1024 and "at most 128 KiB" in TEXT
    assert settings.SOCKET_PAGE_BYTES == settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 256 * 1024 and "256 KiB" in TEXT
    assert settings.SOCKET_BAD_FRAMES == 10 and "the tenth in a minute" in TEXT
    assert settings.ACCESS_TOKEN_LIFETIME.total_seconds() == 900 and "lives 15 minutes" in TEXT
    assert settings.REFRESH_GRACE.total_seconds() == 30 and "within 30 s" in TEXT


def tag(struct: Any) -> str:
    return str(struct.__struct_config__.tag)
