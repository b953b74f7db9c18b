"""Rights in the page, live: what changes elsewhere is seen at once, and nothing is offered that one may not do."""

import re

import pytest
from playwright.sync_api import expect

from tests.visitor import NOT_FOUND, House, Visit

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]


def test_an_admin_enters_a_private_room_only_with_a_notice_and_reads_from_then_on(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    admin, moderator = (visit(house.server, house.cast.people[name]) for name in ("admin", "moderator"))
    moderator.enter("acme", den)
    admin.enter("acme", den)
    expect(admin.page.get_by_role("heading", name="You are not in Den")).to_be_visible()
    expect(admin.find("#room-topic")).to_have_text("where the work is")
    assert "in the den" not in admin.page.content()
    admin.press("Enter this room")
    expect(moderator.find(".message-notice")).to_contain_text("Admin")
    expect(admin.find(".message-notice")).to_contain_text("Admin")
    moderator.write("welcome, admin")
    admin.sees("welcome, admin")
    assert "first in the den" not in admin.page.content()


def test_who_is_removed_from_a_room_loses_it_on_the_screen_at_once(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    moderator, both = (visit(house.server, house.cast.people[name]) for name in ("moderator", "both"))
    both.enter("acme", den)
    both.sees("third in the den")
    expect(both.find("#composer-closed")).to_contain_text("You are a reader in this room")
    moderator.enter("acme", den)
    moderator.find("#open-people").click()
    moderator.press("Remove Both from this room")
    moderator.confirm("Remove")
    moderator.hears("Both was removed.")
    both.hears("You are no longer in Den.")
    expect(both.page.get_by_role("heading", name="This room isn't here")).to_be_visible()
    expect(both.find(f'[data-room="{den}"]')).to_have_count(0)
    moderator.write("between those who are left")
    moderator.sees("between those who are left")
    both.expects(NOT_FOUND)
    both.page.reload()
    both.live()
    assert "in the den" not in both.page.content() and "those who are left" not in both.page.content()


def test_a_login_that_is_ended_elsewhere_leads_to_the_sign_in_page(house: House, visit: Visit) -> None:
    lurker, member = house.cast.lurker, visit(house.server, house.cast.member)
    visitor = visit(house.server, lurker)
    for each in (visitor, member):
        each.enter("acme")
    ended = house.rest(lurker).delete(f"{house.server.url}/api/v1/me/sessions/{lurker.sid}/")
    assert ended.status_code == 204
    visitor.page.wait_for_url(re.compile(r"/accounts/login/\?next=%2Ft%2Facme%2F$"))
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(member.find("#chat")).to_have_attribute("data-connection", "online")


def test_who_loses_their_seat_is_told_so_and_sees_nothing_more(house: House, visit: Visit) -> None:
    guest, owner = house.cast.guest, house.cast.owner
    visitor = visit(house.server, guest)
    visitor.enter("acme", house.cast.rooms["den"])
    visitor.sees("third in the den")
    assert house.rest(owner).delete(f"members/{guest.id}/").status_code == 204
    expect(visitor.page.get_by_role("heading", name="You are no longer a member of Acme")).to_be_visible()
    expect(visitor.find("#chat")).to_be_hidden()
    visitor.expects(NOT_FOUND)
    assert visitor.open("/t/acme/") == 404


def test_the_page_offers_what_the_role_may_do(house: House, visit: Visit) -> None:
    offered = {}
    for name in ("owner", "moderator", "member"):
        visitor = visit(house.server, house.cast.people[name])
        visitor.enter("acme", house.cast.rooms["lobby"])
        visitor.sees("welcome")
        visitor.message("welcome").hover()
        offered[name] = {
            label
            for label, button in {
                "invite": visitor.find("footer [data-invite]"),
                "create": visitor.find("#open-create"),
                "delete": visitor.message("welcome").get_by_role("button", name="Delete (Del)"),
                "edit": visitor.message("welcome").get_by_role("button", name="Edit (E)"),
            }.items()
            if button.is_visible()
        }
    assert offered == {
        "owner": {"invite", "create", "delete", "edit"},
        "moderator": {"invite", "create", "delete"},
        "member": {"create"},
    }
