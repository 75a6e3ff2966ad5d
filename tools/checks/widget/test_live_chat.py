"""A visitor and an operator who chat, each in a browser, through the real server: also one that is killed in the middle."""

import re
from typing import Any

import pytest
from desk import CULTURES, strict, texts
from house import House, answered, chatting, looked_at, said, taken
from playwright.sync_api import Page, expect
from visitor import Visit

from ringback.callback import rules
from ringback.resources.callmeback.widget import KNOWN_S
from ringback.services import Services
from ringback.store import rows, schema

Visits = Any
EN = texts("en")
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def bubbles(found: Visit) -> list[str]:
    return [each.evaluate("(it) => it.childNodes[1].data") for each in found.dialog.locator(".said").all()]


def test_a_visitor_and_an_operator_talk(visit: Visits, house: House, operator: Page) -> None:
    found = chatting(visit)
    found.dialog.get_by_text(EN["chat_hello"]).wait_for()
    found.accessible()
    found.shoot("chat-hello")
    found.dialog.get_by_label(EN["name"]).fill("Ada")
    said(found, HOSTILE)
    found.dialog.get_by_text(EN["chat_waiting"]).wait_for()
    taken(operator)
    operator.get_by_text(HOSTILE).wait_for()
    found.dialog.locator("small", has_text=EN["chat_read"]).wait_for()
    answered(operator, "Good <b>morning</b>")
    found.dialog.get_by_text("Good <b>morning</b>").wait_for()
    operator.get_by_text("· read").wait_for()
    found.accessible()
    found.shoot("chat-active")
    found.dialog.get_by_label(EN["chat_message"]).press_sequentially("I wo")
    operator.get_by_text("The visitor is writing").wait_for()
    operator.get_by_label("Message", exact=True).press_sequentially("Wa")
    expect(found.dialog.locator(".typing")).not_to_be_empty()
    looked_at(operator, "operator-active")
    operator.set_viewport_size({"width": 320, "height": 640})
    assert operator.evaluate("document.documentElement.scrollWidth") <= 320
    looked_at(operator, "operator-320")
    operator.get_by_role("button", name="End", exact=True).click()
    found.dialog.get_by_text(EN["chat_ended"]).wait_for()
    found.dialog.get_by_role("button", name=EN["chat_transcript"]).click()
    found.dialog.get_by_label(EN["chat_email"]).fill("ada@example.com")
    found.accessible()
    found.dialog.get_by_role("button", name=EN["chat_send"], exact=True).click()
    found.dialog.get_by_text(EN["chat_transcript_sent"]).wait_for()
    found.until(lambda: house.mails.mails)
    assert house.mails.mails[0]["to"] == "ada@example.com"
    assert "Good <b>morning</b>" in house.mails.text()
    assert found.errors == []
    assert house.messages() == [HOSTILE, "Good <b>morning</b>"]


@pytest.mark.usefixtures("operator")
def test_a_chat_that_is_switched_off_says_so(visit: Visits, house: House) -> None:
    made = house.talking(title="Ends")
    house.company.show(made)
    found = chatting(visit)
    found.dialog.get_by_text(EN["chat_hello"]).wait_for()
    house.company.client.patch(f"/callmeback/settings/{made['id']}", json={"chat_enabled": False}).raise_for_status()
    found.page.wait_for_timeout(KNOWN_S * 1_250)  # so long the server goes by what it had read
    said(found, "Are you there?")
    found.dialog.get_by_text(EN["chat_error_refused"]).first.wait_for()
    expect(found.dialog.get_by_label(EN["chat_message"])).to_be_hidden()
    found.accessible()


def test_where_too_many_come_from_it_says_so(visit: Visits, house: House, services: Services) -> None:
    now = services.clock()
    row = {"setting_id": 1, "created_at": now, "last_seen_at": now, "state": "NEW", "network": "127.0.0.1"}
    many = [row] * rules.VISITORS.n
    services.database.write(lambda db: rows.insert(db, schema.callmeback_visitors, house.acme.customer_id, many))
    found: Visit = visit().go().open()
    found.dialog.get_by_role("button", name=re.compile(f"^({EN['chat']}|{EN['chat_offline']})$")).click()
    found.dialog.get_by_text(EN["chat_error_later"]).first.wait_for()
    expect(found.dialog.get_by_label(EN["chat_message"])).to_be_hidden()
    found.accessible()


