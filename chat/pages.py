"""The chat page: one server-rendered shell for an organization and its rooms; the rest is the page's own modules."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe
from msgspec import to_builtins

from chat.queries import rooms_seen_by
from core.errors import NoSeat
from core.problems import page_not_found
from tenants.access import actor_of
from tenants.models import Tenant
from tenants.permissions import Verb
from tenants.roles import TenantRole
from tenants.shapes import abilities_shape

ROLE_WORDS: dict[str, str] = {
    TenantRole.OWNER: "an owner",
    TenantRole.ADMIN: "an admin",
    TenantRole.MODERATOR: "a moderator",
    TenantRole.MEMBER: "a member",
    TenantRole.GUEST: "a guest",
}


@require_safe
@login_required
@ensure_csrf_cookie
def conversation(request: HttpRequest, slug: str, room: UUID | None = None) -> HttpResponse:
    """The shell. A room that the person may not see is a 404 that keeps their way to the others."""
    assert request.user.is_authenticated
    try:
        actor = actor_of(request.user.pk, slug)
    except NoSeat as error:
        return page_not_found(request, error)  # not raised: while debugging, too, a stranger gets the product's page
    missing = room is not None and not rooms_seen_by(actor).filter(pk=room).exists()
    mine = abilities_shape(actor)
    context: dict[str, Any] = {
        "organization": Tenant.objects.get(pk=actor.tenant),
        "role_words": ROLE_WORDS.get(actor.role.name, actor.role.name),
        "abilities": to_builtins(mine),
        "may_create": mine.cells[Verb.ROOM_CREATE] != "no",
        "may_join": mine.cells[Verb.ROOM_JOIN] != "no",
        "may_invite": bool(mine.gives),
    }
    return render(request, "chat/tenant.html", context, status=404 if missing else 200)


page_urls = [
    path("t/<slug:slug>/", conversation, name="conversations"),
    path("t/<slug:slug>/rooms/<uuid:room>/", conversation, name="conversation"),
]
