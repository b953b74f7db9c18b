"""The conventions of REST: problems, strict bodies and query parameters.

Settings name parts of it, which REST framework reads before it has views: hence `core.views`.
"""

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import singledispatch
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from msgspec import UNSET, Struct, UnsetType
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core import errors
from core.errors import ConclaveError
from core.metrics import REFUSALS
from core.wire import convert, encode, read

T = TypeVar("T", bound=Struct)
E = TypeVar("E", bound=StrEnum)

logger = logging.getLogger(__name__)

JSON = "application/json"
PROBLEM = "application/problem+json"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}")


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as RFC 9457 writes it. `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: dict[str, list[str]] | UnsetType = UNSET


def problem_of(error: ConclaveError) -> Problem:
    code = error.http_code or error.code
    fields = {name: list(texts) for name, texts in error.errors.items()} if error.errors else UNSET
    return Problem(
        type=f"/api/docs/errors/#{code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=code,
        errors=fields,
    )


def problem_headers(error: ConclaveError) -> dict[str, str]:
    found = {"Cache-Control": "no-store"}
    if error.status == HTTPStatus.UNAUTHORIZED:
        found["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        found["Retry-After"] = str(max(1, ceil(error.retry_after)))
    return found


def problem_handler(raised: Exception, _context: Mapping[str, Any]) -> Response:
    """What Django REST framework answers for an exception: always a problem, never a traceback."""
    error = understood(raised)
    REFUSALS.labels("http", error.http_code or error.code).inc()
    return Response(
        msgspec.to_builtins(problem_of(error)),
        status=error.status,
        headers=problem_headers(error),
        content_type=PROBLEM,
    )


@singledispatch
def understood(error: Exception) -> ConclaveError:
    """The error of ours that an exception amounts to. One that nobody foresaw is logged, and says nothing."""
    logger.error("Unforeseen exception", exc_info=error)
    return errors.Internal()


@understood.register
def _(error: ConclaveError) -> ConclaveError:
    return error


@understood.register
def _(_error: Http404 | exceptions.NotFound) -> ConclaveError:
    return errors.NotFound()


@understood.register
def _(_error: exceptions.NotAuthenticated | exceptions.AuthenticationFailed) -> ConclaveError:
    return errors.NotAuthenticated()


@understood.register
def _(_error: PermissionDenied) -> ConclaveError:
    return errors.Forbidden()


@understood.register
def _(error: exceptions.PermissionDenied) -> ConclaveError:
    return errors.Forbidden(str(error.detail))


@understood.register
def _(error: exceptions.Throttled) -> ConclaveError:
    return errors.RateLimited(retry_after=getattr(error, "wait", None))


@understood.register
def _(_error: RequestDataTooBig) -> ConclaveError:
    return errors.TooLarge()


@understood.register
def _(error: exceptions.APIException) -> ConclaveError:
    """Method not allowed, not acceptable, unsupported media type: the contract's word, HTTP's own status."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.Unavailable(retry_after=1)
    found = errors.BadFrame(str(error.detail))
    found.status = error.status_code
    return found


@understood.register
def _(error: exceptions.ValidationError) -> ConclaveError:
    fields = error.detail if isinstance(error.detail, dict) else {"": error.detail}
    texts = {str(name): [str(text) for text in _listed(value)] for name, value in fields.items()}
    name, first = next(iter(texts.items()))
    return errors.Invalid(f"{name}: {first[0]}" if name else first[0], errors=texts)


@understood.register
def _(error: OperationalError | InterfaceError) -> ConclaveError:
    """Lock timeouts, deadlocks, a database that is away."""
    logger.warning("The database did not answer in time: %s", type(error.__cause__ or error).__name__)
    return errors.Unavailable(retry_after=1)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that a request carries. Its text is checked by `core.wire.convert`."""
    if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise errors.TooLarge
    value = read(raw)
    if not isinstance(value, dict):
        raise errors.BadFrame("The body must be a JSON object.")
    return value


class StrictJSONParser(BaseParser):
    """For views that read `request.data`."""

    media_type = JSON

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return json_object(stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))


class WireRenderer(BaseRenderer):
    """Structs and plain values to compact JSON."""

    media_type = JSON
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else encode(data)


def body(request: Request, into: type[T]) -> T:
    """The request's body as this struct: `BadFrame`, `Invalid` or `TooLarge` where it is none."""
    plain = request._request
    kind = plain.content_type or ""
    if kind != JSON and (kind or plain.body):
        raise exceptions.UnsupportedMediaType(kind, f"The body must be {JSON}.")
    return convert(json_object(plain.body), into)


def text(request: Request, name: str, *, longest: int = 200) -> str | None:
    """A query parameter; None where it is absent or empty."""
    value = request.query_params.get(name) or None
    if value is not None and (len(value) > longest or "\x00" in value):
        raise _refused(name, f"At most {longest} characters, none of them NUL.")
    return value


def integer(request: Request, name: str, default: int, *, low: int = 0, high: int = 2**53 - 1) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not _INTEGER.fullmatch(value) or not low <= int(value) <= high:
        raise _refused(name, f"A whole number from {low} to {high}.")
    return int(value)


def flag(request: Request, name: str) -> bool:
    """True for 1, false for 0 and where it is absent."""
    value = request.query_params.get(name, "0")
    if value not in ("0", "1"):
        raise _refused(name, "0 or 1.")
    return value == "1"


def identifier(request: Request, name: str) -> UUID | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not _UUID.fullmatch(value):
        raise _refused(name, "Not an id.")
    return UUID(value)


def choice(request: Request, name: str, among: type[E]) -> E | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        return among(value)
    except ValueError:
        raise _refused(name, f"One of {', '.join(among)}.") from None


def _refused(name: str, reason: str) -> errors.Invalid:
    return errors.Invalid(f"{name}: {reason}", errors={name: [reason]})
