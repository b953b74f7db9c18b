"""The rooms an invitation leads into: asked of the inviter when it is made, and again when it is accepted."""

from collections.abc import Iterable
from uuid import UUID

from chat.locks import lock_rooms
from chat.models import InvitationRoom, RoomMember
from chat.queries import facts_of, room_seen_by, rooms_seen_by
from chat.services.members import newcomers_see
from chat.services.rooms import seat_in_room
from tenants.access import actor_from
from tenants.actor import Actor
from tenants.models import Invitation, Membership
from tenants.permissions import Verb, allows, require
from tenants.roles import RoomRole


def invite_into(actor: Actor, invitation: Invitation, rooms: Iterable[UUID]) -> None:
    """Only rooms that the inviter sees and may add people to."""
    for room in dict.fromkeys(rooms):
        require(actor.role, Verb.ROOM_MEMBER_ADD, facts_of(room_seen_by(actor, room)))
        InvitationRoom.objects.create(tenant_id=actor.tenant, invitation=invitation, room_id=room)


def come_into(invitation: Invitation, seat: Membership) -> None:
    """Into those of its rooms where the inviter, as they are now, may still add people."""
    inviter = actor_from(invitation.inviter)
    locked = lock_rooms(InvitationRoom.objects.filter(invitation=invitation).values_list("room", flat=True))
    inside = set(RoomMember.objects.filter(seat=seat, room__in=locked).values_list("room", flat=True))
    for found in rooms_seen_by(inviter).filter(pk__in=locked).order_by("pk"):
        facts = facts_of(found)
        if found.pk in inside or facts.archived or not allows(inviter.role, Verb.ROOM_MEMBER_ADD, facts):
            continue
        past = newcomers_see(found) if facts.room_role else found.number + 1
        seat_in_room(found, seat.pk, RoomRole.MEMBER, visible_from=past)
