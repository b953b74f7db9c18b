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


def lock_seats(seats: Iterable[UUID]) -> None:
    list(
        Membership.objects.filter(pk__in=list(seats))
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )


def share_seats(seats: Iterable[UUID]) -> None:
    """Keep these seats as they are until the transaction ends, without excluding others who ask the same."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM tenants_membership WHERE id = ANY(%s) ORDER BY id FOR SHARE", [list(set(seats))]
            )
