"""Credentials: what a request or a socket shows, and whose living login stands behind it."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils.crypto import constant_time_compare
from django.utils.timezone import now

from accounts import tokens
from accounts.models import Login, User
from core.errors import NotAuthenticated, Revoked
from core.sql import Compiled, Rows, Statement

TOUCH = timedelta(minutes=1)
"""`last_used_at` is no finer than this, so that reading does not mean writing."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Proof of who is asking. `sid` is what can end it: the login, or whatever another kind says."""

    kind: Literal["session", "jwt"] | str
    user: User
    sid: UUID
    expires_at: datetime | None

    @property
    def user_id(self) -> UUID:
        return self.user.id

    @property
    def is_login(self) -> bool:
        """Whether a person signed in for it, as opposed to a token that they gave to a program."""
        return self.kind in ("session", "jwt")


Resolver = Callable[[str], Credential]
Living = Callable[[Collection[UUID]], set[UUID]]
_resolvers: dict[str, Resolver] = {}
_living: list[Living] = []


def register_resolver(prefix: str, resolve: Resolver, living: Living) -> None:
    """Let bearer tokens that begin with `prefix` be read by `resolve`; `living` tells which of its sids are alive."""
    _resolvers[prefix] = resolve
    _living.append(living)


def resolve_bearer(token: str) -> Credential:
    """Whose token this is. Raises NotAuthenticated, Expired or Revoked."""
    for prefix, resolve in _resolvers.items():
        if token.startswith(prefix):
            return resolve(token)
    claims = tokens.read(token, tokens.Access)
    login = _living_login(claims)
    return Credential("jwt", login.user, login.id, claims.expires_at)


def login_of_token(token: str) -> Login:
    """The living login of an access token. Raises as `resolve_bearer` does."""
    return _living_login(tokens.read(token, tokens.Access))


def resolve_session(session_key: str) -> Credential:
    """Whose session this is; NotAuthenticated if nobody's. Unlike Django's `get_user` it never changes the session."""
    if not session_key.isalnum():
        raise NotAuthenticated
    session = Session.objects.filter(session_key=session_key, expire_date__gt=now()).first()
    login = Login.objects.select_related("user").filter(session_key=session_key, user__is_active=True).first()
    if session is None or login is None or not _signed_in(session, login.user):
        raise NotAuthenticated
    _touch(login)
    return Credential("session", login.user, login.id, session.expire_date)


_LOGIN = [field.attname for field in Login._meta.concrete_fields]
_USER = [field.attname for field in User._meta.concrete_fields]
_logins = Compiled(
    lambda sids: Login.objects.filter(pk__in=sids, user__is_active=True).values_list(
        *_LOGIN, *(f"user__{name}" for name in _USER)
    ),
    "sids",
)
_standing = Compiled(lambda sids: Login.objects.filter(pk__in=sids, user__is_active=True).values_list("pk"), "sids")


def alive(sids: Iterable[UUID]) -> set[UUID]:
    """Which of these still stand: one query for all logins, one for each further kind of credential."""
    wanted = set(sids)
    return alive_in(_standing.rows(sids=wanted), wanted)


def asking_who_is_alive(sids: Iterable[UUID]) -> Statement:
    """The first query of `alive`, to be sent together with others; `alive_in` reads its rows."""
    return _standing(sids=set(sids))


def alive_in(rows: Rows, wanted: set[UUID]) -> set[UUID]:
    found = {sid for (sid,) in rows}
    for living in _living:
        if rest := wanted - found:
            found |= living(rest)
    return found


def _living_login(claims: tokens.Claims) -> Login:
    rows = _logins.rows(sids=[claims.sid])
    if not rows or rows[0][_LOGIN.index("user_id")] != claims.user_id:
        raise Revoked
    login = Login.from_db("default", _LOGIN, rows[0][: len(_LOGIN)])
    login.user = User.from_db("default", _USER, rows[0][len(_LOGIN) :])
    _touch(login)
    return login


def _signed_in(session: Session, user: User) -> bool:
    """Whether this user signed in to it with the password of today, under this secret key or an old one."""
    data = session.get_decoded()
    shown = str(data.get(HASH_SESSION_KEY, ""))
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return (
        data.get(SESSION_KEY) == str(user.pk)
        and data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        and any(constant_time_compare(shown, known) for known in valid)
    )


def _touch(login: Login) -> None:
    at = now()
    if at - login.last_used_at > TOUCH:
        Login.objects.filter(id=login.id, last_used_at=login.last_used_at).update(last_used_at=at)
        login.last_used_at = at
