"""The face in Chromium: every page fits a phone, names its controls, and follows the scheme that a person chose."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.visitor import DESKTOP, NOT_FOUND, PHONE, House, Visit, Visitor, visits

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]

FOR_STRANGERS = ["/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/api/docs/errors/"]
FOR_PEOPLE = [
    "/",
    "/accounts/profile/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
]
IN_CHAT = ["/t/acme/", "/t/acme/rooms/{lobby}/", "/t/acme/rooms/{lobby}/#people", "/t/acme/rooms/{lobby}/#settings"]
DIALOGS = ["#open-create", "#open-browse", "#open-direct", "#open-switcher", "#open-help", "footer [data-invite]"]
NAMED = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "radio",
    "listbox",
    "option",
    "menuitem",
    "dialog",
}


@pytest.fixture(scope="module", params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def screen(request: Any, chromium: Browser, house: House) -> Iterator[tuple[Visitor, Visitor]]:
    """A stranger and the owner before a screen of this size."""
    with visits(chromium) as visit:
        yield visit(house.server, size=request.param), visit(house.server, house.cast.owner, size=request.param)


def fits(visitor: Visitor) -> None:
    """Nothing reaches out sideways, and nothing that can be used is without a name."""
    wide, room = visitor.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room, f"{visitor.page.url} is {wide} wide"
    tree = visitor.context.new_cdp_session(visitor.page).send("Accessibility.getFullAXTree")["nodes"]
    used = [node for node in tree if not node["ignored"] and node["role"]["value"] in NAMED]
    assert used, f"{visitor.page.url} has nothing to use"
    nameless = [node["role"]["value"] for node in used if not node.get("name", {}).get("value", "").strip()]
    assert not nameless, f"{visitor.page.url}: no name for {nameless}"


def test_the_pages_for_strangers_fit_and_name_their_controls(screen: tuple[Visitor, Visitor]) -> None:
    stranger, _ = screen
    for path in FOR_STRANGERS:
        assert stranger.open(path) == 200, path
        fits(stranger)
    stranger.expects(NOT_FOUND)
    assert stranger.open("/nowhere/") == 404
    fits(stranger)


def test_the_pages_of_an_account_fit_and_name_their_controls(screen: tuple[Visitor, Visitor]) -> None:
    _, owner = screen
    for path in FOR_PEOPLE:
        assert owner.open(path) == 200, path
        fits(owner)


def test_the_chat_and_its_dialogs_fit_and_name_their_controls(screen: tuple[Visitor, Visitor], house: House) -> None:
    _, owner = screen
    for path in IN_CHAT:
        owner.page.goto("about:blank")
        owner.open(path.format(**house.cast.rooms))
        owner.live()
        if path.endswith("{lobby}/"):
            owner.sees("welcome").hover()
            expect(owner.page.get_by_role("toolbar", name="Message actions")).to_be_visible()
        fits(owner)
    owner.enter("acme")
    for opener in DIALOGS:
        owner.find(opener).first.click()
        expect(owner.page.locator("dialog[open]")).to_be_visible()
        fits(owner)
        owner.page.keyboard.press("Escape")
        expect(owner.page.locator("dialog[open]")).to_have_count(0)
    owner.find("footer [data-invite]").click()
    owner.press("Make the link")
    link = owner.find("#invite-url")
    expect(link).to_contain_text("/invite/")
    fits(owner)
    owner.open(link.inner_text().removeprefix(owner.origin))
    expect(owner.page.get_by_role("heading", name="You are already in Acme")).to_be_visible()
    fits(owner)


LIGHTNESS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return (red + green + blue) / 765;
}"""


def test_the_scheme_is_the_systems_until_a_person_chooses(house: House, visit: Visit) -> None:
    owner = visit(house.server, house.cast.owner, color_scheme="dark")
    owner.open("/accounts/profile/")
    assert owner.page.evaluate(LIGHTNESS) < 0.2
    owner.page.get_by_label("Light").check(force=True)
    assert owner.page.evaluate(LIGHTNESS) > 0.9
    for path in ("/", "/t/acme/"):
        owner.open(path)
        assert owner.page.evaluate(LIGHTNESS) > 0.9
    owner.page.emulate_media(color_scheme="light")
    owner.open("/accounts/profile/")
    owner.page.get_by_label("Dark").check(force=True)
    owner.enter("acme", house.cast.rooms["lobby"])
    assert owner.page.evaluate(LIGHTNESS) < 0.2


def test_on_a_phone_the_list_leads_to_a_room_and_back(house: House, visit: Visit) -> None:
    owner = visit(house.server, house.cast.owner, size=PHONE, has_touch=True, is_mobile=True)
    owner.enter("acme")
    expect(owner.find("#main")).to_be_hidden()
    owner.find("#rooms").get_by_role("link", name="Lobby").tap()
    owner.sees("welcome")
    expect(owner.find(".chat-rooms")).to_be_hidden()
    owner.message("welcome").tap()
    owner.page.get_by_role("button", name="React with 👍").tap()
    expect(owner.sees("welcome").locator(".reaction")).to_have_attribute("aria-pressed", "true")
    owner.composer.fill("from the train")
    owner.page.get_by_role("button", name="Send").tap()
    owner.sees("from the train")
    owner.find("#open-people").tap()
    expect(owner.find("#panel")).to_be_visible()
    owner.page.go_back()
    expect(owner.find("#panel")).to_be_hidden()
    owner.find("#back").tap()
    expect(owner.find(".chat-rooms")).to_be_visible()
    expect(owner.find("#main")).to_be_hidden()
