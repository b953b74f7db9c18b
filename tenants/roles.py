"""The words of the product: roles of a seat, roles in a room, kinds and policies of rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID


class TenantRole(StrEnum):
    """The roles that every organization has, and that its own are based on."""

    GUEST = "guest"
    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def place(self) -> int:
        """Its column in the table."""
        return _PLACES[self]


_PLACES = {role: place for place, role in enumerate(TenantRole)}


@dataclass(frozen=True, slots=True)
class Role:
    """What a seat may do in its organization. Compared by `rank`, never by name.

    What it sees is its base's; what it may do besides is, too, but for the cells that the organization changed.
    """

    name: str
    rank: int
    base: TenantRole
    changed: tuple[tuple[str, str], ...] = ()
    """The changed cells by verb, in order: which rule decides there."""

    @property
    def builtin(self) -> bool:
        return self.name == self.base

    def __str__(self) -> str:
        return self.name


BUILTIN = {str(role): Role(role, (role.place + 1) * 10, role) for role in TenantRole}
"""Between their ranks, 10 to 50, and below them is room for those of an organization."""
RANKS = range(1, BUILTIN[TenantRole.OWNER].rank)
"""Those that a role of an organization may have."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the roles of an organization were at one version. Two of the same organization and version are equal."""

    tenant: UUID | None
    version: int
    roles: Mapping[str, Role] = field(compare=False)

    def role(self, name: str) -> Role:
        """The role of this name. One that there is no more gives what a guest is given."""
        return self.roles.get(name, BUILTIN[TenantRole.GUEST])


DEFAULT = Policy(None, 0, MappingProxyType(BUILTIN))


class RoomRole(StrEnum):
    READER = "reader"
    MEMBER = "member"
    MODERATOR = "moderator"


class RoomKind(StrEnum):
    PRIVATE = "private"
    OPEN = "open"
    DIRECT = "direct"


class Posting(StrEnum):
    EVERYONE = "everyone"
    MODERATORS = "moderators"


class History(StrEnum):
    """What a newcomer reads: everything, or what is written from the moment they join."""

    SHARED = "shared"
    SINCE_JOIN = "since_join"
