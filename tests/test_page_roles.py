"""What the page offers follows what one's role may do, also while it is open."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.cast import Person
from tests.visitor import House, Visit

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]


def patch(house: House, by: Person, path: str, body: Any) -> None:
    answer = house.rest(by).patch(path, json=body)
    assert answer.status_code == 200, answer.text


def test_an_open_page_loses_what_a_role_may_do_no_more_says_so_and_gets_it_back(house: House, visit: Visit) -> None:
    cast = house.cast
    member = visit(house.server, cast.member)
    member.enter("acme", cast.rooms["den"])
    expect(member.find("#open-create")).to_be_visible()
    rules = {"room.create": "no", "message.send": "no", "message.react": "no"}
    patch(house, cast.owner, "roles/member/", {"cells": rules})
    member.hears("What your role may do here has changed.")
    expect(member.find("#open-create")).to_be_hidden()
    expect(member.composer).to_be_hidden()
    expect(member.find("#composer-closed-why")).to_contain_text("the role member does not write messages")
    member.page.reload()
    member.live()
    expect(member.find("#open-create")).to_be_hidden()
    expect(member.composer).to_be_hidden()
    patch(house, cast.owner, "roles/member/", {"cells": dict.fromkeys(rules)})
    expect(member.find("#open-create")).to_be_visible()
    member.write("here again")
    member.sees("here again")


def test_a_role_of_the_organizations_own_shows_what_it_may_and_is_offered_to_those_who_may_give_it(
    house: House, visit: Visit
) -> None:
    cast = house.cast
    made = house.rest(cast.owner).post(
        "roles/", json={"name": "host", "rank": 25, "base": "member", "cells": {"invitation.create": "grants"}}
    )
    assert made.status_code == 201, made.text
    lurker = visit(house.server, cast.lurker)
    lurker.enter("acme")
    expect(lurker.page.get_by_role("button", name="Invite people").first).to_be_hidden()
    patch(house, cast.owner, f"members/{cast.lurker.id}/", {"tenant_role": "host"})
    lurker.hears("Your role here is now host.")
    lurker.page.locator(".chat-rooms-foot [data-invite]").click()
    offered = lurker.page.locator("#invite-role option")
    expect(offered).to_have_text(["Guest", "Member", "Host"])
    lurker.page.locator("#invite-role").select_option("host")
    expect(lurker.find("#invite-role-hint")).to_contain_text("may do what the organization decided")
