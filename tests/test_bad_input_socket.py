"""Bad input on the socket: one answer of the contract to each frame, nothing half-written, and the socket lives on."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests import environment
from tests.cast import Cast, Person
from tests.fuzz import NIL, NOWHERE, SHAPE, TRICKY, TWISTED_IDS, broken, explore, text, values
from tests.processes import Process

CODES = {"bad_frame", "invalid", "not_authenticated", "expired", "revoked", "forbidden", "not_found", "conflict"}
"""What a bad frame may be told; `internal`, `unavailable` and `rate_limited` would be our fault here."""
PATIENCE = 15
FRAME_BYTES = 128 * 1024

samples = pytest.mark.parametrize("examples", [60, pytest.param(600, marks=pytest.mark.long)])


class Line:
    """A socket that is opened anew before its tenth bad frame in a minute would close it."""

    def __init__(self, server: Process, person: Person) -> None:
        self.heads: dict[str, tuple[int, int]] = {}
        self._server = server
        self._person = person
        self._wire: ClientConnection | None = None
        self._open = ExitStack()
        self._bad = 0

    def ask(self, raw: str | bytes) -> dict[str, Any]:
        """Send a frame, then ask `hello`: before that is answered there must be exactly one other answer."""
        self._send(raw)
        probe = str(uuid4())
        self._send(json.dumps({"type": "hello", "id": probe}))
        answers: list[dict[str, Any]] = []
        while (frame := self._receive()).get("id") != probe:
            if frame["type"] in ("ok", "error"):
                answers.append(frame)
        assert frame["type"] == "ok", frame
        [answer] = answers
        self._check(answer, frame["result"])
        return answer

    def _check(self, answer: dict[str, Any], hello: dict[str, Any]) -> None:
        heads = {room["id"]: (room["rev"], room["number"]) for room in hello["rooms"]}
        if answer["type"] == "error":
            assert set(answer) == {"type", "id", "code", "detail"}, answer
            assert answer["code"] in CODES and answer["detail"], answer
            assert self.heads in ({}, heads), "a refused frame moved a counter"
        else:
            assert set(answer) == {"type", "id", "result"}, answer
        self.heads = heads
        self._bad += answer.get("code") == "bad_frame"

    def _send(self, raw: str | bytes) -> None:
        if self._wire is None or self._bad == 9:
            self.close()
            self._wire = self._open.enter_context(open_wire(self._server, self._person))
        self._wire.send(raw)

    def _receive(self) -> dict[str, Any]:
        assert self._wire is not None
        frame: dict[str, Any] = json.loads(self._wire.recv(timeout=PATIENCE))
        return frame

    def close(self) -> None:
        self._open.close()
        self._wire, self._bad = None, 0


def open_wire(server: Process, person: Person) -> ClientConnection:
    return connect(
        f"{server.ws_url}/ws/v1/acme/",
        subprotocols=[Subprotocol("conclave.v1")],
        additional_headers=person.bearer,
        max_size=None,
        ping_interval=None,
        proxy=None,
    )


def until_closed(wire: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """Everything that still comes, and the code at the end."""
    frames: list[dict[str, Any]] = []
    try:
        while True:
            frames.append(json.loads(wire.recv(timeout=PATIENCE)))
    except ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


@pytest.fixture(scope="module")
def served(make_stack: Any) -> tuple[Process, Cast]:
    stack, cast = make_stack(environment.stack_name())
    return stack.serve()[0], cast


@pytest.fixture
def server(served: tuple[Process, Cast]) -> Iterator[Process]:
    """With no error in its log, whatever the test has sent."""
    yield served[0]
    log = served[0].log_text()
    assert "ready at" in log, "premise: this is where it logs"
    assert "Traceback" not in log and "[error" not in log, log[-4000:]


@pytest.fixture
def everything(served: tuple[Process, Cast]) -> Iterator[None]:
    """Nothing that anybody sees over REST is different after the test."""
    before = seen_by_all(*served)
    yield
    assert seen_by_all(*served) == before


@pytest.fixture
def people(served: tuple[Process, Cast]) -> Cast:
    return served[1]


@pytest.fixture
def line(server: Process, people: Cast) -> Iterator[Line]:
    line = Line(server, people.member)
    yield line
    line.close()


def seen_by_all(server: Process, cast: Cast) -> dict[str, Any]:
    """Rooms and messages of both organizations over REST, by those who are in all of the rooms between them."""
    found: dict[str, Any] = {}
    for name, slug in (("member", "acme"), ("owner", "acme"), ("globex_owner", "globex")):
        with httpx.Client(base_url=server.url, headers=cast.people[name].bearer) as http:
            rooms = http.get(f"/api/v1/tenants/{slug}/rooms/?joined=1").raise_for_status().json()["results"]
            for room in rooms:
                messages = http.get(f"/api/v1/tenants/{slug}/rooms/{room['id']}/messages/?limit=100")
                found[f"{name} {room['name']}"] = room, messages.raise_for_status().json()["results"]
    assert len(found) >= 5
    return found


def good(cast: Cast) -> dict[str, dict[str, Any]]:
    """One readable frame a command, with every field, that changes nothing that counts."""
    den, mine = cast.rooms["den"], cast.messages["den_member"]
    since = {"epoch": NIL, "rev": 1}
    return {
        "subscribe": {"room": den, "since": since, "limit": 5},
        "unsubscribe": {"room": den},
        "message.send": {"room": den, "body": "second in the den", "nonce": "den_member", "reply_to": None},
        "message.edit": {"message": mine, "body": "second in the den", "rev": 2},
        "message.delete": {"message": NOWHERE},
        "reaction.add": {"message": NOWHERE, "emoji": "👍"},
        "reaction.remove": {"message": NOWHERE, "emoji": "👍"},
        "read": {"room": den, "number": 1},
        "typing": {"room": den},
        "authenticate": {"token": cast.member.access},
        "hello": {},
        "ping": {},
    }


def schemas() -> dict[str, dict[str, Any]]:
    """The commands of the product by name, each with its JSON Schema."""
    from chat.protocol import COMMANDS  # noqa: PLC0415  settings first
    from core.openapi import schema  # noqa: PLC0415

    return {command.__struct_config__.tag: schema(command) for command in COMMANDS}


def test_every_command_is_broken_in_every_single_way(line: Line, people: Cast, everything: None) -> None:
    frames = good(people)
    assert set(frames) == set(schemas()), "a command that this sweep does not know"
    for name, schema in schemas().items():
        frame = {"type": name, "id": "1", **frames[name]}
        assert line.ask(json.dumps(frame)).get("code") in (None, "not_found"), f"premise: {name} is readable"
        for where, value, wrong in broken(schema, frame):
            if not isinstance(value, dict):
                continue
            expected = "bad_frame" if wrong == SHAPE or where.startswith(".type") else "invalid"
            answer = line.ask(json.dumps(value))
            assert answer.get("code") == expected, (name, where, answer)
            assert answer["id"] == (None if where.startswith(".id") else "1"), (name, where, answer)


def test_a_list_of_rooms_is_broken_in_every_single_way(line: Line, people: Cast, everything: None) -> None:
    schema = schemas()["subscribe"]
    entry = {"room": people.rooms["den"], "since": {"epoch": NIL, "rev": 1}}
    frame = {"type": "subscribe", "id": "1", "rooms": [entry]}
    assert line.ask(json.dumps(frame))["type"] == "ok"
    for where, value, wrong in broken(schema, frame):
        if isinstance(value, dict) and where.startswith(".rooms"):
            assert line.ask(json.dumps(value)).get("code") == ("bad_frame" if wrong == SHAPE else "invalid"), where
    many = {"type": "subscribe", "id": "1", "rooms": [{"room": NOWHERE}] * 101}
    assert line.ask(json.dumps(many))["code"] == "invalid"
    for both in ({"room": NOWHERE}, {"since": entry["since"]}):
        assert line.ask(json.dumps({**frame, **both}))["code"] == "bad_frame"
    assert line.ask('{"type": "subscribe", "id": "1"}')["code"] == "bad_frame"


def test_values_at_their_bounds_are_taken(line: Line, people: Cast) -> None:
    den = people.rooms["den"]
    for body, nonce in (("a", "n"), ("😀" * 8_000, "n" * 64), ("\u0800" * 8_000, "🔑" * 64)):
        sent = line.ask(json.dumps({"type": "message.send", "id": "i" * 64, "room": den, "body": body, "nonce": nonce}))
        assert sent["type"] == "ok" and sent["id"] == "i" * 64, sent
        message = sent["result"]["message"]
        assert (message["body"], message["nonce"]) == (body, nonce)
        edited = {
            "type": "message.edit",
            "id": "😀" * 64,
            "message": message["id"],
            "body": body[::-1] + "!"[: len(body) == 1],
        }
        assert line.ask(json.dumps(edited))["type"] == "ok"
        assert line.ask(json.dumps({**edited, "rev": 2**53 - 1}))["code"] == "conflict"
        assert line.ask(json.dumps({**edited, "rev": 0}))["code"] == "conflict"
    for limit in (0, 100):
        assert line.ask(json.dumps({"type": "subscribe", "id": "1", "room": den, "limit": limit}))["type"] == "ok"
    rooms = [{"room": den}, *({"room": str(uuid4())} for _ in range(99))]
    told = line.ask(json.dumps({"type": "subscribe", "id": "1", "rooms": rooms}))["result"]["rooms"]
    assert [each.get("code") for each in told] == [None, *["not_found"] * 99]
    for number in (0, 2**53 - 1):
        assert line.ask(json.dumps({"type": "read", "id": "1", "room": den, "number": number}))["type"] == "ok"


NO_FRAMES: tuple[str | bytes, ...] = (
    "",
    " ",
    "x",
    "null",
    "true",
    "1",
    '"ping"',
    "[]",
    '[{"type": "ping", "id": "1"}]',
    "{",
    "{}",
    "{'type': 'ping'}",
    '{"type": "ping", "id": "1"}}',
    '{"type": "ping", "id": "1"} {"type": "ping", "id": "2"}',
    '{"type": "ping", "id": "1",}',
    '\ufeff{"type": "ping", "id": "1"}',
    '{"type": "ping", "id": "1", "id": "1"}',
    '{"type": "ping", "type": "ping", "id": "1"}',
    '{"type": "ping", "id": "1", "x": {"a": 1, "a": 1}}',
    '{"type": "read", "id": "1", "room": "", "number": NaN}',
    '{"type": "read", "id": "1", "room": "", "number": -Infinity}',
    '{"type": "read", "id": "1", "room": "", "number": ' + "9" * 5_000 + "}",
    "[" * 60_000,
    '{"x":' * 20_000,
    "[" * 20_000 + "]" * 20_000,
    b"",
    b"\x00",
    b'{"type": "ping", "id": "1"}',
    b"\xff\xfe",
)


def test_what_is_no_frame_has_no_id_and_is_bad(line: Line, everything: None) -> None:
    for raw in NO_FRAMES:
        answer = line.ask(raw)
        assert (answer["code"], answer["id"]) == ("bad_frame", None), raw[:40]


NO_COMMANDS = (
    ("number", "1e999"),
    ("number", "1.0"),
    ("number", '"1"'),
    ("x", "[" * 30 + "]" * 30),
    ("x", '{"a":' * 30 + "1" + "}" * 30),
    ("type", '"PING"'),
    ("type", '"message.created"'),
    ("type", '"ok"'),
    ("type", '"websocket.disconnect"'),
    ("type", '"conclave.room"'),
    ("type", "{}"),
    ("type", "null"),
)


def test_what_is_no_command_is_bad_and_keeps_its_id(line: Line, everything: None) -> None:
    for field, raw in NO_COMMANDS:
        fields = {"type": '"read"', "id": '"mine"', "room": f'"{NOWHERE}"', "number": "1", field: raw}
        answer = line.ask("{" + ",".join(f'"{name}": {value}' for name, value in fields.items()) + "}")
        assert (answer["code"], answer["id"]) == ("bad_frame", "mine"), (field, raw)


def test_a_body_out_of_bounds_is_invalid_sent_or_edited(line: Line, people: Cast, everything: None) -> None:
    sent = {"type": "message.send", "id": "1", "room": people.rooms["den"], "nonce": str(uuid4())}
    edited = {"type": "message.edit", "id": "1", "message": people.messages["den_member"]}
    for body in ("", " ", "\n\t\r\v\f", "\u2003\u2028\u00a0", "a" * 8_001, "😀" * 8_001, "a\x00", "\ud83d"):
        for frame in (sent, edited):
            answer = line.ask(json.dumps({**frame, "body": body}))
            assert (answer["code"], answer["id"]) == ("invalid", "1"), body[:40]


def test_what_is_elsewhere_or_nowhere_is_not_found_in_the_same_words(
    line: Line, people: Cast, everything: None
) -> None:
    def told(frame: dict[str, Any]) -> Any:
        answer = line.ask(json.dumps({"id": "1", **frame}))
        return answer.get("code"), answer.get("detail")

    rooms = {"foreign": people.rooms["lab"], "private": people.rooms["vault"], "none": str(uuid4()), "nil": NIL}
    messages = {"foreign": people.messages["lab_owner"], "private": people.messages["vault_owner"], "none": NOWHERE}
    own = {"room": people.rooms["den"], "body": "x"}
    for frame in (
        {"type": "subscribe"},
        {"type": "message.send", "body": "x", "nonce": "x"},
        {"type": "read", "number": 1},
        {"type": "typing"},
    ):
        assert {told({**frame, "room": room}) for room in rooms.values()} == {told({**frame, "room": NOWHERE})}
        assert told({**frame, "room": NOWHERE})[0] == "not_found"
    for frame in (
        {"type": "message.edit", "body": "x"},
        {"type": "message.delete"},
        {"type": "reaction.add", "emoji": "👍"},
        {"type": "reaction.remove", "emoji": "👍"},
    ):
        assert {told({**frame, "message": each}) for each in messages.values()} == {("not_found", "No such message.")}
    for each in (*messages.values(), people.messages["talk_member"]):
        assert told({"type": "message.send", **own, "nonce": each, "reply_to": each})[0] == "not_found"


NO_EMOJI = ("", "a", "ok", "👍a", "1", " ", "👍 ", "\u200d", "\ufe0f", "👍" * 17, "👍\n", "<b>", "é", "\x00", "\ud83d")


def test_what_is_no_emoji_is_invalid(line: Line, people: Cast, everything: None) -> None:
    frame = {"type": "reaction.add", "id": "1", "message": people.messages["den_member"]}
    for emoji in NO_EMOJI:
        assert line.ask(json.dumps({**frame, "emoji": emoji}))["code"] == "invalid", ascii(emoji)


NO_TOKENS = ("x", "eyJ", "eyJ.eyJ.x", "ccl_x", "a" * 4_096, "é😀", "\r\nX: y", " ", "Bearer x", "bearer.")


def test_a_bad_token_is_refused_and_the_socket_goes_on_with_the_good_one(line: Line, everything: None) -> None:
    for token in NO_TOKENS:
        answer = line.ask(json.dumps({"type": "authenticate", "id": "1", "token": token}))
        assert answer["code"] == "not_authenticated", token[:40]


# --- with hypothesis


def id_in(raw: str) -> str | None:
    """The id that a frame shows, as a client would read it: nothing where the frame is no JSON object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    try:
        shown = json.loads(raw, object_pairs_hook=once, parse_constant=lambda _: 1 / 0)["id"]
        shown.encode()
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, ArithmeticError):
        return None
    return shown if 1 <= len(shown) <= 64 and "\x00" not in shown else None


