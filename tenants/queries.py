"""What is seen of organizations, seats and invitations. Restates the table's `…_SEE` cells in SQL."""

from uuid import UUID

from django.db.models import Exists, Q, QuerySet

from core.errors import NotFound
from tenants import hooks
from tenants.actor import Actor
from tenants.models import Invitation, Membership, active_seat
from tenants.roles import TenantRole

ALL = Q()
NONE = Q(pk__in=())


def still_seated(actor: Actor) -> Exists:
    """In the same statement as the content: the seat still counts, with the role the sight depends on."""
    return Exists(Membership.objects.filter(active_seat(), pk=actor.seat, role=actor.role.name))


def tenants_of(user: UUID) -> QuerySet[Membership]:
    """The person's seats that count, each with its organization and person: `tenant.see` is given to every role."""
    return Membership.objects.filter(active_seat(), user=user).select_related("tenant", "user")


def members_seen_by(actor: Actor) -> QuerySet[Membership]:
    """The seats whose existence the actor may know, suspended and expired ones too, with their people."""
    sight = _sharing(actor) if actor.role.base is TenantRole.GUEST else ALL
    return Membership.objects.filter(sight, still_seated(actor), tenant=actor.tenant).select_related("user", "tenant")


def member_seen_by(actor: Actor, user: UUID) -> Membership:
    """The seat of one person, or `NotFound` in the same words for someone who isn't here."""
    seat = members_seen_by(actor).filter(user=user).first()
    if seat is None:
        raise NotFound("No such member.")
    return seat


def shares_with(actor: Actor, seat: Membership) -> bool:
    """Whether the actor and this seat have a room in common."""
    return Membership.objects.filter(_sharing(actor), pk=seat.pk).exists()


def invitations_seen_by(actor: Actor) -> QuerySet[Invitation]:
    """The invitations that are not revoked and that the actor may know, with whoever made them."""
    own = Q(inviter=actor.seat)
    sight = {
        TenantRole.GUEST: NONE,
        TenantRole.MEMBER: NONE,
        TenantRole.MODERATOR: own,
        TenantRole.ADMIN: ALL,
        TenantRole.OWNER: ALL,
    }
    return Invitation.objects.filter(
        sight[actor.role.base], still_seated(actor), tenant=actor.tenant, revoked_at=None
    ).select_related("inviter__user")


def invitation_seen_by(actor: Actor, invitation: UUID) -> Invitation:
    found = invitations_seen_by(actor).filter(pk=invitation).first()
    if found is None:
        raise NotFound("No such invitation.")
    return found


def last_owner(seat: UUID, tenant: UUID) -> bool:
    """Whether no other owner's seat counts."""
    owners = Membership.objects.filter(active_seat(), tenant=tenant, role=TenantRole.OWNER)
    return not owners.exclude(pk=seat).exists()


def _sharing(actor: Actor) -> Q:
    sharing = Q(pk=actor.seat)
    for condition in hooks.sharing:
        sharing |= condition(actor)
    return sharing
