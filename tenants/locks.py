"""Row locks on organizations and seats.

One order for the whole product: tenant, seats by id, rooms by id, messages. What is judged is read after the last
lock, in new statements. SQLite has one writer at a time and needs none of this.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from core.sql import Statement, run_all
from tenants.models import Membership, Tenant


def lock_tenant(tenant: UUID) -> Tenant:
    """Taken before any seat of it changes: it guards the last owner."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant)


def lock_seats(seats: Iterable[UUID], share: Iterable[UUID] = ()) -> None:
    """Lock these seats against others, and keep those of `share` as they are, until the transaction ends."""
    moving = set(seats)
    kept = set(share) - moving
    if not moving:
        share_seats(kept)
        return
    run_all(_queueing(moving, kept))
    list(
        Membership.objects.filter(pk__in=moving)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    run_all(_holding(kept))


def share_seats(seats: Iterable[UUID]) -> None:
    """Keep these seats as they are until the transaction ends, without excluding others who ask the same."""
    run_all(sharing(seats))


def sharing(seats: Iterable[UUID]) -> list[Statement]:
    """The statements of `share_seats`, to be sent together with others."""
    kept = set(seats)
    return _queueing(set(), kept) + _holding(kept)


def _queueing(moving: set[UUID], kept: set[UUID]) -> list[Statement]:
    """Wait in line, by id. Row locks alone know no line: whoever sends without a pause from two sockets would keep
    their seat shared for ever, and could not be removed."""
    if connection.vendor != "postgresql":
        return []
    sql = (
        "SELECT CASE WHEN seat = ANY(%s::uuid[]) THEN pg_advisory_xact_lock(hashtextextended(seat::text, 0))"
        " ELSE pg_advisory_xact_lock_shared(hashtextextended(seat::text, 0)) END FROM unnest(%s::uuid[]) AS seat"
    )
    return [Statement(sql, [list(moving), sorted(moving | kept)])]


def _holding(kept: set[UUID]) -> list[Statement]:
    if not kept or connection.vendor != "postgresql":
        return []
    return [Statement("SELECT 1 FROM tenants_membership WHERE id = ANY(%s) ORDER BY id FOR SHARE", [list(kept)])]
