"""The JWTs: how they are signed, minted and read. Whether they are still worth anything is asked elsewhere."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    ExpiredTokenError,
    TokenBackendError,
    TokenBackendExpiredToken,
    TokenError,
)
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import Login
from core.errors import Expired, NotAuthenticated

ALGORITHM = "HS256"
LONGEST = 4096
REQUIRED = ["exp", "iat", "jti", "sid", "sub"]


def keys() -> dict[str, str]:
    """Secrets by `kid`. The first signs, all verify."""
    if settings.JWT_KEYS:
        return {kid: secret for kid, _, secret in (pair.partition(":") for pair in settings.JWT_KEYS)}
    secrets = [_derived(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    return {hashlib.sha256(secret.encode()).hexdigest()[:8]: secret for secret in secrets}


def _derived(secret_key: str) -> str:
    return hmac.digest(secret_key.encode(), b"conclave.jwt", "sha256").hex()


class Keyring(TokenBackend):
    """SimpleJWT's backend knows one key; this one names the key that signed, so that keys can be rotated."""

    def encode(self, payload: dict[str, Any]) -> str:
        kid, secret = next(iter(keys().items()))
        return jwt.encode(payload, secret, ALGORITHM, headers={"kid": kid})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """`iat` is not judged: another node's clock may be a second ahead."""
        text = str(token)
        if len(text) > LONGEST or not text.isascii():
            raise TokenBackendError("Token is invalid")
        try:
            secret = keys()[jwt.get_unverified_header(text)["kid"]]
            return jwt.decode(text, secret, [ALGORITHM], options={"require": REQUIRED, "verify_iat": False})
        except jwt.ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("Token is expired") from error
        except (jwt.InvalidTokenError, KeyError, ValueError, RecursionError) as error:
            raise TokenBackendError("Token is invalid") from error


class Access(AccessToken):
    """Opens the API and the socket until it expires or its login ends."""

    _token_backend: TokenBackend | None = Keyring(ALGORITHM)


class Refresh(RefreshToken):
    """Opens the refresh endpoint. Number `counter` of a login is always the same text, so it need not be stored."""

    _token_backend: TokenBackend | None = Keyring(ALGORITHM)


@dataclass(frozen=True, slots=True)
class Claims:
    sid: UUID
    user_id: UUID
    expires_at: datetime
    counter: int


def mint(login: Login) -> tuple[str, str]:
    """An access token, and the refresh token that is current for this login."""
    access, refresh = Access.for_user(login.user), Refresh.for_user(login.user)
    for token in (access, refresh):
        token["sub"] = str(login.user_id)
        token["sid"] = str(login.id)
    refresh["counter"] = login.refresh_counter
    refresh["jti"] = uuid5(login.id, str(login.refresh_counter)).hex
    refresh.set_iat(at_time=login.refresh_rotated_at)
    refresh.set_exp(from_time=login.refresh_rotated_at)
    return str(access), str(refresh)


def read(token: str, kind: type[Token]) -> Claims:
    """What a token says, if we signed it and it still runs; Expired or NotAuthenticated otherwise."""
    try:
        found = kind(token)  # type: ignore[arg-type]  # SimpleJWT annotates the encoded text as a Token
        return Claims(
            sid=UUID(found["sid"]),
            user_id=UUID(found["sub"]),
            expires_at=datetime.fromtimestamp(found["exp"], UTC),
            counter=int(found.get("counter", 0)),
        )
    except ExpiredTokenError as error:
        raise Expired from error
    except (TokenError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise NotAuthenticated("The token is not valid.") from error
