"""Call Me Back: settings, websites, buttons, visitors, requests, and the calls that came of them."""

from typing import Any

import pytest

from ringback.store import callbacks, cdrs, rows, schema
from tests.api import Api, Client
from tests.policies import team
from tests.test_cdrs import call

AT = 1_700_000_000  # 2023-11-14 22:13:20


def add_number(api: Api, e164: str, customer: int | None = None) -> int:
    found: int = api.write(lambda db: rows.insert(db, schema.ddis, customer or api.acme, [{"e164": e164}]))[0]
    return found


def add_setting(api: Api, client: Client | None = None, **changes: Any) -> Any:
    """A setting on the number +44 20 7946 0001, as the answer of its creation."""
    who = client or api.admin
    if not api.app.services.database.read(
        lambda db: db.all("SELECT 1 FROM ddis WHERE customer_id = :c", {"c": who.customer_id})
    ):
        add_number(api, "442079460001", who.customer_id)
    answer = who.post("/callmeback/settings", {"name": "Shop", "ddi_e164": "442079460001", **changes})
    assert answer.status == 201, answer.body
    return answer.data


def test_a_setting_needs_a_name_and_a_number_and_has_defaults(api: Api) -> None:
    ddi = add_number(api, "442079460001")
    answer = api.admin.post("/callmeback/settings", {"name": "Shop", "ddi_e164": 442079460001})
    assert answer.status == 201
    assert answer.data == {
        "id": answer.data["id"],
        "allowed_countries": ["GB"],
        "button_id": None,
        "created_at": "2026-11-21 22:26:40",
        "culture": "en",
        "ddi": ddi,
        "floating_icon": True,
        "name": "Shop",
        "position": "bottom_right",
        "privacy_policy_url": None,
        "show_to_allowed_countries_only": False,
        "title": None,
        "welcome_screen_msg": None,
        "ddi_e164": "442079460001",
        "max_call_rate": 0.15,
        "allowed_domains": [],
        "dial_first": "agent",
        "time_zone": "UTC",
        "hours": None,
        "holidays": [],
        "daily_spend": None,
        "max_duration": None,
        "chat_enabled": False,
        "public_key": answer.data["public_key"],
        "missed_mail": None,
    }
    assert api.admin.get("/callmeback/settings").data == [answer.data]
    assert api.ann.get(f"/callmeback/settings/{answer.data['id']}").data == answer.data
    empty = api.admin.post("/callmeback/settings", {})
    assert (empty.status, empty.fields) == (400, ["name", "ddi_e164"])


@pytest.mark.parametrize("number", ["+44 20 7946 0001", "020 7946 0001", "442079460001", 442079460001])
def test_the_number_may_be_written_in_any_way(api: Api, number: object) -> None:
    assert add_setting(api, ddi_e164=number)["ddi_e164"] == "442079460001"


def test_the_number_of_another_customer_is_none(api: Api) -> None:
    add_number(api, "442079460002", api.other)
    answer = api.admin.post("/callmeback/settings", {"name": "x", "ddi_e164": "442079460002"})
    assert (answer.status, answer.fields) == (400, ["ddi_e164"])
    assert answer.json["errors"][0]["code"] == "SF0010"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"allowed_countries": "gb, pl"}, {"allowed_countries": ["GB", "PL"]}),
        ({"allowed_countries": ["DE", "DE"]}, {"allowed_countries": ["DE"]}),
        ({"allowed_countries": []}, {"allowed_countries": []}),
        ({"allowed_countries": ""}, {"allowed_countries": []}),
        ({"max_call_rate": "100.00"}, {"max_call_rate": 100.0}),
        ({"max_call_rate": 1}, {"max_call_rate": 1.0}),
        ({"max_call_rate": 0.0375}, {"max_call_rate": 0.0375}),
        ({"privacy_policy_url": "https://example.com/p?x=1"}, {"privacy_policy_url": "https://example.com/p?x=1"}),
        ({"privacy_policy_url": ""}, {"privacy_policy_url": None}),
        ({"allowed_domains": ["WWW.Example.com", "*.example.org"]}, {"allowed_domains": ["www.example.com", "*.example.org"]}),
        ({"time_zone": "Europe/Warsaw"}, {"time_zone": "Europe/Warsaw"}),
        ({"hours": {"mon": [["09:00", "12:30"], ["13:30", "24:00"]], "sun": []}},) * 2,
        ({"hours": None}, {"hours": None}),
        ({"holidays": ["2026-12-26", "2026-12-25"]}, {"holidays": ["2026-12-25", "2026-12-26"]}),
        ({"daily_spend": "20.5", "max_duration": 600}, {"daily_spend": 20.5, "max_duration": 600}),
        ({"position": "top_center", "culture": "pl", "dial_first": "visitor", "chat_enabled": True},) * 2,
    ],
)  # fmt: skip
def test_values_come_back_as_given(api: Api, given: dict[str, Any], stored: dict[str, Any]) -> None:
    setting = add_setting(api)
    answer = api.admin.patch(f"/callmeback/settings/{setting['id']}", given)
    assert answer.status == 200, answer.body
    assert answer.data == {**setting, **stored}
    again = api.admin.patch(f"/callmeback/settings/{setting['id']}", answer.data)
    assert (again.status, again.data) == (200, answer.data)


