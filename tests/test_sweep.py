"""The tenancy sweep over REST: every address and method, tried by everybody in the cast, with what each must get.

Whoever has no seat at acme gets the words for an organization that doesn't exist; what belongs to globex, the words for
what never existed. An address or method that isn't swept fails the guard at the end.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.urls import get_resolver, resolve
from django.utils.timezone import now
from rest_framework.views import APIView

from tenants.models import CustomRole, Invitation, Membership, Tenant
from tests.cast import ACME, GLOBEX, OUTSIDER, Cast, Person
from tests.policy import filled, request

SEATED = "owner admin moderator member guest both lurker"
UNSEATED = "suspended expired globex_owner globex_member outsider"
EVERYBODY = f"{SEATED} {UNSEATED}"
DEN = "moderator member guest both"
"""Those in the den: its moderator, two members and a reader. Owner and admin know of it, `lurker` doesn't."""
NOT_DEN = "owner admin lurker"
STATUS = {"forbidden": 403, "not_found": 404, "no_seat": 404, "not_authenticated": 401, "invalid": 400}
SIGNED_OUT = "signed_out"


@dataclass(frozen=True)
class Row:
    """One request and who gets what for it. Names in braces stand for ids; below acme, UNSEATED get `no_seat`."""

    method: str
    address: str
    body: dict[str, Any] | None = None
    status: int = 200
    ok: str = ""
    forbidden: str = ""
    not_found: str = ""
    invalid: str = ""
    open: bool = False
    """Signed out, too."""

    def __str__(self) -> str:
        return f"{self.method} {self.address}" + (f" {json.dumps(self.body)}" if self.body else "")

    @property
    def in_acme(self) -> bool:
        return self.address.startswith("tenants/acme/")

    @property
    def outcomes(self) -> dict[str, str]:
        """By name: `ok` or the code."""
        named = {code: getattr(self, code).split() for code in ("ok", "forbidden", "not_found", "invalid")}
        named["no_seat"] = UNSEATED.split() if self.in_acme else []
        found = {name: code for code, names in named.items() for name in names}
        return {**found, SIGNED_OUT: "ok" if self.open else "not_authenticated"}

    @property
    def names(self) -> set[str]:
        return set(re.findall(r"{(\w+)}", f"{self.address} {json.dumps(self.body)}"))


ME = [
    Row("GET", "me/", ok=EVERYBODY),
    Row("PATCH", "me/", {"display_name": "New"}, ok=EVERYBODY),
    Row("GET", "me/sessions/", ok=EVERYBODY),
    Row("DELETE", "me/sessions/", status=204, ok=EVERYBODY),
    Row(
        "DELETE",
        "me/sessions/{member_login}/",
        status=204,
        ok="member",
        not_found=f"owner admin moderator guest both lurker {UNSEATED}",
    ),
    Row("GET", "tenants/", ok=EVERYBODY),
    Row("POST", "tenants/", {"name": "Initech", "slug": "initech"}, status=201, ok=EVERYBODY),
    Row("GET", "invitations/{link}/", ok=EVERYBODY, open=True),
    Row(
        "POST",
        "invitations/{link}/accept/",
        ok=f"{SEATED} globex_owner globex_member outsider",
        forbidden="suspended expired",
    ),
]

