"""From the click to the end of the call, as a visitor sees it."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from desk import KEY, Desk, configuration, texts
from visitor import Visit

Visits = Any
EN = texts("en")
WARSAW = ZoneInfo("Europe/Warsaw")


def test_one_request_and_nothing_stored_before_the_visitor_clicks(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go()
    found.button.wait_for()
    assert desk.heard == [("GET", KEY)]
    assert found.context.cookies() == []
    assert found.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert found.heard() == []
    assert found.errors == []


def test_a_call_from_the_click_to_its_end(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().open()
    found.number.fill("02079460000")
    found.press(EN["call"])
    found.said(EN["waiting"])
    for state, side, title in (
        ("CALLING", "agent", EN["calling_agent"]),
        ("CALLING", "visitor", EN["calling_visitor"]),
        ("CONNECTED", None, EN["connected"]),
        ("ENDED", None, EN["ended"]),
    ):
        desk.state = {"state": state, "side": side, "reason": None}
        found.said(title)
    found.told("opened", "requested", "calling", "calling", "connected", "ended")
    request = desk.requests[0]
    assert (request["number"], request["country"], request["website"]) == ("020 7946 0000", "GB", "")
    assert request["visitor"] == f"visitor-of-{desk.visitors[0]['session']}"
    assert "test" not in request
    assert desk.visitors[0]["page"] == f"{found.site.url}/"
    found.dialog.locator(".main").click()
    found.has_focus("open")
    assert found.errors == []


def test_events_say_nothing_of_the_visitor(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().ask()
    desk.state = {"state": "ENDED", "side": None, "reason": None}
    found.said(EN["ended"])
    told = str(found.evaluate("JSON.stringify(window.heard)"))
    assert desk.visitors[0]["session"] not in told
    assert "7946" not in told
    assert {detail["id"] for _, detail in found.evaluate("window.heard")} == {KEY}


def test_the_visitor_first(visit: Visits, desk: Desk) -> None:
    desk.state = {"state": "CALLING", "side": "visitor", "reason": None}
    found: Visit = visit().go().ask()
    found.said(EN["calling_visitor"])
    desk.state = {"state": "CALLING", "side": "agent", "reason": None}
    found.said(EN["holding"])


@pytest.mark.parametrize("reason", ["busy", "no_answer"])
@pytest.mark.parametrize("side", ["agent", "visitor"])
def test_a_call_that_nobody_takes_can_be_tried_again_or_later(
    visit: Visits, desk: Desk, reason: str, side: str
) -> None:
    desk.state = {"state": "FAILED", "side": side, "reason": reason}
    found: Visit = visit().go().ask()
    found.said(EN[f"{reason}_{side}"])
    assert found.evaluate("window.heard.at(-1)") == [
        "failed",
        {"id": KEY, "test": False, "side": side, "reason": reason},
    ]
    found.press(EN["again"])
    assert found.number.input_value() == "020 7946 0000"
    desk.state = {"state": "CONNECTED", "side": None, "reason": None}
    found.press(EN["call"])
    found.said(EN["connected"])
    assert len({request["salt"] for request in desk.requests}) == 2


def test_the_visitor_cancels(visit: Visits, desk: Desk) -> None:
    desk.state = {"state": "CALLING", "side": "agent", "reason": None}
    found: Visit = visit().go().ask()
    found.said(EN["calling_agent"])
    found.press(EN["cancel"])
    found.said(EN["cancelled"])
    found.page.wait_for_function("window.heard.at(-1)[1].reason === 'cancelled'")
    found.until(lambda: ("DELETE", f"{KEY}/requests/request-1") in desk.heard)


def test_who_cancels_without_a_network_for_a_moment_is_not_called(visit: Visits, desk: Desk) -> None:
    desk.state = {"state": "CALLING", "side": "agent", "reason": None}
    found: Visit = visit().go().ask()
    found.said(EN["calling_agent"])
    found.page.route("**/requests/request-1", lambda route: route.abort(), times=2)
    found.press(EN["cancel"])
    found.said(EN["cancelled"])
    found.until(lambda: ("DELETE", f"{KEY}/requests/request-1") in desk.heard)


def test_the_visitor_hangs_up(visit: Visits, desk: Desk) -> None:
    desk.state = {"state": "CONNECTED", "side": None, "reason": None}
    found: Visit = visit().go().ask()
    found.said(EN["connected"])
    found.press(EN["hang_up"])
    found.said(EN["ended"])
    found.until(lambda: ("DELETE", f"{KEY}/requests/request-1") in desk.heard)


def test_a_call_goes_on_while_the_dialog_is_closed_and_on_the_next_page(visit: Visits, desk: Desk, site: Any) -> None:
    site.pages["/next"] = site.pages["/"]
    desk.state = {"state": "CALLING", "side": "visitor", "reason": None}
    found: Visit = visit().go().ask()
    found.said(EN["calling_visitor"])
    found.page.keyboard.press("Escape")
    found.gone()
    found.button.click()
    found.said(EN["calling_visitor"])
    found.go("/next")
    desk.state = {"state": "CONNECTED", "side": None, "reason": None}
    found.page.wait_for_function("window.heard.some(([name]) => name === 'connected')")
    found.button.click()
    found.said(EN["connected"])
    assert "7946" not in found.evaluate("JSON.stringify(sessionStorage)"), "other scripts of the page read it too"
    assert len(desk.requests) == 1


def test_a_lost_connection_is_told_and_found_again(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])
    desk.state = 503
    found.dialog.get_by_text(EN["error_lost"]).wait_for()
    desk.state = {"state": "CONNECTED", "side": None, "reason": None}
    found.said(EN["connected"])


def test_a_request_that_the_server_has_forgotten_has_failed(visit: Visits, desk: Desk) -> None:
    desk.state = 404
    found: Visit = visit().go().ask()
    found.said(EN["failed"])


@pytest.mark.parametrize("code", ["number", "country", "later", "closed", "challenge", "refused"])
def test_a_refusal_says_something_useful(visit: Visits, desk: Desk, code: str) -> None:
    desk.refusals = [{"error": code}, {"error": code}]
    found: Visit = visit().go().ask()
    found.dialog.get_by_role("alert").get_by_text(EN[f"error_{code}"]).wait_for()
    found.has_focus("number")
    assert (found.number.get_attribute("aria-invalid") == "true") is (code in {"number", "country"})
    assert found.number.input_value() == "020 7946 0000"


def test_an_answer_of_another_kind_is_a_refusal(visit: Visits, desk: Desk) -> None:
    desk.refusals = [{"error": "<b>constructor</b>"}]
    found: Visit = visit().go().ask()
    found.dialog.get_by_role("alert").get_by_text(EN["error_refused"]).wait_for()


def test_an_old_challenge_is_replaced_without_a_word(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().open()
    desk.refusals = [{"error": "challenge"}]
    found.number.fill("020 7946 0000")
    found.press(EN["call"])
    found.said(EN["waiting"])
    assert len(desk.requests) == 2


def test_no_network(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.context.set_offline(True)
    found.number.fill("020 7946 0000")
    found.press(EN["call"])
    found.dialog.get_by_role("alert").get_by_text(EN["error_network"]).wait_for()
    found.context.set_offline(False)
    found.press(EN["call"])
    found.said(EN["waiting"])


def test_nobody_there_after_all_the_number_is_left(visit: Visits, desk: Desk) -> None:
    desk.refusals = [{"error": "unavailable"}]
    found: Visit = visit().go().ask()
    found.dialog.get_by_text(EN["error_unavailable"]).wait_for()
    desk.first_state, desk.state = "OFFLINE", {"state": "OFFLINE", "side": None, "reason": None}
    found.press(EN["leave"])
    found.said(EN["kept"])
    assert [("preferred_at" in request, "name" in request) for request in desk.requests] == [(False, False)] * 2


def test_offline_with_a_name_and_a_time(visit: Visits, desk: Desk) -> None:
    desk.config[KEY] = configuration(is_available=False, opens_at=1_900_000_800)
    desk.first_state = "OFFLINE"
    found: Visit = visit(timezone_id="Europe/Warsaw").go().open()
    found.dialog.get_by_text("Open again: Sunday 17 March").wait_for()
    found.number.fill("020 7946 0000")
    found.dialog.get_by_label(EN["name"]).fill("Ada")
    assert not found.dialog.get_by_label(EN["time"]).is_visible()
    found.dialog.get_by_label(EN["day"]).select_option(index=2)
    found.dialog.get_by_label(EN["time"]).select_option("10:30")
    found.press(EN["leave"])
    found.said(EN["kept"])
    assert desk.requests[0]["name"] == "Ada"
    at = found.evaluate(
        "(at) => { const d = new Date(at * 1000); return [d.getHours(), d.getMinutes(), d > new Date()] }",
        desk.requests[0]["preferred_at"],
    )
    assert at == [10, 30, True]
    assert "10:30" in found.dialog.get_by_role("status").inner_text()


def test_who_is_refused_a_later_call_keeps_what_was_entered(visit: Visits, desk: Desk) -> None:
    desk.config[KEY] = configuration(is_available=False, opens_at=1_900_000_800)
    desk.refusals = [{"error": "number"}]
    found: Visit = visit(timezone_id="Europe/Warsaw").go().open()
    found.number.fill("020 7946 0000")
    found.dialog.get_by_label(EN["name"]).fill("Ada")
    found.dialog.get_by_label(EN["day"]).select_option(index=2)
    found.dialog.get_by_label(EN["time"]).select_option("10:30")
    found.press(EN["leave"])
    found.dialog.get_by_text(EN["error_number"]).wait_for()
    assert found.dialog.get_by_label(EN["name"]).input_value() == "Ada"
    desk.first_state = "OFFLINE"
    found.press(EN["leave"])
    found.said(EN["kept"])
    assert [each["preferred_at"] == desk.requests[0]["preferred_at"] for each in desk.requests] == [True, True]


def test_only_times_at_which_it_is_open_are_offered(visit: Visits, desk: Desk) -> None:
    begin = datetime.combine(datetime.now(WARSAW).date() + timedelta(2), time(10), WARSAW)
    span = [int(each.timestamp()) for each in (begin, begin + timedelta(hours=1))]
    desk.config[KEY] = configuration(is_available=False, open=[span])
    found: Visit = visit(timezone_id="Europe/Warsaw").go().open()
    assert found.dialog.get_by_label(EN["day"]).locator("option").count() == 2, "as soon as possible, and that day"
    found.dialog.get_by_label(EN["day"]).select_option(index=1)
    assert found.dialog.get_by_label(EN["time"]).locator("option").all_inner_texts() == ["10:00", "10:30"]


def test_later_by_choice_and_back(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.press(EN["later_instead"])
    found.dialog.get_by_label(EN["day"]).wait_for()
    assert EN["soon"] not in found.shown(), "that would be now"
    assert found.dialog.get_by_label(EN["time"]).input_value() != ""
    found.press(EN["back"])
    assert found.dialog.get_by_label(EN["day"]).count() == 0
    found.has_focus("number")


def test_test_mode_says_so_and_asks_so(visit: Visits, desk: Desk, site: Any) -> None:
    site.show(desk, tag="data-test")
    found: Visit = visit().go().ask()
    found.dialog.get_by_text(EN["test"]).wait_for()
    found.said(EN["waiting"])
    assert desk.requests[0]["test"] is True
    assert found.evaluate("window.heard[0][1].test") is True


def test_the_honeypot_is_seen_by_programs_only(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().open()
    trap = found.dialog.locator("[name=website]")
    assert found.dialog.get_by_role("textbox").count() == 1, "the number alone"
    trap.evaluate("(input) => { input.value = 'https://spam.example' }")
    found.number.fill("020 7946 0000")
    found.press(EN["call"])
    found.said(EN["waiting"])
    assert desk.requests[0]["website"] == "https://spam.example"