@pytest.mark.parametrize(
    "given",
    [
        {"allowed_countries": ["XX"]},
        {"allowed_countries": 5},
        {"max_call_rate": "cheap"},
        {"max_call_rate": -1},
        {"max_call_rate": "NaN"},
        {"privacy_policy_url": "javascript:alert(1)"},
        {"privacy_policy_url": "ftp://example.com"},
        {"position": "abcd"},
        {"culture": "xx"},
        {"dial_first": "nobody"},
        {"button_id": 999_999},
        {"ddi_e164": "12025550123"},
        {"ddi_e164": None},
        {"name": ""},
        {"name": None},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"hours": {"monday": []}},
        {"hours": {"mon": [["17:00", "09:00"]]}},
        {"hours": {"mon": [["9", "17"]]}},
        {"hours": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}},
        {"hours": {"mon": [5]}},
        {"holidays": ["Christmas"]},
        {"allowed_domains": ["https://example.com/"]},
        {"max_duration": 0},
        {"floating_icon": "yes"},
        {"missed_mail": "nobody"},
        {"missed_mail": "a@b.example\nBcc: c@d.example"},
        {"nonsense": 1},
    ],
)
def test_what_is_not_valid_is_refused_and_named(api: Api, given: dict[str, Any]) -> None:
    setting = add_setting(api)
    answer = api.admin.patch(f"/callmeback/settings/{setting['id']}", given)
    assert (answer.status, answer.fields) == (400, list(given))
    assert api.admin.get(f"/callmeback/settings/{setting['id']}").data == setting


def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    setting = add_setting(api)
    wrong = {"max_call_rate": "cheap", "hours": {"x": []}, "button_id": 999_999}
    assert api.admin.patch(f"/callmeback/settings/{setting['id']}", wrong).fields == [
        "button_id",
        "max_call_rate",
        "hours",
    ]


def test_a_holiday_that_is_no_date_is_answered_in_words(api: Api) -> None:
    setting = add_setting(api)
    answer = api.admin.patch(f"/callmeback/settings/{setting['id']}", {"holidays": ["tomorrow"]})
    assert answer.json["message"] == "Validation error: holidays: a holiday is a date such as 2026-12-25"


def test_settings_and_buttons_are_changed_by_administrators_of_their_customer(api: Api) -> None:
    setting, button = add_setting(api), api.admin.post("/callmeback/buttons").data
    for path in (f"/callmeback/settings/{setting['id']}", f"/callmeback/buttons/{button['id']}"):
        for client, status in ((api.ann, 403), (api.reception, 403), (api.stranger, 404)):
            assert client.patch(path, {"name": "y"}).status == status
            assert client.delete(path).status == status
        assert api.ann.get(path).status == 200
        assert api.stranger.get(path).status == 404
    assert api.ann.post("/callmeback/settings", {}).status == 403
    assert api.ann.post("/callmeback/buttons").status == 403


def test_who_is_told_of_missed_callbacks_is_seen_by_administrators(api: Api) -> None:
    """As the e-mail addresses of users."""
    setting = add_setting(api, missed_mail="boss@acme.example")
    for path in ("/callmeback/settings", "/callmeback/websites"):
        assert api.admin.listed(path)[0]["missed_mail"] == "boss@acme.example"
        for client in (api.ann, api.reception):
            assert client.listed(path)[0]["missed_mail"] is None
            assert client.listed(path, ("missed_mail", "eq", "boss@acme.example")) == []
    assert api.ann.get(f"/callmeback/settings/{setting['id']}").data["missed_mail"] is None


def test_websites_are_the_settings_with_hosts_and_visitors(api: Api) -> None:
    setting = add_setting(api)

    def visits(db: Any) -> None:
        for index, host in enumerate(("shop.example", "WWW.shop.example", "shop.example", 'x"y')):
            callbacks.seen_on(db, api.acme, setting["id"], host, AT + index)
        callbacks.add_visitors(db, api.acme, [{"setting_id": setting["id"], "created_at": AT}] * 3)

    api.write(visits)
    assert api.admin.get("/callmeback/websites").data == [
        {**setting, "domains": ["shop.example", "www.shop.example"], "nb_visitors": 3}
    ]


def test_at_most_a_hundred_hosts_are_kept(api: Api) -> None:
    setting = add_setting(api)
    for index in range(102):
        api.write(lambda db, n=index: callbacks.seen_on(db, api.acme, setting["id"], f"h{n}.example", AT + n))
    assert len(api.admin.get("/callmeback/websites").data[0]["domains"]) == 100


