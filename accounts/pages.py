"""The page of one's own profile and sessions. allauth's pages do the rest of /accounts/."""

from typing import cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.devices import device_of
from accounts.models import TIMEZONES, Login, User


class ProfileForm(forms.Form):
    display_name = forms.CharField(label="Name", max_length=80)
    timezone = forms.ChoiceField(label="Time zone", choices=[(name, name) for name in sorted(TIMEZONES)])


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if "revoke" in request.POST:
        return _revoke(request, user, request.POST["revoke"])
    form = ProfileForm(request.POST or None, initial={"display_name": user.display_name, "timezone": user.timezone})
    if form.is_valid():
        services.change_profile(user, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    sessions = [_row(request, login) for login in user.logins.order_by("-last_used_at")]
    return render(request, "accounts/profile.html", {"form": form, "sessions": sessions})


def _revoke(request: HttpRequest, user: User, which: str) -> HttpResponse:
    """`others`, or the id of one that is not this."""
    others = user.logins.exclude(session_key=request.session.session_key)
    try:
        services.end_logins(others if which == "others" else others.filter(id=UUID(which)))
    except ValueError:
        raise Http404 from None
    messages.success(request, "Signed out there.")
    return redirect("profile")


def _row(request: HttpRequest, login: Login) -> dict[str, object]:
    return {
        "id": login.id,
        "device": device_of(login.user_agent),
        "address": login.address,
        "created_at": login.created_at,
        "last_used_at": login.last_used_at,
        "is_current": login.session_key == request.session.session_key,
    }
