"""Invitations by link: make, revoke, look at, accept. Whoever holds the link may come in, as long as it stands."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.utils.timezone import now

from core.db import transactional
from core.errors import Forbidden, Invalid, NotFound
from tenants import hooks
from tenants.access import actor_from, reread
from tenants.actor import Actor
from tenants.covering import giving
from tenants.locks import lock_seats, lock_tenant, share_seats
from tenants.models import Invitation, Membership, active_seat
from tenants.permissions import Facts, Verb, allows, require
from tenants.queries import invitation_seen_by
from tenants.services import role_named

TERM = timedelta(days=7)
LONGEST_TERM = timedelta(days=365)
MOST_USES = 10_000


@dataclass(frozen=True, slots=True)
class MadeInvitation:
    """A new invitation and its secret, of which only the digest is kept."""

    invitation: Invitation
    token: str

    @property
    def pk(self) -> UUID:
        return self.invitation.pk

    @property
    def url(self) -> str:
        return f"{settings.PUBLIC_URL}/invite/{self.token}/"


@transactional
def create_invitation(
    actor: Actor,
    *,
    tenant_role: str,
    rooms: Iterable[UUID] = (),
    expires_at: datetime | None = None,
    max_uses: int = 1,
) -> MadeInvitation:
    """A link for `max_uses` people (1 to 10,000), for 7 days unless `expires_at` says otherwise (365 at most)."""
    share_seats([actor.seat])
    actor = reread(actor)
    require(actor.role, Verb.INVITATION_CREATE, giving(actor.role, role_named(actor, tenant_role)))
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        tenant_id=actor.tenant,
        inviter_id=actor.seat,
        role=tenant_role,
        digest=_digest(token),
        expires_at=_checked_end(expires_at),
        max_uses=_checked_uses(max_uses),
    )
    for hook in hooks.invitation_made:
        hook(actor, invitation, rooms)
    return MadeInvitation(invitation_seen_by(actor, invitation.pk), token)


@transactional
def revoke_invitation(actor: Actor, invitation: UUID) -> None:
    """Nobody comes in by this link any more. Those who did, stay."""
    share_seats([actor.seat])
    actor = reread(actor)
    found = invitation_seen_by(actor, invitation)
    require(actor.role, Verb.INVITATION_REVOKE, Facts(own=found.inviter_id == actor.seat))
    Invitation.objects.filter(pk=found.pk).update(revoked_at=Now())


def preview(token: str) -> Invitation:
    """The invitation behind a link, with its organization and inviter; spends nothing. `NotFound` once it is no use."""
    found = _standing(token)
    if found.uses >= found.max_uses:
        raise _gone()
    return found


@transactional
def accept(user: UUID, token: str) -> Membership:
    """Come in: one seat, one use. A seat already there is never altered, and spends no use.

    Judged now, not when the link was made: that the inviter's seat counts, and may still give this role.
    """
    found = _standing(token)
    lock_tenant(found.tenant_id)
    seats = Membership.objects.filter(tenant=found.tenant_id, user=user).select_related("tenant", "user")
    lock_seats({found.inviter_id, *seats.values_list("pk", flat=True)})
    found, seat = _standing(token), seats.first()
    if seat is None:
        _spend(found)
        seat = Membership.objects.create(tenant=found.tenant, user_id=user, role=found.role)
    elif refusal := why_not(seat):
        raise Forbidden(refusal)
    elif found.uses >= found.max_uses:
        return seat
    for hook in hooks.invitation_accepted:
        hook(found, seat)
    return seat


def why_not(seat: Membership) -> str:
    """Why a seat that is already there can't be used; empty if it can."""
    if seat.suspended_at is not None:
        return "Your seat here is suspended. An admin can give it back."
    if not Membership.objects.filter(active_seat(), pk=seat.pk).exists():
        return "Your seat here has expired. An admin can give it back."
    return ""


def seat_for(user: UUID, token: str) -> tuple[Invitation, Membership | None]:
    """The standing invitation behind a link, used up or not, and the person's own seat there."""
    found = _standing(token)
    return found, Membership.objects.filter(tenant=found.tenant_id, user=user).first()


def _standing(token: str) -> Invitation:
    """Neither revoked nor expired, and the inviter's seat counts and may give this role."""
    found = (
        Invitation.objects.filter(
            active_seat("inviter__"), digest=_digest(token), revoked_at=None, expires_at__gt=Now()
        )
        .select_related("tenant", "inviter__user", "inviter__tenant")
        .first()
    )
    if found is None:
        raise _gone()
    inviter = actor_from(found.inviter)
    if found.role not in inviter.policy.roles:
        raise _gone()
    if not allows(inviter.role, Verb.INVITATION_CREATE, giving(inviter.role, inviter.policy.role(found.role))):
        raise _gone()
    return found


def _spend(invitation: Invitation) -> None:
    """One use, in one conditional statement: of two who race for the last one, one gets it."""
    left = Invitation.objects.filter(pk=invitation.pk, uses__lt=F("max_uses"), revoked_at=None, expires_at__gt=Now())
    if not left.update(uses=F("uses") + 1):
        raise _gone()


def _gone() -> NotFound:
    return NotFound("This invitation is unknown, or no longer works.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _checked_end(at: datetime | None) -> datetime:
    if at is None:
        return now() + TERM
    if not now() < at <= now() + LONGEST_TERM:
        raise _refused("expires_at", "Not a time to come, within 365 days.")
    return at


def _checked_uses(uses: int) -> int:
    if not 1 <= uses <= MOST_USES:
        raise _refused("max_uses", "1 to 10,000.")
    return uses


def _refused(field: str, reason: str) -> Invalid:
    return Invalid(f"{field}: {reason}", errors={field: [reason]})
