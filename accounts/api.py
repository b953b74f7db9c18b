"""REST: who I am, and where I am signed in."""

from functools import partial
from typing import cast
from uuid import UUID

from django.db.models import QuerySet
from msgspec import UNSET
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.credentials import Credential
from accounts.models import Login, User
from accounts.schema import Me, Profile, Session
from core.api import body
from core.errors import Forbidden, NotFound
from core.openapi import operation
from core.paging import page
from core.views import View


class MeView(View):
    """The person behind the credential."""

    @operation("me", answer=Me)
    def get(self, request: Request) -> Response:
        return Response(_me(_credential(request).user))

    @operation("me_change", body=Profile, answer=Me)
    def patch(self, request: Request) -> Response:
        user = _signed_in(request).user
        profile = body(request, Profile)
        changed = services.change_profile(
            user,
            display_name=None if profile.display_name is UNSET else profile.display_name,
            timezone=None if profile.timezone is UNSET else profile.timezone,
        )
        return Response(_me(changed))


class SessionsView(View):
    """My browsers and programs that are signed in."""

    @operation("sessions", answer=Session, listed=True)
    def get(self, request: Request) -> Response:
        credential = _signed_in(request)
        return page(request, _logins_of(credential), partial(_session, credential), key="-pk")

    @operation("sessions_end_others", status=204)
    def delete(self, request: Request) -> Response:
        credential = _signed_in(request)
        services.end_logins(_logins_of(credential).exclude(id=credential.sid))
        return Response(status=204)


class SessionView(View):
    """One of them."""

    @operation("session_end", status=204)
    def delete(self, request: Request, login: UUID) -> Response:
        if not services.end_logins(_logins_of(_signed_in(request)).filter(id=login)):
            raise NotFound
        return Response(status=204)


def _credential(request: Request) -> Credential:
    return cast(Credential, request.auth)


def _signed_in(request: Request) -> Credential:
    """The credential of a person: tokens that were only given to a program are kept out."""
    credential = _credential(request)
    if not credential.is_login:
        raise Forbidden("Sign in for this: a token is not enough.")
    return credential


def _logins_of(credential: Credential) -> QuerySet[Login]:
    return Login.objects.filter(user=credential.user)


def _me(user: User) -> Me:
    return Me(
        id=user.id,
        email=user.email,
        display_name=user.display_name,
        avatar=user.avatar,
        timezone=user.timezone,
        date_joined=user.date_joined,
    )


def _session(credential: Credential, login: Login) -> Session:
    return Session(
        id=login.id,
        created_at=login.created_at,
        last_used_at=login.last_used_at,
        address=login.address,
        user_agent=login.user_agent,
        current=login.id == credential.sid,
    )
