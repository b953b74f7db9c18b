"""What we tell allauth to do our way."""

import base64
import hashlib
import hmac
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from accounts import hooks, services
from accounts.models import User
from core.addresses import client_address


def display_name(user: User) -> str:
    return user.display_name


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up that can be closed, passwords that end logins, addresses that only our proxies can tell."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.OPEN_SIGNUP or hooks.signup_opened(request)

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        services.change_password(cast(User, user), password, keep=self.request.session.session_key)

    def send_account_already_exists_mail(self, email: str) -> None:
        """A new person's password is hashed; without the same work here the time would tell who has an account."""
        make_password(email)
        super().send_account_already_exists_mail(email)

    def get_client_ip(self, request: HttpRequest) -> str:
        """On a unix socket there is none, and allauth would answer 403 to everyone."""
        return client_address(request) or "unknown"

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Guesses are counted by account alone. allauth adds the Host header, and each port in it would begin anew."""
        return str(credentials.get("email", "")).strip().lower()


class MFAAdapter(DefaultMFAAdapter):
    """Second factors are stored encrypted: who reads the database alone can't use them."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        return "Conclave"


def _cipher() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _fernet(secret_key: str) -> Fernet:
    key = hmac.digest(secret_key.encode(), b"conclave.factors", hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(key))
