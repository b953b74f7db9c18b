"""Fixtures of the page's tests: real Chromium, one a module; a context for each person who opens a browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests import servers
from tests.visitor import ARGUMENTS, PATIENCE, House, Visit, visits


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = servers.chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=2 * PATIENCE * 1000)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(chromium: Browser, make_stack: Callable[..., Any]) -> Iterator[House]:
    stack, cast = make_stack("embedded")
    house = House(stack, stack.serve()[0], cast)
    yield house
    house.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    with visits(chromium) as begin:
        yield begin