@samples
def test_any_text_gets_one_answer(line: Line, people: Cast, examples: int) -> None:
    frames = [json.dumps({"type": name, "id": "1", **fields}) for name, fields in good(people).items()]
    cut = st.tuples(st.sampled_from(frames), st.integers(0, 200), st.integers(0, 9), st.text(max_size=4)).map(
        lambda c: c[0][: c[1]] + c[3] + c[0][c[1] + c[2] :]
    )

    def check(raw: str) -> None:
        answer = line.ask(raw)
        assert answer["id"] == id_in(raw)

    explore(examples, check, st.one_of(cut, cut, st.text(), values.map(json.dumps)).filter(is_unicode))


def is_unicode(raw: str) -> bool:
    """Whether it can be a text frame at all."""
    try:
        return bool(raw.encode()) or True
    except UnicodeEncodeError:
        return False


@samples
def test_any_values_in_any_fields_get_one_answer(line: Line, people: Cast, examples: int) -> None:
    fields = sorted({name for schema in schemas().values() for name in schema["properties"]} - {"type"})
    ids = st.sampled_from([*people.rooms.values(), *people.messages.values(), *TWISTED_IDS, NIL, NOWHERE])
    frame = st.builds(
        lambda name, chosen, keep: {"type": name, "id": "1", **(good(people)[name] if keep else {}), **chosen},
        st.sampled_from(sorted(schemas())),
        st.dictionaries(st.sampled_from(fields), st.one_of(ids, text, values), max_size=4),
        st.booleans(),
    )
    seen: set[str] = set()

    def check(frame: dict[str, Any]) -> None:
        raw = json.dumps(frame)
        answer = line.ask(raw)
        assert answer["id"] == id_in(raw)
        seen.add(answer.get("code", "ok"))

    explore(examples * 2, check, frame)
    assert {"ok", "bad_frame", "invalid", "not_found"} <= seen, "premise: it does reach all of them"


