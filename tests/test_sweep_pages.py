"""The tenancy sweep over the pages that belong to an organization: who is shown them, and where an invitation leads."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from chat.pages import page_urls
from tenants.access import actor_of
from tenants.invitations import create_invitation
from tests.cast import ACME, GLOBEX, OUTSIDER, Cast
from tests.policy import request

SEATED = ["owner", "admin", "moderator", "member", "guest", "both", "lurker"]
UNSEATED = ["suspended", "expired", "globex_owner", "globex_member", "outsider"]
SEE_THE_ROOM = {
    "lobby": "owner admin moderator member both lurker",
    "den": "owner admin moderator member guest both",
    "vault": "owner admin",
    "talk": "moderator member",
    "lab": "",
}


@pytest.fixture
def browser() -> Client:
    """One for all: a client loads the middleware anew, which then looks for every static file."""
    return Client()


def visit(browser: Client, cast: Cast, name: str, path: str) -> HttpResponse:
    browser.cookies.clear()
    browser.cookies["sessionid"] = cast.people[name].session
    answer: HttpResponse = browser.get(path)
    return answer


def test_the_pages_of_an_organization_open_to_its_seats_alone(cast: Any, browser: Client) -> None:
    for name in SEATED:
        assert visit(browser, cast, name, "/t/acme/").status_code == 200, name
    for name in UNSEATED:
        assert visit(browser, cast, name, "/t/acme/").status_code == 404, name
        assert visit(browser, cast, name, "/t/never-was/").status_code == 404, name
    browser.cookies.clear()
    assert browser.get("/t/acme/").status_code == browser.get("/t/never-was/").status_code == 302


def test_a_rooms_address_is_a_404_for_those_who_do_not_see_the_room(cast: Any, browser: Client) -> None:
    for room, names in SEE_THE_ROOM.items():
        for name in ACME:
            expected = 200 if name in names.split() else 404
            assert visit(browser, cast, name, f"/t/acme/rooms/{cast.rooms[room]}/").status_code == expected, (
                room,
                name,
            )
    assert visit(browser, cast, "owner", f"/t/acme/rooms/{uuid4()}/").status_code == 404
    assert visit(browser, cast, "both", f"/t/globex/rooms/{cast.rooms['lab']}/").status_code == 200


def test_every_page_of_an_organization_is_swept() -> None:
    assert [str(page.pattern) for page in page_urls] == ["t/<slug:slug>/", "t/<slug:slug>/rooms/<uuid:room>/"]
    assert {*SEATED, *UNSEATED} == {*ACME, *GLOBEX, OUTSIDER}


def test_an_invitation_leads_into_its_own_organization_also_those_who_have_a_seat_elsewhere(
    cast: Any, browser: Client
) -> None:
    link = create_invitation(actor_of(UUID(cast.admin.id), "acme"), tenant_role="moderator", max_uses=10).token
    address = f"/invite/{link}/"
    for name in ("globex_owner", "globex_member", "outsider"):
        assert "Join Acme</h1>" in visit(browser, cast, name, address).content.decode(), name
        came = json.loads(request("POST", f"invitations/{link}/accept/", cast.people[name].bearer).content)
        assert (came["slug"], came["tenant_role"]) == ("acme", "moderator"), name
        assert "already in Acme" in visit(browser, cast, name, address).content.decode(), name
    both = json.loads(request("POST", f"invitations/{link}/accept/", cast.both.bearer).content)
    assert (both["slug"], both["tenant_role"]) == ("acme", "member")
