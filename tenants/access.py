"""Builds the `Actor`: the one place where a person becomes someone in an organization."""

import re
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from core.errors import NoSeat
from tenants.actor import Actor
from tenants.models import Membership, active_seat
from tenants.roles import TenantRole

_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def actor_of(user: UUID, tenant: str) -> Actor:
    """The person in the organization of this slug or id; `NoSeat` in the same words whether it exists or not."""
    return _actor(Q(user_id=user) & _named(tenant))


def reread(actor: Actor) -> Actor:
    """The same seat as it is now; `NoSeat` if it no longer counts."""
    return _actor(Q(pk=actor.seat))


def reread_all(seats: Iterable[UUID]) -> dict[UUID, Actor]:
    """Of these seats, those that count, as they are now."""
    found = Membership.objects.filter(active_seat(), pk__in=list(seats)).select_related("tenant", "user")
    return {seat.pk: actor_from(seat) for seat in found}


def _named(tenant: str) -> Q:
    """By slug, or by id in its canonical spelling. No slug looks like an id."""
    return Q(tenant_id=tenant) if _ID.fullmatch(tenant) else Q(tenant__slug=tenant)


def _actor(which: Q) -> Actor:
    seat = Membership.objects.filter(which, active_seat()).select_related("tenant", "user").first()
    if seat is None:
        raise NoSeat
    return actor_from(seat)


def actor_from(seat: Membership) -> Actor:
    """From a row just read under `active_seat`, with its tenant and user."""
    return Actor(
        user=seat.user_id,
        display_name=seat.user.display_name,
        tenant=seat.tenant_id,
        slug=seat.tenant.slug,
        seat=seat.pk,
        role=TenantRole(seat.role),
        seat_version=seat.version,
        expires_at=seat.expires_at,
    )