def test_who_logs_out_is_told_nothing_more(visit: Visits, operator: Page) -> None:
    """Somebody else may log in next, in the same tab."""
    said(chatting(visit), "one")
    operator.locator("#waiting button").wait_for()
    with operator.expect_event("requestfailed", lambda each: "/events?" in each.url):
        operator.get_by_role("button", name="Log out").click()


@pytest.mark.parametrize("culture", CULTURES)
def test_an_operator_without_a_name_is_the_team(visit: Visits, house: House, services: Services, culture: str) -> None:
    nobody, acme = {"first_name": None, "last_name": None}, house.acme
    services.database.write(lambda db: rows.update(db, schema.users, acme.customer_id, acme.user_id, nobody))
    house.company.show(house.talking(culture=culture))
    with house.process.client(house.acme.token) as client:
        client.post("/chats/presence", json={"is_online": True}).raise_for_status()
        found = chatting(visit, culture)
        said(found, "?", culture)
        found.until(lambda: client.get("/chats").json()["data"])
        client.post(f"/chats/{client.get('/chats').json()['data'][0]['id']}/take").raise_for_status()
    found.dialog.locator(".message").get_by_text(texts(culture)["chat_active_us"], exact=True).wait_for()


def test_nothing_is_lost_or_doubled_when_the_server_is_killed(visit: Visits, house: House, operator: Page) -> None:
    found = chatting(visit)
    said(found, "one")
    found.dialog.get_by_text(EN["chat_waiting"]).wait_for()
    taken(operator)
    answered(operator, "two")
    found.dialog.get_by_text("two").wait_for()
    house.kill()
    found.dialog.get_by_text(EN["chat_lost"]).wait_for()
    said(found, "three")
    answered(operator, "four")
    house.restart()
    for text in ("three", "four"):
        operator.locator(".said", has_text=text).wait_for()
        found.dialog.locator(".said", has_text=text).wait_for()
    found.dialog.locator("small", has_text=EN["chat_read"]).nth(1).wait_for()
    assert sorted(house.messages()) == ["four", "one", "three", "two"]
    assert sorted(bubbles(found)) == ["four", "one", "three", "two"]
    assert operator.locator(".said").count() == 4


def test_another_page_of_the_site_goes_on_with_the_chat(visit: Visits, operator: Page) -> None:
    found = chatting(visit)
    said(found, "one")
    operator.locator("#waiting button").wait_for()
    found.page.reload()
    found.button.click()
    found.dialog.locator(".said", has_text="one").wait_for()
    assert bubbles(found) == ["one"]
    found.dialog.get_by_role("button", name=EN["chat_end"]).click()
    found.dialog.get_by_text(EN["chat_missed"]).wait_for()
    found.accessible()
    found.dialog.get_by_label(EN["chat_email"]).fill("ada@example.com")
    found.dialog.get_by_role("button", name=EN["chat_leave_email"]).click()
    found.dialog.get_by_text(EN["chat_kept"]).wait_for()
    found.dialog.get_by_role("button", name=EN["chat_again"]).click()
    said(found, "two")
    found.dialog.get_by_text(EN["chat_waiting"]).wait_for()
    assert bubbles(found) == ["two"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_there_on_a_narrow_phone_and_a_strict_page(visit: Visits, house: House, scheme: str) -> None:
    url = house.process.url
    house.site.policy = f"{strict(url)}; connect-src {url} {url.replace('http', 'ws')}"
    found = chatting(visit, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    found.dialog.get_by_text(EN["chat_away"]).wait_for()
    found.accessible()
    found.shoot(f"chat-away-320-{scheme}")
    assert found.evaluate("document.documentElement.scrollWidth") <= 320
    said(found, "Please write")
    expect(found.dialog.get_by_role("alert")).to_have_text(EN["chat_error_email"])
    found.dialog.get_by_label(EN["chat_email"]).fill("ada@example.com")
    found.dialog.get_by_role("button", name=EN["chat_send"], exact=True).click()
    found.dialog.get_by_text(EN["chat_kept"]).wait_for()
    assert house.messages() == ["Please write"]
    assert found.errors == []
