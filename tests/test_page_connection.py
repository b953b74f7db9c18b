"""The page while its server is away and back again: nothing is lost, nothing comes twice."""

import pytest
from playwright.sync_api import expect

from tests.visitor import LOST_SERVER, House, Visit, start_again

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]


def test_what_was_written_while_the_server_was_away_arrives_once_on_both_sides(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member = visit(house.server, house.cast.member)
    member.expects(LOST_SERVER)
    member.enter("acme", den)
    member.sees("third in the den")
    first, house.server = house.server, house.stack.serve()[0]
    messages = f"rooms/{den}/messages/"

    first.kill()
    bar = member.find("#connection")
    expect(bar).to_contain_text("No connection")
    expect(bar).to_be_visible()
    for body in ("mine while away", "mine again"):
        member.write(body)
    expect(member.find(".message.pending")).to_have_count(2)
    for number in (1, 2, 3):
        fields = {"body": f"theirs while away {number}", "nonce": f"away-{number}"}
        sent = house.rest(house.cast.moderator).post(messages, json=fields)
        assert sent.status_code == 201
    assert "theirs" not in member.find("#messages").inner_text()

    house.server = start_again(house.stack, first)
    member.page.evaluate("document.querySelector('#connection-retry').click()")  # what "Try now" does, shown or not
    member.live()
    expect(bar).to_be_hidden()
    expect(member.find(".message.pending")).to_have_count(0)
    wanted = [f"theirs while away {number}" for number in (1, 2, 3)] + ["mine while away", "mine again"]
    for body in wanted:
        member.sees(body)
    held = house.rest(house.cast.member).get(messages).json()["results"]
    assert sorted(each["body"] for each in held if "away" in each["body"] or "again" in each["body"]) == sorted(wanted)
    shown = member.find("#messages .message[data-number]").evaluate_all("all => all.map(e => Number(e.dataset.number))")
    assert shown == list(range(1, 9))


def test_a_message_that_waits_survives_a_reload_and_goes_out_once(house: House, visit: Visit) -> None:
    den = house.cast.rooms["den"]
    member, moderator = (visit(house.server, house.cast.people[name]) for name in ("member", "moderator"))
    for visitor in (member, moderator):
        visitor.enter("acme", den)
        visitor.sees("first in the den")
    # The answer is lost, not the message: the socket is cut as soon as the frame is out.
    member.page.evaluate(
        """() => { const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (text) { send.call(this, text);
          if (text.includes("message.send")) { this.onmessage = null; WebSocket.prototype.send = () => {}; } } }"""
    )
    member.write("said once")
    moderator.sees("said once")
    expect(member.find(".message.pending")).to_have_count(1)
    member.page.reload()
    member.live()
    member.sees("said once")
    expect(member.find(".message.pending")).to_have_count(0)
    moderator.write("heard")
    member.sees("heard")
    expect(moderator.message("said once")).to_have_count(1)
