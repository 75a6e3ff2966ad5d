"""The widget and the real server, which has no PBX here: test mode, numbers that are left, pages that may not, the preview."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from desk import Site, texts
from house import Company
from playwright.sync_api import expect
from tests.process import COMMAND, Login, Process
from visitor import Visit

from ringback.services import Services

Visits = Any
EN = texts("en")


@pytest.fixture
def company(begin: Callable[..., Process], acme: Login, services: Services, site: Site) -> Company:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = begin(*COMMAND, "serve", "--port", port, RINGBACK_PUBLIC_URL=f"http://127.0.0.1:{port}")
    return Company(process, acme, services, site)


def test_the_line_of_html_brings_the_widget_and_a_number_is_left(visit: Visits, company: Company) -> None:
    found: Visit = visit().go().open()
    found.dialog.get_by_text(EN["offline_message"]).wait_for()
    found.number.fill("07400 123456")
    found.dialog.get_by_label(EN["name"]).fill("Ada")
    found.press(EN["leave"])
    found.said(EN["kept"])
    assert found.errors == []
    (request,) = company.listed("requests")
    assert (request["number"], request["state"]) == ("447400123456", "OFFLINE")
    (visitor,) = company.listed("visitors")
    assert (visitor["id"], visitor["page"], visitor["name"]) == (request["visitor_id"], f"{company.site.url}/", "Ada")


def test_what_the_server_refuses_is_said(visit: Visits, company: Company) -> None:
    found: Visit = visit().go().open()
    found.number.fill("0909 879 0000")  # of the premium rate
    found.press(EN["leave"])
    expect(found.dialog.get_by_role("alert")).to_have_text(EN["error_number"])
    assert found.number.get_attribute("aria-invalid") == "true"
    (request,) = company.listed("requests")
    assert (request["state"], request["reason"]) == ("REFUSED", "line: premium"), "administrators learn why"


def test_test_mode_shows_a_whole_call_and_leaves_nothing(visit: Visits, company: Company) -> None:
    company.show(company.setting, "data-test")
    found: Visit = visit().go().ask()
    found.said(EN["ended"])
    assert (found.heard()[:2], found.heard()[-1]) == (["opened", "requested"], "ended")
    assert (company.listed("requests"), company.listed("visitors")) == ([], [])


def test_a_page_that_is_not_allowed_gets_no_widget(visit: Visits, company: Company) -> None:
    company.show(company.made(name="Elsewhere", allowed_domains=["shop.example"]))
    found: Visit = visit().go()
    found.page.wait_for_function("window.ringback")
    assert found.evaluate("ringback.open().then(() => document.querySelectorAll('ringback-widget').length)") == 0


def test_a_setting_that_is_deleted_draws_nothing(visit: Visits, company: Company) -> None:
    assert company.client.delete(f"/callmeback/settings/{company.setting['id']}").status_code == 204
    found: Visit = visit().go()
    found.page.wait_for_function("window.ringback")
    assert found.evaluate("ringback.open().then(() => document.querySelectorAll('ringback-widget').length)") == 0


def test_the_preview_of_what_is_not_saved(visit: Visits, company: Company) -> None:
    given = {"name": "New", "ddi_e164": "442079460101", "title": "Grüße <b>", "culture": "de", "position": "top_right"}
    preview = company.client.post("/callmeback/preview", json=given).json()["data"]
    found: Visit = visit()
    found.goto(preview["url"])
    found.open()
    found.get_by_role("dialog", name="Grüße <b>").wait_for()
    assert preview["warnings"]
    assert found.page.locator("#warnings li").all_inner_texts() == preview["warnings"]
    assert found.errors == []
    assert len(company.listed("settings")) == 1
