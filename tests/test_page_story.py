"""The whole story in Chromium, from an empty database: sign up, found, invite, meet in private; nobody else can."""

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.processes import Process, Stack
from tests.sockets import Socket
from tests.visitor import NOT_FOUND, PATIENCE, Visitor, code_for, visits

pytestmark = [pytest.mark.once, pytest.mark.aside]
pytest_plugins = ["tests.browser"]

PASSWORD = "a quiet room with a key"
KNOCK = """slug => new Promise(resolve => {
  const socket = new WebSocket(`ws://${location.host}/ws/v1/${slug}/`, ["conclave.v1"]);
  socket.onmessage = ({data}) => JSON.parse(data).type === "hello" && resolve("hello");
  socket.onclose = ({code}) => resolve(code);
})"""


@dataclass
class Story:
    """Ada founded Harbour and invited Ben; both are in its private room Bridge. Eve has an account and Umbra."""

    server: Process
    ada: Visitor
    ben: Visitor
    eve: Visitor
    room: str


@pytest.fixture(scope="module")
def story(chromium: Browser) -> Iterator[Story]:
    with Stack("embedded") as stack, visits(chromium) as visit:
        server = stack.serve()[0]
        ada, ben, eve = (visit(server) for _ in range(3))
        sign_up(ada, stack, "ada@people.test")
        found(ada, "Harbour")
        come_by_link(ben, stack, "ben@people.test", link_of(ada))
        room = meet(ada, ben)
        sign_up(eve, stack, "eve@people.test")
        found(eve, "Umbra")
        yield Story(server, ada, ben, eve, room)
        assert "Traceback" not in server.log_text()


def sign_up(visitor: Visitor, stack: Stack, email: str) -> None:
    visitor.name = email
    visitor.open("/")
    visitor.press("Create an account", "link")
    register(visitor, stack, email)
    expect(visitor.page.get_by_role("heading", name="Your organizations")).to_be_visible()


def register(visitor: Visitor, stack: Stack, email: str) -> None:
    """From the form to the first signed-in page."""
    visitor.page.get_by_label("E-mail").fill(email)
    visitor.page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.press("Create account")
    visitor.page.get_by_label("Code").fill(code_for(email, stack))
    visitor.press("Continue")


