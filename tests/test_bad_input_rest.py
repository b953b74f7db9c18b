"""Bad input over REST: always a problem of the contract, never a 5xx, and nothing half-written."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from hypothesis import strategies as st

from core.models import Allowance
from tests.cast import Cast
from tests.fuzz import NOWHERE, SHAPE, TWISTED_IDS, UNREADABLE, broken, explore, text, values

pytestmark = pytest.mark.on_real

STATUS = {
    "bad_request": {400, 405, 406, 415},
    "invalid": {400},
    "not_authenticated": {401},
    "expired": {401},
    "revoked": {401},
    "forbidden": {403},
    "tenant_suspended": {403},
    "no_seat": {404},
    "not_found": {404},
    "conflict": {409},
    "too_large": {413},
}
"""What bad input may be told. 405, 406 and 415 are HTTP's own words for a `bad_request`."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NO_JSON: tuple[bytes, ...] = (
    b"",
    b" ",
    b"x",
    b"null",
    b"1",
    b'"x"',
    b"[]",
    b"{",
    b"{'a': 1}",
    b'{"name": "x", "name": "x"}',
    b'{"name": NaN}',
    b'{"name": -Infinity}',
    b'{"name": ' + b"9" * 5_000 + b"}",
    b'{"name": ' + b"[" * 60_000,
    b'{"x":' * 30 + b"1" + b"}" * 30,
    b'{"name": "\xff"}',
    b'{"name": "\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"name": "x"}',
    '{"name": "x"}'.encode("utf-16"),
)
NO_TOKENS = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer x y",
    "bearer eyJ.eyJ.x",
    "Basic YTpi",
    "Token x",
    "Bearer \xff\xe9",
    "x" * 5_000,
)

samples = pytest.mark.parametrize("examples", [100, pytest.param(800, marks=pytest.mark.long)])


class Endpoint(NamedTuple):
    """An address with `{names}` in it, the methods it has, and what its document says of each."""

    path: str
    methods: dict[str, dict[str, Any]]

    def body(self, method: str) -> dict[str, Any] | None:
        content = self.methods[method].get("requestBody", {}).get("content", {})
        found: dict[str, Any] | None = content["application/json"]["schema"] if content else None
        return found

    def query(self, method: str) -> dict[str, dict[str, Any]]:
        listed = self.methods[method].get("parameters", ())
        return {each["name"]: each["schema"] for each in listed if each["in"] == "query"}

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


def walk(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        elif route.startswith("api/v1/"):
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route), pattern.callback.cls


def _endpoints() -> list[Endpoint]:
    """From the URLconf, not from the document: what the document forgets fails here."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [
        Endpoint(path, {method: paths[path][method.lower()] for method in METHODS if hasattr(view, method.lower())})
        for path, view in walk(get_resolver().url_patterns)
    ]


@pytest.fixture(scope="module")
def endpoints() -> list[Endpoint]:
    found = _endpoints()
    assert len(found) > 20, "premise: the walk finds the API"
    return found


class Caller:
    """The owner of acme with a token, at addresses that are all real unless a test says otherwise."""

    def __init__(self, cast: Cast) -> None:
        self.headers = cast.owner.bearer
        self.client = Client()
        self.names = {
            "slug": "acme",
            "room": cast.rooms["lobby"],
            "message": cast.messages["lobby_owner"],
            "user": cast.member.id,
            "login": NOWHERE,
            "invitation": NOWHERE,
            "token": "nonsense",
            "emoji": "👍",
            "name": "guest",
        }

    def ask(self, method: str, path: str, body: bytes = b"", **more: Any) -> HttpResponse:
        headers = self.headers | more.pop("headers", {})
        content = more.pop("content_type", "application/json")
        place = "".join(f"?{urlencode(query)}" for query in more.pop("query", [])[:1])
        address = path.format(**{name: quote(value, safe="") for name, value in {**self.names, **more}.items()})
        answer: HttpResponse = self.client.generic(method, address + place, body, content_type=content, headers=headers)
        return answer

    def code(self, method: str, path: str, body: bytes = b"", **more: Any) -> str:
        return problem(self.ask(method, path, body, **more))


def problem(answer: HttpResponse) -> str:
    """Its code, once everything about it is as the contract has it."""
    assert answer.status_code >= 400, answer.content
    assert answer["Content-Type"] == "application/problem+json", (answer.status_code, answer["Content-Type"])
    told = json.loads(answer.content)
    assert set(told) - {"errors"} == {"type", "title", "status", "detail", "code"}, told
    assert answer.status_code == told["status"] and told["status"] in STATUS[told["code"]], told
    assert told["detail"] and told["title"] and told["type"].endswith(f"#{told['code']}"), told
    return str(told["code"])


def everything() -> dict[str, Any]:
    """How many rows each table has but the one that counts tries, and where each room's counters stand."""
    models = [model for model in apps.get_models() if model is not Allowance]
    counts = {model._meta.label: model._default_manager.count() for model in models}
    rooms = apps.get_model("chat", "Room").objects.values_list("pk", "rev", "number", "readers_version", "name")
    messages = apps.get_model("chat", "Message").objects.values_list("pk", "rev", "body")
    return {**counts, "rooms": sorted(rooms), "messages": sorted(messages)}


