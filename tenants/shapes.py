"""Organizations, seats and invitations as REST shows them."""

from msgspec import UNSET, Struct, UnsetType

from core.wire import moment, moment_or_none
from tenants.actor import Actor
from tenants.covering import giving
from tenants.models import Invitation, Membership
from tenants.permissions import OPTIONS, TABLE, Facts, Verb, allows, rule_for, words_of
from tenants.roles import Policy, Role


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
    tenant_role: str
    created_at: str


class MemberShape(Struct, frozen=True, kw_only=True):
    user: Person
    tenant_role: str
    expires_at: str | None
    suspended: bool
    joined_at: str


class InvitationShape(Struct, frozen=True, kw_only=True):
    """`token` and `url` are in the answer that makes it, and never again."""

    id: str
    tenant_role: str
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
    tenant_role: str
    inviter: PreviewInviter
    expires_at: str


class RoleShape(Struct, frozen=True, kw_only=True):
    """One role: `cells` name the rule of each verb, `changed` the verbs whose rule is the organization's choice."""

    name: str
    rank: int
    base: str | None
    builtin: bool
    cells: dict[str, str]
    changed: list[str]


class RolesShape(Struct, frozen=True, kw_only=True):
    """Every role, lowest first; by verb, the rules that an organization may choose from; and what the rules mean."""

    version: int
    roles: list[RoleShape]
    options: dict[str, list[str]]
    rules: dict[str, str]


class AbilitiesShape(Struct, frozen=True, kw_only=True):
    """What my role lets me do: by verb the rule that decides, and the roles that I may invite people with."""

    tenant_role: str
    version: int
    cells: dict[str, str]
    gives: list[str]


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
        tenant_role=seat.role,
        created_at=moment(tenant.created_at),
    )


def member_shape(actor: Actor, seat: Membership) -> MemberShape:
    """A seat that the actor was found to see, with its person."""
    facts = Facts(own=seat.pk == actor.seat, target=actor.policy.role(seat.role))
    user = seat.user
    return MemberShape(
        user=Person(
            id=str(user.pk),
            display_name=user.display_name,
            email=user.email if allows(actor.role, Verb.SEAT_EMAIL_SEE, facts) else UNSET,
        ),
        tenant_role=seat.role,
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
        tenant_role=invitation.role,
        inviter=Person(id=str(inviter.pk), display_name=inviter.display_name),
        max_uses=invitation.max_uses,
        uses=invitation.uses,
        created_at=moment(invitation.created_at),
        expires_at=moment(invitation.expires_at),
        token=token,
        url=url,
    )


def role_shape(role: Role) -> RoleShape:
    return RoleShape(
        name=role.name,
        rank=role.rank,
        base=None if role.builtin else str(role.base),
        builtin=role.builtin,
        cells=_cells(role),
        changed=[verb for verb, _ in role.changed],
    )


def _cells(role: Role) -> dict[str, str]:
    return {str(verb): rule_for(role, verb).__name__ for verb in Verb}


def abilities_shape(actor: Actor) -> AbilitiesShape:
    may = [
        role for role in _ranked(actor.policy) if allows(actor.role, Verb.INVITATION_CREATE, giving(actor.role, role))
    ]
    return AbilitiesShape(
        tenant_role=actor.role.name,
        version=actor.policy.version,
        cells=_cells(actor.role),
        gives=[role.name for role in may],
    )


def _ranked(policy: Policy) -> list[Role]:
    return sorted(policy.roles.values(), key=lambda role: (role.rank, role.name))


def roles_shape(policy: Policy) -> RolesShape:
    rules = {rule.__name__: words_of(rule) for cells in TABLE.values() for rule in cells}
    return RolesShape(
        version=policy.version,
        roles=[role_shape(role) for role in _ranked(policy)],
        options={str(verb): sorted(options) for verb, options in OPTIONS.items()},
        rules=dict(sorted(rules.items())),
    )


def preview_shape(invitation: Invitation) -> PreviewShape:
    tenant = invitation.tenant
    return PreviewShape(
        tenant=PreviewTenant(id=str(tenant.pk), name=tenant.name, slug=tenant.slug),
        tenant_role=invitation.role,
        inviter=PreviewInviter(display_name=invitation.inviter.user.display_name),
        expires_at=moment(invitation.expires_at),
    )
