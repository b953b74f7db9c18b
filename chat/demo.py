"""Demo data: two organizations that share a person, rooms, and a conversation. Made through the services."""

import secrets
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from accounts.services import change_password, create_person
from chat.models import Room
from chat.services.members import add_member, join_room
from chat.services.messages import send_message
from chat.services.reactions import add_reaction
from chat.services.rooms import create_room, direct_room
from tenants.access import actor_of
from tenants.actor import Actor
from tenants.models import Membership, Tenant
from tenants.roles import History, RoomKind, TenantRole

PEOPLE = {
    "owner@acme.test": "Olivia Okafor",
    "admin@acme.test": "Anders Lind",
    "moderator@acme.test": "Mei Tanaka",
    "member@acme.test": "Mateo Rossi",
    "guest@acme.test": "Grace Adeyemi",
    "owner@globex.test": "Hana Novak",
    "both@acme.test": "Bilal Haddad",
}
SEATS = {
    ("acme", "Acme"): {
        "owner@acme.test": TenantRole.OWNER,
        "admin@acme.test": TenantRole.ADMIN,
        "moderator@acme.test": TenantRole.MODERATOR,
        "member@acme.test": TenantRole.MEMBER,
        "guest@acme.test": TenantRole.GUEST,
        "both@acme.test": TenantRole.MEMBER,
    },
    ("globex", "Globex"): {
        "owner@globex.test": TenantRole.OWNER,
        "both@acme.test": TenantRole.MEMBER,
    },
}
DEMO_ADDRESSES = Q(email__endswith="@acme.test") | Q(email__endswith="@globex.test")


@transaction.atomic
def reset() -> dict[str, str]:
    """Make what is missing, and give every demo person a new password, ending their sessions: by address."""
    passwords = {email: secrets.token_urlsafe(12) for email in PEOPLE}
    for email, name in PEOPLE.items():
        user = User.objects.filter(email=email).first()
        if user is None:
            create_person(email=email, password=passwords[email], display_name=name)
        else:
            change_password(user, passwords[email], keep=None)
    for (slug, name), seats in SEATS.items():
        tenant, _ = Tenant.objects.get_or_create(slug=slug, defaults={"name": name})
        for email, role in seats.items():
            user = User.objects.get(email=email)
            Membership.objects.get_or_create(tenant=tenant, user=user, defaults={"role": role})
    if not Room.objects.filter(tenant__slug="acme").exists():
        _furnish_acme()
    if not Room.objects.filter(tenant__slug="globex").exists():
        _furnish_globex()
    return passwords


def _actor(email: str, tenant: str) -> Actor:
    return actor_of(User.objects.get(email=email).pk, tenant)


def _furnish_acme() -> None:
    owner, admin, moderator, member, guest, both = (_actor(email, "acme") for email in SEATS["acme", "Acme"])
    lobby = create_room(owner, name="Lobby", kind=RoomKind.OPEN, topic="Everyone's first stop").pk
    for actor in (admin, moderator, member, both):
        join_room(actor, room=lobby)
    launch = create_room(moderator, name="Launch", topic="Autumn release: what is left").pk
    for actor in (owner, member, both, guest):
        add_member(moderator, room=launch, user=actor.user)
    board = create_room(owner, name="Board", topic="Minutes and money", history=History.SINCE_JOIN).pk
    add_member(owner, room=board, user=admin.user)
    talk, _ = direct_room(member, users=[moderator.user])
    lines = [
        (owner, lobby, "Welcome to **Acme**. This room is open: whoever belongs to the organization can join."),
        (moderator, launch, "Morning. Two things before we ship:\n\n1. the import screen\n2. release notes"),
        (member, launch, "The import screen is done since last night. `make check` is green."),
        (both, launch, "I can take the notes. Draft by noon?"),
        (moderator, launch, "Noon is perfect, thank you."),
        (guest, launch, "From our side the contract is signed, so the date holds."),
        (member, launch, "> the date holds\n\nThat is the line I wanted to read today."),
        (owner, board, "Minutes of Tuesday are in. Please read the second paragraph twice."),
        (member, talk.pk, "Do you have ten minutes after lunch?"),
        (moderator, talk.pk, "Yes. Bring the numbers."),
    ]
    sent = [
        UUID(send_message(actor, room=room, body=body, nonce=f"demo-{index}").message.id)
        for index, (actor, room, body) in enumerate(lines)
    ]
    for actor in (moderator, both, guest):
        add_reaction(actor, message=sent[2], emoji="🎉")
    add_reaction(member, message=sent[5], emoji="👍")


def _furnish_globex() -> None:
    owner, both = (_actor(email, "globex") for email in SEATS["globex", "Globex"])
    room = create_room(owner, name="Research", topic="Nobody at Acme sees this").pk
    add_member(owner, room=room, user=both.user)
    send_message(owner, room=room, body="The samples arrived.", nonce="demo-0")
    send_message(both, room=room, body="On my way.", nonce="demo-1")
