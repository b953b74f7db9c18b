"""The words of the product: roles of a seat, roles in a room, kinds and policies of rooms."""

from enum import StrEnum


class TenantRole(StrEnum):
    """What a seat may do in its organization. Compared by `rank`, never by name."""

    GUEST = "guest"
    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {role: rank for rank, role in enumerate(TenantRole)}


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
