"""What a reader has missed: a room's newest state since a cursor, with the right to it read in the same statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import F, QuerySet

from chat.models import Epoch, Message
from chat.protocol import CatchUp, Since
from chat.queries import Readable, facts_of, messages_seen_by, room_read_by
from chat.shapes import message_shape
from core.wire import encode
from tenants.actor import Actor
from tenants.permissions import Facts

TOO_FAR = 2_000
"""Revs behind the head after which starting anew is cheaper than catching up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A catch-up, and what a subscription keeps of it."""

    answer: CatchUp
    readers_version: int
    visible_from: int
    facts: Facts
    size: int
    """Bytes of the messages."""


def current_epoch() -> UUID:
    return Epoch.objects.values_list("value", flat=True).get()


def catch_up(
    actor: Actor, room: UUID, since: Since | None = None, limit: int = 50, budget: int | None = None
) -> Reading:
    """The room's newest messages, or what changed since a cursor, up to `limit` of them and `budget` bytes; where
    the budget is spent already, none.

    The head is read before the rows, and each row's statement joins the right to read it: what is committed between
    the two is either in the rows or above the answer's rev, never lost; after a removal there are no rows.
    """
    budget = settings.SOCKET_PAGE_BYTES if budget is None else budget
    found = room_read_by(actor, room)
    epoch = str(found.epoch)
    usable = since is not None and since.epoch == epoch and _oldest(found) <= since.rev <= found.rev
    rows = messages_seen_by(actor).filter(room=room)
    mine = F("room__members__visible_from")
    rows = rows.annotate(head=F("room__rev"), version=F("room__readers_version"), since=mine)
    if since is not None and usable:
        page, rev, more = _changed(rows, since.rev, max(limit, 1) if budget > 0 else 0, budget)
    else:
        page, rev, more = _newest(rows, limit if budget > 0 else 0, budget)
    head = page.rows[0].head if page.rows else found.rev
    return Reading(
        answer=CatchUp(
            room=str(room),
            epoch=epoch,
            rev=head if rev is None else rev,
            messages=page.encoded,
            more=more,
            reset=since is not None and not usable,
        ),
        readers_version=page.rows[0].version if page.rows else found.readers_version,
        visible_from=page.rows[0].since if page.rows else found.my_from,
        facts=facts_of(found),
        size=sum(len(raw) for raw in page.encoded),
    )


def _oldest(room: Readable) -> int:
    """The oldest cursor to catch up from. Who left a room whose past newcomers don't see, and came back, holds what
    a fresh read no longer shows."""
    return max(room.rev - TOO_FAR, room.my_joined if room.my_from > 1 else 0)


@dataclass(frozen=True, slots=True)
class _Page:
    rows: Sequence[Any]
    encoded: list[msgspec.Raw]


def _fit(rows: Sequence[Any], budget: int) -> _Page:
    """As many of the rows as fit; the first of them always."""
    encoded: list[msgspec.Raw] = []
    for row in rows:
        raw = msgspec.Raw(encode(message_shape(row)))
        budget -= len(bytes(raw))
        if budget < 0 and encoded:
            break
        encoded.append(raw)
    return _Page(rows[: len(encoded)], encoded)


def _newest(rows: QuerySet[Message, Any], limit: int, budget: int) -> tuple[_Page, None, bool]:
    page = _fit(list(rows.order_by("-number")[:limit]) if limit else [], budget)
    page.encoded.reverse()
    return page, None, False


def _changed(rows: QuerySet[Message, Any], since: int, limit: int, budget: int) -> tuple[_Page, int | None, bool]:
    found = list(rows.filter(rev__gt=since).order_by("rev")[: limit + 1])
    page = _fit(found[:limit], budget)
    more = len(page.rows) < len(found)
    if not more:
        return page, None, False
    return page, page.rows[-1].rev if page.rows else since, True
