"""Finding a call by what its signalling says: Call-ID, number, address, user agent, cause."""

from typing import Any

import pytest

from ringback.sip.packet import Endpoint, Packet
from ringback.store import cdrs
from tests.api import Api, Client, filter_text
from tests.test_captures import START, cdr, stored, talk
from tests.test_cdrs import add, call

Condition = tuple[str, str, Any]


def found(client: Client, path: str, *conditions: Condition) -> list[int]:
    """The ids; the total is exact."""
    answer = client.get(path, filter=filter_text(*conditions))
    assert answer.status == 200, answer.body
    ids = [row["id"] for row in answer.data]
    assert answer.json["total"] == len(ids)
    return ids


@pytest.fixture
def calls(api: Api) -> dict[str, int]:
    """Two calls by name: Ann's with two legs, and one of nobody. A third has no signalling."""
    anns = cdr(api)
    other = cdr(api, src="442079460001", dst="442079460002", user_id=None)
    stored(api, talk("Leg-1@pbx"))
    stored(api, [_by_the_proxy(packet) for packet in talk("leg-2@Proxy")])
    stored(api, talk("third@pbx", src="442079460001", dst="442079460002"))
    bare = cdr(api, src="1", dst="2")
    return {"anns": anns, "other": other, "bare": bare}


def _by_the_proxy(packet: Packet) -> Packet:
    """The same call between other machines."""
    ends = {"192.0.2.101": Endpoint("2001:db8::5", 5060), "192.0.2.201": Endpoint("198.51.100.7", 5060)}
    payload = packet.payload.replace(b"Content-Length", b"User-Agent: Grandstream GXP\r\nContent-Length")
    return packet._replace(src=ends[packet.src.ip], dst=ends[packet.dst.ip], payload=payload)


BY_LEG: list[tuple[list[Condition], set[str]]] = [
    ([("msdr.call_id", "eq", "Leg-1@pbx")], {"anns"}),
    ([("msdr.call_id", "eq", "leg-1@PBX")], set()),
    ([("msdr.call_id", "in", ["leg-2@Proxy", "third@pbx"])], {"anns", "other"}),
    ([("msdr.call_id", "like", "@pb")], {"anns", "other"}),
    ([("msdr.call_id", "notlike", "third")], {"anns", "bare"}),
    ([("msdr.call_id", "ne", "third@pbx")], {"anns", "bare"}),
    ([("msdr.call_id", "eq", None)], {"bare"}),
    ([("msdr.call_id", "ne", None)], {"anns", "other"}),
    ([("msdr.src_ip", "eq", "2001:db8::5")], {"anns"}),
    ([("msdr.dst_ip", "like", "198.51")], {"anns"}),
    ([("msdr.src_ip", "eq", "192.0.2.101")], {"anns", "other"}),
    ([("msdr.src_ua", "like", "grandSTREAM")], {"anns"}),
    ([("msdr.dst", "eq", "+44 20 7946 0002")], {"other"}),
    ([("msdr.t_cause", "eq", "normal clearing")], {"anns", "other"}),
    ([("msdr.created_at", "gte", "2026-11-22")], {"anns", "other"}),
    ([("msdr.call_id", "like", "@"), ("src", "eq", "101")], {"anns"}),
    ([("msdr.src_ip", "eq", "192.0.2.101"), ("msdr.src_ip", "eq", "2001:db8::5")], {"anns"}),
]


@pytest.mark.parametrize(("conditions", "names"), BY_LEG)
def test_a_call_is_found_by_one_of_its_legs(
    api: Api, calls: dict[str, int], conditions: list[Condition], names: set[str]
) -> None:
    assert set(found(api.admin, "/cdrs", *conditions)) == {calls[name] for name in names}
    assert set(found(api.ann, "/cdrs", *conditions)) == {calls[name] for name in names & {"anns", "bare"}}
    assert found(api.stranger, "/cdrs", *conditions) == []


def test_a_total_follows_the_legs(api: Api, calls: dict[str, int]) -> None:
    """No remembered one is shown when only an MSDR has come in."""
    asked: Condition = ("msdr.dst_ip", "eq", "192.0.2.201")
    assert set(found(api.admin, "/cdrs", asked)) == {calls["anns"], calls["other"]}
    late = cdr(api, src="105", dst="106")
    assert set(found(api.admin, "/cdrs", asked)) == {calls["anns"], calls["other"]}
    stored(api, talk("late@pbx", src="105", dst="106"))
    assert set(found(api.admin, "/cdrs", asked)) == {calls["anns"], calls["other"], late}


def test_legs_are_for_filters_only(api: Api, calls: dict[str, int]) -> None:
    refused = api.admin.get("/cdrs", sort="msdr.call_id")
    assert refused.status == 400
    assert "Unknown property 'msdr.call_id'" in refused.json["message"]
    assert api.admin.get("/cdrs", filter=filter_text(("msdr.quality", "eq", "1"))).status == 400
    assert not any(name.startswith("msdr") for name in api.admin.get(f"/cdrs/{calls['anns']}").data)


