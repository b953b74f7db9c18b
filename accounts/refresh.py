"""Refresh tokens: rotation that survives a lost answer and ends a login whose token was copied."""

import logging
from datetime import datetime

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils.timezone import now

from accounts import tokens
from accounts.models import Login, User
from accounts.services import end_logins
from core.errors import ConclaveError

log = logging.getLogger(__name__)


def refresh(token: str) -> tuple[str, str] | None:
    """A new pair for a refresh token; None if it is not, or no longer, worth one."""
    try:
        claims = tokens.read(token, tokens.Refresh)
    except ConclaveError:
        return None
    with transaction.atomic():
        login = _locked(claims)
        if login is None or not login.user.is_active:
            return None
        if _advanced(login, claims.counter, now()):
            return tokens.mint(login)
        end_logins(Login.objects.filter(id=login.id))
    _warn(login.user)
    return None


def _locked(claims: tokens.Claims) -> Login | None:
    logins = Login.objects.select_for_update(of=("self",)).select_related("user")
    return logins.filter(id=claims.sid, user_id=claims.user_id).first()


def _advanced(login: Login, counter: int, at: datetime) -> bool:
    """Put the login at its successor. The direct predecessor, shown again soon, finds it there already."""
    if counter == login.refresh_counter:
        login.refresh_counter += 1
        login.refresh_rotated_at = login.last_used_at = at
        login.save(update_fields=["refresh_counter", "refresh_rotated_at", "last_used_at"])
        Session.objects.filter(session_key=login.session_key).update(expire_date=at + settings.REFRESH_TOKEN_LIFETIME)
        return True
    return counter == login.refresh_counter - 1 and at - login.refresh_rotated_at <= settings.REFRESH_GRACE


def _warn(user: User) -> None:
    """The login has ended whether or not the mail gets through."""
    try:
        get_adapter().send_notification_mail("accounts/email/session_ended", user)
    except OSError:
        log.exception("no mail about the reuse of a refresh token")
