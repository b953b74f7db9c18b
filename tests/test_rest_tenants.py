"""Organizations over REST and pages: founding, seats, invitations, roles, and the conventions that all REST keeps."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.db import OperationalError, connection, connections
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from openapi_spec_validator import validate

from accounts import services as accounts
from accounts.models import User
from chat.services.members import add_member
from chat.services.rooms import create_room
from core.models import IdempotencyKey
from tenants import hooks, invitations
from tenants.access import actor_of
from tenants.models import Invitation, Membership, Tenant
from tenants.permissions import TABLE

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

HANDLER = ClientHandler(enforce_csrf_checks=False)
"""Shared by all browsers: each new one would list every static file anew, 0.1 s."""
ROLES = ("owner", "admin", "moderator", "member", "guest")


class Person:
    """Someone with a browser that is signed in."""

    def __init__(self, name: str) -> None:
        self.user = accounts.create_person(email=f"{name}@acme.test", password=None, display_name=name.title())
        self.id = str(self.user.pk)
        self.browser = Client()
        self.browser.handler = HANDLER
        self.browser.force_login(self.user)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer: HttpResponse = self.browser.generic(method, f"/api/v1/{path}", headers=headers, **content)
        return answer

    def get(self, path: str) -> Any:
        return told(self.ask("GET", path), 200)

    def post(self, path: str, body: Any, status: int = 201, **headers: str) -> Any:
        return told(self.ask("POST", path, body, **headers), status)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return told(self.ask("PATCH", path, body), status)

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        answer = self.ask(method, path, body, **headers)
        assert answer["Content-Type"] == "application/problem+json", answer.content
        return answer.status_code, json.loads(answer.content)["code"]


def told(answer: HttpResponse, status: int) -> Any:
    assert answer.status_code == status, answer.content
    return json.loads(answer.content) if answer.content else None


class Acme:
    """An organization with one person a role, and an outsider with one of their own."""

    def __init__(self) -> None:
        self.people = {name: Person(name) for name in (*ROLES, "outsider")}
        self.tenant = Tenant.objects.create(slug="acme", name="Acme")
        for name in ROLES:
            Membership.objects.create(tenant=self.tenant, user=self.people[name].user, role=name)
        globex = Tenant.objects.create(slug="globex", name="Globex")
        Membership.objects.create(tenant=globex, user=self.people["outsider"].user, role="owner")

    def __getattr__(self, name: str) -> Person:
        return self.people[name]

    def seat(self, name: str) -> Membership:
        return Membership.objects.get(tenant=self.tenant, user=self.people[name].user)

    def actor(self, name: str) -> Any:
        return actor_of(self.people[name].user.pk, "acme")

    def link(self, name: str = "admin", role: str = "member", **fields: Any) -> str:
        made = invitations.create_invitation(self.actor(name), tenant_role=role, **fields)
        return made.token


@pytest.fixture
def acme() -> Acme:
    return Acme()


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Call functions in threads of their own, all at the same time."""

    def run(*calls: Callable[[], Any]) -> list[Any]:
        def one(call: Callable[[], Any]) -> Any:
            try:
                return call()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))

    return run


# --- Founding and naming ---


def test_whoever_founds_an_organization_owns_it(acme: Acme) -> None:
    made = acme.outsider.post("tenants/", {"name": "  Initech ", "slug": "initech-2"})
    assert made == {**made, "slug": "initech-2", "name": "Initech", "tenant_role": "owner"}
    assert made["created_at"].endswith("Z") and UUID(made["id"]).version == 7
    assert acme.outsider.get("tenants/initech-2/") == acme.outsider.get(f"tenants/{made['id']}/") == made
    assert [each["slug"] for each in acme.outsider.get("tenants/")["results"]] == ["globex", "initech-2"]
    assert acme.owner.refused("GET", "tenants/initech-2/") == (404, "no_seat")


@pytest.mark.parametrize(
    "slug", ["ab", "a" * 41, "Acme", "a--b", "-abc", "abc-", "a_b", "admin", "0" * 32, str(uuid4()), "abc\n", "äbc"]
)
def test_an_address_that_is_out_of_form_or_reserved_is_refused(acme: Acme, slug: str) -> None:
    assert acme.owner.refused("POST", "tenants/", {"name": "X", "slug": slug}) == (400, "invalid")


@pytest.mark.parametrize("name", ["", " ", "a" * 81, "a\nb", "a\x00b", "a\ud800b"])
def test_a_name_that_nobody_could_read_is_refused(acme: Acme, name: str) -> None:
    assert acme.owner.refused("POST", "tenants/", {"name": name, "slug": "initech"}) == (400, "invalid")
    assert not Tenant.objects.filter(slug="initech").exists()


