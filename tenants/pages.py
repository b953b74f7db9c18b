"""Pages: my organizations, and the invitation that a link opens."""

from typing import Any
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.hooks import on_closed_signup
from accounts.models import User
from core.errors import ConclaveError, Conflict, Invalid, NotFound, RateLimited, Unavailable
from tenants import entrance, hooks, invitations, services
from tenants.forms import FoundForm
from tenants.models import Invitation, Membership
from tenants.queries import tenants_of

INVITATION = "invitation"
"""Under this the session of someone who is not signed in keeps the link they opened, until they have signed up."""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """My organizations; for strangers, what this is."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login("/") if request.method == "POST" else render(request, "tenants/welcome.html")
    form = FoundForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            seat = services.create_tenant(user.pk, **form.cleaned_data)
        except (Invalid, Conflict) as error:
            form.refuse(error)
        else:
            return redirect(f"/t/{seat.tenant.slug}/")
    seats = list(tenants_of(user.pk).order_by("tenant__name", "pk"))
    return render(request, "tenants/home.html", {"form": form, "organizations": _organizations(seats)})


def _organizations(seats: list[Membership]) -> list[dict[str, Any]]:
    counts: dict[UUID, tuple[int, int]] = {}
    for count in hooks.room_counts:
        counts |= count([seat.pk for seat in seats])
    return [
        {
            "id": seat.tenant_id,
            "slug": seat.tenant.slug,
            "name": seat.tenant.name,
            "role": seat.role,
            "rooms": counts.get(seat.pk, (0, 0))[0],
            "unread": counts.get(seat.pk, (0, 0))[1],
        }
        for seat in seats
    ]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invitation leads, in whatever state its holder is; posted, it is accepted."""
    try:
        if request.method == "POST":
            return _accept(request, token)
        return _look(request, token)
    except NotFound:
        return _page(request, "gone", status=404)
    except (RateLimited, Unavailable) as error:
        return _page(request, "busy", status=error.status)


def _accept(request: HttpRequest, token: str) -> HttpResponse:
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(request.path)
    try:
        seat = entrance.come_in(request, user.pk, token)
    except ConclaveError as error:
        if error.status != 403:
            raise
        found, _ = invitations.seat_for(user.pk, token)
        return _page(request, "refused", found, reason=error.detail, status=403)
    return redirect(f"/t/{seat.tenant.slug}/")


def _look(request: HttpRequest, token: str) -> HttpResponse:
    user = request.user
    if not isinstance(user, User):
        found = entrance.look(request, None, token)
        request.session[INVITATION] = token
        return _page(request, "signed_out", found)
    request.session.pop(INVITATION, None)
    found, seat = entrance.look_as(request, user.pk, token)
    if seat is None:
        return _page(request, "ready", invitations.preview(token))
    reason = invitations.why_not(seat)
    return _page(request, "refused" if reason else "member", found, reason=reason)


def _page(
    request: HttpRequest, state: str, found: Invitation | None = None, *, reason: str = "", status: int = 200
) -> HttpResponse:
    shown = found and {"tenant": found.tenant, "role": found.role, "inviter": found.inviter.user}
    return render(
        request, "tenants/invite.html", {"state": state, "invitation": shown, "reason": reason}, status=status
    )


@on_closed_signup
def invited(request: HttpRequest) -> bool:
    """Where sign-up is closed, whoever opened a link that still stands may sign up."""
    token = request.session.get(INVITATION)
    try:
        return token is not None and bool(invitations.preview(token))
    except NotFound:
        return False


urlpatterns = [
    path("", home, name="home"),
    path("invite/<slug:token>/", invite, name="invite"),
]
