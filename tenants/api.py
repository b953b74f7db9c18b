"""REST for organizations, their members and roles."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from django.db.models import Q
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from core.api import body, choice, identifier, text
from core.errors import Invalid, NotFound
from core.idempotency import once
from core.openapi import operation, schema
from core.paging import page
from core.views import View
from core.wire import Id, Strict
from tenants import services
from tenants.access import actor_of
from tenants.actor import Actor
from tenants.explain import explain
from tenants.permissions import Facts, Verb, allows, require
from tenants.queries import member_seen_by, members_seen_by, tenants_of
from tenants.services import SeatChange, role_named
from tenants.shapes import (
    ExplanationShape,
    MemberShape,
    TenantShape,
    member_shape,
    tenant_shape,
)

Name = Annotated[str, Meta(min_length=1, max_length=80)]
RoleName = Annotated[str, Meta(min_length=1, max_length=20)]
UUID_QUERY = schema(Id)
ROLE_QUERY = schema(RoleName)


class TenantCreate(Strict, frozen=True):
    """Found an organization. Its slug never changes."""

    name: Name
    slug: Annotated[str, Meta(min_length=3, max_length=40, pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]


class TenantChange(Strict, frozen=True):
    name: Name | UnsetType = UNSET


class MemberChange(Strict, frozen=True):
    """What is left out stays; `expires_at` null lifts the end."""

    tenant_role: RoleName | UnsetType = UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    suspended: bool | UnsetType = UNSET


class Transfer(Strict, frozen=True):
    user: Id


def me(request: Request) -> UUID:
    return cast(User, request.user).pk


def actor_for(request: Request, slug: str) -> Actor:
    """Whoever asks, in this organization; `NoSeat` where they have no seat."""
    return actor_of(me(request), slug)


class TenantsView(View):
    """My organizations."""

    @operation("tenants", answer=TenantShape, listed=True)
    def get(self, request: Request) -> Response:
        return page(request, tenants_of(me(request)), tenant_shape)

    @operation("tenant_create", body=TenantCreate, answer=TenantShape, status=201, creates=True)
    def post(self, request: Request) -> Response:
        given = body(request, TenantCreate)
        seat, _ = once(request, lambda: services.create_tenant(me(request), name=given.name, slug=given.slug))
        found = tenants_of(me(request)).filter(pk=seat).first()
        if found is None:
            raise NotFound("No such organization.")
        return Response(tenant_shape(found), status=201)


class TenantView(View):
    """One of them."""

    @operation("tenant", answer=TenantShape)
    def get(self, request: Request, slug: str) -> Response:
        actor = actor_for(request, slug)
        require(actor.role, Verb.TENANT_SEE, Facts())
        return Response(_own(actor))

    @operation("tenant_change", body=TenantChange, answer=TenantShape)
    def patch(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, TenantChange)
        if not isinstance(given.name, UnsetType):
            services.change_tenant(actor, name=given.name)
        return Response(_own(actor))


class MembersView(View):
    """The people of an organization, as far as I may know of them."""

    @operation(
        "members",
        answer=MemberShape,
        listed=True,
        query={"q": {"type": "string", "maxLength": 80}, "role": ROLE_QUERY},
    )
    def get(self, request: Request, slug: str) -> Response:
        actor = actor_for(request, slug)
        members, role = members_seen_by(actor), text(request, "role", longest=20)
        if role:
            members = members.filter(role=role_named(actor, role, "role").name)
        if start := text(request, "q", longest=80):
            members = members.filter(_begins(actor, start))
        return page(request, members, lambda seat: member_shape(actor, seat))


class MemberView(View):
    """One of them, by the person's id."""

    @operation("member", answer=MemberShape)
    def get(self, request: Request, slug: str, user: UUID) -> Response:
        actor = actor_for(request, slug)
        return Response(member_shape(actor, member_seen_by(actor, user)))

    @operation("member_change", body=MemberChange, answer=MemberShape)
    def patch(self, request: Request, slug: str, user: UUID) -> Response:
        actor, given = actor_for(request, slug), body(request, MemberChange)
        change = SeatChange(tenant_role=given.tenant_role, expires_at=given.expires_at, suspended=given.suspended)
        return Response(member_shape(actor, services.change_seat(actor, user, change)))

    @operation("member_remove", status=204)
    def delete(self, request: Request, slug: str, user: UUID) -> Response:
        services.remove_seat(actor_for(request, slug), user)
        return Response(status=204)


class TransferView(View):
    """Make someone else the owner, and myself an admin."""

    @operation("tenant_transfer", body=Transfer, answer=TenantShape)
    def post(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, Transfer)
        return Response(tenant_shape(services.transfer(actor, UUID(given.user))))


class LeaveView(View):
    """Give up my seat."""

    @operation("tenant_leave", status=204)
    def post(self, request: Request, slug: str) -> Response:
        services.leave_tenant(actor_for(request, slug))
        return Response(status=204)


class ExplainView(View):
    """Why I may do something, or not; for admins also why those below them may."""

    @operation(
        "permission_explain",
        answer=ExplanationShape,
        query={
            "verb": schema(Verb),
            **dict.fromkeys(("user", "target", "room", "message"), UUID_QUERY),
            "role": ROLE_QUERY,
        },
    )
    def get(self, request: Request, slug: str) -> Response:
        actor, verb = actor_for(request, slug), choice(request, "verb", Verb)
        if verb is None:
            raise Invalid("verb: missing.", errors={"verb": ["Missing."]})
        found = explain(
            actor,
            verb,
            user=identifier(request, "user"),
            target=identifier(request, "target"),
            grant=text(request, "role", longest=20),
            room=identifier(request, "room"),
            message=identifier(request, "message"),
        )
        return Response(ExplanationShape(**{**asdict(found), "because": list(found.because)}))


def _own(actor: Actor) -> TenantShape:
    return tenant_shape(member_seen_by(actor, actor.user))


def _begins(actor: Actor, start: str) -> Q:
    """Whose name begins so; or whose address, where the actor may see it."""
    address = Q(user__email__istartswith=start)
    if not allows(actor.role, Verb.SEAT_EMAIL_SEE, Facts()):
        address &= Q(pk=actor.seat)
    return Q(user__display_name__istartswith=start) | address
