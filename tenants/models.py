"""Organizations, the seats of people in them, and invitations."""

from enum import StrEnum

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.models import Row, SameTenant
from tenants.roles import TenantRole


def choices(of: type[StrEnum]) -> list[tuple[str, str]]:
    return [(str(item), str(item)) for item in of]


class Tenant(Row):
    """An organization. Its slug never changes."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)
    policy_version = models.PositiveBigIntegerField(default=0)
    """Moves with every change of roles and cells; 0: there was none. See `tenants.policy`."""

    def __str__(self) -> str:
        return self.slug


class CustomRole(Row):
    """A role that an organization made. Its name, rank and base stay as they are."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="roles")
    name = models.CharField(max_length=20)
    rank = models.PositiveSmallIntegerField()
    base = models.CharField(max_length=20, choices=choices(TenantRole))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_role_of_a_name")]

    def __str__(self) -> str:
        return self.name


class Cell(Row):
    """A rule that an organization put in the place of the table's: who has this role may do this thus."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="cells")
    role = models.CharField(max_length=20)
    """The name of a built-in role or of one of the organization's."""
    verb = models.CharField(max_length=40)
    rule = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "role", "verb"], name="one_rule_a_cell")]

    def __str__(self) -> str:
        return f"{self.role} {self.verb}: {self.rule}"


class Membership(Row):
    """A seat: one person in one organization. `version` moves whenever what the seat may do or see changes."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="seats")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="seats")
    role = models.CharField(max_length=20)
    """The name of a built-in role or of one of the organization's."""
    expires_at = models.DateTimeField(null=True, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    joined_at = models.DateTimeField(auto_now_add=True)
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="one_seat_per_person"),
            models.UniqueConstraint(fields=["id", "tenant"], name="seat_in_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


def active_seat(prefix: str = "") -> Q:
    """The condition under which a seat counts: neither suspended nor expired nor of a deactivated person.

    The database's clock decides, in the very statement that reads what the seat gives access to.
    """
    return (
        Q(**{f"{prefix}suspended_at": None, f"{prefix}user__is_active": True})
        & (Q(**{f"{prefix}expires_at": None}) | Q(**{f"{prefix}expires_at__gt": Now()}))
    )  # fmt: skip


class Invitation(Row):
    """A link into an organization. Only its SHA-256 is stored."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    inviter = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    max_uses = models.PositiveIntegerField()
    uses = models.PositiveIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "tenant"], name="invitation_in_tenant"),
            models.CheckConstraint(condition=Q(uses__lte=models.F("max_uses")), name="no_use_too_many"),
            SameTenant(field="inviter", name="invitation_inviter_same_tenant"),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"