def hop(api: Api, root: int, **changes: Any) -> int:
    """Another CDR of the call whose root (a `live_id`) this is."""
    (cdr_id,) = add(
        api, call(START + 3, **{"root_live_id": root, "parent_live_id": root, "live_id": root + 1, **changes})
    )
    return cdr_id


def test_every_cdr_of_a_call_is_found_by_its_legs(api: Api, calls: dict[str, int]) -> None:
    """Its signalling belongs to the first one: it was for instance tried again over another trunk."""
    first = cdr(api, src="101", dst="6102", live_id=70, root_live_id=70)
    second = hop(api, 70, src="101", dst="6102", user_id=api.ann.user_id)
    bobs = hop(api, 70, src="5550100", dst="102", user_id=api.bob.user_id, live_id=72)
    stored(api, talk("Leg-9@pbx", dst="6102"))
    asked = ("msdr.call_id", "eq", "Leg-9@pbx")
    assert set(found(api.admin, "/cdrs", asked)) == {first, second, bobs}
    assert set(found(api.ann, "/cdrs", asked)) == {first, second}
    assert found(api.bob, "/cdrs", asked) == []  # who has no part in the leg's CDR learns nothing of the leg
    assert set(found(api.admin, f"/users/{api.ann.user_id}/cdrs", asked)) == {first, second}
    others = found(api.admin, "/cdrs", ("msdr.call_id", "ne", "Leg-9@pbx"))
    assert set(others) == set(calls.values())


def test_lists_exports_and_wipes_take_the_same_filter(api: Api, calls: dict[str, int]) -> None:
    asked = filter_text(("msdr.call_id", "eq", "third@pbx"))
    lines = api.admin.get("/cdrs.csv", filter=asked).body.decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(calls["other"])]
    own = api.admin.get(f"/users/{api.ann.user_id}/cdrs", filter=filter_text(("msdr.call_id", "eq", "Leg-1@pbx")))
    assert [row["id"] for row in own.data] == [calls["anns"]]
    entry = {"property": "msdr.call_id", "operator": "like", "value": "leg-"}
    assert api.admin.post("/holds", {"resource": "cdrs", "filter": [entry], "reason": "Complaint"}).status == 201
    assert api.admin.delete("/cdrs", filter=filter_text(("msdr.call_id", "like", "Leg-1"))).status == 403
    assert api.admin.delete("/cdrs", filter=asked).status == 204
    assert set(found(api.admin, "/cdrs")) == {calls["anns"], calls["bare"]}


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (("call_id", "eq", "Leg-1@pbx"), {"Leg-1@pbx"}),
        (("call_id", "like", "LEG-"), {"Leg-1@pbx", "leg-2@Proxy"}),
        (("src", "eq", "+44 20 7946-0001"), {"third@pbx"}),
        (("dst", "like", "0255501"), {"Leg-1@pbx", "leg-2@Proxy"}),
        (("src_ip", "eq", "2001:db8::5"), {"leg-2@Proxy"}),
        (("dst_ip", "like", "192.0.2."), {"Leg-1@pbx", "third@pbx"}),
        (("src_ua", "like", "gxp"), {"leg-2@Proxy"}),
        (("t_cause", "eq", "Normal clearing"), {"Leg-1@pbx", "leg-2@Proxy", "third@pbx"}),
        (("t_cause", "ne", "Normal Clearing"), set()),
    ],
)
def test_a_dialog_is_found_by_everything_that_it_says(
    api: Api, calls: dict[str, int], condition: Condition, names: set[str]
) -> None:
    for path, own in (("/msdrs", names), ("/mediasessions", names)):
        if path == "/mediasessions" and condition[0] in ("src", "dst", "t_cause"):
            continue  # the reference page has no such attribute of a media session
        ids = {row["id"]: row["call_id"] for row in api.admin.listed(path)}
        assert {ids[each] for each in found(api.admin, path, condition)} == own
        assert {ids[each] for each in found(api.ann, path, condition)} == own - {"third@pbx"}
        assert found(api.stranger, path, condition) == []


def test_a_call_of_another_customer_is_not_found_by_a_leg_of_the_same_name(api: Api, calls: dict[str, int]) -> None:
    theirs = call(START, src="101", dst="12025550123")
    (cdr_id,) = api.write(lambda db: cdrs.insert(db, api.stranger.customer_id, [theirs]))
    stored(api, talk("Leg-1@pbx"), api.stranger.customer_id)
    assert found(api.stranger, "/cdrs", ("msdr.call_id", "eq", "Leg-1@pbx")) == [cdr_id]
    assert found(api.admin, "/cdrs", ("msdr.call_id", "eq", "Leg-1@pbx")) == [calls["anns"]]