T = "tenants/acme/"
TENANT = [
    Row("GET", T, ok=SEATED),
    Row("PATCH", T, {"name": "New"}, ok="owner admin", forbidden="moderator member guest both lurker"),
    Row("GET", f"{T}members/", ok=SEATED),
    Row("GET", f"{T}members/{{lurker}}/", ok="owner admin moderator member both lurker", not_found="guest"),
    Row("GET", f"{T}members/{{both}}/", ok=SEATED),
    Row(
        "PATCH",
        f"{T}members/{{lurker}}/",
        {"tenant_role": "guest"},
        ok="owner admin",
        forbidden="moderator member both lurker",
        not_found="guest",
    ),
    Row(
        "PATCH",
        f"{T}members/{{admin}}/",
        {"suspended": True},
        ok="owner",
        forbidden="admin moderator member both lurker",
        not_found="guest",
    ),
    Row(
        "DELETE",
        f"{T}members/{{lurker}}/",
        status=204,
        ok="owner admin",
        forbidden="moderator member both lurker",
        not_found="guest",
    ),
    Row(
        "POST",
        f"{T}transfer/",
        {"user": "{lurker}"},
        ok="owner",
        forbidden="admin moderator member both lurker",
        not_found="guest",
    ),
    Row("POST", f"{T}leave/", {}, status=204, ok="admin moderator member guest both lurker", forbidden="owner"),
    Row("GET", f"{T}invitations/", ok=SEATED),
    Row(
        "POST",
        f"{T}invitations/",
        {"tenant_role": "member", "rooms": ["{den}"]},
        status=201,
        ok="owner admin moderator",
        forbidden="member guest both lurker",
    ),
    Row("GET", f"{T}invitations/{{link_id}}/", ok="owner admin", not_found="moderator member guest both lurker"),
    Row(
        "DELETE",
        f"{T}invitations/{{link_id}}/",
        status=204,
        ok="owner admin",
        not_found="moderator member guest both lurker",
    ),
    Row("GET", f"{T}abilities/", ok=SEATED),
    Row("GET", f"{T}roles/", ok="owner admin moderator member both lurker", forbidden="guest"),
    Row(
        "POST",
        f"{T}roles/",
        {"name": "helper", "rank": 15, "base": "guest"},
        status=201,
        ok="owner admin",
        forbidden="moderator member guest both lurker",
    ),
    Row(
        "PATCH",
        f"{T}roles/keeper/",
        {"cells": {"room.create": "no"}},
        ok="owner admin",
        forbidden="moderator member guest both lurker",
    ),
    Row(
        "DELETE",
        f"{T}roles/keeper/",
        status=204,
        ok="owner admin",
        forbidden="moderator member guest both lurker",
    ),
    Row(
        "GET",
        f"{T}permissions/explain/?verb=room.create&user={{lurker}}",
        ok="owner admin lurker",
        forbidden="moderator member both",
        not_found="guest",
    ),
    Row(
        "GET",
        f"{T}permissions/explain/?verb=seat.see&target={{lurker}}",
        ok="owner admin moderator member both lurker",
        not_found="guest",
    ),
    Row("GET", f"{T}permissions/explain/?verb=room.see&room={{den}}", ok=f"owner admin {DEN}", not_found="lurker"),
    Row("GET", f"{T}permissions/explain/?verb=message.edit&message={{den_member}}", ok=DEN, not_found=NOT_DEN),
]

R = f"{T}rooms/{{den}}/"
ROOMS = [
    Row("GET", f"{T}rooms/", ok=SEATED),
    Row("POST", f"{T}rooms/", {"name": "New"}, status=201, ok=SEATED.replace("guest ", ""), forbidden="guest"),
    Row(
        "POST",
        f"{T}direct/",
        {"users": ["{lurker}"]},
        status=201,
        ok="owner admin moderator member both",
        not_found="guest",
        invalid="lurker",
    ),
    Row("GET", R, ok=f"owner admin {DEN}", not_found="lurker"),
    Row("GET", f"{T}rooms/{{lobby}}/", ok=SEATED.replace("guest ", ""), not_found="guest"),
    Row("GET", f"{T}rooms/{{vault}}/", ok="owner admin", not_found="moderator member guest both lurker"),
    Row("GET", f"{T}rooms/{{talk}}/", ok="moderator member", not_found="owner admin guest both lurker"),
    Row("PATCH", R, {"topic": "new"}, ok="owner admin moderator", forbidden="member guest both", not_found="lurker"),
    Row("POST", f"{R}archive/", {}, ok="owner admin moderator", forbidden="member guest both", not_found="lurker"),
    Row("POST", f"{R}restore/", {}, ok="owner admin moderator", forbidden="member guest both", not_found="lurker"),
    Row("POST", f"{R}join/", {}, ok=f"owner admin {DEN}", not_found="lurker"),
    Row("POST", f"{T}rooms/{{lobby}}/join/", {}, ok=SEATED.replace("guest ", ""), not_found="guest"),
    Row("POST", f"{R}leave/", {}, status=204, ok=DEN, not_found=NOT_DEN),
    Row(
        "POST",
        f"{T}rooms/{{talk}}/leave/",
        {},
        forbidden="moderator member",
        not_found="owner admin guest both lurker",
    ),
    Row("GET", f"{R}members/", ok=f"owner admin {DEN}", not_found="lurker"),
    Row(
        "POST",
        f"{R}members/",
        {"user": "{lurker}"},
        status=201,
        ok="owner admin moderator",
        forbidden="member both",
        not_found="guest",
        invalid="lurker",
    ),
    Row(
        "PATCH",
        f"{R}members/{{both}}/",
        {"room_role": "member"},
        ok="owner admin moderator",
        forbidden="member guest both",
        not_found="lurker",
    ),
    Row(
        "DELETE",
        f"{R}members/{{both}}/",
        status=204,
        ok="owner admin moderator both",
        forbidden="member guest",
        not_found="lurker",
    ),
]

