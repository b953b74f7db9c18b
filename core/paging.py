"""Lists by cursor: `{"next", "previous", "results"}`, ordered by one unique key, so that nothing shifts or is lost."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Field, Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import integer
from core.errors import Invalid

M = TypeVar("M", bound=Model)

LIMIT = 50
LONGEST = 100
_SALT = "conclave.cursor"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place between two rows: after `value` in the list's order, or before it."""

    key: str
    value: str
    backwards: bool


@dataclass(frozen=True, slots=True)
class Cut(Generic[M]):
    rows: list[M]
    next: Cursor | None
    previous: Cursor | None


def page(request: Request, rows: QuerySet[M, Any], shape: Callable[[M], Any], *, key: str = "pk") -> Response:
    """One page of `rows`, each shaped. `key` is a unique field; `-key` lists the highest first. Replaces any order."""
    return page_together(request, rows, lambda found: map(shape, found), key=key)


def page_together(
    request: Request, rows: QuerySet[M, Any], shapes: Callable[[list[M]], Iterable[Any]], *, key: str = "pk"
) -> Response:
    """As `page`, where the rows of a page are shaped together, so that what belongs to them is read at once."""
    limit = integer(request, "limit", LIMIT, low=1, high=LONGEST)
    found = cut(rows, key, limit, _cursor(request, key))
    results = list(shapes(found.rows))
    return Response(
        {"next": _address(request, found.next), "previous": _address(request, found.previous), "results": results}
    )


def cut(rows: QuerySet[M, Any], key: str, limit: int, at: Cursor | None) -> Cut[M]:
    """`limit` rows at most, on the far side of the cursor."""
    field, falling = key.removeprefix("-"), key.startswith("-")
    backwards = at is not None and at.backwards
    if at is not None:
        side = "lt" if falling != backwards else "gt"
        rows = rows.filter(**{f"{field}__{side}": _value(rows.model, field, at.value)})
    found = list(rows.order_by(f"-{field}" if falling != backwards else field)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    if not found:
        return Cut(found, None, None)
    first, last = (Cursor(key, str(getattr(row, field)), back) for row, back in ((found[0], True), (found[-1], False)))
    return Cut(
        found,
        next=last if backwards or more else None,
        previous=first if (more if backwards else at is not None) else None,
    )


def _value(model: type[Model], field: str, text: str) -> Any:
    column = cast("Field[Any, Any]", model._meta.pk if field == "pk" else model._meta.get_field(field))
    try:
        return column.to_python(text)
    except ValidationError:
        raise _bad_cursor() from None


def _cursor(request: Request, key: str) -> Cursor | None:
    given = request.query_params.get("cursor")
    if given is None:
        return None
    try:
        signed_key, value, backwards = signing.loads(given, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise _bad_cursor() from None
    if signed_key != key:
        raise _bad_cursor()
    return Cursor(key, value, backwards)


def _bad_cursor() -> Invalid:
    reason = "Not a cursor of this list: begin again without one."
    return Invalid(f"cursor: {reason}", errors={"cursor": [reason]})


def _address(request: Request, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = signing.dumps([cursor.key, cursor.value, cursor.backwards], salt=_SALT)
    return str(request.build_absolute_uri(f"{request.path}?{query.urlencode()}"))
