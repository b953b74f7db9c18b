"""The greeting reads again who is asking: what ended since the handshake gets none."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.credentials import Credential, resolve_bearer
from accounts.models import Login
from chat.hello import ROOMS, greeting
from chat.services.rooms import create_room
from core.errors import NoSeat, Revoked
from tenants.access import actor_of
from tenants.actor import Actor
from tenants.models import Membership
from tenants.roles import BUILTIN

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(cast: Any) -> Actor:
    return actor_of(UUID(cast.member.id), "acme")


@pytest.fixture
def credential(cast: Any) -> Credential:
    return resolve_bearer(cast.member.access)


def test_the_greeting_tells_person_organization_and_rooms(actor: Actor, credential: Credential, cast: Any) -> None:
    now, hello = greeting(actor, credential, uuid4())
    assert now == actor
    assert (hello.user.id, hello.tenant["slug"], hello.tenant_role) == (cast.member.id, "acme", "member")
    told = {room.id for room in hello.rooms}
    assert {cast.rooms["den"], cast.rooms["lobby"]} <= told
    assert not told & {cast.rooms["vault"], cast.rooms["lab"]}
    direct = next(room for room in hello.rooms if room.kind == "direct")
    assert cast.member.id not in {person.id for person in direct.people}


def test_a_role_that_changed_since_the_handshake_is_told(actor: Actor, credential: Credential) -> None:
    Membership.objects.filter(pk=actor.seat).update(role="moderator")
    now, hello = greeting(actor, credential, uuid4())
    assert now.role == BUILTIN["moderator"]
    assert hello.tenant_role == "moderator"


def test_a_seat_that_ended_since_the_handshake_is_not_greeted(actor: Actor, credential: Credential) -> None:
    Membership.objects.filter(pk=actor.seat).delete()
    with pytest.raises(NoSeat):
        greeting(actor, credential, uuid4())


def test_a_login_that_ended_since_the_handshake_is_not_greeted(actor: Actor, credential: Credential) -> None:
    Login.objects.filter(pk=credential.sid).delete()
    with pytest.raises(Revoked):
        greeting(actor, credential, uuid4())


def test_two_hundred_rooms_are_told_and_that_there_are_more(cast: Any) -> None:
    owner = actor_of(UUID(cast.owner.id), "acme")
    made = [str(create_room(owner, name=f"room {number}").pk) for number in range(ROOMS + 1)]
    _, hello = greeting(owner, resolve_bearer(cast.owner.access), uuid4())
    assert len(hello.rooms) == ROOMS and hello.rooms_more
    assert hello.rooms[0].id == made[-1], "the latest activity first"
