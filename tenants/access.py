"""Builds the `Actor`: the one place where a person becomes someone in an organization."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from core.errors import NoSeat
from core.sql import Compiled, Rows, Statement
from tenants.actor import Actor
from tenants.models import Membership, active_seat
from tenants.policy import policy_of

_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


_FIELDS = (
    "user", "user__display_name", "tenant", "tenant__slug", "tenant__policy_version",
    "pk", "role", "version", "expires_at",
)  # fmt: skip
_seats = Compiled(lambda seats: Membership.objects.filter(active_seat(), pk__in=seats).values_list(*_FIELDS), "seats")
_by_slug = Compiled(
    lambda users, slugs: Membership.objects.filter(
        active_seat(), user__in=users, tenant__slug__in=slugs
    ).values_list(*_FIELDS),
    "users", "slugs",
)  # fmt: skip
_by_id = Compiled(
    lambda users, tenants: Membership.objects.filter(
        active_seat(), user__in=users, tenant__in=tenants
    ).values_list(*_FIELDS),
    "users", "tenants",
)  # fmt: skip


def actor_of(user: UUID, tenant: str) -> Actor:
    """The person in the organization of this slug or id; `NoSeat` in the same words whether it exists or not."""
    if _ID.fullmatch(tenant):  # no slug looks like an id
        return _only(_by_id.rows(users=[user], tenants=[UUID(tenant)]))
    return _only(_by_slug.rows(users=[user], slugs=[tenant]))


def reread(actor: Actor) -> Actor:
    """The same seat as it is now; `NoSeat` if it no longer counts."""
    return _only(_seats.rows(seats=[actor.seat]))


def reread_all(seats: Iterable[UUID]) -> dict[UUID, Actor]:
    """Of these seats, those that count, as they are now."""
    return actors_in(_seats.rows(seats=set(seats)))


def rereading(seats: Iterable[UUID]) -> Statement:
    """The statement of `reread_all`, to be sent together with others; `actors_in` reads its rows."""
    return _seats(seats=set(seats))


def actors_in(rows: Rows) -> dict[UUID, Actor]:
    """By seat."""
    return {actor.seat: actor for actor in map(_actor, rows)}


def _only(rows: Rows) -> Actor:
    if not rows:
        raise NoSeat
    return _actor(rows[0])


def _actor(row: tuple[Any, ...]) -> Actor:
    user, display_name, tenant, slug, policy_version, seat, role, version, expires_at = row
    policy = policy_of(tenant, policy_version)
    return Actor(
        user=user,
        display_name=display_name,
        tenant=tenant,
        slug=slug,
        seat=seat,
        role=policy.role(role),
        policy=policy,
        seat_version=version,
        expires_at=expires_at,
    )


def actor_from(seat: Membership) -> Actor:
    """From a row just read under `active_seat`, with its tenant and user."""
    policy = policy_of(seat.tenant_id, seat.tenant.policy_version)
    return Actor(
        user=seat.user_id,
        display_name=seat.user.display_name,
        tenant=seat.tenant_id,
        slug=seat.tenant.slug,
        seat=seat.pk,
        role=policy.role(seat.role),
        policy=policy,
        seat_version=seat.version,
        expires_at=seat.expires_at,
    )
