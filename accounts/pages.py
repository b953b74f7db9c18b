"""The page of my profile: my name, my time zone, where I am signed in."""

import re
import zoneinfo
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.models import Login, User

ZONES = [(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())]
BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")


class ProfileForm(forms.Form):
    display_name = forms.CharField(max_length=80, label="Name")
    timezone = forms.ChoiceField(choices=ZONES, label="Time zone")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Shows and changes it; posted with `revoke`, ends a login."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(request.path)
    if "revoke" in request.POST:
        return _revoke(request, user, request.POST["revoke"])
    current = {"display_name": user.display_name, "timezone": user.timezone}
    form = ProfileForm(request.POST if request.method == "POST" else None, initial=current)
    if form.is_bound and form.is_valid():
        services.change_profile(user, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    return render(request, "accounts/profile.html", {"form": form, "sessions": _sessions(request, user)})


def _revoke(request: HttpRequest, user: User, which: str) -> HttpResponse:
    """End one of the person's logins, or all but this one."""
    logins = user.logins.all()
    if which == "others":
        ended = services.end_logins(logins.exclude(session_key=request.session.session_key))
    else:
        ended = services.end_logins(logins.filter(pk=_id(which)))
    messages.success(request, f"{ended} session{'s' if ended != 1 else ''} ended.")
    return redirect("profile")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def _sessions(request: HttpRequest, user: User) -> list[dict[str, object]]:
    key = request.session.session_key
    return [
        {
            "id": login.pk,
            "device": device(login),
            "address": login.address,
            "created_at": login.created_at,
            "last_used_at": login.last_used_at,
            "is_current": login.session_key == key,
        }
        for login in user.logins.order_by("-last_used_at")
    ]


def device(login: Login) -> str:
    """A browser and its system in two words, or the name that a program gave itself."""
    agent = login.user_agent
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for name in SYSTEMS if name in agent), "")
    if browser:
        return f"{browser} on {system}" if system else browser
    name = re.match(r"[\w.+-]{1,40}", agent)
    return name.group() if name else "Unknown program"
