"""A visitor of the site: what is on the page, what is done there, what it looks like.

Screenshots go to the folder `RINGBACK_TEST_SCREENSHOTS`, else `var/screenshots`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from desk import Site
from playwright.sync_api import Browser, Locator, Page

SCREENSHOTS = Path(os.environ.get("RINGBACK_TEST_SCREENSHOTS", "var/screenshots"))
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WAIT_S = 30.0
"""For what happens as soon as the machine comes to it."""

FOCUSED = """() => { let at = document.activeElement; while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
return at.id || at.className || at.getAttribute("aria-label") || at.textContent || at.tagName }"""


def checked(page: Page) -> None:
    """axe finds nothing."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}})
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found.response["violations"]] == []


class Visit:
    """A visitor's browser: its page, what of the widget is on it, what the page's analytics heard, what went wrong."""

    def __init__(self, browser: Browser, site: Site, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options})
        self.context.set_default_timeout(WAIT_S * 1000)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.add_init_script(
            """window.heard = [];
            for (const name of ["opened", "requested", "calling", "connected", "ended", "failed", "closed"])
              window.addEventListener(`ringback:${name}`, (event) => window.heard.push([name, event.detail]));"""
        )

    def go(self, path: str = "/") -> "Visit":
        self.page.goto(self.site.url + path)
        return self

    def __getattr__(self, key: str) -> Any:
        return getattr(self.page, key)

    @property
    def button(self) -> Locator:
        return self.page.locator("ringback-widget button.open")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def number(self) -> Locator:
        return self.dialog.locator("#number")

    def open(self) -> "Visit":
        self.button.click()
        self.number.wait_for()
        return self

    def ask(self, number: str = "020 7946 0000") -> "Visit":
        self.open()
        self.number.fill(number)
        self.dialog.locator(".main").click()
        return self

    def press(self, name: str) -> None:
        self.dialog.get_by_role("button", name=name, exact=True).click()

    def said(self, text: str) -> None:
        """Waits until the progress says so."""
        self.dialog.get_by_role("status").get_by_text(text, exact=True).wait_for()

    def until(self, check: Callable[[], Any], patience_s: float = WAIT_S) -> None:
        """Waits for what happens, while the page goes on; a page's policy has no say in it."""
        end = time.monotonic() + patience_s
        while not check() and time.monotonic() < end:
            self.page.wait_for_timeout(20)
        assert check()

    def told(self, *names: str) -> None:
        """Waits until the page's analytics has heard this, and nothing else."""
        self.until(lambda: len(self.heard()) >= len(names))
        assert self.heard() == list(names)

    def shown(self) -> list[str]:
        """What the dialog says, text by text."""
        found: list[str] = self.dialog.evaluate(
            """(dialog) => { const walk = document.createTreeWalker(dialog, NodeFilter.SHOW_TEXT), all = [];
            while (walk.nextNode()) all.push(walk.currentNode.data.trim()); return all.filter(Boolean) }"""
        )
        return found

    def heard(self) -> list[str]:
        found: list[list[Any]] = self.page.evaluate("window.heard")
        return [name for name, _ in found]

    def focused(self) -> str:
        """The element that has the focus, within the widget too: its id, its class or its text."""
        found: str = self.page.evaluate(FOCUSED)
        return found

    def has_focus(self, name: str) -> None:
        self.until(lambda: self.focused() == name)

    def gone(self) -> None:
        """Waits until the dialog is closed, and the page was told."""
        self.dialog.wait_for(state="hidden")
        self.until(lambda: self.heard()[-1] == "closed")

    def moving(self) -> str:
        """JavaScript for the animations of the widget; a document's own list leaves shadow trees out."""
        return "[...document.querySelectorAll('ringback-widget')].flatMap((each) => each.shadowRoot.getAnimations())"

    def rest(self) -> None:
        """Waits for what comes to an end: the dialog rising, colours changing."""
        ending = f"{self.moving()}.filter((each) => each.effect.getTiming().iterations !== Infinity)"
        self.page.evaluate(f"async () => {{ await Promise.allSettled({ending}.map((each) => each.finished)) }}")

    def accessible(self) -> None:
        self.rest()
        checked(self.page)

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.rest()
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
