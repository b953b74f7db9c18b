"""The conversation in Chromium: writing, drafts, Markdown, history, what is unread, and everything by keyboard."""

import re

import pytest
from playwright.sync_api import expect

from tests.cast import Person
from tests.visitor import House, Visit, Visitor

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]

HOSTILE = """<img src=x onerror="window.broken = 1"> <script>window.broken = 2</script>

[press me](javascript:window.broken=3) [data](data:text/html,<script>window.broken=4</script>)

![picture](https://tracker.test/pixel.png)

<a href="https://ok.test" onclick="window.broken = 5">raw</a>"""
RICH = """# Plan

1. first
2. second

> quoted

```python
print("a line of code too long for the column it stands in, so that it must scroll by itself and not the page")
```

| who | what |
|-----|------|
| ada | lamp |

**bold** _italic_ `code` https://example.test/path """

WATCH = """() => {
  // Whatever is added above: the topmost message in view must stand where it stood.
  window.jumps = [];
  const timeline = document.querySelector("#timeline");
  const messages = () => [...document.querySelectorAll("#messages [data-id]")];
  const place = element => element.getBoundingClientRect().top;
  let held = null;
  const note = () => {
    const topmost = messages().find(element => place(element) > place(timeline));
    held = topmost && {id: topmost.dataset.id, top: place(topmost)};
  };
  timeline.addEventListener("scroll", note);
  note();
  new MutationObserver(() => {
    const moved = place(messages().find(element => element.dataset.id === held.id)) - held.top;
    if (Math.abs(moved) > 2) window.jumps.push(moved);
    note();
  }).observe(document.querySelector("#messages"), {childList: true});
}"""


def say(house: House, person: Person, room: str, body: str, nonce: str) -> None:
    """Write over REST, as a program would."""
    sent = house.rest(person).post(f"rooms/{room}/messages/", json={"body": body, "nonce": nonce})
    assert sent.status_code == 201, sent.text


def fresh_room(house: House, name: str, *others: Person) -> str:
    """A private room of the moderator with these people; its id."""
    rest = house.rest(house.cast.moderator)
    room: str = rest.post("rooms/", json={"name": name}).json()["id"]
    for person in others:
        added = rest.post(f"rooms/{room}/members/", json={"user": person.id, "room_role": "member"})
        assert added.is_success, added.text
    return room


def test_enter_sends_shift_enter_breaks_the_line_and_a_draft_waits_in_its_room(house: House, visit: Visit) -> None:
    den, talk = (house.cast.rooms[name] for name in ("den", "talk"))
    member = visit(house.server, house.cast.member)
    member.enter("acme", den)
    member.composer.press_sequentially("one line")
    member.composer.press("Shift+Enter")
    member.composer.press_sequentially("another")
    expect(member.composer).to_have_value("one line\nanother")
    member.composer.press("Enter")
    expect(member.composer).to_have_value("")
    assert re.search(r"one line\s+another", member.sees("one line").inner_text())

    expect(member.page.get_by_role("button", name="Send")).to_be_disabled()
    member.composer.press_sequentially("not yet fin")
    member.find(f'[data-room="{talk}"]').click()
    member.sees("between us")
    expect(member.composer).to_have_value("")
    member.find(f'[data-room="{den}"]').click()
    expect(member.composer).to_have_value("not yet fin")
    member.page.reload()
    expect(member.composer).to_have_value("not yet fin")
    member.composer.fill("x" * 8_001)
    expect(member.find("#composer-count")).to_have_text("1 too many")
    member.composer.press("Enter")
    expect(member.composer).not_to_have_value("")
    member.composer.fill("")


def test_markdown_is_shown_and_hostile_markup_does_nothing(house: House, visit: Visit) -> None:
    room = fresh_room(house, "Markup", house.cast.member)
    say(house, house.cast.moderator, room, RICH, "rich")
    member = visit(house.server, house.cast.member, size=(360, 740))
    member.enter("acme", room)
    body = member.sees("Plan").locator(".message-body")
    for selector in ("h1", "ol > li:nth-child(2)", "blockquote", "pre code", "table td", "strong", "em", "p code"):
        expect(body.locator(selector).first).to_be_visible()
    link = body.get_by_role("link", name="https://example.test/path")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    assert member.page.evaluate("document.documentElement.scrollWidth") <= 360

    member.write(HOSTILE)
    body = member.sees("press me").locator(".message-body")
    assert body.locator("img, script, [onclick], [onerror]").count() == 0
    hrefs = body.locator("a").evaluate_all("links => links.map(link => link.protocol)")
    assert set(hrefs) <= {"http:", "https:"}
    body.get_by_text("press me").click()
    member.write("x" * 500)
    member.sees("xxx")
    assert member.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert member.page.evaluate("window.broken") is None


