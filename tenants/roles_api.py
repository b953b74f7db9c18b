"""REST for roles: the matrix that decides, and what an organization changes in it."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import body
from core.errors import NotFound
from core.idempotency import once
from core.openapi import operation
from core.views import View
from core.wire import Strict
from tenants import role_services
from tenants.access import reread
from tenants.actor import Actor
from tenants.api import RoleName, actor_for
from tenants.models import CustomRole
from tenants.permissions import Facts, Verb, require
from tenants.roles import TenantRole
from tenants.shapes import (
    AbilitiesShape,
    RoleShape,
    RolesShape,
    abilities_shape,
    role_shape,
    roles_shape,
)

Rules = dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=40)] | None]


class RoleCreate(Strict, frozen=True):
    """A role of the organization's own: what it sees is its base's, what it may do too, but for `cells`."""

    name: RoleName
    rank: int
    base: TenantRole
    cells: Rules = {}


class RoleChange(Strict, frozen=True):
    """By verb the rule that is to decide from now on; null takes the organization's choice back."""

    cells: Rules


class AbilitiesView(View):
    """What my role lets me do here."""

    @operation("abilities", answer=AbilitiesShape)
    def get(self, request: Request, slug: str) -> Response:
        return Response(abilities_shape(actor_for(request, slug)))


class RolesView(View):
    """What each role may do."""

    @operation("roles", answer=RolesShape)
    def get(self, request: Request, slug: str) -> Response:
        actor = actor_for(request, slug)
        require(actor.role, Verb.ROLE_SEE, Facts())
        return Response(roles_shape(actor.policy))

    @operation("role_create", body=RoleCreate, answer=RoleShape, status=201, creates=True)
    def post(self, request: Request, slug: str) -> Response:
        actor, given = actor_for(request, slug), body(request, RoleCreate)
        made, _ = once(
            request,
            lambda: role_services.create_role(
                actor, name=given.name, rank=given.rank, base=given.base, cells=given.cells
            ),
        )
        return Response(_by_id(reread(actor), made), status=201)


class RoleView(View):
    """One of them."""

    @operation("role_change", body=RoleChange, answer=RoleShape)
    def patch(self, request: Request, slug: str, name: str) -> Response:
        actor, given = actor_for(request, slug), body(request, RoleChange)
        return Response(role_shape(role_services.change_cells(actor, name, given.cells)))

    @operation("role_delete", status=204)
    def delete(self, request: Request, slug: str, name: str) -> Response:
        role_services.delete_role(actor_for(request, slug), name)
        return Response(status=204)


def _by_id(actor: Actor, made: UUID) -> RoleShape:
    require(actor.role, Verb.ROLE_SEE, Facts())
    found = CustomRole.objects.filter(tenant=actor.tenant, pk=made).first()
    if found is None:
        raise NotFound("No such role.")
    return role_shape(actor.policy.role(found.name))
