"""What the API of identity takes and gives, and what OpenAPI calls the two ways to sign a request."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from msgspec import UNSET, Meta, Struct, UnsetType

from accounts.authentication import BearerAuthentication, CookieAuthentication
from core.wire import Strict


class Me(Struct, frozen=True, kw_only=True):
    id: UUID
    email: str
    display_name: str
    avatar: str
    timezone: str
    date_joined: datetime


class Profile(Strict, frozen=True):
    """What I change of myself. A field that is left out stays."""

    display_name: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"\S")] | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class Session(Struct, frozen=True, kw_only=True):
    """A browser or program that is signed in; `current` is the one that asks."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    address: str | None
    user_agent: str
    current: bool


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its metaclass is untyped
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class CookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its metaclass is untyped
    target_class = CookieAuthentication
    name = "cookie"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
