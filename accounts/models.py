"""The tables of identity: people, and their logins."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from core.models import Row

TIMEZONES = frozenset(zoneinfo.available_timezones())


def known_timezone(name: str) -> None:
    if name not in TIMEZONES:
        raise ValidationError("Not the name of a time zone, like Europe/Berlin.")


class UserManager(BaseUserManager["User"]):
    """Addresses are kept in lower case, so that two spellings of one address are one person."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, email: str | None) -> User:
        return self.get(email=self.normalize_email(email))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person with this address; without a password they can only be let in another way."""
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An operator of the server. That is no role in any organization."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(Row, AbstractBaseUser, PermissionsMixin):
    """A person: one identity in many organizations."""

    email = models.EmailField(max_length=254, unique=True)
    display_name = models.CharField(max_length=80)
    timezone = models.CharField(max_length=64, default="UTC", validators=[known_timezone])
    avatar = models.CharField(max_length=200, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_any_case"),
            models.CheckConstraint(condition=~models.Q(display_name=""), name="accounts_user_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = UserManager.normalize_email(self.email)
        self.display_name = self.display_name or self.email.partition("@")[0][:80]
        super().save(*args, **kwargs)


class Login(Row):
    """One signed-in browser or program. Its id is the `sid` of its tokens, which are worth nothing without the row."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="logins")
    session_key = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=now)
    last_used_at = models.DateTimeField(default=now)
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    refresh_counter = models.PositiveIntegerField(default=0)
    refresh_rotated_at = models.DateTimeField(default=now)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.address or 'an unknown address'}"