M = f"{R}messages/{{den_member}}/"
SENT = {"body": "hello", "nonce": "n"}
MESSAGES = [
    Row("GET", f"{R}messages/", ok=DEN, not_found=NOT_DEN),
    Row(
        "POST",
        f"{R}messages/",
        SENT,
        status=201,
        ok="moderator member guest",
        forbidden="owner admin both",
        not_found="lurker",
    ),
    Row(
        "POST",
        f"{R}messages/",
        {**SENT, "reply_to": "{den_guest}"},
        status=201,
        ok="moderator member guest",
        forbidden="owner admin both",
        not_found="lurker",
    ),
    Row(
        "POST",
        f"{T}rooms/{{lobby}}/messages/",
        SENT,
        status=201,
        ok="owner moderator member",
        forbidden="admin both lurker",
        not_found="guest",
    ),
    Row("GET", M, ok=DEN, not_found=NOT_DEN),
    Row("GET", f"{T}rooms/{{lobby}}/messages/{{den_member}}/", not_found=SEATED),
    Row("PATCH", M, {"body": "new"}, ok="member", forbidden="moderator guest both", not_found=NOT_DEN),
    Row("DELETE", M, ok="moderator member", forbidden="guest both", not_found=NOT_DEN),
    Row("GET", f"{M}history/", ok=DEN, not_found=NOT_DEN),
    Row("GET", f"{M}reactions/👍/", ok=DEN, not_found=NOT_DEN),
    Row("PUT", f"{M}reactions/👍/", ok="moderator member guest", forbidden="both", not_found=NOT_DEN),
    Row("DELETE", f"{M}reactions/👍/", ok="moderator member guest", forbidden="both", not_found=NOT_DEN),
    Row("GET", f"{R}changes/", ok=DEN, not_found=NOT_DEN),
    Row("POST", f"{R}read/", {"number": 1}, status=204, ok=DEN, not_found=NOT_DEN),
]
ROWS = [*ME, *TENANT, *ROOMS, *MESSAGES]
BELOW_ACME = [row for row in ROWS if row.in_acme]

COUNTERPARTS = {
    "lab": ("den", "lobby", "vault", "talk"),
    "lab_owner": ("den_member", "den_guest"),
    "globex_member": ("lurker", "both", "admin"),
    "globex_link_id": ("link_id",),
}
"""What of globex takes the place of what is named in a row."""


