"""What happens to organizations and seats: one story a function. Invitations have a file of their own."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from msgspec import UNSET, UnsetType

from core.db import transactional
from core.errors import Conflict, Invalid
from tenants import hooks
from tenants.access import reread
from tenants.actor import Actor
from tenants.covering import giving
from tenants.locks import lock_seats, lock_tenant
from tenants.models import Membership, Tenant
from tenants.names import checked_name, checked_slug
from tenants.permissions import Facts, Verb, require
from tenants.queries import last_owner, member_seen_by
from tenants.roles import Role, TenantRole

LONGEST_TERM = timedelta(days=100 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatChange:
    """What is to become of a seat. What is UNSET stays."""

    tenant_role: str | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    suspended: bool | UnsetType = UNSET


@transactional
def create_tenant(user: UUID, *, name: str, slug: str) -> Membership:
    """Found an organization. Answers the founder's seat: an owner's. `Conflict` where the address is taken."""
    name, slug = checked_name(name), checked_slug(slug)
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(name=name, slug=slug)
    except IntegrityError:
        raise Conflict("This address is taken.", errors={"slug": ["This address is taken."]}) from None
    return Membership.objects.create(tenant=tenant, user_id=user, role=TenantRole.OWNER)


@transactional
def change_tenant(actor: Actor, *, name: str) -> Tenant:
    """Call the organization something else. Its address stays."""
    name = checked_name(name)
    tenant = lock_tenant(actor.tenant)
    require(reread(actor).role, Verb.TENANT_CHANGE, Facts())
    tenant.name = name
    tenant.save(update_fields=["name"])
    return tenant


@transactional
def change_seat(actor: Actor, user: UUID, change: SeatChange) -> Membership:
    """Give a seat another role or an end, suspend it or give it back."""
    actor, seat = _lock_and_find(actor, user)
    _require_change(actor, seat, change)
    return _change(seat, change)


@transactional
def remove_seat(actor: Actor, user: UUID) -> None:
    """Take someone out of the organization. Invited again, they start clean."""
    actor, seat = _lock_and_find(actor, user)
    require(actor.role, Verb.SEAT_REMOVE, about(actor, seat))
    _end(seat)


@transactional
def leave_tenant(actor: Actor) -> None:
    """Give one's own seat up. An owner only where another one stays."""
    actor, seat = _lock_and_find(actor, actor.user)
    require(actor.role, Verb.SEAT_LEAVE, about(actor, seat))
    _end(seat)


@transactional
def transfer(actor: Actor, user: UUID) -> Membership:
    """Hand an owner's seat on: the other becomes an owner, the actor an admin. Answers the actor's seat."""
    actor, heir = _lock_and_find(actor, user)
    require(actor.role, Verb.SEAT_TRANSFER, about(actor, heir))
    own = member_seen_by(actor, actor.user)
    _change(heir, SeatChange(tenant_role=TenantRole.OWNER))
    return _change(own, SeatChange(tenant_role=TenantRole.ADMIN))


def about(actor: Actor, seat: Membership, grant: Role | None = None) -> Facts:
    """What the table asks about a seat that the actor acts on."""
    own = seat.pk == actor.seat
    return replace(
        giving(actor.role, grant) if grant else Facts(),
        own=own,
        target=actor.policy.role(seat.role),
        last_owner=own and actor.role.name == TenantRole.OWNER and last_owner(seat.pk, seat.tenant_id),
    )


def role_named(actor: Actor, name: str, field: str = "tenant_role") -> Role:
    """One of the organization's roles; `Invalid`, about this field, where there is none of this name."""
    if name not in actor.policy.roles:
        raise Invalid(f"{field}: no such role.", errors={field: ["No such role."]})
    return actor.policy.role(name)


def _lock_and_find(actor: Actor, user: UUID) -> tuple[Actor, Membership]:
    """Lock the organization and both seats, then read both anew: only what is read now is judged."""
    found = member_seen_by(actor, user)
    lock_tenant(actor.tenant)
    lock_seats({actor.seat, found.pk})
    actor = reread(actor)
    return actor, member_seen_by(actor, user)


def _require_change(actor: Actor, seat: Membership, change: SeatChange) -> None:
    if isinstance(change.tenant_role, str):
        require(actor.role, Verb.SEAT_CHANGE_ROLE, about(actor, seat, role_named(actor, change.tenant_role)))
    if change.suspended is not UNSET:
        require(actor.role, Verb.SEAT_SUSPEND, about(actor, seat))
    if change.expires_at is not UNSET:
        require(actor.role, Verb.SEAT_EXPIRE, about(actor, seat))
    if isinstance(change.expires_at, datetime) and not now() < change.expires_at < now() + LONGEST_TERM:
        reason = "Not a time to come, within a hundred years."
        raise Invalid(f"expires_at: {reason}", errors={"expires_at": [reason]})


def _change(seat: Membership, change: SeatChange) -> Membership:
    """Write what differs and tell the apps above; nothing happens where nothing does."""
    before = seat.role, seat.expires_at, seat.suspended_at
    if isinstance(change.tenant_role, str):
        seat.role = change.tenant_role
    if not isinstance(change.expires_at, UnsetType):
        seat.expires_at = change.expires_at
    if isinstance(change.suspended, bool) and change.suspended != (seat.suspended_at is not None):
        seat.suspended_at = now() if change.suspended else None
    role, expires_at, suspended_at = seat.role, seat.expires_at, seat.suspended_at
    if role == TenantRole.OWNER and (expires_at or suspended_at or not seat.user.is_active):
        raise Conflict("An owner's seat can be neither suspended nor limited in time.")
    if (role, expires_at, suspended_at) == before:
        return seat
    seat.version += 1
    seat.save(update_fields=["role", "expires_at", "suspended_at", "version"])
    shrinks = suspended_at is not None or (expires_at is not None and expires_at != before[1])
    _tell(hooks.seat_ending if shrinks else hooks.seat_changed, seat)
    return seat


def _end(seat: Membership) -> None:
    _tell(hooks.seat_ending, seat)
    seat.delete()


def _tell(told: Iterable[hooks.SeatHook], seat: Membership) -> None:
    for hook in told:
        hook(seat)
