"""People before a browser: what they do in the page, and that their console stays free of errors."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.cast import Cast, Person
from tests.processes import Process, Stack

PATIENCE = 30.0
DESKTOP = (1280, 800)
PHONE = (360, 740)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
LOST_SERVER = r"WebSocket connection to .* failed|net::ERR_"
NOT_FOUND = "status of 404"
Visit = Callable[..., "Visitor"]


class Visitor:
    """One person's browser: `page` is their tab, `origin` the server they look at."""

    def __init__(self, context: BrowserContext, origin: str, name: str) -> None:
        self.context = context
        self.origin = origin
        self.name = name
        self.problems: list[str] = []
        self._expected: list[str] = []
        self.page = self.tab()

    def tab(self) -> Page:
        """A further tab of the same person."""
        page = self.context.new_page()
        page.on("console", lambda message: self._hear(page, message))
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        return page

    def _hear(self, page: Page, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{page.url}: {message.text}")

    def expects(self, pattern: str) -> None:
        """Errors that this test means to provoke; one that then never comes fails it too."""
        self._expected.append(pattern)

    def verdict(self) -> None:
        unmet = [each for each in self._expected if not any(re.search(each, text) for text in self.problems)]
        assert not unmet, f"{self.name} never saw {unmet}"
        wrong = [text for text in self.problems if not any(re.search(each, text) for each in self._expected)]
        assert not wrong, f"{self.name}'s console: {wrong}"

    def open(self, path: str) -> int:
        """Go there; the HTTP status."""
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        return answer.status

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def press(self, name: str, role: Any = "button") -> None:
        """Click what is called so."""
        self.page.get_by_role(role, name=name, exact=True).click()

    # In the chat

    def enter(self, slug: str, room: str = "") -> None:
        """Open the chat (at a room) and wait until it is live."""
        self.open(f"/t/{slug}/rooms/{room}/" if room else f"/t/{slug}/")
        self.live()

    def live(self) -> None:
        expect(self.find('#chat[data-connection="online"].listed')).to_be_visible()

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def write(self, body: str) -> None:
        self.composer.fill(body)
        self.composer.press("Enter")

    def message(self, text: str) -> Locator:
        """The messages that say this, sent or on their way."""
        return self.page.locator(".message", has=self.page.locator(".message-body", has_text=text))

    def sees(self, text: str) -> Locator:
        """Wait until exactly one sent message says this."""
        found = self.message(text)
        expect(found).to_have_count(1)
        expect(found).to_have_attribute("data-id", re.compile("."))
        return found

    def act(self, text: str, name: str) -> None:
        """Use a tool of the message that says this."""
        found = self.sees(text)
        found.hover()
        found.get_by_role("button", name=name).click()

    def confirm(self, act: str) -> None:
        self.find("#dialog-confirm").get_by_role("button", name=act).click()

    def hears(self, words: str) -> None:
        """A toast says this."""
        expect(self.page.locator(".toast", has_text=words)).to_be_visible()


@dataclass
class House:
    """One embedded server with the cast in its database."""

    stack: Stack
    server: Process
    cast: Cast
    _clients: dict[tuple[str, str], httpx.Client] = field(default_factory=dict)

    def rest(self, person: Person) -> httpx.Client:
        """Their program, below /api/v1/tenants/acme/ of the server that stands now."""
        key = (person.name, self.server.url)
        if key not in self._clients:
            base = f"{self.server.url}/api/v1/tenants/acme/"
            self._clients[key] = httpx.Client(base_url=base, headers=person.bearer, timeout=PATIENCE)
        return self._clients[key]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@contextmanager
def visits(chromium: Browser) -> Iterator[Visit]:
    """`visit(server, person?, size=)`: somebody opens a browser, signed in as this person of the cast."""
    visitors: list[Visitor] = []

    def begin(
        server: Process, person: Person | None = None, *, size: tuple[int, int] = DESKTOP, **options: Any
    ) -> Visitor:
        width, height = size
        context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options)
        context.set_default_timeout(PATIENCE * 1000)
        if person:
            context.add_cookies([{"name": "sessionid", "value": person.session, "url": server.public_url}])
        visitors.append(Visitor(context, server.public_url, person.name if person else "a stranger"))
        return visitors[-1]

    try:
        yield begin
    finally:
        for visitor in visitors:
            visitor.context.close()
    for visitor in visitors:
        visitor.verdict()


def start_again(stack: Stack, server: Process) -> Process:
    """The same server after its end: on its old port, over the same data."""
    environ = stack.environ | {"PUBLIC_URL": server.public_url, "DJANGO_SETTINGS_MODULE": "core.settings"}
    again = Process([sys.executable, "manage.py", "serve", f"--port={server.port}"], server.port, environ, stack.folder)
    stack.processes.append(again)
    again.wait_until_it_answers()
    return again


def code_for(email: str, stack: Stack) -> str:
    """The newest code that was mailed to this address."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        mine = [mail for mail in stack.mails() if f"To: {email}" in mail]
        if mine and (found := re.search(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", mine[-1])):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no code was mailed to {email}")