@samples
def test_any_text_is_kept_as_it_was_sent(line: Line, people: Cast, examples: int) -> None:
    def check(body: str) -> None:
        frame = {"type": "message.send", "id": "1", "room": people.rooms["den"], "body": body, "nonce": str(uuid4())}
        answer = line.ask(json.dumps(frame))
        sound = is_unicode(body) and "\x00" not in body and bool(body.strip())
        assert answer.get("code") == (None if sound else "invalid"), answer
        if sound:
            message = answer["result"]["message"]
            assert message["body"] == body
            assert "<script" not in (message["html"] or "") and '="javascript:' not in (message["html"] or "")

    for body in TRICKY:
        check(body)
    explore(examples, check, text)


@samples
def test_any_reaction_is_kept_as_it_was_sent_or_refused(line: Line, people: Cast, examples: int) -> None:
    message = people.messages["den_moderator"]

    def check(emoji: str) -> None:
        frame = {"type": "reaction.add", "id": "1", "message": message, "emoji": emoji}
        answer = line.ask(json.dumps(frame))
        if answer["type"] == "ok":
            assert emoji in [each["emoji"] for each in answer["result"]["message"]["reactions"]]
            gone = line.ask(json.dumps({**frame, "type": "reaction.remove"}))
            assert gone["result"]["message"]["reactions"] == []
        else:
            assert answer["code"] == "invalid"

    for emoji in ("👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏿", "#️⃣", "❤️", "🏽"):
        check(emoji)
    explore(examples, check, text)