@pytest.fixture
def caller(cast: Cast) -> Caller:
    return Caller(cast)


@pytest.fixture
def nothing_changes(cast: Cast) -> Iterator[None]:
    before = everything()
    assert before["rooms"] and before["accounts.User"]
    yield
    assert everything() == before


def sample(schema: dict[str, Any]) -> Any:
    """The plainest value that the schema takes, with every field."""
    for option in schema.get("anyOf", [schema]):
        if "enum" in option:
            return option["enum"][0]
        if "0-9a-f" in option.get("pattern", ""):
            return NOWHERE
        if option.get("format") == "date-time":
            return "2999-01-01T00:00:00Z"
        if "type" in option:
            return _PLAINEST[option["type"]](option)
    raise AssertionError(schema)


_PLAINEST: dict[str, Any] = {
    "string": lambda option: "abc"[: option.get("maxLength", 3)],
    "integer": lambda option: option.get("minimum", 0),
    "boolean": lambda _: True,
    "array": lambda option: [sample(option["items"])],
    "object": lambda option: {name: sample(field) for name, field in option.get("properties", {}).items()},
    "null": lambda _: None,
}


def bodies(endpoints: list[Endpoint]) -> list[tuple[Endpoint, str, dict[str, Any]]]:
    found = [(each, method, each.body(method)) for each in endpoints for method in each.methods]
    taking = [(each, method, schema) for each, method, schema in found if schema]
    assert len(taking) > 10, "premise: the document tells of bodies"
    return taking


def test_every_address_is_known_to_this_sweep(endpoints: list[Endpoint], caller: Caller) -> None:
    assert {name for each in endpoints for name in each.names} <= set(caller.names)


def test_every_body_is_broken_in_every_single_way(
    endpoints: list[Endpoint], caller: Caller, nothing_changes: None
) -> None:
    for endpoint, method, schema in bodies(endpoints):
        for where, value, wrong in broken(schema, sample(schema)):
            if isinstance(value, dict):
                told = caller.code(method, endpoint.path, json.dumps(value).encode())
                assert told == ("bad_request" if wrong == SHAPE else "invalid"), (method, endpoint.path, where)


def test_what_is_no_json_object_is_a_bad_request(
    endpoints: list[Endpoint], caller: Caller, nothing_changes: None
) -> None:
    for endpoint, method, _ in bodies(endpoints):
        for raw in NO_JSON:
            assert caller.code(method, endpoint.path, raw) == "bad_request", (method, endpoint.path, raw[:40])


def test_another_media_type_is_refused(endpoints: list[Endpoint], caller: Caller, nothing_changes: None) -> None:
    for endpoint, method, schema in bodies(endpoints):
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "x",
            "application/jsonx",
        ):
            answer = caller.ask(method, endpoint.path, json.dumps(sample(schema)).encode(), content_type=kind)
            assert (answer.status_code, problem(answer)) == (415, "bad_request"), (method, endpoint.path, kind)


def test_an_oversize_body_is_too_large(endpoints: list[Endpoint], caller: Caller, nothing_changes: None) -> None:
    for endpoint, method, _ in bodies(endpoints):
        huge = b'{"name": "' + b"a" * 256 * 1024 + b'"}'
        answer = caller.ask(method, endpoint.path, huge)
        assert (answer.status_code, problem(answer)) == (413, "too_large"), (method, endpoint.path)


