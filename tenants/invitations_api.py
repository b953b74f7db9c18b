"""REST for invitations: those who make them, and those who hold one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import body
from core.errors import Invalid
from core.idempotency import once
from core.openapi import operation
from core.paging import page
from core.views import View
from core.wire import Id, Strict
from tenants import entrance, invitations
from tenants.api import RoleName, actor_for, me
from tenants.queries import invitation_seen_by, invitations_seen_by
from tenants.roles import TenantRole
from tenants.shapes import InvitationShape, PreviewShape, TenantShape, invitation_shape, preview_shape, tenant_shape


class InvitationCreate(Strict, frozen=True):
    """A link. Without `expires_at` it is good for 7 days; 365 at most."""

    tenant_role: RoleName = str(TenantRole.MEMBER)
    rooms: Annotated[list[Id], Meta(max_length=100)] = []
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    max_uses: Annotated[int, Meta(ge=1, le=10_000)] = 1
    email: str | None = None
    domain: str | None = None


class InvitationsView(View):
    """The links that lead in."""

    @operation("invitations", answer=InvitationShape, listed=True)
    def get(self, request: Request, slug: str) -> Response:
        return page(request, invitations_seen_by(actor_for(request, slug)), invitation_shape)

    @operation("invitation_create", body=InvitationCreate, answer=InvitationShape, status=201, creates=True)
    def post(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, InvitationCreate)
        for name in ("email", "domain"):
            if getattr(given, name) is not None:
                reason = "Invitations by e-mail or for a domain don't exist yet: leave it out."
                raise Invalid(f"{name}: {reason}", errors={name: [reason]})
        found, made = once(
            request,
            lambda: invitations.create_invitation(
                actor,
                tenant_role=given.tenant_role,
                rooms=[UUID(room) for room in given.rooms],
                expires_at=given.expires_at,
                max_uses=given.max_uses,
            ),
        )
        secret = {"token": made.token, "url": made.url} if made else {}
        return Response(invitation_shape(invitation_seen_by(actor, found), **secret), status=201)


class InvitationView(View):
    """One of them."""

    @operation("invitation", answer=InvitationShape)
    def get(self, request: Request, slug: str, invitation: UUID) -> Response:
        return Response(invitation_shape(invitation_seen_by(actor_for(request, slug), invitation)))

    @operation("invitation_revoke", status=204)
    def delete(self, request: Request, slug: str, invitation: UUID) -> Response:
        invitations.revoke_invitation(actor_for(request, slug), invitation)
        return Response(status=204)


class PreviewView(View):
    """Where a link leads. The link itself is the right to know."""

    permission_classes = (AllowAny,)

    @operation("invitation_preview", answer=PreviewShape)
    def get(self, request: Request, token: str) -> Response:
        user = None if request.auth is None else me(request)
        return Response(preview_shape(entrance.look(request._request, user, token)))


class AcceptView(View):
    """Come in by a link."""

    permission_classes = (IsAuthenticated,)

    @operation("invitation_accept", answer=TenantShape)
    def post(self, request: Request, token: str) -> Response:
        return Response(tenant_shape(entrance.come_in(request._request, me(request), token)))
