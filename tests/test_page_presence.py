"""Who is here, in the page: quietly beside the room's name and in the list of its people."""

import pytest
from playwright.sync_api import expect

from tests.visitor import LOST_SERVER, PHONE, House, Visit, start_again

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]


def test_people_come_and_go_beside_the_rooms_name_and_in_its_list(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member = visit(house.server, house.cast.member)
    member.enter("acme", den)
    expect(member.find("#people-count")).to_have_text("4")
    expect(member.find("#people-here")).to_have_text("")
    member.find("#open-people").click()
    moderator = visit(house.server, house.cast.moderator)
    moderator.enter("acme", den)
    for visitor in (member, moderator):
        expect(visitor.find("#people-here")).to_have_text("2 here")
    people = member.find("#members .person-row")
    expect(people.filter(has_text="Moderator")).to_contain_text("Here")
    expect(people.filter(has_text="Guest").first).not_to_contain_text("Here")
    expect(people.filter(has_text="You")).not_to_contain_text("Here")
    moderator.find(f'[data-room="{house.cast.rooms["talk"]}"]').click()
    expect(moderator.find("#room-name")).to_have_text("Member")
    expect(moderator.find("#people-here")).to_have_text("2 here")
    moderator.page.close()
    expect(member.find("#people-here")).to_have_text("")
    expect(people.filter(has_text="Moderator")).not_to_contain_text("Here")


def test_without_the_server_nobody_is_said_to_be_here(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member, moderator = (visit(house.server, house.cast.people[name]) for name in ("member", "moderator"))
    for visitor in (member, moderator):
        visitor.expects(LOST_SERVER)
        visitor.enter("acme", den)
    expect(member.find("#people-here")).to_have_text("2 here")
    house.server.kill()
    expect(member.find("#connection")).to_contain_text("No connection")
    expect(member.find("#people-here")).to_have_text("")
    house.server = start_again(house.stack, house.server)
    for visitor in (member, moderator):
        visitor.live()
        expect(visitor.find("#people-here")).to_have_text("2 here")


def test_on_a_phone_the_list_says_it_and_the_title_keeps_its_place(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member = visit(house.server, house.cast.member, size=PHONE)
    moderator = visit(house.server, house.cast.moderator)
    for visitor in (member, moderator):
        visitor.enter("acme", den)
    expect(member.find("#people-here")).to_have_text("2 here")
    expect(member.find("#people-here")).to_be_hidden()
    member.find("#open-people").click()
    expect(member.find("#members .person-row").filter(has_text="Moderator")).to_contain_text("Here")
