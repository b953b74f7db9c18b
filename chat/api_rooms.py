"""REST for rooms and who is in them."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict
from rest_framework.request import Request
from rest_framework.response import Response

from chat.models import RoomMember
from chat.openapi import made_or_found
from chat.protocol import RoomShape
from chat.queries import INSIDE, members_seen_by, room_seen_by, rooms_seen_by
from chat.services import members, rooms
from chat.shapes import people_of, room_shape
from core.api import body, flag
from core.errors import NotFound
from core.idempotency import once
from core.limits import spend
from core.openapi import operation
from core.paging import page, page_together
from core.views import View
from core.wire import Id, Strict
from tenants.actor import Actor
from tenants.api import actor_for
from tenants.roles import History, Posting, RoomKind, RoomRole
from tenants.shapes import MemberShape, member_shape

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Topic = Annotated[str, Meta(max_length=250)]
JOINED = {"type": "integer", "enum": [0, 1], "default": 0}


class RoomCreate(Strict, frozen=True):
    """A room. Direct ones are made at `direct/`."""

    name: Name
    kind: Literal["private", "open"] = "private"
    topic: Topic = ""
    posting: Posting = Posting.EVERYONE
    history: History = History.SHARED


class RoomChange(Strict, frozen=True):
    """What is left out stays. Another `history` counts for those who join from then on."""

    name: Name | UnsetType = UNSET
    topic: Topic | UnsetType = UNSET
    posting: Posting | UnsetType = UNSET
    history: History | UnsetType = UNSET


class DirectCreate(Strict, frozen=True):
    """The other people; whether I name myself, too, makes no difference."""

    users: Annotated[list[Id], Meta(min_length=1, max_length=rooms.DIRECT_PEOPLE)]


class RoomMemberAdd(Strict, frozen=True):
    user: Id
    room_role: RoomRole = RoomRole.MEMBER


class RoomMemberChange(Strict, frozen=True):
    room_role: RoomRole


class RoomMemberShape(MemberShape, frozen=True, kw_only=True):
    """A seat and its role in the room. `joined_at` is when the person came into the organization."""

    room_role: RoomRole


class RoomsView(View):
    """The rooms I may see."""

    @operation("rooms", answer=RoomShape, listed=True, query={"joined": JOINED})
    def get(self, request: Request, slug: str) -> Response:
        actor = actor_for(request, slug)
        seen = rooms_seen_by(actor)
        if flag(request, "joined"):
            seen = seen.filter(INSIDE)
        return page_together(request, seen, lambda found: _rooms(actor, found))

    @operation("room_create", body=RoomCreate, answer=RoomShape, status=201, creates=True)
    def post(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, RoomCreate)
        room, _ = once(
            request,
            lambda: rooms.create_room(
                actor,
                name=given.name,
                kind=RoomKind(given.kind),
                topic=given.topic,
                posting=given.posting,
                history=given.history,
            ),
        )
        return Response(_room(actor, room_seen_by(actor, room)), status=201)


class DirectView(View):
    """The one room of exactly these people and me."""

    @made_or_found(RoomShape)
    @operation("room_direct", body=DirectCreate)
    def post(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, DirectCreate)
        room, made = rooms.direct_room(actor, users=map(UUID, given.users))
        return Response(_room(actor, room), status=201 if made else 200)


class RoomView(View):
    """One of them."""

    @operation("room", answer=RoomShape)
    def get(self, request: Request, slug: str, room: UUID) -> Response:
        actor = actor_for(request, slug)
        return Response(_room(actor, room_seen_by(actor, room)))

    @operation("room_change", body=RoomChange, answer=RoomShape)
    def patch(self, request: Request, slug: str, room: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, RoomChange)
        changes: dict[str, Any] = {name: value for name, value in asdict(given).items() if value is not UNSET}
        return Response(_room(actor, rooms.change_room(actor, room=room, **changes)))


class ArchiveView(View):
    """Keep a room readable, and closed to everything new."""

    @operation("room_archive", answer=RoomShape)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor = actor_for(request, slug)
        return Response(_room(actor, rooms.archive_room(actor, room=room)))


class RestoreView(View):
    """Open an archived room again."""

    @operation("room_restore", answer=RoomShape)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor = actor_for(request, slug)
        return Response(_room(actor, rooms.restore_room(actor, room=room)))


class JoinView(View):
    """Come into an open room, or enter a private one from outside."""

    @operation("room_join", answer=RoomShape)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor = actor_for(request, slug)
        spend("JOINS", user=actor.user, tenant=actor.tenant)
        return Response(_room(actor, members.join_room(actor, room=room)))


class LeaveView(View):
    """Go out of a room."""

    @operation("room_leave", status=204)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        members.leave_room(actor_for(request, slug), room=room)
        return Response(status=204)


class RoomMembersView(View):
    """Who is in a room that I may see."""

    @operation("room_members", answer=RoomMemberShape, listed=True)
    def get(self, request: Request, slug: str, room: UUID) -> Response:
        actor = actor_for(request, slug)
        room_seen_by(actor, room)
        return page(request, members_seen_by(actor, room), lambda member: _member(actor, member))

    @operation("room_member_add", body=RoomMemberAdd, answer=RoomMemberShape, status=201, creates=True)
    def post(self, request: Request, slug: str, room: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, RoomMemberAdd)
        user = UUID(given.user)
        made, _ = once(request, lambda: members.add_member(actor, room=room, user=user, room_role=given.room_role))
        found = members_seen_by(actor, room).filter(pk=made).first()
        if found is None:
            raise NotFound("No such member of this room.")
        return Response(_member(actor, found), status=201)


class RoomMemberView(View):
    """One of them, by the person's id."""

    @operation("room_member_change", body=RoomMemberChange, answer=RoomMemberShape)
    def patch(self, request: Request, slug: str, room: UUID, user: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, RoomMemberChange)
        changed = members.change_member(actor, room=room, user=user, room_role=given.room_role)
        return Response(_member(actor, changed))

    @operation("room_member_remove", status=204)
    def delete(self, request: Request, slug: str, room: UUID, user: UUID) -> Response:
        actor = actor_for(request, slug)
        if user == actor.user:
            members.leave_room(actor, room=room)
        else:
            members.remove_member(actor, room=room, user=user)
        return Response(status=204)


def _rooms(actor: Actor, found: Iterable[Any]) -> list[RoomShape]:
    shown = list(found)
    people = people_of(shown, actor.seat)
    return [room_shape(room, people.get(room.pk)) for room in shown]


def _room(actor: Actor, found: Any) -> RoomShape:
    return _rooms(actor, [found])[0]


def _member(actor: Actor, member: RoomMember) -> RoomMemberShape:
    seat = member_shape(actor, member.seat)
    return RoomMemberShape(
        user=seat.user,
        tenant_role=seat.tenant_role,
        expires_at=seat.expires_at,
        suspended=seat.suspended,
        joined_at=seat.joined_at,
        room_role=RoomRole(member.role),
    )
