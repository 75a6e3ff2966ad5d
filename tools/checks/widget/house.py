"""A real server, and what a visitor and an operator do in a chat."""

import re
import signal
import socket
from collections.abc import Callable
from typing import Any

from desk import Site, document, texts
from playwright.sync_api import Page
from tests.process import COMMAND, Login, Process
from tests.smtp import Mailbox
from visitor import SCREENSHOTS, Visit, checked

from ringback.services import Services
from ringback.store import rows, schema

Visits = Any


class Company:
    """A company with a number and a widget, whose line of HTML is in the page of the site."""

    def __init__(self, process: Process, acme: Login, services: Services, site: Site) -> None:
        number = {"e164": "442079460101", "destination": str(acme.user_id)}
        rate = {"prefix": "44", "destination": "UK", "price_micro": 20_000, "minimum_s": 0, "increment_s": 1}
        services.database.write(lambda db: rows.insert(db, schema.ddis, acme.customer_id, [number]))
        services.database.write(lambda db: rows.insert(db, schema.rates, acme.customer_id, [rate]))
        self.client, self.site = process.client(acme.token), site
        self.setting = self.made(name="Shop", allowed_domains=["localhost"], allowed_countries=["GB"])
        self.show(self.setting)

    def made(self, **given: Any) -> dict[str, Any]:
        answer = self.client.post("/callmeback/settings", json={"ddi_e164": "442079460101", **given})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def show(self, setting: dict[str, Any], more: str = "") -> None:
        html = self.client.get(f"/callmeback/settings/{setting['id']}/snippet").json()["data"]["html"]
        self.site.pages["/"] = document(html.replace("<script", f"<script {more}"), "<main><h1>A shop</h1></main>")

    def listed(self, family: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"/callmeback/{family}").json()["data"]
        return found


class House:
    """A server that can be killed and comes back at the same port."""

    def __init__(
        self, begin: Callable[..., Process], acme: Login, services: Services, site: Site, mails: Mailbox
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        self.begin, self.acme, self.site, self.mails = begin, acme, site, mails
        self.process = self.started()
        self.company = Company(self.process, acme, services, site)
        self.company.show(self.talking())

    def talking(self, **more: Any) -> dict[str, Any]:
        """A widget with a chat."""
        return self.company.made(name="Talk", allowed_domains=["localhost"], chat_enabled=True, **more)

    def started(self) -> Process:
        url = f"http://127.0.0.1:{self.port}"
        mail = {"RINGBACK_SMTP_URL": self.mails.url, "RINGBACK_MAIL_FROM": "shop@acme.example"}
        return self.begin(*COMMAND, "serve", "--port", self.port, RINGBACK_PUBLIC_URL=url, **mail)

    def kill(self) -> None:
        self.process.end(signal.SIGKILL)

    def restart(self) -> None:
        self.process = self.started()

    def messages(self) -> list[str]:
        with self.process.client(self.acme.token) as client:
            (chat,) = client.get("/chats").json()["data"]
            found = client.get(f"/chats/{chat['id']}/chatmsgs").json()["data"]
        return [each["message"] for each in sorted(found, key=lambda row: row["id"])]


def chatting(visit: Visits, culture: str = "en", **options: Any) -> Visit:
    own, found = texts(culture), visit(**options).go().open()
    found.dialog.get_by_role("button", name=re.compile(f"^({own['chat']}|{own['chat_offline']})$")).click()
    found.dialog.get_by_label(own["chat_message"], exact=True).wait_for()
    assert isinstance(found, Visit)
    return found


def said(found: Visit, text: str, culture: str = "en") -> None:
    own = texts(culture)
    found.dialog.get_by_label(own["chat_message"], exact=True).fill(text)
    found.dialog.get_by_role("button", name=own["chat_send"], exact=True).click()


def taken(operator: Page) -> None:
    operator.locator("#waiting button").first.click()
    operator.get_by_role("button", name="Take", exact=True).click()
    operator.get_by_role("button", name="End", exact=True).wait_for()


def answered(operator: Page, text: str) -> None:
    operator.get_by_label("Message", exact=True).fill(text)
    operator.get_by_label("Message", exact=True).press("Enter")


def looked_at(page: Page, name: str) -> None:
    """Nothing that axe finds, and a picture."""
    checked(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
