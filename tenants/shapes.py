"""Organizations, seats and invitations as REST shows them."""

from msgspec import UNSET, Struct, UnsetType

from core.wire import moment, moment_or_none
from tenants.actor import Actor
from tenants.models import Invitation, Membership
from tenants.permissions import Facts, Verb, allows
from tenants.roles import TenantRole


class Person(Struct, frozen=True, kw_only=True):
    """`email` is there only for those who may see it."""

    id: str
    display_name: str
    email: str | UnsetType = UNSET


class TenantShape(Struct, frozen=True, kw_only=True):
    """An organization and my role in it."""

    id: str
    slug: str
    name: str
    tenant_role: TenantRole
    created_at: str


class MemberShape(Struct, frozen=True, kw_only=True):
    user: Person
    tenant_role: TenantRole
    expires_at: str | None
    suspended: bool
    joined_at: str


class InvitationShape(Struct, frozen=True, kw_only=True):
    """`token` and `url` are in the answer that makes it, and never again."""

    id: str
    tenant_role: TenantRole
    inviter: Person
    email: str | None = None
    domain: str | None = None
    max_uses: int
    uses: int
    created_at: str
    expires_at: str
    token: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class PreviewTenant(Struct, frozen=True):
    id: str
    name: str
    slug: str


class PreviewInviter(Struct, frozen=True):
    display_name: str


class PreviewShape(Struct, frozen=True, kw_only=True):
    """What whoever holds the link may know."""

    tenant: PreviewTenant
    tenant_role: TenantRole
    inviter: PreviewInviter
    expires_at: str


class RoleShape(Struct, frozen=True, kw_only=True):
    """One role: `cells` name the rule of each verb."""

    name: str
    rank: int
    base: str | None
    builtin: bool
    cells: dict[str, str]


class RolesShape(Struct, frozen=True, kw_only=True):
    version: int
    roles: list[RoleShape]


class ExplanationShape(Struct, frozen=True, kw_only=True):
    """Why something is allowed or refused: which cell decided, where the cell comes from, from which facts."""

    allowed: bool
    verb: str
    tenant_role: str
    room_role: str | None
    rule: str
    source: str
    because: list[str]


def tenant_shape(seat: Membership) -> TenantShape:
    """A seat read with its organization."""
    tenant = seat.tenant
    return TenantShape(
        id=str(tenant.pk),
        slug=tenant.slug,
        name=tenant.name,
        tenant_role=TenantRole(seat.role),
        created_at=moment(tenant.created_at),
    )


def member_shape(actor: Actor, seat: Membership) -> MemberShape:
    """A seat that the actor was found to see, with its person."""
    facts = Facts(own=seat.pk == actor.seat, target=TenantRole(seat.role))
    user = seat.user
    return MemberShape(
        user=Person(
            id=str(user.pk),
            display_name=user.display_name,
            email=user.email if allows(actor.role, Verb.SEAT_EMAIL_SEE, facts) else UNSET,
        ),
        tenant_role=TenantRole(seat.role),
        expires_at=moment_or_none(seat.expires_at),
        suspended=seat.suspended_at is not None,
        joined_at=moment(seat.joined_at),
    )


def invitation_shape(
    invitation: Invitation, token: str | UnsetType = UNSET, url: str | UnsetType = UNSET
) -> InvitationShape:
    """An invitation read with its inviter."""
    inviter = invitation.inviter.user
    return InvitationShape(
        id=str(invitation.pk),
        tenant_role=TenantRole(invitation.role),
        inviter=Person(id=str(inviter.pk), display_name=inviter.display_name),
        max_uses=invitation.max_uses,
        uses=invitation.uses,
        created_at=moment(invitation.created_at),
        expires_at=moment(invitation.expires_at),
        token=token,
        url=url,
    )


def preview_shape(invitation: Invitation) -> PreviewShape:
    tenant = invitation.tenant
    return PreviewShape(
        tenant=PreviewTenant(id=str(tenant.pk), name=tenant.name, slug=tenant.slug),
        tenant_role=TenantRole(invitation.role),
        inviter=PreviewInviter(display_name=invitation.inviter.user.display_name),
        expires_at=moment(invitation.expires_at),
    )
