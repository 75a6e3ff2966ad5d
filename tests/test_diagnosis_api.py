"""Diagnoses of stored calls: who gets them, what they look like, and what any bytes do to them."""

import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.sip.capture import hep
from ringback.sip.diagnosis import KINDS, diagnose
from ringback.sip.diagnosis.finding import MOST_PROOFS
from ringback.sip.packet import Endpoint, Packet
from ringback.store import captures
from tests.api import Api
from tests.healthy import SORTS, healthy
from tests.scenes import START_US, scene
from tests.test_captures import cdr, stored, talk

DOCS = Path(__file__).parent.parent / "docs" / "diagnosis.md"
LAB = Path(__file__).parent / "captures" / "lab"
UNANSWERED = "0.0 alice > bob INVITE 1 sdp x7 to=12025550123\n34.0 alice > bob CANCEL 1 to=12025550123\n"


def diagnosed(api: Api, table: str) -> list[dict[str, Any]]:
    """Of a call of Ann's."""
    cdr_id = cdr(api)
    stored(api, scene(table))
    found: list[dict[str, Any]] = api.ann.get(f"/cdrs/{cdr_id}/diagnosis").data
    return found


# -- the operations -----------------------------------------------------------------------------------------------------


def test_a_finding_has_words_and_the_messages_that_prove_it(api: Api) -> None:
    (found,) = diagnosed(api, UNANSWERED)
    assert list(found) == ["severity", "code", "happened", "look_at", "messages"]
    assert (found["severity"], found["code"]) == ("error", "invite-no-response")
    assert found["happened"].startswith("203.0.113.22:5060 did not answer the INVITE of 198.51.100.11:5060")
    assert found["look_at"].startswith("See whether the next hop runs")
    assert len(found["messages"]) == 7
    assert found["messages"][1] == {
        "index": 2,
        "at_us": START_US + 500_000,
        "from": "198.51.100.11:5060",
        "to": "203.0.113.22:5060",
        "line": "INVITE sip:12025550123@example.com SIP/2.0",
    }


def test_the_index_is_the_place_in_the_trace(api: Api) -> None:
    (found,) = diagnosed(api, UNANSWERED.replace("\n34", "\n3.0 alice ~ bob RTCP sent=1\n34"))
    (msdr,) = api.admin.listed("/msdrs")
    text = api.admin.get(f"/msdrs/{msdr['id']}.trace").body.decode()
    entries = re.findall(r"^(?:\d{4}-\d\d-\d\d [\d:.]+ UDP .*)$", text, re.M)
    for each in found["messages"]:
        assert f"{each['from']} -> {each['to']}" in entries[each["index"] - 1]


def test_a_healthy_call_answers_an_empty_list(api: Api) -> None:
    cdr_id = cdr(api)
    stored(api, talk())
    (msdr,) = api.admin.listed("/msdrs")
    for path in (f"/cdrs/{cdr_id}/diagnosis", f"/msdrs/{msdr['id']}/diagnosis"):
        answer = api.ann.get(path)
        assert answer.json == {"data": [], "total": 0}
        assert answer.headers["cache-control"] == "private"


def test_who_may_not_see_the_trace_sees_no_diagnosis(api: Api) -> None:
    cdr_id = cdr(api)
    stored(api, talk())
    (msdr,) = api.admin.listed("/msdrs")
    for path in (f"/cdrs/{cdr_id}/diagnosis", f"/msdrs/{msdr['id']}/diagnosis"):
        answers = [each.get(path).status for each in (api.admin, api.ann, api.bob, api.stranger, api.nobody)]
        assert answers == [200, 200, 403, 404, 401]


def test_without_anything_captured_there_is_no_diagnosis(api: Api) -> None:
    assert api.admin.get(f"/cdrs/{cdr(api)}/diagnosis").status == 404
    assert api.admin.get("/cdrs/999999/diagnosis").status == 404


# -- on the page of the ladder ------------------------------------------------------------------------------------------


