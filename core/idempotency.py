"""Idempotency-Key: the same request again answers what the first one made."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from rest_framework.request import Request

from core.errors import Conflict, Invalid
from core.models import IdempotencyKey

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
CLEANED_AT_ONCE = 100
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


class Made(Protocol):
    @property
    def pk(self) -> UUID: ...


T = TypeVar("T", bound=Made)


def once(request: Request, create: Callable[[], T]) -> tuple[UUID, T | None]:
    """What `create` makes, or made when this very request came before: its id, and itself only the first time.

    The caller reads the object by its id through the actor, so that a replay is authorised anew. The key is taken
    before anything else is locked and commits together with what was made: of two that race, one makes it.
    """
    key = request.headers.get(HEADER)
    if key is None:
        made = create()
        return made.pk, made
    if not _VISIBLE.fullmatch(key):
        raise Invalid(f"{HEADER}: 1 to 255 visible ASCII characters.")
    credential: Any = request.auth
    with transaction.atomic():
        row, first = _take(credential.sid, key, _digest(request))
        if not first:
            return _made_before(row), None
        made = create()
        row.made = made.pk
        row.save(update_fields=["made"])
        return made.pk, made


def _digest(request: Request) -> str:
    plain = request._request
    head = f"{plain.method}\n{plain.path}\n".encode()
    return hashlib.sha256(head + plain.body).hexdigest()


def _take(credential: UUID, key: str, digest: str) -> tuple[IdempotencyKey, bool]:
    """The row of this key and whether it is new. Waits for another that is about to commit the same key."""
    _forget(credential, key)
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(credential=credential, key=key, digest=digest), True
    except IntegrityError:
        row = IdempotencyKey.objects.filter(credential=credential, key=key).first()
    if row is None or row.digest != digest:
        raise Conflict(f"This {HEADER} was used for another request.")
    return row, False


def _made_before(row: IdempotencyKey) -> UUID:
    if row.made is None:
        raise Conflict(f"The request with this {HEADER} is still being answered.")
    return row.made


def _forget(credential: UUID, key: str) -> None:
    """Drop this key if it is past its time, and some others that are."""
    old = IdempotencyKey.objects.filter(created_at__lt=now() - KEPT)
    old.filter(credential=credential, key=key).delete()
    some = old.order_by("created_at").select_for_update(skip_locked=True).values_list("pk", flat=True)
    IdempotencyKey.objects.filter(pk__in=list(some[:CLEANED_AT_ONCE])).delete()
