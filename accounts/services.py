"""What happens to people and their logins."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import hooks
from accounts.models import TIMEZONES, Login, User
from core.addresses import client_address
from core.errors import Invalid

USER_AGENT_LENGTH = 200


@transaction.atomic
def create_person(*, email: str, password: str | None, display_name: str = "", **fields: Any) -> User:
    """A person whose address counts as verified: for demo data, operators and tests. Others sign up."""
    user = User.objects.create_user(email, password, display_name=display_name, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def change_profile(user: User, *, display_name: str | None = None, timezone: str | None = None) -> User:
    """Change what others see of a person. None leaves a field as it is."""
    if timezone is not None and timezone not in TIMEZONES:
        reason = "Not the name of a time zone, like Europe/Berlin."
        raise Invalid(f"timezone: {reason}", errors={"timezone": [reason]})
    changes = {"display_name": display_name, "timezone": timezone}
    changed = [name for name, value in changes.items() if value is not None]
    for name in changed:
        setattr(user, name, changes[name])
    user.save(update_fields=changed)
    return user


@transaction.atomic
def change_password(user: User, password: str, *, keep: str | None) -> None:
    """Set a password and end every login but that of the session `keep`."""
    user.password = make_password(password)
    user.save(update_fields=["password"])
    end_logins(user.logins.exclude(session_key=keep) if keep else user.logins.all())


@transaction.atomic
def deactivate(user: User) -> None:
    """Shut a person out: no login, no token, no socket."""
    user.is_active = False
    user.save(update_fields=["is_active"])
    end_logins(user.logins.all())
    hooks.account_ended(user)


def begin_login(user: User, request: HttpRequest) -> Login:
    """The record of the session that this request has just signed in."""
    login, _ = Login.objects.get_or_create(
        session_key=_key_of(request.session),
        defaults={
            "user": user,
            "address": client_address(request),
            "user_agent": _printable(request.headers.get("User-Agent", ""))[:USER_AGENT_LENGTH],
        },
    )
    return login


@transaction.atomic
def end_logins(logins: QuerySet[Login]) -> int:
    """End logins for good: their sessions, tokens and sockets. Answers how many there were."""
    found = list(logins.select_for_update(of=("self",)).order_by("id").values_list("id", "user_id", "session_key"))
    Session.objects.filter(session_key__in=[key for _, _, key in found]).delete()
    Login.objects.filter(id__in=[sid for sid, _, _ in found]).delete()
    by_user: dict[UUID, list[UUID]] = defaultdict(list)
    for sid, user_id, _ in found:
        by_user[user_id].append(sid)
    for user_id, sids in by_user.items():
        hooks.logins_ended(sids, user_id)
    return len(found)


def _key_of(session: SessionBase) -> str:
    """A session that replaced another person's has no key until it is saved."""
    if not session.session_key:
        session.save()
    return str(session.session_key)


def _printable(text: str) -> str:
    """PostgreSQL refuses NUL, and nobody needs to see the rest."""
    return "".join(character for character in text if character.isprintable())
