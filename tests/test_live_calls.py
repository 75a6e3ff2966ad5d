"""Live calls: who sees and controls which, and what is refused without a PBX."""

from typing import Any

import pytest

from ringback.store import rows, schema
from tests.api import Api, Client
from tests.clock import TestClock
from tests.policies import team

ATTRIBUTES = (
    "id clid connected_at context destination dst dst_call_id dst_codec dst_connection dst_contact dst_id dst_name"
    " dst_rate dst_ua duration min_charge monitor_state parent_id queue_state referred_by src src_call_id src_codec"
    " src_contact src_id src_name src_rate src_ua start_time state action_url action_text"
)


def add_call(api: Api, user: Client | None = None, peer: Client | None = None, **changes: Any) -> int:
    row = {
        "start_time": api.services.clock() - 30,
        "connected_at": api.services.clock() - 20,
        "state": "CONNECTED",
        "src": "442079460001",
        "src_name": "442079460001",
        "dst": "12025550123",
        "clid": '"Ann" <442079460001>',
        "src_rate": 150,
        "user_id": user.user_id if user else None,
        "peer_user_id": peer.user_id if peer else None,
        **changes,
    }
    customer = user.customer_id if user else api.acme
    found: int = api.write(lambda db: rows.insert(db, schema.calls, customer, [row]))[0]
    return found


def test_a_live_call_has_unix_times_and_lasts_until_now(api: Api, clock: TestClock) -> None:
    call = add_call(api)
    clock.advance(5)
    answer = api.admin.get(f"/calls/{call}")
    assert " ".join(answer.data) == ATTRIBUTES
    assert (answer.data["start_time"], answer.data["connected_at"]) == (clock.now - 35, clock.now - 25)
    assert (answer.data["duration"], answer.data["src_rate"], answer.data["state"]) == (25, 0.015, "CONNECTED")
    assert api.admin.get("/calls").json == {"data": [answer.data], "total": 1}
    assert api.admin.get("/calls/999999").status == 404
    assert api.stranger.get(f"/calls/{call}").status == 404


def test_reception_sees_all_and_a_plain_user_own_calls(api: Api) -> None:
    mine, called, other = add_call(api, api.ann), add_call(api, api.bob, api.ann), add_call(api, api.bob)
    assert len(api.reception.listed("/calls")) == 3
    assert sorted(row["id"] for row in api.ann.listed("/calls")) == [mine, called]
    assert api.ann.get(f"/calls/{other}").status == 403
    assert api.ann.delete(f"/calls/{other}").status == 403
    assert api.ann.patch(f"/calls/{other}", {"dst": "101"}).status == 403
    path = f"/users/{api.bob.user_id}/calls"
    assert api.reception.get(path).json["total"] == 2
    assert api.bob.get(path).json["total"] == 2
    assert api.ann.get(path).status == 403
    assert api.stranger.get(path).status == 404


def test_without_presence_others_calls_are_closed(api: Api) -> None:
    mine, other = add_call(api, api.reception), add_call(api, api.bob)
    team(api, "Desk", api.reception, policies=("presence_disabled",))
    assert [row["id"] for row in api.reception.listed("/calls")] == [mine]
    assert api.reception.get(f"/calls/{other}").status == 403
    assert api.reception.get(f"/users/{api.bob.user_id}/calls").status == 403
    assert api.reception.delete(f"/calls/{mine}").status == 412


def test_hidden_numbers_are_masked_and_cannot_be_searched_for(api: Api) -> None:
    mine, other = add_call(api, api.reception), add_call(api, api.bob)
    team(api, "Desk", api.reception, policies=("presence_numbers_hidden", "billing_disabled"))
    masked = api.reception.get(f"/calls/{other}").data
    assert [masked[name] for name in ("src", "dst", "clid", "src_name", "src_rate")] == ["***", "***", None, None, None]
    assert [row["id"] for row in api.reception.listed("/calls", ("src", "like", "4420"))] == [mine]
    assert api.reception.get(f"/calls/{mine}").data["src"] == "442079460001"
    assert api.reception.get(f"/users/{api.bob.user_id}/calls").data[0]["dst"] == "***"
    assert api.admin.get(f"/calls/{other}").data["src"] == "442079460001"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("07946 000001", None),
        ("+44 (0)20-7946.0001", None),
        ("442079460001", None),
        ("Zoë", "Zoë"),
        ("日本", "日本"),
        ("Agent 47", "Agent 47"),
    ],
)
def test_a_name_that_is_the_number_is_masked_however_it_is_spelt(api: Api, name: str, shown: str | None) -> None:
    other = add_call(api, api.bob, src_name=name, dst_name=name)
    team(api, "Desk", api.reception, policies=("presence_numbers_hidden",))
    masked = api.reception.get(f"/calls/{other}").data
    assert (masked["src_name"], masked["dst_name"]) == (shown, shown)
    assert len(api.reception.listed("/calls", ("src_name", "eq", name))) == int(shown is not None)
    assert api.admin.get(f"/calls/{other}").data["src_name"] == name