def page_of(api: Api, table: str) -> ET.Element:
    cdr_id = cdr(api)
    stored(api, scene(table))
    return ET.fromstring(api.ann.get(f"/cdrs/{cdr_id}.html").body.decode().partition("\n")[2])


def test_the_page_has_the_findings_above_the_diagram_with_links_to_the_rows(api: Api) -> None:
    root = page_of(api, UNANSWERED)
    section = next(each for each in root.iter("section") if each.get("class") == "findings")
    assert (section.findtext(".//h3") or "").startswith("Error: 203.0.113.22:5060 did not answer the INVITE")
    links = [each.get("href") or "" for each in section.iter("a")]
    assert links == [f"#m{row}" for row in range(1, 8)]
    assert {each.get("id") for each in root.iter("section")} >= {link[1:] for link in links}


def test_the_page_of_a_healthy_call_has_none(api: Api) -> None:
    cdr_id = cdr(api)
    stored(api, talk())
    assert b'class="findings"' not in api.ann.get(f"/cdrs/{cdr_id}.html").body


def test_what_somebody_wrote_into_a_response_stays_text(api: Api) -> None:
    page = page_of(
        api,
        "0.0 alice > bob INVITE 1 sdp to=12025550123\n0.1 bob > alice 403/INVITE 1 Warning=399_x_<script>alert(1)</script>",
    )
    section = next(each for each in page.iter("section") if each.get("class") == "findings")
    assert "<script>alert(1)</script>" in "".join(section.itertext())
    assert list(section.iter("script")) == []


# -- the documentation --------------------------------------------------------------------------------------------------


def test_the_document_has_every_kind_as_the_code_has_it() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.+?) \| (.+?) \|$", DOCS.read_text(), re.M)
    assert rows == [(kind.code, kind.severity.value, kind.meaning, kind.look) for kind in KINDS]
    assert len({kind.code for kind in KINDS}) == len(KINDS)


# -- real calls ---------------------------------------------------------------------------------------------------------

FAULTS = {"unknown_number": ["number-unknown"], "wrong_password": ["authentication-rejected"]}


def recorded(file: Path) -> list[Packet]:
    found = (hep.read(frame, 0) for frame in hep.Frames().feed(file.read_bytes()))
    return captures.once(captures.Seen(each.packet, each.capture_id) for each in found)


@pytest.mark.parametrize("file", sorted(LAB.glob("*.hep")), ids=lambda file: file.stem)
def test_calls_of_a_real_asterisk_and_kamailio(file: Path) -> None:
    """The lab hangs up soon, and some calls lasted less than three seconds."""
    codes = [each.code for each in diagnose(recorded(file)) if each.code != "call-short"]
    assert codes == FAULTS.get(file.stem, [])


# -- any bytes ----------------------------------------------------------------------------------------------------------

ENDS = [Endpoint(ip, port) for ip in ("192.0.2.1", "10.0.0.1", "2001:db8::1", "") for port in (0, 5060)]
HEADERS = [
    b"Max-Forwards: \xff", b'WWW-Authenticate: Digest realm="', b"Session-Expires: 99999999999999", b"RAck: 1",
    b"Authorization: Digest realm=x,nonce=y", b"Via: ;received=", b"Replaces: ", b"Refer-To: <", b"Reason: Q.850;cause=999",
    b"Via: SIP/2.0/UDP x;branch=\x00", b"CSeq: 4294967296 INVITE", b"Event: refer", b"RSeq: \r\n 1",
]  # fmt: skip
SDP = b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0 " + b"9 " * 50 + b"\r\na=inactive\r\nm=audio 0\r\n"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, len(SORTS) - 1), st.data())
def test_damaged_calls_are_diagnosed_without_a_fault(sort: int, data: st.DataObject) -> None:
    packets = healthy(sort).packets
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(packets) - 1))
        packet = packets[place]
        at = data.draw(st.integers(0, len(packet.payload)))
        foreign = data.draw(st.one_of(st.binary(max_size=40), st.sampled_from(HEADERS), st.just(SDP)))
        payload = packet.payload[:at] + foreign + packet.payload[at + data.draw(st.integers(0, 200)) :]
        ends = data.draw(st.tuples(st.sampled_from(ENDS), st.sampled_from(ENDS)))
        packets[place] = packet._replace(payload=payload, src=ends[0], dst=ends[1])
    for finding in diagnose(packets):
        assert finding.says
        assert len(finding.proofs) <= MOST_PROOFS


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_nonsense_has_no_findings(payloads: list[bytes]) -> None:
    assert diagnose(Packet(START_US, "UDP", ENDS[0], ENDS[1], each) for each in payloads) == []