def found(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_label("Name").fill(name)
    expect(visitor.page.get_by_label("Address")).to_have_value(name.lower())
    visitor.press("Found it")
    visitor.page.wait_for_url(f"**/t/{name.lower()}/")
    visitor.live()


def link_of(visitor: Visitor) -> str:
    """Make an invitation in the page and copy its link."""
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.find("footer [data-invite]").click()
    visitor.press("Make the link")
    visitor.find("#invite-made").get_by_role("button", name="Copy").click()
    visitor.hears("Copied.")
    link: str = visitor.page.evaluate("navigator.clipboard.readText()")
    visitor.press("Done")
    assert re.fullmatch(re.escape(visitor.origin) + r"/invite/[\w-]+/", link)
    return link


def come_by_link(visitor: Visitor, stack: Stack, email: str, link: str) -> None:
    visitor.name = email
    visitor.open(link.removeprefix(visitor.origin))
    expect(visitor.page.get_by_role("heading", name="Join Harbour")).to_be_visible()
    visitor.press("Create an account", "link")
    register(visitor, stack, email)
    visitor.press("Join Harbour")
    visitor.page.wait_for_url("**/t/harbour/")
    visitor.live()


def meet(ada: Visitor, ben: Visitor) -> str:
    """Ada makes a private room and adds Ben, who hears of it without doing anything; the room's id."""
    ada.find("#aside-acts").get_by_role("button", name="Create a room").click()
    ada.find("#create-name").fill("Bridge")
    ada.press("Create room")
    ada.page.wait_for_url("**/rooms/*/")
    ada.find("#open-room-menu").click()
    ada.press("Add people")
    ada.press("Add ben")
    expect(ada.find("#people-count")).to_have_text("2")
    ada.page.keyboard.press("Escape")
    entry = ben.find("#rooms").get_by_role("link", name="Bridge")
    entry.click()
    expect(ben.find("#room-name")).to_have_text("Bridge")
    for visitor in (ada, ben):
        visitor.page.evaluate("window.untouched = true")
    return ada.page.url.rstrip("/").rpartition("/")[2]


def test_what_one_writes_edits_and_deletes_the_other_sees_at_once(story: Story) -> None:
    ada, ben = story.ada, story.ben
    ada.write("The tide turns at **six**.")
    expect(ben.sees("The tide turns at six.").locator("strong")).to_have_text("six")
    ben.write("Then we leave at five.")
    ada.sees("Then we leave at five.")
    ben.act("Then we leave at five.", "Edit")
    expect(ben.composer).to_have_value("Then we leave at five.")
    ben.write("Then we leave at half past five.")
    expect(ada.sees("Then we leave at half past five.").locator(".edited")).to_be_visible()
    expect(ada.message("Then we leave at five.")).to_have_count(0)
    ada.act("The tide turns at six.", "Delete")
    ada.confirm("Delete")
    ben.sees("This message was deleted.")
    expect(ben.message("The tide turns")).to_have_count(0)
    assert ada.page.evaluate("window.untouched") and ben.page.evaluate("window.untouched")


def test_reactions_replies_and_typing_are_seen_by_the_other(story: Story) -> None:
    ada, ben = story.ada, story.ben
    ada.write("Who brings the lamp?")
    ben.act("Who brings the lamp?", "React with 👍")
    chip = ada.sees("Who brings the lamp?").get_by_role("button", name="👍, 1: ben")
    chip.click()
    expect(ben.sees("Who brings the lamp?").get_by_role("button", name="👍, 2")).to_have_attribute(
        "aria-pressed", "true"
    )
    ben.act("Who brings the lamp?", "Reply")
    ben.composer.press_sequentially("I")
    expect(ada.find("#typing")).to_have_text("ben is typing")
    ben.write("I do.")
    expect(ada.sees("I do.").locator("a.quote")).to_contain_text("Who brings the lamp?")
    expect(ada.find("#typing")).to_have_text("")
    assert ada.page.evaluate("window.untouched") and ben.page.evaluate("window.untouched")


def test_the_outsider_finds_nothing_and_their_socket_is_refused(story: Story) -> None:
    assert story.ben.page.evaluate(KNOCK, "harbour") == "hello"
    eve = story.eve.tab()
    eve.goto(story.server.public_url)
    assert eve.evaluate(KNOCK, "umbra") == "hello"
    assert eve.evaluate(KNOCK, "harbour") == 4403
    story.eve.expects(NOT_FOUND)
    for path in ("/t/harbour/", f"/t/harbour/rooms/{story.room}/", f"/t/umbra/rooms/{story.room}/"):
        answer = eve.goto(story.server.public_url + path)
        assert answer and answer.status == 404
        assert "Bridge" not in eve.content() and "Harbour" not in eve.content()
    answer = story.ben.tab().goto(f"{story.server.public_url}/t/harbour/rooms/{story.room}/")
    assert answer and answer.status == 200


class Program:
    """A script with a token of the app client, on a loop and thread of its own: playwright's holds this one."""

    def __init__(self, server: Process, email: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        answer = httpx.post(
            f"{server.url}/_allauth/app/v1/auth/login", json={"email": email, "password": PASSWORD}, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["meta"]["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"}
        self.rest = httpx.Client(base_url=f"{server.url}/api/v1/", headers=headers, timeout=PATIENCE)

    def run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(act, self.loop).result(2 * PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()


def test_a_program_joins_the_conversation_and_one_elsewhere_gets_nothing_of_it(story: Story) -> None:
    with Program(story.server, "ben@people.test") as ours, Program(story.server, "eve@people.test") as theirs:
        inside = ours.run(Socket.open(story.server.ws_url, "harbour", token=ours.token))
        ours.run(inside.do("subscribe", room=story.room))
        own = theirs.rest.post("tenants/umbra/rooms/", json={"name": "Den"}).json()["id"]
        outside = theirs.run(Socket.open(story.server.ws_url, "umbra", token=theirs.token))
        theirs.run(outside.do("subscribe", room=own))

        messages = f"tenants/harbour/rooms/{story.room}/messages/"
        sent = ours.rest.post(messages, json={"body": "the program speaks", "nonce": "p-1"})
        assert sent.status_code == 201
        story.ada.sees("the program speaks")
        story.ada.write("and is heard")
        heard = inside.rooms[story.room]
        ours.run(inside.until(lambda: "and is heard" in heard.bodies))

        assert theirs.rest.get(messages).status_code == 404
        assert theirs.rest.post(messages, json={"body": "let me in", "nonce": "p-2"}).status_code == 404
        assert theirs.run(outside.ask("subscribe", room=story.room))["code"] == "not_found"
        assert theirs.rest.post(f"tenants/umbra/rooms/{own}/messages/", json={"body": "hm", "nonce": "1"}).is_success
        theirs.run(outside.event("message.created"))
        theirs.run(outside.settle())
        assert outside.rooms.keys() == {own} and outside.rooms[own].bodies == ["hm"]
        assert story.room not in str(outside.events) and "heard" not in str(outside.events)
        ours.run(inside.close())
        theirs.run(outside.close())


def test_a_login_of_the_demo_opens_its_rooms_and_nothing_else(chromium: Browser) -> None:
    with Stack("embedded", DEBUG="1") as stack, visits(chromium) as visit:
        server = stack.serve(1, "serve", "--demo")[0]
        logins = dict(re.findall(r"^\s+(\S+@\S+\.test)\s+(\S+)$", server.log_text(), re.MULTILINE))
        assert f"Conclave is ready at {server.public_url}\n" in server.log_text() and len(logins) == 7
        visitor = visit(server)
        visitor.open("/accounts/login/")
        visitor.page.get_by_label("E-mail").fill("moderator@acme.test")
        visitor.page.get_by_label("Password", exact=True).fill(logins["moderator@acme.test"])
        visitor.press("Sign in")
        visitor.page.get_by_role("link", name="Acme").click()
        visitor.find("#rooms").get_by_role("link", name="Launch").click()
        visitor.write("Shipping it.")
        visitor.sees("Shipping it.")
        visitor.expects(NOT_FOUND)
        assert visitor.open("/t/globex/") == 404
        expect(visitor.page.get_by_role("heading", name="Nothing here for you")).to_be_visible()
