"""The one cast of the tests: two organizations that share a person, an outsider, a suspended seat, an expired guest.

`python -m tests.cast` makes it in the database of its environment and prints it as JSON, for tests that drive servers.
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

PASSWORD = "correct horse battery staple"


@dataclass
class Person:
    """Who they are and what they can show: an access token, a refresh token and a session cookie of one login."""

    name: str
    id: str
    email: str
    access: str = ""
    refresh: str = ""
    session: str = ""
    sid: str = ""

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


@dataclass
class Cast:
    """People by name, and the ids of rooms and messages by name."""

    people: dict[str, Person] = field(default_factory=dict)
    rooms: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Person:
        try:
            return self.__dict__["people"][name]
        except KeyError:
            raise AttributeError(name) from None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Cast":
        plain = json.loads(text)
        people = {name: Person(**fields) for name, fields in plain["people"].items()}
        return cls(people, plain["rooms"], plain["messages"])


ACME = {
    "owner": "owner",
    "admin": "admin",
    "moderator": "moderator",
    "member": "member",
    "guest": "guest",
    "both": "member",
    "lurker": "member",
    "suspended": "member",
    "expired": "guest",
}
"""Seats at acme. `lurker` is in no room; `suspended` and `expired` are in every room `member` is in."""
GLOBEX = {"globex_owner": "owner", "globex_member": "member", "both": "member"}
OUTSIDER = "outsider"


def make_person(name: str, password_hash: str) -> Person:
    """A verified account with one login."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: PLC0415  after setup
    from django.contrib.sessions.backends.db import SessionStore  # noqa: PLC0415

    from accounts import tokens  # noqa: PLC0415
    from accounts.models import Login  # noqa: PLC0415
    from accounts.services import create_person  # noqa: PLC0415

    user = create_person(email=f"{name}@people.test", password=None, display_name=name.replace("_", " ").title())
    user.password = password_hash
    user.save(update_fields=["password"])
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    login = Login.objects.create(user=user, session_key=session.session_key)
    access, refresh = tokens.mint(login)
    return Person(name, str(user.pk), user.email, access, refresh, str(session.session_key), str(login.pk))


def make_cast() -> Cast:
    """Make everybody and everything. Rooms and messages come about through the services."""
    from django.contrib.auth.hashers import make_password  # noqa: PLC0415  after setup
    from django.utils import timezone  # noqa: PLC0415

    from tenants.models import Membership, Tenant  # noqa: PLC0415

    hashed = make_password(PASSWORD)
    cast = Cast()
    for name in [*ACME, *[each for each in GLOBEX if each not in ACME], OUTSIDER]:
        cast.people[name] = make_person(name, hashed)
    for slug, seats in (("acme", ACME), ("globex", GLOBEX)):
        tenant = Tenant.objects.create(slug=slug, name=slug.title())
        for name, role in seats.items():
            Membership.objects.create(tenant=tenant, user_id=cast.people[name].id, role=role)
    _furnish(cast)
    Membership.objects.filter(user_id=cast.suspended.id).update(suspended_at=timezone.now())
    Membership.objects.filter(user_id=cast.expired.id).update(expires_at=timezone.now() - timedelta(minutes=1))
    return cast


def _furnish(cast: Cast) -> None:
    from chat.services.members import add_member, join_room  # noqa: PLC0415
    from chat.services.messages import send_message  # noqa: PLC0415
    from chat.services.rooms import create_room, direct_room  # noqa: PLC0415
    from tenants.access import actor_of  # noqa: PLC0415
    from tenants.roles import RoomKind, RoomRole  # noqa: PLC0415

    def actor(name: str, slug: str = "acme") -> Any:
        return actor_of(UUID(cast.people[name].id), slug)

    def say(name: str, room: UUID, body: str, key: str, slug: str = "acme") -> None:
        cast.messages[key] = send_message(actor(name, slug), room=room, body=body, nonce=key).message.id

    lobby = create_room(actor("owner"), name="Lobby", kind=RoomKind.OPEN).pk
    for name in ("moderator", "member", "suspended"):
        join_room(actor(name), room=lobby)
    den = create_room(actor("moderator"), name="Den", topic="where the work is").pk
    for name, role in {
        "member": RoomRole.MEMBER,
        "both": RoomRole.READER,
        "guest": RoomRole.MEMBER,
        "suspended": RoomRole.MEMBER,
        "expired": RoomRole.MEMBER,
    }.items():
        add_member(actor("moderator"), room=den, user=UUID(cast.people[name].id), room_role=role)
    vault = create_room(actor("owner"), name="Vault").pk
    talk = direct_room(actor("member"), users=[UUID(cast.moderator.id)])[0].pk
    lab = create_room(actor("globex_owner", "globex"), name="Lab").pk
    add_member(actor("globex_owner", "globex"), room=lab, user=UUID(cast.both.id))
    cast.rooms = {"lobby": lobby, "den": den, "vault": vault, "talk": talk, "lab": lab}
    cast.rooms = {name: str(pk) for name, pk in cast.rooms.items()}
    say("owner", lobby, "welcome", "lobby_owner")
    say("moderator", den, "first in the den", "den_moderator")
    say("member", den, "second in the den", "den_member")
    say("guest", den, "third in the den", "den_guest")
    say("owner", vault, "the secret of the vault", "vault_owner")
    say("member", talk, "between us", "talk_member")
    say("globex_owner", lab, "the secret of the lab", "lab_owner", "globex")


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    django.setup()
    sys.stdout.write(make_cast().to_json())
