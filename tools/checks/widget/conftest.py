"""A real Chromium, a web site, and the desk that answers its widget."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import desk as serving
import pytest
from desk import Desk, Site
from house import House
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from tests.process import Login, Process
from tests.smtp import Mailbox
from visitor import WAIT_S, Visit

from ringback.services import Services

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=WAIT_S * 1000)
CHROMIUM = os.environ.get("RINGBACK_TEST_CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
    yield browser
    browser.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with serving.desk() as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    with serving.site() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, site: Site, desk: Desk) -> Iterator[Any]:
    """Makes a visitor: `visit(**options of the browser's context)`."""
    visits: list[Visit] = []

    def make(**options: Any) -> Visit:
        visits.append(Visit(browser, site, **options))
        return visits[-1]

    site.show(desk)
    yield make
    for each in visits:
        each.context.close()


@pytest.fixture
def house(begin: Callable[..., Process], acme: Login, services: Services, site: Site, mails: Mailbox) -> House:
    return House(begin, acme, services, site, mails)


@pytest.fixture
def operator(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1100, "height": 720}, locale="en-GB")
    context.set_default_timeout(WAIT_S * 1000)
    page = context.new_page()
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    page.goto(f"{house.process.url}/operator")
    page.get_by_label("Token").fill(house.acme.token)
    page.get_by_role("button", name="Be there for visitors").click()
    page.get_by_text("You are online").wait_for()
    yield page
    context.close()
