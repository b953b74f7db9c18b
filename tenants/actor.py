"""Who is asking, where, as what. Built in `tenants.access` only, never by hand."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tenants.roles import Policy, Role


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in one organization, as of the moment the seat was read."""

    user: UUID
    display_name: str
    tenant: UUID
    slug: str
    seat: UUID
    role: Role
    policy: Policy
    seat_version: int
    expires_at: datetime | None