def test_deleting_a_setting_refuses_open_requests_and_keeps_history(api: Api) -> None:
    setting = add_setting(api)

    def requests(db: Any) -> None:
        row = {"setting_id": setting["id"], "created_at": AT}
        first, second = callbacks.add_visitors(db, api.acme, [{**row, "state": "REQUESTED"}, {**row, "state": "ENDED"}])
        rows_ = [{**row, "visitor_id": first, "number": "4812345678"}, {**row, "visitor_id": second, "state": "ENDED"}]
        callbacks.add_requests(db, api.acme, rows_)

    api.write(requests)
    assert api.admin.delete(f"/callmeback/settings/{setting['id']}").status == 204
    assert api.admin.delete(f"/callmeback/settings/{setting['id']}").status == 404
    assert [row["state"] for row in api.admin.listed("/callmeback/requests")] == ["ENDED", "REFUSED"]
    assert [row["state"] for row in api.admin.listed("/callmeback/visitors")] == ["ENDED", "REFUSED"]
    assert api.admin.listed("/callmeback/requests")[1]["reason"] == "removed"
    assert api.admin.get("/callmeback/websites").json == {"data": [], "total": 0}


def test_a_button_needs_nothing_and_changes(api: Api) -> None:
    created = api.admin.post("/callmeback/buttons")
    assert created.status == 201
    assert list(created.data) == ["id", "name", "data_online", "data_offline", "created_at"]
    assert (created.data["name"], created.data["data_online"]) == ("Call me back", None)
    path = f"/callmeback/buttons/{created.data['id']}"
    changed = api.admin.patch(path, {"data_online": "https://example.com/a.png", "data_offline": "Note: <b>closed</b>"})
    assert changed.data == {
        **created.data,
        "data_online": "https://example.com/a.png",
        "data_offline": "Note: <b>closed</b>",
    }
    assert api.admin.get("/callmeback/buttons").json == {"data": [changed.data], "total": 1}
    assert (
        api.admin.patch(path, {"data_online": "data:image/svg+xml;base64,PHN2Zy8+", "data_offline": None}).status == 200
    )


@pytest.mark.parametrize(
    "data",
    ["http://example.com/a.png", "javascript:alert(1)", " JavaScript:x", "data:text/html,<b>", "é" * 131_073, 5],
)
def test_button_data_is_an_image_or_text(api: Api, data: object) -> None:
    answer = api.admin.post("/callmeback/buttons", {"data_online": data, "data_offline": data})
    assert (answer.status, answer.fields) == (400, ["data_online", "data_offline"])


def test_deleting_a_button_leaves_the_setting_without(api: Api) -> None:
    button = api.admin.post("/callmeback/buttons", {"name": "Phone"}).data["id"]
    setting = add_setting(api, button_id=button)
    assert setting["button_id"] == button
    assert api.admin.delete(f"/callmeback/buttons/{button}").status == 204
    assert api.admin.get(f"/callmeback/settings/{setting['id']}").data["button_id"] is None


def test_a_plain_user_sees_the_visitors_of_own_calls(api: Api) -> None:
    (mine,) = api.write(lambda db: cdrs.insert(db, api.acme, [call(AT, user_id=api.ann.user_id)]))
    row = {"setting_id": 1, "created_at": AT}
    api.write(lambda db: callbacks.add_visitors(db, api.acme, [row, {**row, "cdr_id": mine}]))
    api.write(lambda db: callbacks.add_requests(db, api.acme, [row, {**row, "cdr_id": mine}]))
    for path in ("/callmeback/visitors", "/callmeback/requests"):
        assert api.admin.get(path).json["total"] == 2
        assert [each["cdr_id"] for each in api.ann.listed(path)] == [mine]
        assert api.bob.get(path).json == {"data": [], "total": 0}
        assert api.stranger.get(path).json["total"] == 0


def test_the_cdrs_of_callbacks(api: Api) -> None:
    calls = [
        call(AT, destination="callmeback", user_id=api.ann.user_id),
        call(AT + 86_400, destination="callmeback"),
        call(AT + 1),
    ]
    mine, other, _ = api.write(lambda db: cdrs.insert(db, api.acme, calls))
    answer = api.admin.get("/callmeback/cdrs")
    assert ([row["id"] for row in answer.data], answer.json["total"]) == ([other, mine], 2)
    late = api.admin.get("/callmeback/cdrs", filter='[{"property":"calldate","operator":"gt","value":"2023-11-15"}]')
    assert late.json["total"] == 1
    assert api.ann.get("/callmeback/cdrs").json["total"] == 1
    team(api, "No billing", api.ann, policies=("billing_disabled",))
    assert api.ann.get("/callmeback/cdrs").data[0]["charge"] is None
