"""The vendor's connectors: telephony in the browser (its REST part), and the BI connector that reads everything in pages."""

import re

from tests.api import Api, Client, filter_text
from tests.people import PASSWORD, give_password, visitor
from tests.test_cdrs import add, call
from tests.test_live_calls import add_call

ORIGIN = {"origin": "null"}


def cross_origin(client: Client) -> Client:
    return Client(client.app, client.token, client.customer_id, client.user_id, ORIGIN)


def test_browser_connector_is_let_in_from_any_origin(api: Api) -> None:
    asked = {"origin": "null", "access-control-request-headers": "content-type,x-auth-token,x-language"}
    preflight = api.nobody.call("OPTIONS", "/login", headers=asked)
    assert preflight.status in (200, 204)
    assert preflight.headers["access-control-allow-origin"] in ("*", "null")
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("content-type", "x-auth-token", "authorization", "x-language"))
    refused = api.nobody.call("GET", "/me", headers=ORIGIN)
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] in ("*", "null")
    assert "www-authenticate" not in refused.headers


def test_browser_connector_logs_in_and_learns_who_it_is(api: Api) -> None:
    give_password(api, api.ann)
    body = {"email": "ann@customer1.example", "password": PASSWORD, "remember_me": False}
    answer = visitor(api).call("POST", "/login", body, headers={**ORIGIN, "x-language": "en"})
    assert answer.status == 200
    connector = cross_origin(visitor(api, answer.json["user_token"]))
    me = connector.get("/me").data
    assert me["id"] == answer.json["user_id"] == api.ann.user_id
    assert {"email", "first_name", "last_name", "customer_id", "sip_password", "sip_domain"} <= set(me)


def test_browser_connector_watches_shows_and_ends_a_call(api: Api) -> None:
    connector = cross_origin(api.ann)
    live = add_call(api, api.ann)
    assert [each["id"] for each in connector.get("/calls").data] == [live]
    shown = connector.get(f"/calls/{live}").data
    assert shown["state"] in ("INITIAL", "RINGING", "CONNECTED", "ON_HOLD")
    assert isinstance(shown["start_time"], int)
    link = {"action_url": "https://crm.example/ann", "action_text": "Open in the CRM"}
    assert connector.patch(f"/calls/{live}", link).data["action_url"] == link["action_url"]
    for order in ({"dst": "442079460999"}, {"state": "CONNECTED"}, {"state": "answer"}):
        assert connector.patch(f"/calls/{live}", order).status == 412  # no PBX is connected in this test
    assert connector.get("/calls/999999").status == 404


def test_browser_connector_finds_the_contact_of_a_number(api: Api) -> None:
    created = api.ann.post("/contacts", {"first_name": "Zoë", "tel": "+44 20 7946 0001"})
    assert created.status == 201
    found = cross_origin(api.ann).get("/contacts", filter=filter_text(("tel", "like", "2079460001")))
    assert [each["id"] for each in found.data] == [created.data["id"]]


def read_all(client: Client, path: str, limit: int = 5_000) -> tuple[list[int], object]:
    """As the BI connector reads: pages until one is not full."""
    collected: list[int] = []
    page = 1
    while True:
        answer = client.get(path, page=page, limit=limit, sort="id", dir="ASC")
        assert answer.status == 200
        collected += [row["id"] for row in answer.data]
        if len(answer.data) < limit:
            return collected, answer.json["total"]
        page += 1


def test_bi_connector_collects_exactly_total_rows(api: Api) -> None:
    ids = add(api, *(call(1_000_000_000 + n % 7 * 86_400, src=f"44207946{n:04}") for n in range(10_001)))
    collected, total = read_all(api.admin, "/cdrs")
    assert type(total) is int
    assert len(collected) == total == 10_001
    assert collected == sorted(ids)


def test_bi_connector_collects_exactly_total_rows_when_the_last_page_is_full(api: Api) -> None:
    add(api, *(call(1_000_000_000 + n) for n in range(5_000)))
    collected, total = read_all(api.admin, "/cdrs")
    assert len(collected) == total == 5_000


def test_bi_connector_reads_numbers_as_numbers_and_dates_as_14_digits(api: Api) -> None:
    add(api, call(1_000_000_000, rate=123, charge=456))
    row = api.admin.get("/cdrs", limit=5_000, page=1).data[0]
    assert re.fullmatch(r"\d{14}", re.sub(r"[-: ]", "", row["calldate"]))
    for name in ("rate", "charge", "billsec", "duration"):
        assert isinstance(row[name], int | float), name
        assert not isinstance(row[name], bool)


def test_bi_connector_reads_a_span_of_days(api: Api) -> None:
    add(api, *(call(1_000_000_000 + n * 3_600) for n in range(100)))
    span = filter_text(("calldate", "gte", "2001-09-10"), ("calldate", "lt", "2001-09-11 00:00:00"))
    answer = api.admin.get("/cdrs", filter=span, page=1, limit=5_000)
    assert answer.json["total"] == len(answer.data) == 24
    assert {row["calldate"][:10] for row in answer.data} == {"2001-09-10"}