def test_a_method_that_an_address_lacks_is_405(
    endpoints: list[Endpoint], caller: Caller, nothing_changes: None
) -> None:
    for endpoint in endpoints:
        for method in (*METHODS, "TRACE", "BREW"):
            if method not in endpoint.methods:
                answer = caller.ask(method, endpoint.path)
                assert (answer.status_code, problem(answer)) == (405, "bad_request"), (method, endpoint.path)
                assert set(answer["Allow"].split(", ")) >= set(endpoint.methods)


NO_NAMES = (*(each for each in TWISTED_IDS if each != "me"), NOWHERE, "a\x00", "%", "\U0001f600", "..")


def test_twisted_ids_in_an_address_lead_nowhere(
    endpoints: list[Endpoint], caller: Caller, nothing_changes: None
) -> None:
    for endpoint in endpoints:
        method, body = next(iter(endpoint.methods)), b""
        if schema := endpoint.body(method):
            body = json.dumps(sample(schema)).encode()
        for name in set(endpoint.names) - {"emoji"}:
            for twisted in NO_NAMES:
                answer = caller.ask(method, endpoint.path, body, **{name: twisted})
                assert answer.status_code == 404, (endpoint.path, name, twisted)
                assert problem(answer) in ("not_found", "no_seat")


def test_what_is_no_emoji_in_an_address_is_refused(endpoints: list[Endpoint], caller: Caller) -> None:
    [endpoint] = [each for each in endpoints if "emoji" in each.names]
    before = everything()
    for method in endpoint.methods:
        for emoji in ("a", "%", "\x00", "👍👍a", "👍" * 40, "<", " ", "é", "\n"):
            assert caller.code(method, endpoint.path, emoji=emoji) == "invalid", (method, emoji)
    assert everything() == before
    assert caller.ask("PUT", endpoint.path).status_code == 200
    assert everything() != before


BAD_NUMBERS = (
    "",
    "-1",
    str(2**53),
    "1" * 400,
    "1.0",
    "+1",
    "1_0",
    " 1",
    "1 ",
    "٣",
    "１",
    "x",
    "0x1",
    "1e1",
    "01",
    "\x00",
    "1\n",
)


def bad_values(name: str, schema: dict[str, Any]) -> tuple[str, ...]:
    if schema.get("type") == "integer":
        return BAD_NUMBERS if "enum" not in schema else (*BAD_NUMBERS, "2", "true")
    if "enum" in schema:
        return ("nonsense", "", schema["enum"][0].upper(), schema["enum"][0] + "\n", "\x00")
    if "0-9a-f" in schema.get("pattern", ""):
        return TWISTED_IDS
    if name == "cursor":
        return ("", "x", "W10:1:x", "\x00", "é")
    return ("a" * 81, "a\x00")


def test_every_query_parameter_is_checked(endpoints: list[Endpoint], caller: Caller, nothing_changes: None) -> None:
    seen = set()
    for endpoint in endpoints:
        for method in endpoint.methods:
            for name, schema in endpoint.query(method).items():
                seen.add(name)
                for value in bad_values(name, schema):
                    together = (
                        {"epoch": NOWHERE, "since": "1"}
                        if name in ("epoch", "since")
                        else {"verb": "room.see"}
                        if "verb" in endpoint.query(method)
                        else {}
                    )
                    told = caller.code(method, endpoint.path, query=[{**together, name: value}])
                    assert told == "invalid", (endpoint.path, name, value)
    assert {"limit", "cursor", "before", "after", "around", "epoch", "since", "q", "role", "verb", "joined"} <= seen


def test_epoch_and_since_and_two_places_do_not_go_alone_or_together(caller: Caller) -> None:
    room = "/api/v1/tenants/{slug}/rooms/{room}/"
    assert caller.ask("GET", room + "messages/", query=[{"before": "2"}]).status_code == 200
    assert caller.code("GET", room + "messages/", query=[{"before": "2", "after": "1"}]) == "invalid"
    for half in ({"epoch": NOWHERE}, {"since": "1"}):
        assert caller.code("GET", room + "changes/", query=[half]) == "invalid"