@samples
def test_any_binary_frame_is_bad(line: Line, everything: None, examples: int) -> None:
    def check(data: bytes) -> None:
        answer = line.ask(data)
        assert (answer["code"], answer["id"]) == ("bad_frame", None)

    explore(examples, check, st.binary(max_size=200))


# --- what ends a socket


def test_the_tenth_bad_frame_in_a_minute_closes_and_the_invalid_never_count(server: Process, people: Cast) -> None:
    with open_wire(server, people.member) as wire:
        assert json.loads(wire.recv())["type"] == "hello"
        for _ in range(30):
            wire.send('{"type": "read", "id": "1", "room": "nonsense", "number": 1}')
            assert json.loads(wire.recv(PATIENCE))["code"] == "invalid"
        for number in range(9):
            wire.send("nonsense")
            assert json.loads(wire.recv(PATIENCE))["code"] == "bad_frame"
            wire.send(f'{{"type": "ping", "id": "{number}"}}')
            assert json.loads(wire.recv(PATIENCE)) == {"type": "ok", "id": str(number), "result": {}}
        wire.send("nonsense")
        with suppress(ConnectionClosed):  # the end may be quicker than this frame
            wire.send('{"type": "ping", "id": "late"}')
        frames, code = until_closed(wire)
        assert [(frame["type"], frame["code"]) for frame in frames] == [("error", "bad_frame"), ("bye", "bad_frame")]
        assert code == 4400