@dataclass
class Sweep:
    """The cast, what its names stand for, and what each may not read."""

    cast: Cast
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        cast = self.cast
        link = uuid4().hex
        ours, theirs = self._invite("acme", cast.admin, link), self._invite("globex", cast.globex_owner, uuid4().hex)
        people = {name: person.id for name, person in cast.people.items()}
        self.names = {**people, **cast.rooms, **cast.messages, "member_login": cast.member.sid}
        self.names |= {"link": link, "link_id": ours, "globex_link_id": theirs}
        CustomRole.objects.create(tenant=Tenant.objects.get(slug="acme"), name="keeper", rank=25, base="member")
        Tenant.objects.filter(slug="acme").update(policy_version=time.time_ns() // 1000)

    @staticmethod
    def _invite(slug: str, inviter: Person, token: str) -> str:
        """An invitation as the database holds it: no rule is asked, so that none can spoil the premises."""
        seat = Membership.objects.get(tenant__slug=slug, user_id=inviter.id)
        made = Invitation.objects.create(
            tenant_id=seat.tenant_id,
            inviter=seat,
            role="member",
            digest=hashlib.sha256(token.encode()).hexdigest(),
            expires_at=now() + timedelta(days=1),
            max_uses=100,
        )
        return str(made.pk)

    def ask(self, name: str, row: Row, **instead: str) -> HttpResponse:
        """One person's request; nothing of what it does stays."""
        names = {**self.names, **instead}
        headers = {} if name == SIGNED_OUT else self.cast.people[name].bearer
        address = row.address.replace("tenants/acme/", f"tenants/{instead.get('slug', 'acme')}/")
        with transaction.atomic():
            answer = request(row.method, filled(address, names), headers, filled(row.body, names))
            transaction.set_rollback(True)
        return answer

    def secrets_of_others(self, name: str) -> Iterator[str]:
        """What no answer below acme may tell this person: anything of globex, and rooms they can't read."""
        yield from (
            self.names[each] for each in ("lab", "lab_owner", "globex_link_id", "globex_owner", "globex_member")
        )
        yield "the secret of the lab"
        if name != "owner":
            yield "the secret of the vault"
        if name not in ("member", "moderator"):
            yield from ("between us", self.names["talk"])
        if name not in DEN.split():
            yield from ("first in the den", "second in the den", "third in the den")


@pytest.fixture
def sweep(cast: Any) -> Sweep:
    return Sweep(cast)


def code(answer: HttpResponse) -> str:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    found = str(json.loads(answer.content)["code"])
    assert STATUS[found] == answer.status_code
    return found


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_everybody_gets_what_the_sweep_says(sweep: Sweep, row: Row) -> None:
    for name, expected in row.outcomes.items():
        answer = sweep.ask(name, row)
        if expected == "ok":
            assert answer.status_code == row.status, (name, answer.content)
        else:
            assert code(answer) == expected, name
        for secret in sweep.secrets_of_others(name) if row.in_acme else ():
            assert secret not in answer.content.decode(), name


@pytest.mark.parametrize("row", [row for row in BELOW_ACME if row.names], ids=str)
def test_what_is_anothers_is_refused_in_the_words_for_what_never_existed(sweep: Sweep, row: Row) -> None:
    for name, (globex, ours) in ((n, p) for p in COUNTERPARTS.items() for n in row.names if n in p[1]):
        for person in SEATED.split():
            theirs = sweep.ask(person, row, **{name: sweep.names[globex]})
            nothing = sweep.ask(person, row, **{name: str(uuid4())})
            assert (theirs.status_code, theirs.content) == (nothing.status_code, nothing.content), (person, ours)
            if row.outcomes[person] == "ok":
                assert code(theirs) == "not_found", person


@pytest.mark.parametrize("row", BELOW_ACME, ids=str)
def test_whoever_has_no_seat_can_not_tell_whether_an_organization_exists(sweep: Sweep, row: Row) -> None:
    for name in (*UNSEATED.split(), SIGNED_OUT):
        here, nowhere = sweep.ask(name, row), sweep.ask(name, row, slug="never-was")
        assert (here.status_code, here.content) == (nowhere.status_code, nowhere.content), name


def test_a_seat_in_two_organizations_opens_nothing_of_one_in_the_other(sweep: Sweep) -> None:
    """Premise of the rows above for `both`: what they don't find at acme they do read at globex."""
    row = Row("GET", "tenants/acme/rooms/{lab}/messages/{lab_owner}/")
    assert "the secret of the lab" in sweep.ask("both", row, slug="globex").content.decode()
    assert code(sweep.ask("both", row)) == "not_found"
    for name, rooms in {"both": ("lobby", "den"), "admin": ("lobby", "den", "vault")}.items():
        shown = json.loads(sweep.ask(name, Row("GET", "tenants/acme/rooms/")).content)["results"]
        assert {room["id"] for room in shown} == {sweep.names[room] for room in rooms}, name


def test_an_organization_is_found_by_its_id_too_and_by_nothing_else(sweep: Sweep) -> None:
    row = Row("GET", "tenants/acme/")
    ids = {
        each["slug"]: each["id"] for each in json.loads(sweep.ask("both", Row("GET", "tenants/")).content)["results"]
    }
    for slug, pk in ids.items():
        assert json.loads(sweep.ask("both", row, slug=pk).content)["slug"] == slug
    for name, slug in (("member", "globex"), ("globex_owner", "acme"), ("suspended", "acme"), ("expired", "acme")):
        assert code(sweep.ask(name, row, slug=ids[slug])) == "no_seat", name
    for slug in ("no", str(uuid4()), ids["acme"].upper(), ids["acme"].replace("-", "")):
        assert code(sweep.ask("both", row, slug=slug)) == "no_seat", slug


def test_each_row_says_what_everybody_in_the_cast_gets() -> None:
    cast = {*ACME, *GLOBEX, OUTSIDER, SIGNED_OUT}
    for row in ROWS:
        listed = f"{row.ok} {row.forbidden} {row.not_found} {row.invalid}".split()
        assert set(row.outcomes) == cast and len(listed) == len(set(listed)), str(row)
        assert row.names <= {"link", "member_login", *(each for names in COUNTERPARTS.values() for each in names)}


def walk(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from walk(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


def test_every_address_and_method_is_swept() -> None:
    standing = set()
    for route, view in walk(get_resolver().url_patterns):
        if route.startswith("api/v1/"):
            assert issubclass(view.cls, APIView)
            standing |= {(each.upper(), route) for each in view.cls.http_method_names if hasattr(view.cls, each)}
    swept = {(row.method, resolve(_any_address(row)).route) for row in ROWS}
    own = {(method, route) for method, route in standing if method not in ("OPTIONS", "HEAD")}
    assert swept == own
    assert len(own) > 40


def _any_address(row: Row) -> str:
    names = dict.fromkeys(row.names, str(uuid4())) | {"link": "token"}
    return f"/api/v1/{filled(row.address, names)}".partition("?")[0]