@committed
def test_an_address_is_given_once_also_in_a_race(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    assert acme.owner.refused("POST", "tenants/", {"name": "X", "slug": "globex"}) == (409, "conflict")
    people = [acme.owner, acme.admin, acme.member, acme.guest]
    answers = at_once(*(partial(each.ask, "POST", "tenants/", {"name": "X", "slug": "initech"}) for each in people))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert Membership.objects.filter(tenant__slug="initech").count() == 1


def test_admins_rename_the_organization_and_others_do_not(acme: Acme) -> None:
    for name in ("guest", "member", "moderator"):
        assert acme.people[name].refused("PATCH", "tenants/acme/", {"name": "Mine"}) == (403, "forbidden")
    assert acme.outsider.refused("PATCH", "tenants/acme/", {"name": "Mine"}) == (404, "no_seat")
    assert acme.admin.patch("tenants/acme/", {"name": "Acme & Co"})["name"] == "Acme & Co"
    assert acme.guest.get("tenants/acme/") == {
        **acme.guest.get("tenants/acme/"),
        "name": "Acme & Co",
        "tenant_role": "guest",
    }
    assert acme.owner.refused("PATCH", "tenants/acme/", {"slug": "other"}) == (400, "bad_request")


# --- Seats ---


def test_members_see_everyone_and_addresses_are_for_admins(acme: Acme) -> None:
    seen = acme.member.get("tenants/acme/members/")["results"]
    assert [each["tenant_role"] for each in seen] == list(ROLES)
    assert {each["user"].get("email") for each in seen} == {None, "member@acme.test"}
    assert seen[0] == {
        "user": {"id": acme.owner.id, "display_name": "Owner"},
        "tenant_role": "owner",
        "expires_at": None,
        "suspended": False,
        "joined_at": seen[0]["joined_at"],
    }
    assert all("email" in each["user"] for each in acme.admin.get("tenants/acme/members/")["results"])
    assert acme.outsider.refused("GET", "tenants/acme/members/") == (404, "no_seat")
    assert acme.member.refused("GET", f"tenants/acme/members/{acme.outsider.id}/") == (404, "not_found")


def test_a_guest_sees_those_who_share_a_room_with_them(acme: Acme) -> None:
    room = create_room(acme.actor("member"), name="Den")
    add_member(acme.actor("member"), room=room.pk, user=acme.guest.user.pk)
    seen = acme.guest.get("tenants/acme/members/")["results"]
    assert [each["user"]["display_name"] for each in seen] == ["Member", "Guest"]
    assert acme.guest.refused("GET", f"tenants/acme/members/{acme.admin.id}/") == (404, "not_found")
    assert acme.guest.get(f"tenants/acme/members/{acme.member.id}/")["user"]["id"] == acme.member.id


def test_members_are_found_by_name_role_and_where_it_shows_by_address(acme: Acme) -> None:
    acme.guest.user.display_name = "Zoë"
    acme.guest.user.save()

    def names(person: Person, query: str) -> list[str]:
        return [each["user"]["display_name"] for each in person.get(f"tenants/acme/members/?{query}")["results"]]

    assert names(acme.member, "q=zo") == ["Zoë"]
    assert names(acme.admin, "q=guest@") == ["Zoë"]
    assert names(acme.member, "q=guest@") == []
    assert names(acme.member, "q=member@") == ["Member"]
    assert names(acme.member, "role=owner") == ["Owner"]
    assert names(acme.member, "q=%25") == []
    assert acme.member.refused("GET", "tenants/acme/members/?role=king") == (400, "invalid")
    assert acme.member.refused("GET", "tenants/acme/members/?q=a%00") == (400, "invalid")


def test_lists_take_the_same_number_of_queries_however_long(acme: Acme) -> None:
    def grow(number: int) -> None:
        acme.link()
        person, tenant = Person(f"p{number}").user, Tenant.objects.create(slug=f"t{number}", name="T")
        Membership.objects.create(tenant=acme.tenant, user=person, role="member")
        Membership.objects.create(tenant=tenant, user=acme.admin.user, role="guest")

    def queries() -> list[int]:
        counts = []
        for path in ("tenants/", "tenants/acme/members/", "tenants/acme/invitations/"):
            with CaptureQueriesContext(connection) as captured:
                acme.admin.get(path)
            counts.append(len(captured))
        return counts

    grow(0)
    few = queries()
    for number in range(1, 5):
        grow(number)
    assert queries() == few
    assert max(few) < 8


@pytest.mark.parametrize(
    ("actor", "target", "grant", "status"),
    [
        ("owner", "admin", "owner", 200),
        ("owner", "member", "admin", 200),
        ("admin", "member", "admin", 200),
        ("admin", "moderator", "guest", 200),
        ("admin", "member", "owner", 403),
        ("admin", "owner", "member", 403),
        ("admin", "admin", "owner", 403),
        ("owner", "owner", "member", 403),
        ("moderator", "member", "guest", 403),
        ("member", "guest", "guest", 403),
    ],
)
def test_roles_are_given_below_ones_own_rank_only(acme: Acme, actor: str, target: str, grant: str, status: int) -> None:
    path = f"tenants/acme/members/{acme.people[target].id}/"
    answer = acme.people[actor].ask("PATCH", path, {"tenant_role": grant})
    assert answer.status_code == status
    assert acme.seat(target).role == (grant if status == 200 else target)


def test_a_guest_changes_nobody_and_cannot_even_see_them(acme: Acme) -> None:
    path = f"tenants/acme/members/{acme.member.id}/"
    assert acme.guest.refused("PATCH", path, {"tenant_role": "guest"}) == (404, "not_found")
    assert acme.outsider.refused("PATCH", path, {"tenant_role": "guest"}) == (404, "no_seat")


def test_a_suspended_seat_gives_nothing_until_it_is_given_back(acme: Acme) -> None:
    path = f"tenants/acme/members/{acme.member.id}/"
    assert acme.moderator.refused("PATCH", path, {"suspended": True}) == (403, "forbidden")
    assert acme.admin.patch(path, {"suspended": True})["suspended"] is True
    assert acme.member.refused("GET", "tenants/acme/") == (404, "no_seat")
    assert acme.member.get("tenants/")["results"] == []
    assert acme.admin.patch(path, {"suspended": False})["suspended"] is False
    assert acme.member.get("tenants/acme/")["tenant_role"] == "member"


def test_a_seat_ends_when_its_time_is_up(acme: Acme) -> None:
    path = f"tenants/acme/members/{acme.guest.id}/"
    past, soon = now() - timedelta(seconds=1), now() + timedelta(days=1)
    for bad in (past.isoformat(), "9999-12-31T23:59:59-23:59", "tomorrow", 5):
        assert acme.admin.refused("PATCH", path, {"expires_at": bad})[0] == 400
    assert acme.moderator.refused("PATCH", path, {"expires_at": None}) == (403, "forbidden")
    assert acme.admin.patch(path, {"expires_at": soon.isoformat()})["expires_at"].endswith("Z")
    assert acme.guest.get("tenants/acme/")
    Membership.objects.filter(user=acme.guest.user).update(expires_at=past)
    assert acme.guest.refused("GET", "tenants/acme/") == (404, "no_seat")
    assert acme.admin.patch(path, {"expires_at": None})["expires_at"] is None
    assert acme.guest.get("tenants/acme/")


def test_only_a_change_that_changes_something_moves_the_version(acme: Acme) -> None:
    path = f"tenants/acme/members/{acme.member.id}/"
    for body, version in (
        ({"suspended": False}, 0),
        ({"tenant_role": "guest"}, 1),
        ({"tenant_role": "guest"}, 1),
        ({}, 1),
    ):
        acme.admin.patch(path, body)
        assert acme.seat("member").version == version


@committed
def test_an_owner_is_neither_suspended_nor_limited_in_time(acme: Acme) -> None:
    path = f"tenants/acme/members/{acme.admin.id}/"
    soon = (now() + timedelta(days=1)).isoformat()
    assert acme.owner.refused("PATCH", path, {"tenant_role": "owner", "expires_at": soon}) == (409, "conflict")
    assert acme.owner.refused("PATCH", path, {"tenant_role": "owner", "suspended": True}) == (409, "conflict")
    assert acme.seat("admin").role == "admin"
    assert acme.owner.patch(path, {"tenant_role": "owner"})["tenant_role"] == "owner"


def test_who_is_removed_is_out_and_starts_clean_when_invited_again(acme: Acme) -> None:
    room = create_room(acme.actor("member"), name="Den")
    path = f"tenants/acme/members/{acme.member.id}/"
    assert acme.moderator.refused("DELETE", path) == (403, "forbidden")
    assert acme.member.refused("DELETE", path) == (403, "forbidden")
    assert acme.admin.ask("DELETE", path).status_code == 204
    assert acme.admin.refused("DELETE", path) == (404, "not_found")
    assert acme.member.refused("GET", "tenants/acme/") == (404, "no_seat")
    acme.member.post(f"invitations/{acme.link(role='guest')}/accept/", {}, 200)
    seat = acme.seat("member")
    assert (seat.role, seat.rooms.count(), room.members.count()) == ("guest", 0, 0)


def test_everyone_may_leave_but_the_last_owner(acme: Acme) -> None:
    for name in ("guest", "member", "moderator"):
        assert acme.people[name].ask("POST", "tenants/acme/leave/").status_code == 204
        assert acme.people[name].refused("POST", "tenants/acme/leave/") == (404, "no_seat")
    assert acme.owner.refused("POST", "tenants/acme/leave/") == (403, "forbidden")
    acme.owner.patch(f"tenants/acme/members/{acme.admin.id}/", {"tenant_role": "owner"})
    assert acme.owner.ask("POST", "tenants/acme/leave/").status_code == 204
    assert acme.admin.refused("POST", "tenants/acme/leave/") == (403, "forbidden")


@committed
def test_of_two_owners_who_leave_at_once_one_stays(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    Membership.objects.filter(user=acme.admin.user).update(role="owner")
    answers = at_once(*(partial(each.ask, "POST", "tenants/acme/leave/") for each in (acme.owner, acme.admin)))
    assert sorted(answer.status_code for answer in answers) == [204, 403]
    assert Membership.objects.filter(tenant=acme.tenant, role="owner").count() == 1


def test_a_transfer_makes_the_old_owner_an_admin(acme: Acme) -> None:
    path = "tenants/acme/transfer/"
    for name in ("guest", "member", "moderator", "admin"):
        assert acme.people[name].refused("POST", path, {"user": acme.people[name].id})[0] == 403
    assert acme.owner.refused("POST", path, {"user": acme.outsider.id}) == (404, "not_found")
    assert acme.owner.refused("POST", path, {"user": acme.owner.id}) == (403, "forbidden")
    assert acme.owner.refused("POST", path, {"user": acme.member.id.upper()}) == (400, "invalid")
    Membership.objects.filter(user=acme.guest.user).update(suspended_at=now())
    assert acme.owner.refused("POST", path, {"user": acme.guest.id}) == (409, "conflict")
    assert acme.owner.post(path, {"user": acme.member.id}, 200)["tenant_role"] == "admin"
    assert (acme.seat("owner").role, acme.seat("member").role) == ("admin", "owner")


def test_the_apps_above_hear_of_a_seat_before_it_ends(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, bool]] = []

    def hook(name: str) -> Callable[[Membership], None]:
        return lambda seat: heard.append((name, Membership.objects.filter(pk=seat.pk).exists()))

    monkeypatch.setattr(hooks, "seat_ending", [hook("ending")])
    monkeypatch.setattr(hooks, "seat_changed", [hook("changed")])
    path = f"tenants/acme/members/{acme.member.id}/"
    soon = (now() + timedelta(days=1)).isoformat()
    for body in ({"tenant_role": "guest"}, {"suspended": True}, {"suspended": False}, {"expires_at": soon}):
        acme.admin.patch(path, body)
    acme.admin.ask("DELETE", path)
    acme.guest.ask("POST", "tenants/acme/leave/")
    assert [name for name, _ in heard] == ["changed", "ending", "changed", "ending", "ending", "ending"]
    assert all(there for _, there in heard)


# --- Invitations ---


def test_a_link_is_shown_once_and_only_its_digest_is_kept(acme: Acme) -> None:
    made = acme.admin.post("tenants/acme/invitations/", {"tenant_role": "moderator", "max_uses": 2, "email": None})
    assert made["url"] == f"http://localhost:8000/invite/{made['token']}/" and len(made["token"]) >= 43
    listed = acme.admin.get("tenants/acme/invitations/")["results"]
    assert listed == [{name: made[name] for name in made if name not in ("token", "url")}]
    assert made["token"] not in str(Invitation.objects.values())
    assert acme.admin.get(f"tenants/acme/invitations/{made['id']}/") == listed[0]


@pytest.mark.parametrize(
    ("inviter", "role", "status"),
    [
        ("owner", "owner", 201),
        ("admin", "admin", 201),
        ("admin", "owner", 403),
        ("moderator", "moderator", 201),
        ("moderator", "admin", 403),
        ("member", "guest", 403),
        ("guest", "guest", 403),
    ],
)
def test_nobody_invites_above_their_own_rank(acme: Acme, inviter: str, role: str, status: int) -> None:
    path = "tenants/acme/invitations/"
    assert acme.people[inviter].ask("POST", path, {"tenant_role": role}).status_code == status
    assert Invitation.objects.count() == (status == 201)


@pytest.mark.parametrize(
    "body",
    [
        {"max_uses": 0},
        {"max_uses": 10_001},
        {"max_uses": True},
        {"max_uses": "1"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": (now() + timedelta(days=366)).isoformat()},
        {"expires_at": "2030-01-01T00:00:00"},
        {"tenant_role": "king"},
        {"rooms": ["x"]},
        {"rooms": [str(uuid4())] * 101},
        {"email": "a@b.test"},
        {"domain": "b.test"},
        {"secret": 1},
    ],
)
def test_an_invitation_out_of_bounds_is_refused(acme: Acme, body: dict[str, Any]) -> None:
    assert acme.admin.refused("POST", "tenants/acme/invitations/", body)[0] == 400
    assert not Invitation.objects.exists()


def test_moderators_see_and_revoke_their_own_links_and_admins_all(acme: Acme) -> None:
    path = "tenants/acme/invitations/"
    by_admin = acme.admin.post(path, {})["id"]
    by_moderator = acme.moderator.post(path, {})["id"]
    assert [each["id"] for each in acme.moderator.get(path)["results"]] == [by_moderator]
    assert [each["id"] for each in acme.owner.get(path)["results"]] == [by_admin, by_moderator]
    for name in ("member", "guest"):
        assert acme.people[name].get(path)["results"] == []
        assert acme.people[name].refused("DELETE", f"{path}{by_moderator}/") == (404, "not_found")
    assert acme.moderator.refused("DELETE", f"{path}{by_admin}/") == (404, "not_found")
    assert acme.moderator.ask("DELETE", f"{path}{by_moderator}/").status_code == 204
    assert acme.owner.ask("DELETE", f"{path}{by_admin}/").status_code == 204
    assert acme.owner.refused("DELETE", f"{path}{by_admin}/") == (404, "not_found")


def test_whoever_holds_a_link_may_look_and_spends_nothing(acme: Acme) -> None:
    token = acme.link(role="guest")
    stranger = Client()
    for _ in range(2):
        answer = stranger.get(f"/api/v1/invitations/{token}/").json()
        assert answer["tenant"]["name"] == "Acme" and answer["tenant_role"] == "guest"
        assert answer["inviter"] == {"display_name": "Admin"}
    assert Invitation.objects.get().uses == 0
    assert stranger.post(f"/api/v1/invitations/{token}/accept/").status_code == 401


def test_a_link_gives_one_seat_and_spends_one_use(acme: Acme) -> None:
    token, other = acme.link(role="moderator"), Person("other")
    joined = acme.outsider.post(f"invitations/{token}/accept/", {}, 200)
    assert joined["slug"] == "acme" and joined["tenant_role"] == "moderator"
    assert acme.outsider.post(f"invitations/{token}/accept/", {}, 200) == joined
    assert Invitation.objects.get().uses == 1
    assert other.refused("POST", f"invitations/{token}/accept/") == (404, "not_found")
    assert other.refused("GET", f"invitations/{token}/") == (404, "not_found")


@committed
def test_of_two_who_race_for_the_last_use_one_comes_in(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    people = [Person(f"racer{number}") for number in range(4)]
    token = acme.link()
    answers = at_once(*(partial(each.ask, "POST", f"invitations/{token}/accept/") for each in people))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert Membership.objects.filter(user__in=[each.user for each in people]).count() == 1
    assert Invitation.objects.get().uses == 1


@committed
def test_the_same_person_many_times_at_once_gets_one_seat(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    token = acme.link(max_uses=10)
    answers = at_once(*[partial(acme.outsider.ask, "POST", f"invitations/{token}/accept/")] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert Membership.objects.filter(user=acme.outsider.user, tenant=acme.tenant).count() == 1
    assert Invitation.objects.get().uses == 1


def test_a_seat_already_there_is_never_altered(acme: Acme) -> None:
    token = acme.link(role="moderator", max_uses=10)
    accept = f"invitations/{token}/accept/"
    assert acme.guest.post(accept, {}, 200)["tenant_role"] == "guest"
    Membership.objects.filter(user=acme.member.user).update(suspended_at=now())
    assert acme.member.refused("POST", accept) == (403, "forbidden")
    Membership.objects.filter(user=acme.moderator.user).update(expires_at=now() - timedelta(minutes=1))
    assert acme.moderator.refused("POST", accept) == (403, "forbidden")
    assert acme.seat("member").suspended_at and acme.seat("moderator").expires_at
    assert Invitation.objects.get().uses == 0


def test_a_dead_link_is_as_good_as_none(acme: Acme) -> None:
    def answers() -> set[bytes]:
        asked = [acme.outsider.ask("GET", f"invitations/{each}/") for each in (token, "x" * 43)]
        asked += [acme.outsider.ask("POST", f"invitations/{each}/accept/") for each in (token, "x" * 43)]
        assert {answer.status_code for answer in asked} == {404}
        return {answer.content for answer in asked}

    token = acme.link("moderator", "moderator")
    assert acme.outsider.get(f"invitations/{token}/")
    Invitation.objects.update(revoked_at=now())
    assert len(answers()) == 1
    Invitation.objects.update(revoked_at=None, expires_at=now() - timedelta(seconds=1))
    assert len(answers()) == 1
    Invitation.objects.update(expires_at=now() + timedelta(days=1))
    Membership.objects.filter(user=acme.moderator.user).update(role="member")
    assert len(answers()) == 1
    Membership.objects.filter(user=acme.moderator.user).update(role="moderator", suspended_at=now())
    assert len(answers()) == 1
    Membership.objects.filter(user=acme.moderator.user).update(suspended_at=None)
    assert acme.outsider.post(f"invitations/{token}/accept/", {}, 200)


@committed
def test_a_link_leads_into_rooms_where_its_maker_may_add_people(acme: Acme) -> None:
    den, vault = create_room(acme.actor("moderator"), name="Den"), create_room(acme.actor("owner"), name="Vault")
    path = "tenants/acme/invitations/"
    assert acme.moderator.refused("POST", path, {"rooms": [str(vault.pk)]}) == (404, "not_found")
    token = acme.moderator.post(path, {"rooms": [str(den.pk)], "tenant_role": "guest"})["token"]
    assert acme.member.post(f"invitations/{token}/accept/", {}, 200)["tenant_role"] == "member"
    assert Invitation.objects.get().uses == 0
    acme.outsider.post(f"invitations/{token}/accept/", {}, 200)
    inside = set(den.members.values_list("seat__user__display_name", flat=True))
    assert inside == {"Moderator", "Member", "Outsider"}


# --- Roles, and why ---


def test_the_matrix_is_for_members_and_says_what_decides(acme: Acme) -> None:
    assert acme.guest.refused("GET", "tenants/acme/roles/") == (403, "forbidden")
    found = acme.member.get("tenants/acme/roles/")
    assert found["version"] == 0
    roles = {role["name"]: role for role in found["roles"]}
    assert [role["rank"] for role in found["roles"]] == [10, 20, 30, 40, 50]
    assert roles["admin"]["builtin"] is True and roles["admin"]["base"] is None
    assert roles["admin"]["cells"]["seat.remove"] == "below" and roles["owner"]["cells"]["message.see"] == "inside"
    assert set(roles["guest"]["cells"]) == {str(verb) for verb in TABLE}


@committed
def test_the_same_role_made_many_times_at_once_is_made_once(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    role = {"name": "keeper", "rank": 25, "base": "member", "cells": {"tenant.change": "yes"}}
    answers = at_once(*[partial(acme.admin.ask, "POST", "tenants/acme/roles/", role)] * 20)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    found = {each["name"]: each for each in acme.member.get("tenants/acme/roles/")["roles"]}
    assert found["keeper"]["cells"]["tenant.change"] == "yes"


@committed
def test_cells_changed_at_once_are_all_changed(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    verbs = ["room.create", "room.join", "message.edit", "message.react"]
    change = partial(acme.owner.ask, "PATCH", "tenants/acme/roles/member/")
    answers = at_once(*(partial(change, {"cells": {verb: "no"}}) for verb in verbs * 2))
    assert {answer.status_code for answer in answers} == {200}
    found = {each["name"]: each for each in acme.member.get("tenants/acme/roles/")["roles"]}
    assert found["member"]["changed"] == sorted(verbs)


@committed
def test_an_ability_taken_while_it_is_given_on_is_given_by_nobody_who_lacks_it(
    acme: Acme, at_once: Callable[..., list[Any]]
) -> None:
    """The owner takes it from admins while an admin gives it to moderators: one of the two is first."""
    path = "tenants/acme/roles/"
    taken, given = at_once(
        partial(acme.owner.ask, "PATCH", f"{path}admin/", {"cells": {"tenant.change": "no"}}),
        partial(acme.admin.ask, "PATCH", f"{path}moderator/", {"cells": {"tenant.change": "yes"}}),
    )
    assert taken.status_code == 200 and given.status_code in (200, 403)
    again = acme.admin.ask("PATCH", f"{path}guest/", {"cells": {"tenant.change": "yes"}})
    assert again.status_code == 403


def test_everyone_learns_why_of_themselves_and_admins_of_those_below(acme: Acme) -> None:
    path = "tenants/acme/permissions/explain/"
    refused = acme.member.get(f"{path}?verb=seat.remove&target={acme.guest.id}")
    assert (refused["allowed"], refused["rule"], refused["source"]) == (False, "no", "default")
    assert refused["tenant_role"] == "member" and refused["room_role"] is None and refused["because"]
    assert acme.admin.get(f"{path}?verb=seat.remove&target={acme.guest.id}")["allowed"] is True
    assert acme.admin.get(f"{path}?verb=seat.remove&target={acme.owner.id}")["allowed"] is False
    assert acme.admin.get(f"{path}?verb=room.create&user={acme.guest.id}")["allowed"] is False
    assert acme.admin.get(f"{path}?verb=room.create&user={acme.member.id}")["allowed"] is True
    assert acme.moderator.get(f"{path}?verb=invitation.create")["allowed"] is True
    assert acme.moderator.get(f"{path}?verb=invitation.create&role=admin")["allowed"] is False
    assert acme.owner.get(f"{path}?verb=seat.leave")["allowed"] is False
    for name, of in (("moderator", "member"), ("admin", "owner"), ("member", "admin")):
        assert acme.people[name].refused("GET", f"{path}?verb=room.create&user={acme.people[of].id}")[0] == 403
    assert acme.admin.refused("GET", f"{path}?verb=room.create&user={acme.outsider.id}") == (404, "not_found")
    assert acme.guest.refused("GET", f"{path}?verb=seat.see&target={acme.admin.id}") == (404, "not_found")
    for query in ("", "?verb=", "?verb=fly", "?verb=room.see&room=x", f"?verb=seat.see&target={acme.guest.id.upper()}"):
        assert acme.member.refused("GET", path + query) == (400, "invalid")
    assert acme.member.refused("GET", f"{path}?verb=room.see&room={uuid4()}") == (404, "not_found")


def test_rooms_and_messages_are_explained_as_far_as_one_sees_them(acme: Acme) -> None:
    den, path = create_room(acme.actor("member"), name="Den"), "tenants/acme/permissions/explain/"
    found = acme.member.get(f"{path}?verb=message.send&room={den.pk}")
    assert (found["allowed"], found["room_role"], found["rule"]) == (True, "moderator", "writer")
    found = acme.admin.get(f"{path}?verb=message.send&room={den.pk}")
    assert (found["allowed"], found["room_role"]) == (False, None)
    assert acme.admin.get(f"{path}?verb=message.send&room={den.pk}&user={acme.member.id}")["allowed"] is True
    assert acme.moderator.refused("GET", f"{path}?verb=message.send&room={den.pk}") == (404, "not_found")


def test_a_suspended_seat_is_explained_as_giving_nothing(acme: Acme) -> None:
    acme.admin.patch(f"tenants/acme/members/{acme.member.id}/", {"suspended": True})
    found = acme.admin.get(f"tenants/acme/permissions/explain/?verb=room.create&user={acme.member.id}")
    assert found["allowed"] is False and "suspended" in " ".join(found["because"])


# --- The conventions of REST ---


def test_what_cannot_be_read_is_a_problem_and_changes_nothing(acme: Acme) -> None:
    def refused(content: bytes, kind: str = "application/json") -> tuple[int, str]:
        answer = acme.owner.browser.post("/api/v1/tenants/", content, content_type=kind)
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "code"}
        assert problem["status"] == answer.status_code
        return answer.status_code, problem["code"]

    good = b'{"name": "X", "slug": "initech"}'
    assert refused(good, "text/plain") == refused(good, "multipart/form-data; boundary=x") == (415, "bad_request")
    for content in (
        b"",
        b"[]",
        b"null",
        b"{",
        b'"x"',
        good[:-1] + b', "slug": "other"}',
        b"\xff",
        b"[" * 100_000,
        b"{}",
    ):
        assert refused(content) == (400, "bad_request"), content
    assert refused(b'{"name": NaN, "slug": "initech"}') == (400, "bad_request")
    assert refused(b'{"name": "' + b"x" * 300_000 + b'", "slug": "initech"}') == (413, "too_large")
    assert Tenant.objects.count() == 2
    assert (
        acme.owner.browser.post("/api/v1/tenants/", good, content_type="application/json; charset=utf-8").status_code
        == 201
    )


def test_no_such_address_and_no_such_method_are_problems(acme: Acme) -> None:
    unknown = [
        "nothing/",
        "tenants/acme",
        f"tenants/acme/members/{acme.member.id.upper()}/",
        "tenants/acme/members/1/",
        "tenants/a%00b/",
    ]
    for path in unknown:
        assert acme.owner.refused("GET", path) == acme.owner.refused("POST", path, {}) == (404, "not_found")
    answer = acme.owner.ask("PUT", "tenants/")
    assert (answer.status_code, answer.json()["code"]) == (405, "bad_request") and "POST" in answer["Allow"]
    assert Client().get("/api")["Content-Type"] == "application/problem+json"


def test_who_shows_nothing_is_told_to_sign_in_and_a_cookie_needs_its_token(acme: Acme) -> None:
    answer = Client().get("/api/v1/tenants/")
    assert (answer.status_code, answer["WWW-Authenticate"], answer.json()["code"]) == (
        401,
        "Bearer",
        "not_authenticated",
    )
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(acme.owner.user)
    answer = forged.post("/api/v1/tenants/acme/leave/", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    token = forged.get("/").cookies["csrftoken"].value
    made = {"name": "By cookie", "slug": "by-cookie"}
    headers = {"X-CSRFToken": token}
    answer = forged.post("/api/v1/tenants/", made, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["slug"]) == (201, "by-cookie")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [(RuntimeError("the secret"), 500, "internal"), (OperationalError("the secret"), 503, "unavailable")],
)
def test_what_breaks_tells_nothing_of_itself(
    acme: Acme, monkeypatch: pytest.MonkeyPatch, caplog: Any, raised: Exception, status: int, code: str
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("tenants.services.leave_tenant", broken)
    answer = acme.guest.ask("POST", "tenants/acme/leave/")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert b"secret" not in answer.content
    assert ("Retry-After" in answer) == (status == 503)
    assert ("the secret" in caplog.text) == (status == 500)


def test_a_list_is_walked_both_ways_without_loss(acme: Acme) -> None:
    everyone = [each["user"]["id"] for each in acme.admin.get("tenants/acme/members/")["results"]]
    page, forward = acme.admin.get("tenants/acme/members/?limit=2"), []
    assert page["previous"] is None and page["next"].startswith("http://testserver/api/v1/")
    while True:
        forward += [each["user"]["id"] for each in page["results"]]
        if page["next"] is None:
            break
        page = acme.admin.get(page["next"].partition("/api/v1/")[2])
    assert forward == everyone
    page = acme.admin.get(page["previous"].partition("/api/v1/")[2])
    assert [each["user"]["id"] for each in page["results"]] == everyone[2:4]
    page = acme.admin.get(page["previous"].partition("/api/v1/")[2])
    assert [each["user"]["id"] for each in page["results"]] == everyone[:2] and page["previous"] is None


def test_a_limit_or_a_cursor_out_of_order_is_refused(acme: Acme) -> None:
    following = acme.admin.get("tenants/acme/members/?limit=2")["next"].partition("cursor=")[2]
    for query in (
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=",
        "limit=1e1",
        "cursor=",
        "cursor=x",
        f"cursor=x{following}",
    ):
        assert acme.admin.refused("GET", f"tenants/acme/members/?{query}") == (400, "invalid"), query
    assert acme.admin.get("tenants/acme/members/?limit=100&unknown=1")["next"] is None


def test_the_same_key_again_answers_what_it_made(acme: Acme) -> None:
    key, body = {"Idempotency-Key": "one"}, {"name": "X", "slug": "initech"}
    made = acme.owner.post("tenants/", body, **key)
    assert acme.owner.post("tenants/", body, **key) == made
    assert acme.owner.refused("POST", "tenants/", {**body, "name": "Y"}, **key) == (409, "conflict")
    assert acme.owner.refused("POST", "tenants/acme/invitations/", {}, **key) == (409, "conflict")
    assert acme.admin.refused("POST", "tenants/", body, **key) == (409, "conflict")
    assert acme.admin.post("tenants/", {**body, "slug": "initrode"}, **key)["slug"] == "initrode"
    IdempotencyKey.objects.update(created_at=now() - timedelta(hours=25))
    assert acme.owner.post("tenants/", {**body, "slug": "intertrode"}, **key)["slug"] == "intertrode"
    assert IdempotencyKey.objects.count() == 1


def test_a_replay_never_shows_the_secret_and_is_authorised_anew(acme: Acme) -> None:
    key, path = {"Idempotency-Key": "one"}, "tenants/acme/invitations/"
    made = acme.moderator.post(path, {}, **key)
    again = acme.moderator.post(path, {}, **key)
    assert again["id"] == made["id"] and "token" not in again and "url" not in again
    acme.admin.patch(f"tenants/acme/members/{acme.moderator.id}/", {"tenant_role": "member"})
    assert acme.moderator.refused("POST", path, {}, **key) == (404, "not_found")
    assert Invitation.objects.count() == 1


@committed
def test_a_refused_request_leaves_its_key_unused(acme: Acme) -> None:
    key = {"Idempotency-Key": "one"}
    assert acme.owner.refused("POST", "tenants/", {"name": "X", "slug": "globex"}, **key) == (409, "conflict")
    assert acme.owner.post("tenants/", {"name": "X", "slug": "initech"}, **key)["slug"] == "initech"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(acme: Acme, key: str) -> None:
    assert acme.owner.refused("POST", "tenants/", {"name": "X", "slug": "initech"}, **{"Idempotency-Key": key}) == (
        400,
        "invalid",
    )


@committed
def test_the_same_key_at_once_makes_one(acme: Acme, at_once: Callable[..., list[Any]]) -> None:
    ask = partial(acme.admin.ask, "POST", "tenants/acme/invitations/", {}, **{"Idempotency-Key": "one"})
    answers = at_once(*[ask] * 4)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == Invitation.objects.count() == 1
    assert sum("token" in answer.json() for answer in answers) == 1


def test_the_document_describes_every_operation(acme: Acme) -> None:
    document = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    operations = [each for path in document["paths"].values() for name, each in path.items() if name != "parameters"]
    assert len({each["operationId"] for each in operations}) == len(operations)
    body = document["paths"]["/api/v1/tenants/{slug}/members/{user}/"]["patch"]["requestBody"]["content"]
    assert set(body["application/json"]["schema"]["properties"]) == {"tenant_role", "expires_at", "suspended"}


def test_the_document_has_a_page_without_inline_script_or_style() -> None:
    page = Client().get("/api/docs/")
    assert page.status_code == 200 and b"<script>" not in page.content and b"<style" not in page.content
    assert b"SwaggerUIBundle(" in Client().get("/api/docs/?script=").content
    assert Client().get("/api/docs/errors/").status_code == 200


# --- Pages ---


def test_the_first_page_welcomes_strangers_and_lists_organizations(acme: Acme) -> None:
    assert "tenants/welcome.html" in [each.name for each in Client().get("/").templates]
    page = acme.admin.browser.get("/")
    assert b'href="/t/acme/"' in page.content and b"globex" not in page.content
    made = acme.admin.browser.post("/", {"name": "Initech", "slug": "initech"})
    assert (made.status_code, made["Location"]) == (302, "/t/initech/")
    refused = acme.admin.browser.post("/", {"name": "Initech", "slug": "initech"})
    assert refused.status_code == 200 and b"This address is taken." in refused.content
    assert b"small letters" in acme.admin.browser.post("/", {"name": "I", "slug": "No!"}).content
    assert Client().post("/", {"name": "I", "slug": "innotech"}).status_code == 302
    assert not Tenant.objects.filter(slug="innotech").exists()


def test_an_invitation_opens_for_whoever_holds_it(acme: Acme) -> None:
    def state(browser: Client) -> tuple[int, str]:
        answer = browser.get(f"/invite/{token}/")
        assert "no-store" in answer["Cache-Control"]
        return answer.status_code, answer.context["state"]

    token, stranger = acme.link(), Client()
    Membership.objects.filter(user=acme.guest.user).update(suspended_at=now())
    assert state(stranger) == (200, "signed_out")
    assert state(acme.member.browser) == (200, "member")
    assert state(acme.guest.browser) == (200, "refused")
    assert acme.guest.browser.post(f"/invite/{token}/").status_code == 403
    assert stranger.post(f"/invite/{token}/")["Location"].startswith("/accounts/login/")
    assert state(acme.outsider.browser) == (200, "ready")
    assert acme.outsider.browser.post(f"/invite/{token}/")["Location"] == "/t/acme/"
    assert state(acme.outsider.browser) == (200, "member")
    assert state(stranger) == (404, "gone")
    assert acme.seat("outsider").role == "member"


def test_the_wrong_account_signs_out_and_comes_back(acme: Acme) -> None:
    token = acme.link()
    left = acme.outsider.browser.post("/accounts/logout/", {"next": f"/invite/{token}/"})
    assert left["Location"] == f"/invite/{token}/"
    assert acme.outsider.browser.get(f"/invite/{token}/").context["state"] == "signed_out"


def test_an_invited_stranger_signs_up_where_sign_up_is_closed(acme: Acme, settings: Any) -> None:
    settings.OPEN_SIGNUP = False
    token, stranger = acme.link(), Client()
    form = {"email": "new@people.test", "password1": "a horse, a battery", "next": f"/invite/{token}/"}
    assert stranger.post("/accounts/signup/", form).status_code == 200
    assert not User.objects.filter(email="new@people.test").exists()
    assert stranger.get(f"/invite/{token}/").context["state"] == "signed_out"
    assert stranger.post("/accounts/signup/", form).status_code == 302
    code = next(word for word in str(mail.outbox[-1].body).split() if len(word) == 9 and word[4] == "-")
    verified = stranger.post("/accounts/confirm-email/", {"code": code})
    assert verified["Location"] == f"/invite/{token}/"
    assert stranger.get(f"/invite/{token}/").context["state"] == "ready"
    assert stranger.post(f"/invite/{token}/")["Location"] == "/t/acme/"
    assert Membership.objects.filter(user__email="new@people.test", tenant=acme.tenant).exists()


def test_a_dead_invitation_opens_no_sign_up(acme: Acme, settings: Any) -> None:
    settings.OPEN_SIGNUP = False
    token, stranger = acme.link(), Client()
    assert stranger.get(f"/invite/{token}/").context["state"] == "signed_out"
    Invitation.objects.update(revoked_at=now())
    stranger.post("/accounts/signup/", {"email": "new@people.test", "password1": "a horse, a battery"})
    assert not User.objects.filter(email="new@people.test").exists()
