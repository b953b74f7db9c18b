"""Strict JSON in, compact JSON out. One reader for sockets and REST, without Django.

Closes what msgspec lets pass: duplicate keys, NUL, lone surrogates, NaN, deep nesting, ids that aren't canonical.
"""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from core.errors import BadFrame, Invalid

T = TypeVar("T")

MAX_DEPTH = 20
MAX_INTEGER = 2**53 - 1

Id = Annotated[str, Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", max_length=36)]
"""A UUID in its canonical spelling. The length keeps out the line break that `$` lets pass."""
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]

_BOUNDS = re.compile(
    r"Expected `\w+`( \| `?null`?)? (of length|matching|<=|>=|<|>)|Invalid enum value|Invalid RFC3339|out of range"
)
_PLACE = re.compile(r" - at `([^`]*)`")


class Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with exactly these fields."""


def _refuse_constant(name: str) -> NoReturn:
    raise BadFrame(f"{name} is not JSON.")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadFrame("A key appears twice.")
    return found


def _check_text(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise BadFrame("Nested too deeply.")
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid("NUL characters are not allowed.")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Invalid("Lone surrogates are not allowed.") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, depth + 1)
            _check_text(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)


def read(raw: str | bytes) -> Any:
    """Plain Python values from JSON text; `BadFrame` where it is none. Strings are not yet checked."""
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadFrame("Nested too deeply.") from None
    except ValueError:
        raise BadFrame("Not JSON.") from None


def convert(value: Any, into: type[T]) -> T:
    """A checked struct from plain values: `Invalid` for a value out of bounds, `BadFrame` for a wrong shape."""
    _check_text(value)
    try:
        return msgspec.convert(value, into, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None


def _refusal(message: str) -> BadFrame | Invalid:
    place = _PLACE.search(message)
    field = place.group(1).removeprefix("$").lstrip(".") if place else ""
    plain = _PLACE.sub("", message).replace("`", "")
    kind = Invalid if _BOUNDS.search(message) else BadFrame
    if "matching regex" in plain:
        plain = "Not in the right form."
    return kind(f"{field}: {plain}" if field else plain, errors={field: [plain]} if field else None)


_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


def encode_text(value: Any) -> str:
    return _encoder.encode(value).decode()


def moment(at: datetime) -> str:
    """RFC 3339, UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_or_none(at: datetime | None) -> str | None:
    return None if at is None else moment(at)
