"""What a plain user sees of a call: the own legs, and those of CDRs with a part of the own. Whatever a phone writes into its
messages, and an INVITE may name any Call-ID, opens nobody else's leg."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.api import Api, Client
from tests.packets import from_file
from tests.test_captures import cdr
from tests.test_ladders import shared
from tests.test_legs import ANN, BOB, PBX, UUIDS, Dialog

ENDINGS = (".trace", ".pcap", ".svg", ".html", "/diagnosis")
SECRET = "12025550199"
"""Whom Ann calls: it stands in all of her messages, and in none of Bob's."""
ANNS = Dialog("anns@pbx", src="101", dst=SECRET, media=f"{ANN}:4000", headers=[f"Session-ID: {UUIDS[0]}"])
BOBS = Dialog("bobs@phone", src="102", dst="12025550123", path=(BOB, PBX), at=0.5)
FORGED: list[Dialog] = [
    *(
        replace(BOBS, headers=[line])
        for line in (
            "X-CID: anns@pbx",
            "X-Original-Call-ID: anns@pbx",
            "Replaces: anns@pbx;to-tag=b;from-tag=a",
            "Join: anns@pbx;to-tag=b;from-tag=a",
            "Target-Dialog: anns@pbx;local-tag=a;remote-tag=b",
            "In-Reply-To: anns@pbx",
            f"Session-ID: {UUIDS[1]};remote={UUIDS[0]}",
        )
    ),
    replace(BOBS, refers="<sip:9@x?Replaces=anns%40pbx%3Bto-tag%3D1>"),
]


def store(api: Api, *dialogs: Dialog) -> None:
    users = {"101": api.ann.user_id, "102": api.bob.user_id}
    for each in dialogs:
        from_file(api, each.packets(), users=users)


def msdr(api: Api, call_id: str) -> int:
    (found,) = api.admin.listed("/msdrs", ("call_id", "eq", call_id))
    return int(found["id"])


@pytest.mark.parametrize("forged", FORGED, ids=lambda each: "".join(each.headers).partition(":")[0] or "Refer-To")
def test_whoever_names_a_call_does_not_see_it(api: Api, forged: Dialog) -> None:
    store(api, ANNS, forged)
    bobs_cdr = cdr(api, src="102", user_id=api.bob.user_id)
    bobs = f"/msdrs/{msdr(api, 'bobs@phone')}"
    assert SECRET.encode() in api.admin.get(f"{bobs}.trace").body  # else nothing is tried here
    for path in (bobs, f"/cdrs/{bobs_cdr}"):
        answers = [api.bob.get(f"{path}{ending}") for ending in ENDINGS]
        assert {each.status for each in answers} == {200}
        assert not any(text.encode() in each.body for each in answers for text in (SECRET, ANN))
        assert b"Call-ID: bobs@phone" in answers[0].body
    _, link = shared(api, api.bob, bobs_cdr)
    answers = [api.nobody.get(f"{link}{file}") for file in ("", "/trace.txt", "/call.pcap")]
    assert {each.status for each in answers} == {200}
    assert not any(text.encode() in each.body for each in answers for text in (SECRET, ANN))


def test_a_link_shows_what_its_maker_sees(api: Api) -> None:
    store(api, ANNS, FORGED[0])
    _, link = shared(api, api.admin, cdr(api, src="102", user_id=api.bob.user_id))
    assert SECRET.encode() in api.nobody.get(f"{link}/trace.txt").body


def test_what_is_missing_of_a_hidden_leg_is_not_told(api: Api) -> None:
    store(api, ANNS, FORGED[0])
    sql = "UPDATE mediasessions SET slice_day = NULL WHERE customer_id = :customer AND call_id = 'anns@pbx'"
    api.write(lambda db: db.run(sql, {"customer": api.acme}))
    assert "x-incomplete" not in api.bob.get(f"/msdrs/{msdr(api, 'bobs@phone')}.trace").headers


def _legs(client: Client, path: str, of: Sequence[str]) -> list[str]:
    body = client.get(f"{path}.trace").body
    return [call_id for call_id in of if f"Call-ID: {call_id}".encode() in body]


def test_both_sides_of_a_call_between_two_users_are_seen_by_both(api: Api) -> None:
    """Through a PBX: each has a part in both legs."""
    store(api, Dialog("in@ann"), Dialog("out@pbx", path=(PBX, BOB), at=0.1, ended=10.1))
    both = cdr(api, src="101", dst="102", dst_id=str(api.bob.user_id))
    for client in (api.ann, api.bob, api.admin):
        assert _legs(client, f"/cdrs/{both}", ["in@ann", "out@pbx"]) == ["in@ann", "out@pbx"]


def test_the_leg_to_the_trunk_is_seen_where_a_cdr_of_the_own_has_it(api: Api) -> None:
    """Towards the trunk the caller is a number of the company's, nobody's extension: the CDR says whose call it is."""
    inner = Dialog("in@ann", dst="12025550123")
    outer = Dialog("out@pbx", src="4930111222", dst="12025550123", path=(PBX, "198.51.100.1"), at=0.1, ended=10.1)
    outer.headers = ["X-CID: in@ann"]
    store(api, inner, outer)
    legs = ["in@ann", "out@pbx"]
    assert _legs(api.ann, f"/msdrs/{msdr(api, 'in@ann')}", legs) == ["in@ann"]
    whole = cdr(api, dst="12025550123", clid='"Acme" <4930111222>')
    assert _legs(api.ann, f"/msdrs/{msdr(api, 'in@ann')}", legs) == legs
    assert _legs(api.ann, f"/cdrs/{whole}", legs) == legs


def test_the_other_hops_of_a_call_are_seen_by_who_has_a_part_in_them(api: Api) -> None:
    """A menu leads to Bob: he sees the leg to him, and not what the caller did before."""
    menu = cdr(api, live_id=5_001, src="12025550777", dst="600", user_id=None)
    to_bob = {"parent_live_id": 5_001, "root_live_id": 5_001, "dst_id": str(api.bob.user_id)}
    hop = cdr(api, live_id=5_002, src="12025550777", dst="102", user_id=api.bob.user_id, **to_bob)
    store(api, Dialog("in@trunk", src="12025550777", dst="600"))
    store(api, Dialog("to@bob", src="12025550777", dst="102", path=(PBX, BOB), at=1))
    legs = ["in@trunk", "to@bob"]
    assert _legs(api.admin, f"/cdrs/{menu}", legs) == legs
    assert _legs(api.bob, f"/cdrs/{hop}", legs) == ["to@bob"]


def test_a_leg_that_the_pbx_names_is_seen_with_its_cdr(api: Api) -> None:
    """The PBX says which Call-ID a CDR has; nobody's number is in it."""
    store(api, Dialog("named@pbx", src="3", dst="4"))
    own = cdr(api, src="5", dst="6", uniqueid="named@pbx")
    assert _legs(api.ann, f"/cdrs/{own}", ["named@pbx"]) == ["named@pbx"]
