"""Makes the people and rooms that a measurement needs, in the database of its environment, many at once.

`python -m benchmarks.crowd` reads `{"people": 20, "rooms": [[0, 1], …], "bystanders": 0}` and prints a `Crowd`.
Bystanders are members of the first room who never connect. Called again it only adds bystanders.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import User
    from chat.models import Room
    from tenants.models import Membership, Tenant

SLUG = "bench"
BATCH = 5_000


@dataclass(frozen=True)
class Crowd:
    """The ids of the rooms, and of each person an access token and a session key."""

    rooms: list[str]
    access: list[str]
    sessions: list[str]


def main() -> None:
    import django  # noqa: PLC0415  the models below need it set up

    django.setup()
    from chat.models import Room  # noqa: PLC0415

    asked = json.loads(sys.stdin.read())
    crowd = Crowd([], [], [])
    if not Room.objects.exists():
        crowd = make(asked["people"], asked["rooms"])
    add_bystanders(asked["bystanders"])
    tidy()
    sys.stdout.write(json.dumps(asdict(crowd)))


def make(people: int, rooms: Sequence[Sequence[int]]) -> Crowd:
    from accounts.services import create_person  # noqa: PLC0415
    from tenants.models import Membership, Tenant  # noqa: PLC0415

    tenant = Tenant.objects.create(slug=SLUG, name="Bench")
    founder = create_person(email="founder@bench.test", password=None)
    Membership.objects.create(tenant=tenant, user=founder, role="owner")
    users, seats = make_members(tenant, "person", people)
    made = [
        make_room(founder, tenant, f"Room {number}", [seats[each] for each in who]) for number, who in enumerate(rooms)
    ]
    access, sessions = sign_in(users)
    return Crowd([str(room.pk) for room in made], access, sessions)


def make_members(tenant: "Tenant", name: str, count: int, start: int = 0) -> "tuple[list[User], list[Membership]]":
    from accounts.models import User  # noqa: PLC0415
    from tenants.models import Membership  # noqa: PLC0415

    numbers = range(start, start + count)
    users = [
        User(email=f"{name}{number}@bench.test", display_name=f"{name.title()} {number}", password="!")
        for number in numbers
    ]
    User.objects.bulk_create(users, BATCH)
    seats = [Membership(tenant=tenant, user=user, role="member") for user in users]
    Membership.objects.bulk_create(seats, BATCH)
    return users, seats


def make_room(founder: "User", tenant: "Tenant", name: str, seats: "Iterable[Membership]") -> "Room":
    """A private room of exactly these."""
    from chat.services.rooms import create_room  # noqa: PLC0415
    from tenants.access import actor_of  # noqa: PLC0415

    room: Room = create_room(actor_of(founder.pk, tenant.slug), name=name)
    fill(room, seats)
    room.members.filter(seat__user=founder).delete()
    return room


def fill(room: "Room", seats: "Iterable[Membership]") -> None:
    from chat.models import RoomMember  # noqa: PLC0415

    rows = iter(RoomMember(tenant_id=room.tenant_id, room=room, seat=seat, visible_from=1) for seat in seats)
    while batch := list(islice(rows, BATCH)):
        RoomMember.objects.bulk_create(batch)


def sign_in(users: "Sequence[User]") -> tuple[list[str], list[str]]:
    """A login for each, with a token and a browser's session."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: PLC0415
    from django.contrib.sessions.models import Session  # noqa: PLC0415
    from django.utils.crypto import get_random_string  # noqa: PLC0415
    from django.utils.timezone import now  # noqa: PLC0415

    from accounts import tokens  # noqa: PLC0415
    from accounts.models import Login  # noqa: PLC0415
    from accounts.sessions import SessionStore  # noqa: PLC0415

    keys = [get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789") for _ in users]
    sessions = []
    for user, key in zip(users, keys, strict=True):
        held = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "allauth.account.auth_backends.AuthenticationBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        data = SessionStore().encode(held)
        sessions.append(Session(session_key=key, session_data=data, expire_date=now() + timedelta(days=1)))
    Session.objects.bulk_create(sessions, BATCH)
    logins = [Login(user=user, session_key=key) for user, key in zip(users, keys, strict=True)]
    Login.objects.bulk_create(logins, BATCH)
    return [tokens.mint(login)[0] for login in logins], keys


def add_bystanders(count: int) -> None:
    """More members of the first room."""
    from chat.models import Room  # noqa: PLC0415
    from tenants.models import Membership, Tenant  # noqa: PLC0415

    tenant, room = Tenant.objects.get(slug=SLUG), Room.objects.order_by("pk")[0]
    there = Membership.objects.filter(user__email__startswith="bystander").count()
    for start in range(there, there + count, BATCH):
        _, seats = make_members(tenant, "bystander", min(BATCH, there + count - start), start)
        fill(room, seats)


def tidy() -> None:
    """So that no vacuum starts on its own while something is measured."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    main()
