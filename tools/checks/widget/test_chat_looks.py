"""Pictures of the chat in every state and culture, and of the operator's page, to be looked at by people. No culture shows an English text."""

from typing import Any

import pytest
from desk import CULTURES, english_besides, texts
from house import House, answered, chatting, looked_at, said, taken
from playwright.sync_api import Page, expect
from visitor import Visit

Visits = Any
PHONE, DESKTOP = {"width": 360, "height": 640}, {"width": 1280, "height": 800}
LONG = "https://shop.example/" + "a-very-long-address/" * 8
IN_SIGHT = """(last) => last.getBoundingClientRect().bottom <= last.parentNode.getBoundingClientRect().bottom"""
ARABIC = "مرحبا، هل المتجر مفتوح اليوم؟"


class Album:
    """Pictures of one visitor's chat, on a phone and a desktop. Each is looked at by axe, and for English texts and what does not fit."""

    def __init__(self, visit: Visits, culture: str, name: str) -> None:
        self.own, self.culture, self.name = texts(culture), culture, name
        self.found: Visit = chatting(visit, culture, locale=culture, viewport=PHONE)

    def picture(self, name: str, text: str = "") -> None:
        """Once the line above the messages says so."""
        if text:
            self.found.dialog.locator(".message").get_by_text(text, exact=True).wait_for()
        self.found.accessible()
        for size, scheme in ((DESKTOP, "dark"), (PHONE, "light")):
            self.found.set_viewport_size(size)
            self.found.emulate_media(color_scheme=scheme)
            self.found.shoot(f"{self.name}/{name}-{scheme}")
            assert self.found.dialog.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
        assert not english_besides(self.culture) & set(self.found.shown())

    def say(self, text: str) -> None:
        said(self.found, text, self.culture)

    def press(self, key: str) -> None:
        self.found.press(self.own[key])

    def email(self, address: str, key: str) -> None:
        self.found.dialog.get_by_label(self.own["chat_email"], exact=True).fill(address)
        self.press(key)


@pytest.mark.parametrize("culture", CULTURES)
def test_each_state_in_each_culture(visit: Visits, house: House, culture: str) -> None:
    folder = f"chat-{culture}"
    house.company.show(house.talking(culture=culture))
    own = texts(culture)
    one = Album(visit, culture, folder)
    one.picture("0-nobody-there", own["chat_away"])
    one.say("…")
    one.found.dialog.get_by_role("alert").get_by_text(own["chat_error_email"]).wait_for()
    one.picture("1-error")
    one.email("ada@example.com", "chat_send")
    one.picture("2-left", own["chat_kept"])
    with house.process.client(house.acme.token) as operator:
        operator.post("/chats/presence", json={"is_online": True}).raise_for_status()
        two = Album(visit, culture, folder)
        two.picture("3-hello", own["chat_hello"])
        two.say(f"1 2 3 …\n{LONG}")
        two.picture("4-waiting", own["chat_waiting"])
        chat_id = max(row["id"] for row in operator.get("/chats").json()["data"])
        operator.post(f"/chats/{chat_id}/take").raise_for_status()
        operator.post("/chatmsgs", json={"chat_id": chat_id, "message": ARABIC}).raise_for_status()
        two.found.dialog.get_by_text(ARABIC).wait_for()
        two.say("OK")
        two.found.dialog.locator("small", has_text=own["chat_sent"]).nth(1).wait_for()
        operator.post(f"/chats/{chat_id}/typing").raise_for_status()
        two.found.dialog.locator(".typing", has_text="…").wait_for()
        two.picture("5-active")
        assert two.found.dialog.locator(".said").last.evaluate(IN_SIGHT), "also in a window that has become smaller"
        operator.post(f"/chats/{chat_id}/end").raise_for_status()
        two.picture("6-ended", own["chat_ended"])
        two.press("chat_transcript")
        two.picture("7-transcript")
        two.email("ada@example.com", "chat_send")
        two.picture("8-transcript-sent", own["chat_transcript_sent"])
        two.press("chat_again")
        two.say("?")
        two.found.dialog.get_by_text(own["chat_waiting"]).wait_for()
        two.press("chat_end")
        two.picture("9-missed", own["chat_missed"])
    house.kill()
    two.picture("A-lost", own["chat_lost"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_page_of_operators(visit: Visits, operator: Page, scheme: str, width: int) -> None:
    name = f"operator-{scheme}-{width}"
    operator.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    operator.set_viewport_size({"width": width, "height": 800})
    looked_at(operator, f"{name}/1-nobody")
    found = chatting(visit)
    found.dialog.get_by_label(texts("en")["name"]).fill("Ada " + "Lovelace" * 8)
    said(found, f"Hello\n{LONG}")
    operator.locator("#waiting button").wait_for()
    looked_at(operator, f"{name}/2-waiting")
    taken(operator)
    answered(operator, ARABIC)
    operator.get_by_text("· read").wait_for()
    looked_at(operator, f"{name}/3-active")
    assert operator.evaluate("document.documentElement.scrollWidth") <= width
    found.press(texts("en")["chat_end"])
    operator.get_by_text("ENDED").wait_for()
    looked_at(operator, f"{name}/4-ended")
    operator.get_by_role("button", name="Log out").click()
    operator.get_by_role("button", name="Be there for visitors").wait_for()
    looked_at(operator, f"{name}/0-login")


def test_a_page_from_right_to_left(visit: Visits, house: House) -> None:
    house.site.pages["/"] = house.site.pages["/"].replace('<html lang="en"', '<html lang="ar" dir="rtl"')
    one = Album(visit, "en", "chat-rtl")
    one.found.dialog.get_by_label(texts("en")["chat_message"], exact=True).fill(ARABIC)
    one.picture("1-nobody-there")
    one.email("ada@example.com", "chat_send")
    one.picture("2-left", texts("en")["chat_kept"])


def test_an_operator_logs_in_with_two_factors(operator: Page, house: House) -> None:
    """The fixture's own login was by token, and what is pasted outlives leaving."""
    import pyotp

    with house.process.client(house.acme.token) as client:
        secret = client.post("/me/twofactor", json={"method": "app"}).raise_for_status().json()["data"]["secret"]
        code = pyotp.TOTP(secret).now()
        recovery = client.post("/me/twofactor/confirm", json={"code": code}).raise_for_status().json()["data"]
    begin = operator.get_by_role("button", name="Be there for visitors")
    operator.get_by_role("button", name="Log out").click()
    operator.get_by_label("E-mail").fill("admin@acme.example")
    operator.get_by_label("Password").fill("not needed here")
    begin.click()
    operator.get_by_label("Code").fill("none of them")
    begin.click()
    expect(operator.get_by_role("alert")).not_to_be_empty()
    looked_at(operator, "operator-second-factor")
    operator.get_by_label("Code").fill(recovery["recovery_codes"][0])
    begin.click()
    operator.get_by_text("You are online").wait_for()
    token = operator.evaluate("sessionStorage.getItem('ringback-token')")
    operator.get_by_role("button", name="Log out").click()
    operator.get_by_label("E-mail").wait_for()
    with house.process.client(token) as client:
        assert client.get("/me").status_code == 401, "a session that was begun here ends here"
    with house.process.client(house.acme.token) as client:
        assert client.get("/me").status_code == 200
