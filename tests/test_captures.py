"""Captured calls: packets in, media sessions and MSDRs, their CDRs, and the signalling back as trace and pcap."""

import io
from typing import Any

from ringback.resources.history.traces import PCAP, TEXT
from ringback.sip import capture
from ringback.sip.packet import Endpoint, Packet, is_rtcp
from ringback.store.mediasessions import Saved
from tests.api import Api
from tests.packets import from_file, stored_packets
from tests.policies import team
from tests.sip.sip_flows import START_US, flow
from tests.sip.test_sip_trace import heard, receiver_report
from tests.test_cdrs import add, call

START = START_US // 1_000_000
TALK = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv
    0.3   bob   > alice  180/INVITE  1
    2.0   bob   > alice  200/INVITE  1  sdp=sendrecv
    2.1   alice > bob    ACK         1  to-tag
    9.5   alice > bob    BYE         2  to-tag  Reason=Q.850;cause=16;text="Normal_Clearing"
    9.6   bob   > alice  200/BYE     2
"""
REPORT = Packet(
    START_US + 5_000_000,
    "UDP",
    Endpoint("192.0.2.101", 49173),
    Endpoint("192.0.2.201", 3457),
    receiver_report(0x22, heard(0x11, 64, 3, 17)),
)
MSDR = (
    "id call_id created_at dst dst_id dst_ua duration media_session_id src src_id src_ua t_cause type user_id quality "
    "src_ip dst_ip ended_by"
)
SESSION = "id call_id created_at dst_id dst_ua duration src_id src_ua status type updated_at user quality src_ip dst_ip"


def talk(call_id: str = "one@pbx", src: str = "101", dst: str = "12025550123") -> list[Packet]:
    """A call that lasted 7 seconds, between these numbers."""
    return [_renumbered(packet, src, dst) for packet in flow(TALK, call_id=call_id)]


def _renumbered(packet: Packet, src: str, dst: str) -> Packet:
    content = packet.payload.replace(b"sip:alice@", b"sip:%s@" % src.encode())
    return packet._replace(payload=content.replace(b"sip:bob@", b"sip:%s@" % dst.encode()))


def stored(api: Api, packets: list[Packet], customer: int | None = None) -> tuple[int, Saved]:
    """As the importer does it: 101 is Ann, 102 is Bob. How many packets are new, and what of what they make."""
    found = from_file(api, packets, customer, {"101": api.ann.user_id, "102": api.bob.user_id})
    return found.new, found.saved


def cdr(api: Api, **changes: Any) -> int:
    (cdr_id,) = add(api, call(START, **{"src": "101", "dst": "12025550123", "user_id": api.ann.user_id, **changes}))
    return cdr_id


def expire(api: Api, before_us: int) -> None:
    """The oldest packets are deleted."""
    for day, row in stored_packets(api):
        if row.at_us < before_us:
            one = [(row.call, row.digest)]
            api.write(lambda db, day=day, one=one: db.slices.remove_packets(api.acme, day, one))


def test_an_ended_dialog_becomes_a_media_session_and_an_msdr(api: Api) -> None:
    assert stored(api, [*talk(), REPORT]) == (7, Saved(mediasessions=1, msdrs=1))
    (msdr,) = api.admin.listed("/msdrs")
    (session,) = api.admin.listed("/mediasessions")
    assert " ".join(msdr) == MSDR
    assert " ".join(session) == SESSION
    assert (msdr["call_id"], msdr["src"], msdr["dst"]) == ("one@pbx", "101", "12025550123")
    assert (msdr["created_at"], msdr["duration"]) == ("2026-11-22 10:00:00", 7)
    assert (msdr["type"], msdr["src_id"], msdr["dst_id"]) == ("O", str(api.ann.user_id), "0")
    assert msdr["user_id"] == session["user"] == api.ann.user_id
    assert msdr["media_session_id"] == session["id"]
    assert (msdr["t_cause"], msdr["ended_by"]) == ("Normal Clearing", "src")
    assert api.admin.listed("/msdrs", ("ended_by", "eq", "src")) == [msdr]
    assert api.admin.listed("/msdrs", ("ended_by", "eq", "dst")) == []
    assert (msdr["src_ip"], msdr["dst_ip"]) == (session["src_ip"], session["dst_ip"]) == ("192.0.2.101", "192.0.2.201")
    heard = {"reports": 1, "fraction_lost": 0.25, "lost": 3, "jitter": 17, "round_trip_ms": None}
    assert msdr["quality"].items() >= heard.items()
    assert (session["status"], session["updated_at"]) == ("ENDED", "2026-11-22 10:00:09")
    assert api.admin.get(f"/msdrs/{msdr['id']}").data == msdr
    assert api.admin.get(f"/mediasessions/{session['id']}").data == session


def test_the_type_says_which_end_is_ours(api: Api) -> None:
    for src, dst, kind, user in (
        ("101", "12025550123", "O", api.ann),
        ("12025550123", "102", "I", api.bob),
        ("101", "102", "INTERNAL", api.ann),
        ("12025550123", "442079460001", None, None),
    ):
        stored(api, talk(f"{src}-{dst}", src, dst))
        (msdr,) = api.admin.listed("/msdrs", ("call_id", "eq", f"{src}-{dst}"))
        assert (msdr["type"], msdr["user_id"]) == (kind, user and user.user_id)


def test_a_capture_stored_twice_adds_nothing(api: Api) -> None:
    packets = [*talk(), REPORT]
    stored(api, packets)
    before = api.admin.get("/msdrs").json, api.admin.get("/mediasessions").json
    assert stored(api, packets) == (0, Saved(0, 0))
    assert stored(api, packets[:4]) == (0, Saved(0, 0))
    assert (api.admin.get("/msdrs").json, api.admin.get("/mediasessions").json) == before


def test_the_parts_of_a_capture_make_one_session(api: Api) -> None:
    packets = talk()
    assert stored(api, packets[:4]) == (4, Saved(mediasessions=1, msdrs=0))
    assert api.admin.listed("/msdrs") == []
    assert api.admin.listed("/mediasessions")[0]["status"] == "CONNECTED"
    assert stored(api, packets) == (2, Saved(mediasessions=0, msdrs=1))
    assert [row["status"] for row in api.admin.listed("/mediasessions")] == ["ENDED"]
    assert [row["duration"] for row in api.admin.listed("/msdrs")] == [7]


def test_a_user_sees_own_dialogs_only(api: Api) -> None:
    stored(api, talk())
    (msdr,) = api.ann.listed("/msdrs")
    (session,) = api.ann.listed("/mediasessions")
    assert api.bob.get("/msdrs").json == {"data": [], "total": 0}
    for path in (f"/msdrs/{msdr['id']}", f"/mediasessions/{session['id']}"):
        assert api.bob.get(path).status == 403
        assert api.stranger.get(path).status == 404
    for ending in (".trace", ".pcap"):
        assert api.bob.get(f"/msdrs/{msdr['id']}{ending}").status == 403
        assert api.stranger.get(f"/msdrs/{msdr['id']}{ending}").status == 404


def test_the_vocabularies_need_no_login(api: Api) -> None:
    types = {"property": "type", "values": [{"id": "O", "name": "Outbound"}, {"id": "I", "name": "Inbound"}]}
    types["values"] += [{"id": "INTERNAL", "name": "Internal"}]  # type: ignore[operator]
    ended = [{"id": "src", "name": "The caller"}, {"id": "dst", "name": "The callee"}]
    ended_by = {"property": "ended_by", "values": ended}
    assert api.nobody.get("/msdrs/dictionaries").json == {"data": [types, ended_by], "total": 2}
    assert [each["property"] for each in api.nobody.get("/mediasessions/dictionaries").data] == ["status", "type"]


def test_the_packets_come_back_byte_by_byte(api: Api) -> None:
    packets = sorted([*talk(), REPORT], key=lambda packet: packet.at_us)
    odd = packets[0]._replace(at_us=START_US + 1, payload=packets[0].payload + bytes(range(256)))
    stored(api, [*packets, odd])
    (msdr,) = api.admin.listed("/msdrs")
    answer = api.admin.get(f"/msdrs/{msdr['id']}.pcap")
    assert answer.status == 200
    assert answer.headers["content-type"] == PCAP
    assert answer.headers["content-disposition"] == f'attachment; filename="msdr-{msdr["id"]}.pcap"'
    assert "x-incomplete" not in answer.headers
    assert list(capture.read(io.BytesIO(answer.body))) == [packets[0], odd, *packets[1:]]


def test_a_trace_shows_every_message_under_its_line(api: Api) -> None:
    stored(api, [*talk(), REPORT])
    (msdr,) = api.admin.listed("/msdrs")
    answer = api.admin.get(f"/msdrs/{msdr['id']}.trace")
    assert answer.headers["content-type"] == TEXT
    lines = answer.body.decode().splitlines()
    assert lines[0] == "2026-11-22 10:00:00.000000 UDP 192.0.2.101:5060 -> 192.0.2.201:5060"
    assert lines[1].startswith("INVITE sip:12025550123@")
    assert sum(line.startswith("2026-11-22 10:00:0") for line in lines) == 7
    assert sum(" RTCP RR " in line for line in lines) == 1


def test_a_cdr_has_the_signalling_of_all_legs_of_its_call(api: Api) -> None:
    first = cdr(api, live_id=5_001, dst="600")
    second = cdr(api, live_id=5_002, parent_live_id=5_001, root_live_id=5_001, dst="102", dst_id=str(api.bob.user_id))
    other = cdr(api, live_id=5_003, dst="12025550199")
    stored(api, [*talk("leg1", dst="600"), *talk("leg2", dst="102"), REPORT])
    stored(api, talk("elsewhere", dst="12025550199"))
    whole = api.admin.get(f"/cdrs/{first}.pcap")
    assert whole.headers["content-disposition"] == f'attachment; filename="cdr-{first}.pcap"'
    packets = list(capture.read(io.BytesIO(whole.body)))
    assert sum(is_rtcp(packet.payload) for packet in packets) == 1  # of both legs, in the file once
    assert len(packets) == 13
    assert packets == sorted(packets, key=lambda packet: packet.at_us)
    assert api.admin.get(f"/cdrs/{second}.pcap").body == whole.body
    bobs = list(capture.read(io.BytesIO(api.bob.get(f"/cdrs/{second}.pcap").body)))
    assert {each.payload for each in bobs} == {each.payload for each in [*talk("leg2", dst="102"), REPORT]}
    assert b"elsewhere" not in api.admin.get(f"/cdrs/{second}.trace").body
    assert b"elsewhere" in api.admin.get(f"/cdrs/{other}.trace").body
    assert api.bob.get(f"/cdrs/{other}.trace").status == 403
    assert api.stranger.get(f"/cdrs/{other}.trace").status == 404


def test_what_a_file_has_of_several_interfaces_is_shown_once(api: Api) -> None:
    """As `tcpdump -i any` writes it beside a bridge; a retransmission half a second later is one all the same."""
    invite, *others = talk()
    again = invite._replace(at_us=invite.at_us + 500_000)
    stored(api, [each._replace(at_us=each.at_us + by) for each in (invite, again, *others) for by in (0, 40, 90)])
    (msdr,) = api.admin.listed("/msdrs")
    assert api.admin.get(f"/msdrs/{msdr['id']}.trace").body.count(b"Call-ID: one@pbx") == 7
    read = list(capture.read(io.BytesIO(api.admin.get(f"/msdrs/{msdr['id']}.pcap").body)))
    assert read == sorted([invite, again, *others], key=lambda each: each.at_us)


def test_without_anything_captured_there_is_no_file(api: Api) -> None:
    cdr_id = cdr(api)
    for ending in (".trace", ".pcap"):
        assert api.admin.get(f"/cdrs/{cdr_id}{ending}").status == 404


def test_what_is_left_of_an_expired_capture_says_so(api: Api) -> None:
    cdr_id = cdr(api)
    stored(api, talk())
    assert "x-incomplete" not in api.admin.get(f"/cdrs/{cdr_id}.pcap").headers
    expire(api, START_US + 1_000_000)
    for ending in (".trace", ".pcap"):
        answer = api.admin.get(f"/cdrs/{cdr_id}{ending}")
        assert answer.status == 200
        assert "x-incomplete" in answer.headers
    expire(api, START_US + 60_000_000)
    assert api.admin.get(f"/cdrs/{cdr_id}.pcap").status == 404


def test_a_bye_that_is_left_alone_is_still_shown(api: Api) -> None:
    stored(api, talk())
    (msdr,) = api.admin.listed("/msdrs")
    expire(api, talk()[-2].at_us)
    answer = api.admin.get(f"/msdrs/{msdr['id']}.trace")
    assert (answer.status, answer.body.count(b"BYE sip:")) == (200, 1)
    assert "x-incomplete" in answer.headers


def is_linked(api: Api, cdr_id: int) -> bool:
    return api.admin.get(f"/cdrs/{cdr_id}.trace").status == 200


def test_an_msdr_belongs_to_the_one_cdr_of_its_numbers_and_time(api: Api) -> None:
    fitting: list[dict[str, Any]] = [
        {"dst": "12025550000", "calldate": START + 5},
        {"dst": "12025550001", "src": "442079460101", "src_id": str(api.ann.user_id)},  # another number, the same user
        {"dst": "12025550002", "src": "442079460101", "clid": '"Ann" <101>'},
        {"dst": "2025550003"},  # dialled without the country
        {"dst": "0012025550004"},
    ]
    for number, changes in enumerate(fitting):
        cdr_id = cdr(api, **changes)
        stored(api, talk(f"call{number}", dst=f"1202555{number:04}"))
        assert is_linked(api, cdr_id), changes


def test_doubt_links_nothing(api: Api) -> None:
    unfit: list[dict[str, Any]] = [
        {"calldate": START + 6},
        {"calldate": START - 6},
        {"dst": "0123"},
        {"dst": None},
        {"src": "102"},
    ]
    for number, changes in enumerate(unfit):
        cdr_id = cdr(api, **{"dst": f"1202555{number:04}", **changes})
        stored(api, talk(f"call{number}", dst=f"1202555{number:04}"))
        assert not is_linked(api, cdr_id), changes
    twins = [cdr(api, dst="12025559999"), cdr(api, dst="12025559999", calldate=START + 2)]
    stored(api, talk("twin", dst="12025559999"))
    assert not any(is_linked(api, twin) for twin in twins)


def test_hops_of_one_call_are_no_doubt(api: Api) -> None:
    first = {"dst": "12025559998", "live_id": 901, "root_live_id": 901}
    root = cdr(api, **first)
    hop = cdr(api, **{**first, "live_id": 902, "parent_live_id": 901, "calldate": START + 1})
    stored(api, talk("hops", dst="12025559998"))
    assert is_linked(api, root)
    assert is_linked(api, hop)


def test_another_customers_cdr_is_never_linked(api: Api) -> None:
    cdr_id = cdr(api)
    stored(api, talk(), customer=api.other)
    assert not is_linked(api, cdr_id)


def test_cdrs_that_come_in_after_the_capture_are_linked_too(api: Api) -> None:
    stored(api, talk())
    far, near = add(api, call(START - 60, src="101", dst="12025550123"), call(START + 1, src="101", dst="12025550123"))
    assert is_linked(api, near)
    assert not is_linked(api, far)


def test_a_deleted_cdr_leaves_the_msdr(api: Api) -> None:
    cdr(api)
    stored(api, talk())
    assert api.admin.delete("/cdrs").status == 204
    (msdr,) = api.admin.listed("/msdrs")
    assert api.admin.get(f"/msdrs/{msdr['id']}.trace").status == 200


def test_the_calls_of_a_user(api: Api) -> None:
    anns, bobs = cdr(api), cdr(api, user_id=api.bob.user_id)
    assert [row["id"] for row in api.admin.listed(f"/users/{api.ann.user_id}/cdrs")] == [anns]
    assert [row["id"] for row in api.bob.listed(f"/users/{api.bob.user_id}/cdrs")] == [bobs]
    table = api.ann.get(f"/users/{api.ann.user_id}/cdrs.csv", limit=0)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [line.partition(",")[0] for line in table.body.decode().splitlines()] == ["id", str(anns)]
    for ending in ("", ".csv"):
        assert api.ann.get(f"/users/{api.bob.user_id}/cdrs{ending}").status == 403
        assert api.stranger.get(f"/users/{api.bob.user_id}/cdrs{ending}").status == 404
        assert api.admin.get(f"/users/999/cdrs{ending}").status == 404


def test_exports_can_be_closed_for_administrators_too(api: Api) -> None:
    team(api, "Desk", api.admin, api.ann, policies=("export_disabled",))
    assert api.ann.get(f"/users/{api.ann.user_id}/cdrs.csv").status == 403
    assert api.ann.get(f"/users/{api.ann.user_id}/cdrs").status == 200
    assert api.ann.get("/users/999/cdrs.csv").status == 404
