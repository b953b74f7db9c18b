"""The operator's desk: staff who signed in at the front door, with a second factor, look after people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import services
from accounts.models import User


class OperatorSite(admin.AdminSite):
    """Its own pages would be further doors for passwords, without limits or factors: allauth's are used."""

    site_header = site_title = "Conclave, for operators"

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return super().has_permission(request) and isinstance(user, User) and bool(is_mfa_enabled(user))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if self.has_permission(request):
            return redirect("admin:index")
        if super().has_permission(request):
            return redirect("mfa_index")
        raise PermissionDenied

    def password_change(  # type: ignore[override]  # the stubs know only a page, not a redirect
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("account_change_password")


site = OperatorSite(name="admin")


if TYPE_CHECKING:
    UserBase = admin.ModelAdmin[User]
else:
    UserBase = admin.ModelAdmin  # generic for type checkers only


@admin.register(User, site=site)
class UserAdmin(UserBase):
    """No password here: people reset their own."""

    list_display = ("email", "display_name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "display_name")
    fields = ("email", "display_name", "timezone", "is_active", "is_staff", "date_joined", "last_login")
    readonly_fields: ClassVar = ("email", "date_joined", "last_login")

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.is_active and "is_active" in form.changed_data:
            services.deactivate(obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False
