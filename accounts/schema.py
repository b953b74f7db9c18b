"""What the API of identity takes and gives, and what OpenAPI calls the two ways to sign a request."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from accounts.authentication import BearerAuthentication, CookieAuthentication
from accounts.models import Login, User, known_timezone
from core.errors import BadFrame


class Me(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "email", "display_name", "avatar", "timezone", "date_joined")
        read_only_fields = fields


class Profile(serializers.Serializer[User]):
    display_name = serializers.CharField(max_length=80, required=False)
    timezone = serializers.CharField(max_length=64, required=False, validators=[known_timezone])

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := set(data) - set(self.fields)):
            raise BadFrame(f"There is no field {min(unknown)!r} here.")
        return super().to_internal_value(data)


class Session(serializers.ModelSerializer[Login]):
    current = serializers.SerializerMethodField()

    class Meta:
        model = Login
        fields = ("id", "created_at", "last_used_at", "address", "user_agent", "current")

    def get_current(self, login: Login) -> bool:
        return bool(login.id == self.context["credential"].sid)


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