def test_history_comes_on_scrolling_up_and_the_view_stays_where_it_is(house: House, visit: Visit) -> None:
    room = fresh_room(house, "Archive", house.cast.member)
    for number in range(1, 131):
        say(house, house.cast.moderator, room, f"line {number} of the archive", f"line-{number}")
    member = visit(house.server, house.cast.moderator)
    member.enter("acme", room)
    member.sees("line 130 of")
    expect(member.message("line 130 of")).to_be_in_viewport()
    first = member.page.evaluate(
        "Math.min(...[...document.querySelectorAll('[data-number]')].map(e => e.dataset.number))"
    )
    assert first > 1, "premise: not everything is loaded at once"
    member.page.evaluate(WATCH)
    member.find("#timeline").hover()
    for _ in range(200):
        member.page.mouse.wheel(0, -700)
        if member.page.evaluate("!document.querySelector('#messages-begin').hidden && timeline.scrollTop === 0"):
            break
    expect(member.find("#messages-begin")).to_be_in_viewport()
    numbers = member.page.evaluate("[...document.querySelectorAll('[data-number]')].map(e => Number(e.dataset.number))")
    assert numbers == list(range(1, 131))
    assert member.page.evaluate("window.jumps") == []

    say(house, house.cast.member, room, "news from below", "news")
    pill = member.page.get_by_role("button", name="1 new message")
    expect(pill).to_be_visible()
    assert member.page.evaluate("timeline.scrollTop") == 0
    pill.click()
    expect(member.message("news from below")).to_be_in_viewport()
    expect(pill).to_be_hidden()


def test_what_is_unread_is_counted_in_the_list_the_title_and_at_home_until_it_is_read(
    house: House, visit: Visit
) -> None:
    room = fresh_room(house, "Counts", house.cast.guest)
    guest = visit(house.server, house.cast.guest)
    guest.enter("acme", house.cast.rooms["den"])
    guest.sees("third in the den")
    entry = guest.find(f'[data-room="{room}"]')
    before = guest.page.title()
    for number in (1, 2):
        say(house, house.cast.moderator, room, f"unread {number}", f"unread-{number}")
        expect(entry.locator(".count")).to_have_text(str(number))
    expect(guest.page).to_have_title(f"(2) {before}")
    home = guest.tab()
    home.goto(f"{guest.origin}/")
    expect(home.get_by_role("link", name="Acme")).to_contain_text("2 unread")
    guest.page.bring_to_front()
    entry.click()
    guest.sees("unread 2")
    expect(entry.locator(".count")).to_have_count(0)
    expect(guest.page).to_have_title("Counts · Acme")
    guest.page.reload()
    guest.live()
    expect(entry.locator(".count")).to_have_count(0)


def test_everything_can_be_done_by_keyboard(house: House, visit: Visit) -> None:
    room = fresh_room(house, "Keys", house.cast.member)
    say(house, house.cast.moderator, room, "good morning", "morning")
    member = visit(house.server, house.cast.member)
    member.enter("acme", room)
    keyboard = member.page.keyboard
    member.sees("good morning")
    expect(member.composer).to_be_focused()
    keyboard.type("good evenin")
    keyboard.press("Enter")
    member.sees("good evenin")
    keyboard.press("ArrowUp")
    expect(member.find("#composer-banner")).to_contain_text("Editing your message")
    keyboard.press("Escape")
    expect(member.find("#composer-banner")).to_be_hidden()
    expect(member.composer).to_have_value("")
    keyboard.press("ArrowUp")
    keyboard.type("g")
    keyboard.press("Enter")
    member.sees("good evening")

    keyboard.press("Escape")
    expect(member.message("good evening")).to_be_focused()
    keyboard.press("ArrowUp")
    expect(member.message("good morning")).to_be_focused()
    keyboard.press("+")
    expect(member.find("#emoji-find")).to_be_focused()
    keyboard.type("tada")
    keyboard.press("Enter")
    expect(member.sees("good morning").locator(".reaction")).to_contain_text("🎉")
    expect(member.message("good morning")).to_be_focused()
    keyboard.press("r")
    expect(member.find("#composer-banner")).to_contain_text("Replying to Moderator")
    keyboard.type("to you too")
    keyboard.press("Enter")
    expect(member.sees("to you too").locator("a.quote")).to_contain_text("good morning")
    dialogs(member)


def dialogs(member: Visitor) -> None:
    """Help, the switcher, the panel: each opens by key, closes with Esc and gives the focus back."""
    keyboard = member.page.keyboard
    keyboard.press("Escape")
    keyboard.press("?")
    expect(member.page.get_by_role("dialog", name="By keyboard")).to_be_visible()
    keyboard.press("Escape")
    expect(member.page.get_by_role("dialog")).to_have_count(0)
    expect(member.message("to you too")).to_be_focused()
    keyboard.press("Control+k")
    expect(member.find("#switcher-field")).to_be_focused()
    keyboard.type("den")
    expect(member.page.get_by_role("option", selected=True)).to_contain_text("Den")
    keyboard.press("Enter")
    expect(member.find("#room-name")).to_have_text("Den")
    keyboard.press("Alt+ArrowDown")
    expect(member.find("#room-name")).to_have_text("Keys")
    member.find("#open-people").focus()
    keyboard.press("Enter")
    expect(member.find("#panel")).to_be_visible()
    keyboard.press("Escape")
    expect(member.find("#panel")).to_be_hidden()
    expect(member.find("#open-people")).to_be_focused()
