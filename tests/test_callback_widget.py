"""What a widget on a page gets from the server, and what anybody else does."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ringback import doctor
from ringback.callback import proof, rules
from ringback.store import callbacks, rows, schema
from ringback.store.database import Db
from tests.api import Api, Client
from tests.callbacks import DDI, PAGE, VISITOR, Page, columns, easy, requests, staffed, widget
from tests.clock import TestClock


@pytest.fixture
def page(api: Api, monkeypatch: pytest.MonkeyPatch) -> Page:
    easy(monkeypatch)
    staffed(api)
    page = Page(api, widget(api)["public_key"])
    page.opened()
    return page


def test_a_widget_shows_what_its_setting_says(api: Api, page: Page) -> None:
    shown = page.ask("GET")
    assert shown.status == 200
    assert shown.headers["access-control-allow-origin"] == PAGE
    assert (shown.headers["vary"], shown.headers["cache-control"]) == ("Origin", "no-store")
    assert "set-cookie" not in shown.headers
    assert shown.json["texts"]["call"]
    assert {name: each for name, each in shown.json.items() if name != "texts"} == {
        "culture": "en",
        "position": "bottom_right",
        "floating_icon": True,
        "title": None,
        "message": None,
        "privacy_url": None,
        "button": None,
        "countries": [["GB", "44"], ["PL", "48"]],
        "country": None,
        "is_shown": True,
        "is_available": True,
        "opens_at": None,
        "open": None,
        "has_chat": False,
    }


def test_a_visitor_of_an_allowed_country_is_known_by_the_address(api: Api, page: Page) -> None:
    british = Page(api, page.key, ip="81.2.69.142")
    assert british.ask("GET").json["country"] == "GB"


def test_a_widget_can_be_hidden_from_other_countries(api: Api, page: Page) -> None:
    setting = widget(api, show_to_allowed_countries_only=True)
    assert Page(api, setting["public_key"], ip="8.8.8.8").ask("GET").json["is_shown"] is False
    assert Page(api, setting["public_key"], ip="81.2.69.142").ask("GET").json["is_shown"] is True


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "https://shop.example.evil.example", "file://"])
def test_another_page_gets_nothing(api: Api, page: Page, origin: str) -> None:
    other = Page(api, page.key, origin)
    for method, path in (("GET", ""), ("POST", "/visitors"), ("POST", "/requests"), ("OPTIONS", "/requests")):
        answer = other.ask(method, path, {"session": "x" * 20})
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
    assert requests(api) == []


def test_the_servers_own_pages_may_show_it(api: Api, page: Page) -> None:
    own = Client(api.app, headers={"origin": "http://pbx.example", "host": "pbx.example"})
    assert own.get(f"//callme/{page.key}").status == 200
    same = Client(api.app, headers={"sec-fetch-site": "same-origin"})
    assert same.get(f"//callme/{page.key}").status == 200


def test_a_browser_is_told_what_it_may_send(page: Page) -> None:
    answer = page.ask("OPTIONS", "/requests")
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert answer.headers["access-control-allow-headers"] == "Content-Type"
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("key", ["x", "A" * 16, "../../etc/passwd", "%00" * 4, "🙂" * 4])
def test_a_key_that_is_none_is_not_found(api: Api, key: str) -> None:
    assert Page(api, key).ask("GET").status == 404


def test_a_deleted_setting_draws_nothing(api: Api, page: Page) -> None:
    setting = widget(api)
    assert api.admin.delete(f"/callmeback/settings/{setting['id']}").status == 204
    assert Page(api, setting["public_key"]).ask("GET").status == 404


def test_opening_makes_one_visitor_a_session(api: Api, page: Page) -> None:
    again = Page(api, page.key)
    again.session = page.session
    again.opened()
    assert again.visitor == page.visitor
    (visitor,) = api.admin.listed("/callmeback/visitors")
    assert (visitor["ip"], visitor["ua"], visitor["page"]) == ("203.0.113.7", "Firefox", f"{PAGE}/bikes")
    assert visitor["state"] == "NEW"
    assert api.admin.get("/callmeback/websites").data[0]["domains"] == ["shop.example"]


def test_two_open_it_at_once_where_nobody_has_before(api: Api, page: Page) -> None:
    """Both note the host."""
    setting, is_open = widget(api), threading.Event()
    fresh = Page(api, setting["public_key"])

    def open_too() -> None:
        fresh.opened()
        is_open.set()

    other = threading.Thread(target=open_too)

    def noted(db: Db) -> None:
        callbacks.seen_on(db, api.acme, setting["id"], "shop.example", api.services.clock())
        other.start()
        is_open.wait(1.0)

    api.write(noted)
    other.join()
    assert is_open.is_set()


def test_addresses_that_are_none_are_not_kept(api: Api, page: Page) -> None:
    other = Page(api, page.key)
    other.opened(page="javascript:alert(1)", referer="<script>")
    visitor = max(api.admin.listed("/callmeback/visitors"), key=lambda row: row["id"])
    assert (visitor["page"], visitor["referer"]) == (None, None)


def test_a_flood_of_visitors_gets_challenges_but_no_rows(api: Api, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "VISITORS", rules.VISITORS._replace(n=3))
    for _ in range(6):
        assert Page(api, page.key).opened()["salt"]
    assert api.admin.get("/callmeback/visitors").json["total"] == 3


def test_a_request_is_taken_and_followed(api: Api, page: Page) -> None:
    answer = page.request("07400 123456", name="Zoë")
    assert (answer.status, answer.json["state"]) == (201, "REQUESTED")
    (row,) = requests(api)
    assert (row["number"], row["state"], row["reason"]) == (VISITOR, "REQUESTED", None)
    (visitor,) = api.admin.listed("/callmeback/visitors")
    assert (visitor["number"], visitor["name"], visitor["state"]) == (VISITOR, "Zoë", "REQUESTED")
    assert row["visitor_id"] == visitor["id"]
    state = page.state(answer.json["request"])
    assert (state["state"], state["side"], state["reason"]) == ("REQUESTED", None, None)
    assert page.ask("GET", "/requests/nonsense").status == 404


def test_a_request_of_another_widget_is_not_shown(api: Api, page: Page) -> None:
    token = page.request().json["request"]
    other = Page(api, widget(api)["public_key"])
    assert other.ask("GET", f"/requests/{token}").status == 404
    assert other.ask("DELETE", f"/requests/{token}").status == 204
    assert page.state(token)["state"] == "REQUESTED"


def test_a_visitor_gives_up(api: Api, page: Page) -> None:
    token = page.request().json["request"]
    assert page.ask("DELETE", f"/requests/{token}").status == 204
    state = page.state(token)
    assert (state["state"], state["side"], state["reason"]) == ("FAILED", "visitor", "cancelled")
    assert list(columns(api, "open_number")) == [(None,)]


Change = Callable[[Api, dict[str, Any]], None]


def _never(api: Api, _: dict[str, Any]) -> None:
    assert api.admin.post("/callmeback/donotcall", {"number": "07400 123456"}).status == 201


def _own(api: Api, _: dict[str, Any]) -> None:
    assert api.admin.post("/ddis", {"e164": VISITOR}).status == 201


def _no_rates(api: Api, _: dict[str, Any]) -> None:
    assert api.admin.delete("/rates").status in (202, 204)
    api.run_jobs()


@pytest.mark.parametrize(
    ("number", "told", "reason"),
    [
        ("12345", "number", "number"),
        ("<script>alert(1)</script>", "number", "number"),
        ("112", "number", "number"),
        ("+44 9098 790000", "number", "line: premium"),
        ("+44 70 1234 5678", "number", "line: personal"),
        ("+33 892 700 000", "number", "line: premium"),
        ("+870 773 111 111", "number", "line: of no country"),
        ("+800 1234 5678", "number", "line: of no country"),
        ("+1 202 555 0123", "country", "country: US"),
        ("+48 12 345 67 89", "refused", "no_rate"),
        (DDI, "refused", "own_number"),
    ],
)
def test_numbers_that_are_not_called(api: Api, page: Page, number: str, told: str, reason: str) -> None:
    answer = page.request(number)
    assert (answer.json, answer.status >= 400) == ({"error": told}, True)
    (row,) = requests(api)
    assert (row["state"], row["reason"]) == ("REFUSED", reason)


@pytest.mark.parametrize(
    ("change", "setting", "told", "reason"),
    [
        (_never, {}, "refused", "donotcall"),
        (_no_rates, {}, "refused", "no_rate"),
        (None, {"max_call_rate": 0.0199}, "refused", "price: 0.0200 a minute, 0.0199 allowed"),
        (None, {"daily_spend": 0.01}, "refused", "spend"),
        (None, {"allowed_countries": []}, "country", "country: GB"),
        (None, {"hours": {}}, "closed", "closed"),
    ],
)
def test_what_a_setting_does_not_allow(
    api: Api, page: Page, change: Change | None, setting: dict[str, Any], told: str, reason: str
) -> None:
    made = widget(api, **setting)
    if change is not None:
        change(api, made)
    answer = Page(api, made["public_key"]).request()
    assert answer.json == {"error": told}
    (row,) = requests(api)
    assert (row["state"], row["reason"]) == ("REFUSED", reason)


def test_a_call_lasts_as_long_as_its_money(api: Api, page: Page) -> None:
    made = widget(api, daily_spend=0.05, max_duration=600)
    assert Page(api, made["public_key"]).request().status == 201
    assert list(columns(api, "most_s", "price_micro")) == [(150, 20_000)]


def test_a_form_filled_by_a_machine_is_refused(api: Api, page: Page) -> None:
    assert page.request(website="https://spam.example").json == {"error": "refused"}
    assert requests(api)[0]["reason"] == "honeypot"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "x"},
        {"salt": "x"},
        {"salt": ""},
        {"salt": f"{1_795_300_000:010}.1.{'0' * 16}.{'0' * 32}"},
    ],
)
def test_a_challenge_that_was_not_solved(api: Api, page: Page, wrong: dict[str, str]) -> None:
    assert page.request(**wrong).json == {"error": "challenge"}
    assert requests(api) == []


def test_a_solution_works_once_for_its_widget_and_for_ten_minutes(api: Api, page: Page, clock: TestClock) -> None:
    solved = page.solved()
    assert Page(api, widget(api)["public_key"]).request(**solved).json == {"error": "challenge"}
    assert page.request(**solved).status == 201
    assert page.request("07400 123457", **solved).json == {"error": "challenge"}
    late = page.solved()
    clock.advance(proof.LIFE_S + 1)
    assert page.request("07400 123458", **late).json == {"error": "challenge"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"number": 5}', b"\xff", b'{"number": "1"}' + b" " * 20_000])
def test_bodies_that_are_none(api: Api, page: Page, body: bytes) -> None:
    for path in ("/requests", "/visitors"):
        answer = page.ask("POST", path, body)
        assert (answer.status, answer.json) == (403, {"error": "refused"})
    assert requests(api) == []


@pytest.mark.parametrize("when", [2**63, 10**30, -1, -(10**30)])
def test_a_time_that_no_database_can_hold_is_none(page: Page, when: int) -> None:
    assert page.request(preferred_at=when).json == {"error": "refused"}


def test_a_visitor_of_no_shape_is_nobody(api: Api, page: Page) -> None:
    assert page.request(visitor="\0a").status == 201
    assert [row["visitor_id"] for row in requests(api)] == [None]


def test_one_open_request_of_a_number(api: Api, page: Page) -> None:
    assert page.request().status == 201
    assert Page(api, page.key, ip="198.51.100.9").request("+44 7400 123456").json == {"error": "later"}
    assert len(requests(api)) == 1


def test_another_spelling_is_the_same_number(api: Api, page: Page) -> None:
    """What is dialled inside a country only: the phone that rings is one."""
    assert page.request().status == 201
    assert Page(api, page.key, ip="198.51.100.9").request("+44 0 7400 123456").json == {"error": "later"}
    assert api.admin.post("/callmeback/donotcall", {"number": "+44 0 7400 123457"}).data["number"] == "447400123457"
    assert page.request("+4407400123457").json == {"error": "refused"}
    assert page.request(f"+44 0 {DDI[2:]}").json == {"error": "refused"}
    assert [row["number"] for row in requests(api)] == [VISITOR, "447400123457", DDI]


def test_what_is_dialled_inside_a_country_may_stand_there_several_times(api: Api, page: Page) -> None:
    assert page.request().status == 201
    assert Page(api, page.key, ip="198.51.100.9").request("+44 00 7400 123456").json == {"error": "later"}
    assert Page(api, page.key, ip="198.51.100.8").request("+44 000 7400 123456").json["error"] in ("later", "number")
    assert [row["number"] for row in requests(api) if row["state"] != "REFUSED"] == [VISITOR]


def test_limits_of_a_number_and_of_an_address(api: Api, page: Page, clock: TestClock) -> None:
    def ask(number: str, ip: str) -> Any:
        answer = Page(api, page.key, ip=ip).request(number)
        if answer.status == 201:
            page.ask("DELETE", f"/requests/{answer.json['request']}")
        return answer.json.get("error")

    assert [ask(VISITOR, f"198.51.100.{n}") for n in range(5)] == [None] * 3 + ["later"] * 2
    assert [ask(f"0740012340{n}", "2001:db8:1:2::1") for n in range(6)] == [None] * 5 + ["later"]
    assert ask("07400123409", "2001:db8:1:2:ffff::9") == "later"
    assert ask("07400123409", "2001:db8:1:3::1") is None
    clock.advance(3_601)
    assert [ask(VISITOR, f"198.51.100.{n}") for n in range(4)] == [None] * 3 + ["later"]
    clock.advance(3_601)
    assert ask(VISITOR, "198.51.100.99") == "later"


def test_refusals_have_rows_only_so_far(api: Api, page: Page) -> None:
    for _ in range(30):
        page.request("+1 202 555 0123")
    assert len(requests(api)) == 20


def test_nobody_there_keeps_the_request(api: Api, page: Page) -> None:
    api.write(lambda db: rows.update(db, schema.users, api.acme, api.ann.user_id, {"presence": "busy"}))
    away = Page(api, widget(api)["public_key"])
    shown = away.ask("GET").json
    assert (shown["is_available"], shown["opens_at"]) == (False, None)
    answer = away.request()
    assert (answer.status, answer.json["state"]) == (201, "OFFLINE")
    assert away.state(answer.json["request"])["state"] == "OFFLINE"


def test_closed_says_when_it_opens(api: Api, page: Page, clock: TestClock) -> None:
    """It is Saturday evening, 22:26 UTC."""
    made = widget(api, hours={"mon": [["09:00", "17:00"]]}, time_zone="Europe/Warsaw")
    closed = Page(api, made["public_key"])
    opens_at = closed.ask("GET").json["opens_at"]
    assert opens_at == 1_795_420_800  # Monday 2026-11-23 09:00 in Warsaw
    assert closed.request().json["state"] == "OFFLINE"
    assert list(columns(api, "due_at")) == [(opens_at,)]


def test_a_preferred_time_is_moved_to_when_it_is_open(api: Api, page: Page, clock: TestClock) -> None:
    made = widget(api, hours={"mon": [["09:00", "17:00"]]}, time_zone="UTC")
    asked = Page(api, made["public_key"])
    monday = 1_795_392_000
    opens, closes = monday + 9 * 3_600, monday + 17 * 3_600
    assert asked.ask("GET").json["open"] == [[opens, closes]]
    early, fitting = (
        asked.request(n, preferred_at=at).json for n, at in (("07400 123456", monday), ("07400 123457", opens + 3_600))
    )
    assert [(each["state"], each["at"]) for each in (early, fitting)] == [
        ("OFFLINE", opens),
        ("OFFLINE", opens + 3_600),
    ]
    assert list(columns(api, "due_at")) == [(opens,), (opens + 3_600,)]
    assert asked.request("07400 123458", preferred_at=monday + 90 * 86_400).json == {"error": "closed"}


def test_test_mode_calls_nobody(api: Api, page: Page, clock: TestClock) -> None:
    answer = page.ask("POST", "/requests", {"number": VISITOR, "test": True})
    token = answer.json["request"]
    seen = []
    for _ in range(14):
        state = page.state(token)
        seen.append((state["state"], state["side"]))
        clock.advance(1)
    assert list(dict.fromkeys(seen)) == [
        ("REQUESTED", None),
        ("CALLING", "agent"),
        ("CALLING", "visitor"),
        ("CONNECTED", None),
        ("ENDED", None),
    ]
    assert page.ask("DELETE", f"/requests/{token}").status == 204
    assert page.ask("GET", "/requests/test.1.00000000.x").status == 404
    assert requests(api) == []


def test_refusals_are_counted(api: Api, page: Page) -> None:
    page.request("+1 202 555 0123")
    Page(api, page.key, "https://evil.example").ask("GET")
    metrics = Client(api.app, headers={"authorization": "Bearer metrics-secret"}).get("//metrics").body.decode()
    assert 'ringback_callback_refusals_total{reason="country"} 1.0' in metrics
    assert 'ringback_callback_refusals_total{reason="origin"} 1.0' in metrics


def test_the_doctor_and_the_snippet_say_what_is_missing(api: Api) -> None:
    api.write(lambda db: rows.insert(db, schema.ddis, api.acme, [{"e164": DDI, "destination": "nowhere to be found"}]))
    setting = widget(api, allowed_domains=[], allowed_countries=[], hours={})
    (found,) = doctor.of_callbacks(api.services)
    assert "no rates" in found.text
    snippet = api.admin.get(f"/callmeback/settings/{setting['id']}/snippet").data
    assert f'data-id="{setting["public_key"]}"' in snippet["html"]
    assert len(snippet["warnings"]) == 7
    assert api.stranger.get(f"/callmeback/settings/{setting['id']}/snippet").status == 404


def test_the_doctor_the_snippet_and_the_preview_name_countries_without_a_rate(api: Api, page: Page) -> None:
    """Great Britain has one, and with it those that share its code."""
    setting = widget(api, allowed_countries=["GB", "GG", "PL", "US"])
    settings = api.admin.listed("/callmeback/settings")
    api.admin.delete(f"/callmeback/settings/{min(each['id'] for each in settings)}")
    (found,) = doctor.of_callbacks(api.services)
    assert "no rate for PL, US, which" in found.text
    snippet = api.admin.get(f"/callmeback/settings/{setting['id']}/snippet").data
    body = {"name": "New", "ddi_e164": DDI, "allowed_countries": ["GB", "PL", "US"]}
    for warnings in (snippet["warnings"], api.admin.post("/callmeback/preview", body).data["warnings"]):
        assert [each for each in warnings if "no rate for PL, US," in each]
    rate = {"prefix": "1202", "destination": "Washington", "price_micro": 20_000, "minimum_s": 0, "increment_s": 1}
    api.write(lambda db: rows.insert(db, schema.rates, api.acme, [rate, {**rate, "prefix": "4"}]))
    (found,) = doctor.of_callbacks(api.services)
    assert found.level is doctor.Level.OK


def test_a_preview_saves_nothing(api: Api, page: Page) -> None:
    before = api.admin.get("/callmeback/settings").json["total"]
    body = {"name": "New", "ddi_e164": DDI, "culture": "pl", "title": "Zadzwońcie!"}
    answer = api.admin.post("/callmeback/preview", body)
    fragment = answer.data["url"].partition("#")[2]
    shown = json.loads(base64.urlsafe_b64decode(fragment + "=" * (-len(fragment) % 4)))
    assert (shown["culture"], shown["title"], shown["countries"]) == ("pl", "Zadzwońcie!", [["GB", "44"]])
    assert api.admin.get("/callmeback/settings").json["total"] == before
    assert api.admin.post("/callmeback/preview", {**body, "ddi_e164": "12025550123"}).fields == ["ddi_e164"]
    assert api.ann.post("/callmeback/preview", body).status == 403


def test_hostile_requests_reach_nobody(api: Api, page: Page) -> None:
    """From addresses that no limit counts together."""
    wrong = ["112", "09098790000", "+8816123456", "+12025550123", "07" * 20, "'; DROP TABLE users", DDI, "+4870012345"]
    for n in range(200):
        address = f"2001:db8:{n:x}::1"
        Page(api, page.key, ip=address).request(wrong[n % len(wrong)])
    for n in range(200):
        Page(api, page.key, ip=f"2001:db8:ffff:{n:x}::1").request(VISITOR)
    taken = [row for row in columns(api, "number", "state") if row[1] != "REFUSED"]
    assert taken == [(VISITOR, "REQUESTED")]