def test_calling_without_a_phone_is_refused_at_once(api: Api) -> None:
    for client in (api.admin, api.ann):
        answer = client.post("/calls", {"to": "12025550123", "from": api.ann.user_id, "caller_id": "anonymous"})
        assert (answer.status, answer.json["message"]) == (412, "Unable to make a call with no VoIP clients registered")
    assert api.ann.post("/webcalls", {"from": "12025550123", "to": "101"}).status == 412


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["to"]),
        ({"to": "101", "from": 999_999}, ["from"]),
        ({"to": "101", "caller_id": "Ann"}, ["caller_id"]),
        ({"to": "", "from": "x", "nonsense": 1}, ["to", "from", "nonsense"]),
        ({"to": "Bob", "caller_id": "Ann"}, ["to", "caller_id"]),
    ],
)
def test_what_is_wrong_with_a_call_is_named(api: Api, body: dict[str, Any], fields: list[str]) -> None:
    answer = api.ann.post("/calls", body)
    assert (answer.status, answer.fields, answer.json["errors"][0]["code"]) == (400, fields, "SF0010")


def test_a_plain_user_calls_from_the_own_phone_only(api: Api) -> None:
    assert api.ann.post("/calls", {"to": "101", "from": api.bob.user_id}).status == 403
    assert api.reception.post("/calls", {"to": "101", "from": api.bob.user_id}).status == 412
    assert api.ann.post("/calls", {"to": "101", "from": api.stranger.user_id}).status == 400
    assert api.ann.post("/webcalls", {}).fields == ["from", "to"]
    assert api.ann.post("/webcalls", {"from": "Bob", "to": "+44 (20) x"}).fields == ["from", "to"]


def test_a_call_is_controlled_by_a_pbx_alone_but_carries_a_link(api: Api) -> None:
    call = add_call(api, api.ann)
    for body in ({"dst": "101"}, {"state": "CONNECTED"}, {"state": "answer"}):
        assert api.ann.patch(f"/calls/{call}", body).status == 412
    assert api.ann.delete(f"/calls/{call}").status == 412
    assert api.ann.patch(f"/calls/{call}", {"state": "ON_HOLD"}).fields == ["state"]
    assert api.ann.patch(f"/calls/{call}", {"action_url": "javascript:x"}).fields == ["action_url"]
    link = {"action_url": "https://crm.example/5", "action_text": "Open"}
    answer = api.ann.patch(f"/calls/{call}", link)
    assert answer.status == 200
    assert {name: answer.data[name] for name in link} == link
    assert api.ann.patch("/calls/999999", {}).status == 404
    fetched = {name: each for name, each in answer.data.items() if name not in ("dst", "state")}
    assert api.ann.patch(f"/calls/{call}", fetched).data == answer.data


def test_what_there_is_not_answers_in_the_usual_shapes(api: Api) -> None:
    for path in ("/faxes", "/transactions"):
        assert api.ann.get(path).json == {"data": [], "total": 0}
        assert api.nobody.get(path).status == 401
        for wrong in ({"page": 0}, {"limit": 10_001}, {"filter": "x"}, {"sort": "no such"}):
            assert api.ann.get(path, **wrong).status == 400
    answers = [api.ann.get("/faxes/5.pdf"), api.ann.get("/transactions/5.pdf")]
    answers += [api.ann.post("/leadcalls", {"to": "1"}), api.ann.post("/sms", {"to": "1"})]
    assert [answer.status for answer in answers] == [404] * 4
    assert all(answer.json["errors"] == [] for answer in answers)


def test_a_web_call_costs_no_more_a_minute_than_the_customer_allows(api: Api) -> None:
    """Without a PBX an order that is allowed is refused as that of somebody without a phone: 412."""
    api.admin.post("/rates", {"prefix": "44", "destination": "UK", "price": 0.02})
    api.admin.post("/rates", {"prefix": "4490", "destination": "UK premium", "price": 1.5})

    def placed(to: str, from_: str = "442079460001") -> Any:
        return api.ann.post("/webcalls", {"from": from_, "to": to})

    assert placed("+44 90 6587 0123").status == 412
    ceiling = api.admin.patch(f"/customers/{api.acme}", {"max_call_rate": 0.15})
    assert (ceiling.status, ceiling.data["max_call_rate"]) == (200, 0.15)
    assert [placed(to).status for to in ("442079460002", "020 7946 0002", "190")] == [412, 412, 400]
    ext = api.admin.get(f"/users/{api.ann.user_id}").data["ext"]
    assert placed(ext).status == 412
    dear = placed("09065870123")
    assert (dear.status, dear.json["message"]) == (400, "Maximum per minute call rate exceeded for 449065870123.")
    assert placed("442079460002", "449065870123").status == 400
    assert placed("+44 0 9065 870123").json["message"] == dear.json["message"]  # another spelling has the same price
    unrated = placed("12025550123")
    assert unrated.json["message"] == "Maximum per minute call rate exceeded for 12025550123."
    assert api.admin.patch(f"/customers/{api.acme}", {"max_call_rate": None}).status == 200
    assert placed("12025550123").status == 412
    assert api.admin.patch(f"/customers/{api.acme}", {"max_call_rate": -1}).fields == ["max_call_rate"]
