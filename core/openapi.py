"""What the OpenAPI document says of an operation, from the very structs that read its body and make its answer."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Struct

from core.api import JSON, PROBLEM, Problem

F = TypeVar("F", bound=Callable[..., Any])
Schema = dict[str, Any]

_REFUSALS = "4XX", "5XX"
_LINK: Schema = {"type": ["string", "null"], "format": "uri"}
_PAGING = (
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
    OpenApiParameter("cursor", {"type": "string"}, description="From `next` or `previous`."),
)
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="The same request again within 24 hours answers what the first one made.",
)


def schema(of: Any) -> Schema:
    """The JSON Schema of a struct or type, with everything it refers to in place."""
    found = msgspec.json.schema(of)
    named = found.pop("$defs", {})
    return dict(_in_place(found, named))


def _in_place(part: Any, named: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_in_place(each, named) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _in_place(named[part["$ref"].removeprefix("#/$defs/")], named)
    return {name: _in_place(each, named) for name, each in part.items()}


def operation(
    operation_id: str,
    *,
    body: type[Struct] | None = None,
    answer: Any = None,
    status: int = 200,
    listed: bool = False,
    creates: bool = False,
    query: Mapping[str, Schema] | None = None,
) -> Callable[[F], F]:
    """Document a method: `body` and `answer` are structs, `listed` answers pages of them, `creates` takes a key."""
    parameters = [OpenApiParameter(name, each) for name, each in (query or {}).items()]
    parameters += [*_PAGING] if listed else []
    parameters += [_KEY] if creates else []
    shape = None if answer is None else schema(answer)
    return extend_schema(
        operation_id=operation_id,
        parameters=parameters,
        request={JSON: schema(body)} if body else None,
        responses={status: _paged(shape) if listed and shape else shape}
        | {(code, PROBLEM): schema(Problem) for code in _REFUSALS},
    )


def _paged(shape: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"next": _LINK, "previous": _LINK, "results": {"type": "array", "items": shape}},
        "required": ["next", "previous", "results"],
    }
