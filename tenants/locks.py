"""Row locks on organizations and seats.

One order for the whole product: tenant, seats by id, rooms by id, messages. What is judged is read after the last
lock, in new statements. SQLite has one writer at a time and needs none of this.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from tenants.models import Membership, Tenant


def lock_tenant(tenant: UUID) -> Tenant:
    """Taken before any seat of it changes: it guards the last owner."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant)


def lock_seats(seats: Iterable[UUID], share: Iterable[UUID] = ()) -> None:
    """Lock these seats against others, and keep those of `share` as they are, until the transaction ends."""
    moving = set(seats)
    kept = set(share) - moving
    _queue(moving, kept)
    list(
        Membership.objects.filter(pk__in=moving)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    _share(kept)


def share_seats(seats: Iterable[UUID]) -> None:
    """Keep these seats as they are until the transaction ends, without excluding others who ask the same."""
    lock_seats((), share=seats)


def _queue(moving: set[UUID], kept: set[UUID]) -> None:
    """Wait in line, by id. Row locks alone know no line: whoever sends without a pause from two sockets would keep
    their seat shared for ever, and could not be removed."""
    if (moving or kept) and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT CASE WHEN seat = ANY(%s) THEN pg_advisory_xact_lock(hashtextextended(seat::text, 0))"
                " ELSE pg_advisory_xact_lock_shared(hashtextextended(seat::text, 0)) END FROM unnest(%s) AS seat",
                [list(moving), sorted(moving | kept)],
            )


def _share(kept: set[UUID]) -> None:
    if kept and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM tenants_membership WHERE id = ANY(%s) ORDER BY id FOR SHARE", [list(kept)])
