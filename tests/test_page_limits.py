"""The page under the product's limits: it waits as long as it is told, and what was written arrives once, in order."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.visitor import House, Visit

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]


@pytest.fixture(scope="module")
def house(chromium: Browser, make_stack: Callable[..., Any]) -> Iterator[House]:
    stack, cast = make_stack(
        "embedded",
        RATE_LIMIT_FACTOR="1",
        LIMIT_SENDS_USER="3/3",
        LIMIT_CONNECTS_USER="3/8",
        LIMIT_GUESSES_ADDRESS="2/60",
    )
    house = House(stack, stack.serve()[0], cast)
    yield house
    house.close()


def test_what_is_written_too_fast_waits_and_arrives_once_and_in_order(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member = visit(house.server, house.cast.member)
    member.enter("acme", den)
    member.sees("third in the den")
    bodies = [f"quickly {number}" for number in range(8)]
    for body in bodies:
        member.write(body)
    expect(member.find(".message.pending").first).to_be_visible()
    expect(member.find(".message.pending")).to_have_count(0)
    expect(member.find(".message-failed")).to_have_count(0)
    held = house.rest(house.cast.moderator).get(f"rooms/{den}/messages/").json()["results"]
    assert [each["body"] for each in held if each["body"].startswith("quickly")] == bodies


def test_who_connects_too_often_comes_back_by_itself_after_the_wait(house: House, visit: Visit) -> None:
    moderator = visit(house.server, house.cast.moderator)
    for _ in range(5):
        moderator.enter("acme", house.cast.rooms["den"])
        moderator.page.reload()
    moderator.live()
    moderator.write("back again")
    moderator.sees("back again")


def test_who_opens_too_many_links_is_told_to_wait(house: House, visit: Visit) -> None:
    guest = visit(house.server, house.cast.guest)
    guest.expects("status of 404")
    guest.expects("status of 429")
    assert [guest.open(f"/invite/wrong-{number}/") for number in range(4)] == [404, 404, 429, 429]
    expect(guest.find("h1")).to_have_text("Too many tries")
