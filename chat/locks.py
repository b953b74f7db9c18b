"""Row locks on rooms, after those on seats: see `tenants.locks` for the one order."""

from collections.abc import Iterable
from uuid import UUID

from chat.models import Room


def lock_rooms(rooms: Iterable[UUID]) -> dict[UUID, Room]:
    """Those of the rooms that exist, as they are now, locked until the transaction ends.

    Not FOR UPDATE: that would block every insert that references the room.
    """
    found = Room.objects.filter(pk__in=list(rooms)).order_by("pk").select_for_update(no_key=True)
    return {room.pk: room for room in found}
