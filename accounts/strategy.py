"""allauth's token strategy: the only place that hands out tokens, reached after every stage of a login."""

from typing import Any

from allauth.headless.internal.sessionkit import lookup_session
from allauth.headless.tokens.strategies.base import AbstractTokenStrategy
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from accounts import tokens
from accounts.credentials import login_of_token
from accounts.models import Login
from accounts.refresh import refresh
from core.errors import ConclaveError


class TokenStrategy(AbstractTokenStrategy):
    """Session tokens carry a login through its stages; access and refresh tokens come at its end."""

    def get_session_token(self, request: HttpRequest) -> str | None:
        """A program may name its session by its access token too, to sign out for instance."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if "X-Session-Token" in request.headers or scheme.lower() != "bearer":
            return request.headers.get("X-Session-Token")
        try:
            return login_of_token(token.strip()).session_key
        except ConclaveError:
            return None

    def create_session_token(self, request: HttpRequest) -> str:
        if not request.session.session_key:
            request.session.save()
        return str(request.session.session_key)

    def lookup_session(self, session_token: str) -> SessionBase | None:
        found: SessionBase | None = lookup_session(session_token)
        return found

    def create_access_token_payload(self, request: HttpRequest) -> dict[str, Any] | None:
        login = Login.objects.select_related("user").get(session_key=request.session.session_key)
        access, refresh_token = tokens.mint(login)
        return {"access_token": access, "refresh_token": refresh_token}

    def refresh_token(self, refresh_token: str) -> tuple[str, str] | None:
        return refresh(refresh_token)