def many(lines: str, times: int, numbered: bytes) -> list[Packet]:
    """The same lines again and again, each time with another branch and another number behind `numbered`."""
    found: list[Packet] = []
    packets = scene(lines)
    for n in range(times):
        for each in packets:
            payload = each.payload.replace(b"z9hG4bK", b"z9hG4bK%d" % n).replace(numbered, b"%s%d" % (numbered, n))
            found.append(each._replace(at_us=each.at_us + n * 50_000, payload=payload))
    return found


CSEQ, NOTHING = b"CSeq: ", b";none"
FLOODS: dict[str, tuple[str, int, bytes]] = {
    "re-INVITEs": (
        "0.0 alice > p > bob INVITE 1 sdp\n0.1 bob > p > alice 200/INVITE 1 sdp\n0.2 alice > p > bob ACK 1",
        400,
        CSEQ,
    ),
    "silence": ("0.0 alice > p > bob INVITE 1 sdp x4", 300, CSEQ),
    "challenges": (
        '0.0 alice > bob INVITE 1 Authorization=Digest_realm="r",nonce="n"\n'
        '0.1 bob > alice 401/INVITE 1 WWW-Authenticate=Digest_realm="r",nonce="n"\n0.2 alice > bob ACK 1',
        800,
        CSEQ,
    ),
    "holds": (
        "0.0 alice > bob INVITE 1 sdp:sendonly\n0.1 bob > alice 200/INVITE 1 sdp\n0.2 alice > bob ACK 1",
        800,
        CSEQ,
    ),
    "branches": (
        "0.0 p > bob INVITE 1 sdp\n0.1 p > q INVITE 1 sdp x2\n0.2 bob > p 482/INVITE 1\n0.3 p > bob ACK 1",
        400,
        NOTHING,
    ),
    "transfers": (
        "0.0 alice > bob REFER 1 Refer-To=<sip:1@x>\n0.1 bob > alice 202/REFER 1\n0.2 bob > alice NOTIFY 1 Event=refer "
        "sipfrag=404_No\n0.3 alice > bob 200/NOTIFY 1",
        500,
        CSEQ,
    ),
    "finals": ("0.0 alice > bob INVITE 1 sdp\n0.1 bob > alice 503/INVITE 1 x4\n0.2 alice > bob ACK 1", 400, CSEQ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_call_of_two_thousand_messages_takes_its_time_but_not_more(flood: str) -> None:
    packets = many(*FLOODS[flood])
    assert len(packets) >= 2_000
    began = time.perf_counter()
    diagnose(packets)
    assert time.perf_counter() - began < 5


def test_two_thousand_legs_and_reports() -> None:
    legs = [
        each._replace(payload=each.payload.replace(b"one@", b"%d@" % n), at_us=each.at_us + n)
        for n in range(1_000)
        for each in scene("0.0 alice > bob INVITE 1 sdp:@10.0.0.1\n0.1 bob > alice 503/INVITE 1\n0.2 alice > bob ACK 1")
    ]
    reports = scene("".join(f"{n / 10} alice ~ bob RTCP sent={n} lost=0.5\n" for n in range(2_000)))
    began = time.perf_counter()
    diagnose([*legs, *reports])
    assert time.perf_counter() - began < 10