def test_a_frame_of_128_kib_is_read_and_one_byte_more_closes(server: Process, people: Cast) -> None:
    frame = '{"type": "ping", "id": "1"}'
    with open_wire(server, people.member) as wire:
        wire.send(frame + " " * (FRAME_BYTES - len(frame)))
        assert [json.loads(wire.recv(PATIENCE))["type"] for _ in range(2)] == ["hello", "ok"]
        wire.send(frame + " " * (FRAME_BYTES - len(frame) + 1))
        frames, code = until_closed(wire)
        assert [(each["type"], each["code"]) for each in frames] == [("bye", "too_large")]
        assert code == 1009


def test_pieces_that_add_up_to_more_close_too(server: Process, people: Cast) -> None:
    with open_wire(server, people.member) as wire:
        wire.recv(PATIENCE)
        wire.send(["x" * (FRAME_BYTES // 2)] * 3)
        assert until_closed(wire)[1] == 1009


def test_bad_utf_8_closes(server: Process, people: Cast) -> None:
    for raw in (b"\xff", b'{"type": "ping", "id": "\xc3\x28"}', b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"):
        with open_wire(server, people.member) as wire:
            wire.recv(PATIENCE)
            wire.send(raw, text=True)
            frames, code = until_closed(wire)
            assert [(each["type"], each["code"]) for each in frames] == [("bye", "bad_frame")], raw
            assert code == 1007
