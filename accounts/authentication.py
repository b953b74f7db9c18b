"""How API requests prove who is asking: a bearer token, or the session cookie with CSRF protection."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from accounts.credentials import Credential, resolve_bearer, resolve_session
from accounts.models import User
from core import limits
from core.addresses import client_network
from core.errors import NotAuthenticated, RateLimited, Revoked


def bearer_token(header: str) -> str:
    """The token of an `Authorization` header, which must be exactly `Bearer <token>`."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token or "," in token:
        raise NotAuthenticated("Only 'Authorization: Bearer <token>' is understood.")
    return token


class BearerAuthentication(BaseAuthentication):
    """An Authorization header decides alone: beside a bad one the cookie is not read."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        token, address = bearer_token(header), client_network(request._request)
        limits.check_at("LIMIT_BAD_TOKENS_ADDRESS", address)
        try:
            credential = resolve_bearer(token)
        except (NotAuthenticated, Revoked):
            with suppress(RateLimited):
                limits.spend_at("LIMIT_BAD_TOKENS_ADDRESS", address)
            raise
        return credential.user, credential

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class CookieAuthentication(SessionAuthentication):
    """The session of the pages. A cookie that signs nobody in is as good as none."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not cookie:
            return None
        try:
            credential = resolve_session(cookie)
        except NotAuthenticated:
            return None
        # Django's own request: the check reads POST, which on REST framework's would use up the JSON body.
        plain: Any = request._request
        self.enforce_csrf(plain)
        return credential.user, credential