def test_a_key_that_no_header_should_hold_is_invalid(
    endpoints: list[Endpoint], caller: Caller, cast: Cast, nothing_changes: None
) -> None:
    good = {
        "/api/v1/tenants/": {"name": "New", "slug": "new-one"},
        "/api/v1/tenants/{slug}/rooms/": {"name": "New"},
        "/api/v1/tenants/{slug}/rooms/{room}/members/": {"user": cast.guest.id},
        "/api/v1/tenants/{slug}/invitations/": {},
        "/api/v1/tenants/{slug}/roles/": {"name": "helper", "rank": 15, "base": "guest"},
    }
    taking = {each.path for each in endpoints if "Idempotency-Key" in json.dumps(each.methods.get("POST", {}))}
    assert taking == set(good)
    for path, body in good.items():
        for key in ("", " ", "a b", "a" * 256, "é", "\x7f", "a\tb"):
            told = caller.code("POST", path, json.dumps(body).encode(), headers={"Idempotency-Key": key})
            assert told == "invalid", (path, key)


def test_a_key_used_for_another_body_is_a_conflict_and_makes_nothing(caller: Caller) -> None:
    rooms, key = "/api/v1/tenants/{slug}/rooms/", {"headers": {"Idempotency-Key": "k" * 255}}
    assert caller.ask("POST", rooms, b'{"name": "One"}', **key).status_code == 201
    before = everything()
    assert caller.code("POST", rooms, b'{"name": "Two"}', **key) == "conflict"
    assert everything() == before
    assert caller.code("POST", rooms, b'{"name": 2}', **key) == "bad_request"


def test_a_bad_token_is_refused_at_every_address(endpoints: list[Endpoint], caller: Caller) -> None:
    preview = "/api/v1/invitations/{token}/"
    for endpoint in endpoints:
        for token in NO_TOKENS:
            for method in endpoint.methods:
                told = caller.code(method, endpoint.path, headers={"Authorization": token})
                assert told in ("not_authenticated", "not_found" if endpoint.path == preview else ""), (endpoint, token)


@samples
def test_any_request_gets_an_answer_of_the_contract(
    endpoints: list[Endpoint], caller: Caller, cast: Cast, examples: int
) -> None:
    acts = [(each, method) for each in endpoints for method in each.methods]
    fields = sorted({name for _, _, schema in bodies(endpoints) for name in schema["properties"]})
    queries = sorted({name for each, method in acts for name in each.query(method)})
    ids = st.sampled_from([*cast.rooms.values(), *cast.messages.values(), cast.guest.id, "acme", *TWISTED_IDS])
    header = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=30)
    headers = st.fixed_dictionaries(
        {},
        optional={
            "Idempotency-Key": header,
            "Accept": st.one_of(
                header, st.sampled_from(["text/html", "*/*;q=0", "application/json;indent=4", "application/xml, */*"])
            ),
            "Accept-Language": header,
            "If-None-Match": header,
            "Range": header,
            "Origin": header,
            "X-HTTP-Method-Override": st.sampled_from(METHODS),
        },
    )
    body = st.one_of(
        st.dictionaries(st.sampled_from(fields), st.one_of(ids, text, values), max_size=5)
        .map(json.dumps)
        .map(str.encode),
        values.map(json.dumps).map(str.encode),
        st.binary(max_size=60),
    )
    query = st.dictionaries(
        st.sampled_from([*queries, "format", "page", "confirm"]),
        st.one_of(ids, text.filter(lambda each: each not in UNREADABLE[2:]), st.integers().map(str)),
        max_size=3,
    )
    names = st.dictionaries(
        st.sampled_from(sorted(caller.names)),
        st.one_of(ids, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)),
        max_size=1,
    )
    seen: set[int] = set()

    def check(act: tuple[Endpoint, str], names: Any, body: bytes, query: Any, headers: Any) -> None:
        before = everything()
        endpoint, method = act
        answer = caller.ask(method, endpoint.path, body, query=[query], headers=headers, **names)
        seen.add(answer.status_code)
        if answer.status_code >= 400:
            problem(answer)
            assert everything() == before
        else:
            assert answer.status_code in (200, 201, 204), answer.status_code

    explore(examples, check, st.sampled_from(acts), names, body, query, headers)
    assert {200, 400, 404, 415, 406} - seen <= {406, 415}, seen
