"""Bad input: every way to break what a JSON Schema describes, and text that trips programs up."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SHAPE = "shape"
BOUNDS = "bounds"

NOWHERE = "019a0000-0000-7000-8000-000000000000"
NIL = "00000000-0000-0000-0000-000000000000"
TWISTED_IDS = (
    NOWHERE.upper(),
    NOWHERE.replace("-", ""),
    f"{{{NOWHERE}}}",
    f"urn:uuid:{NOWHERE}",
    f"{NOWHERE}\n",
    f" {NOWHERE}",
    NOWHERE[:-1],
    NOWHERE + "0",
    NOWHERE.replace("0", "٠"),
    "",
    "me",
)
"""What `uuid.UUID` reads or almost reads, and no canonical id is."""

SAMPLES: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "boolean": (True, False),
    "number": (1.5, -0.5),
    "integer": (0, 7),
    "string": ("x",),
    "array": ([], [{}], ["x"]),
    "object": ({}, {"x": 1}),
}

TRICKY = (
    "\u202eright to left",
    "\u2066isolate\u2069",
    "a\u0301\u0302\u0303\u0304" * 5,
    "\ufeffmark",
    "\u200b",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇩🇪",
    "👍🏿",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "#️⃣",
    "™",
    "\U0010ffff",
    "\ufffe",
    "\x1b[31m",
    "\x7f\x80\x9f",
    "\r\n\t\v\f",
    "\u2028\u2029\u0085",
    "'; DROP TABLE chat_room; --",
    "%00%n%s{0}${x}{{7*7}}",
    "<script>alert(1)</script>",
    "عربي עברית",
    "ﷺ" * 3,
    "[" * 300,
    "*" * 301,
    "`" * 299,
    "> " * 200,
    "[a](javascript:alert(1))",
    "🏽",
)
UNREADABLE = ("\x00", "a\x00b", "\ud800", "\udfff\ud800", "x\udc80")
"""NUL and lone surrogates: valid JSON escapes that no database takes."""

text = st.one_of(
    st.sampled_from(TRICKY),
    st.text(max_size=40),
    st.text(st.characters(categories=["Cc", "Cf", "So", "Sk", "Mn", "Zs", "Co"]), max_size=12),
    st.lists(st.sampled_from(TRICKY), max_size=4).map("".join),
    st.sampled_from(UNREADABLE),
)
numbers = st.one_of(
    st.integers(-3, 200),
    st.integers(),
    st.sampled_from([2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64, -1, -(2**63), 10**40]),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=8,
)


class Broken(NamedTuple):
    """A value that the schema refuses: where, and whether its SHAPE or only a value's BOUNDS are wrong."""

    where: str
    value: Any
    wrong: str


def broken(schema: dict[str, Any], good: dict[str, Any]) -> Iterator[Broken]:
    """Every single fault that an object of this schema can have, each beside everything else being right."""
    for where, value, wrong in _faults(schema, good, ""):
        yield Broken(where, value, wrong)


def _faults(schema: dict[str, Any], good: Any, at: str) -> Iterator[tuple[str, Any, str]]:
    options = schema.get("anyOf", [schema])
    allowed = {kind for option in options for kind in _kinds(option)}
    for kind, samples in SAMPLES.items():
        if kind not in allowed:
            yield from ((f"{at} is {kind}", copy.deepcopy(sample), SHAPE) for sample in samples)
    for option in options:
        yield from _out_of_bounds(option, at)
        if option.get("type") == "object" and "properties" in option:
            yield from _in_object(option, good, at)
        if option.get("type") == "array":
            inner = _faults(option["items"], good[0], f"{at}[]")
            yield from ((where, [value], wrong) for where, value, wrong in inner)


def _kinds(option: dict[str, Any]) -> set[str]:
    if "enum" in option:
        return {"string"}
    named = option["type"]
    found = {named} if isinstance(named, str) else set(named)
    return found | ({"integer"} if "number" in found else set())


def _in_object(schema: dict[str, Any], good: dict[str, Any], at: str) -> Iterator[tuple[str, Any, str]]:
    yield f"{at} with an extra field", {**good, "extra": 1}, SHAPE
    yield f"{at} with an extra empty field", {**good, "": 1}, SHAPE
    for name, field in schema["properties"].items():
        place = f"{at}.{name}"
        if name in schema.get("required", ()):
            yield f"{place} missing", {key: value for key, value in good.items() if key != name}, SHAPE
        if name in good:
            for where, value, wrong in _faults(field, good[name], place):
                yield where, {**good, name: value}, wrong


def _out_of_bounds(schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any, str]]:
    kind = "enum" if "enum" in schema else schema.get("type")
    found = _BEYOND[kind](schema) if kind in _BEYOND else ()
    return ((f"{at} out of bounds: {str(value)[:40]!r}", value, BOUNDS) for value in found)


def _beyond_enum(schema: dict[str, Any]) -> Iterator[Any]:
    yield from ("nonsense", "", schema["enum"][0] + "\n", schema["enum"][0].upper())


def _beyond_string(schema: dict[str, Any]) -> Iterator[Any]:
    if schema.get("minLength", 0):
        yield "a" * (schema["minLength"] - 1)
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if "0-9a-f" in schema.get("pattern", ""):
        yield from TWISTED_IDS
    yield from UNREADABLE


def _beyond_integer(schema: dict[str, Any]) -> Iterator[Any]:
    if "minimum" in schema:
        yield from (schema["minimum"] - 1, -(2**63), -(10**40))
    if "maximum" in schema:
        yield from (schema["maximum"] + 1, 2**64, 10**40)


def _beyond_array(schema: dict[str, Any]) -> Iterator[Any]:
    if schema.get("minItems", 0):
        yield []
    if "maxItems" in schema and "0-9a-f" in schema["items"].get("pattern", ""):
        yield [str(uuid4()) for _ in range(schema["maxItems"] + 1)]


_BEYOND = {"enum": _beyond_enum, "string": _beyond_string, "integer": _beyond_integer, "array": _beyond_array}


def explore(examples: int, check: Any, *strategies: Any) -> None:
    """Run `check` on so many examples: the same ones each time for small samples, new ones for long runs."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 200,
        suppress_health_check=list(HealthCheck),
    )
    chosen(given(*strategies)(check))()
