"""A call as a ladder: who, which arrows, what they say; and the picture, which is text-proof XML whatever was sent."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip import ladder as ladders
from ringback.sip.ladder import HOLD, RESUME, Hold, Ladder, Outcome, ladder
from ringback.sip.ladder.markup import escaped, fitted, fitted_within, width
from ringback.sip.ladder.participants import MOST, Participant
from ringback.sip.ladder.svg import sheets, svg
from ringback.sip.packet import Endpoint, Packet
from tests.sip.sip_flows import START_US, flow
from tests.sip.test_sip_trace import heard, receiver_report

SVG = "{http://www.w3.org/2000/svg}"
TALK = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv  User-Agent=Phone/1
    0.3   bob   > alice  180/INVITE  1  Server=PBX_2.1+build77
    2.0   bob   > alice  200/INVITE  1  sdp=sendrecv
    2.1   alice > bob    ACK         1  to-tag
    3.0   alice > bob    INVITE      2  to-tag  sdp=sendonly
    3.1   bob   > alice  200/INVITE  2  to-tag  sdp=recvonly
    3.2   alice > bob    ACK         2  to-tag
    6.0   alice > bob    INVITE      3  to-tag  sdp=sendrecv
    6.1   bob   > alice  200/INVITE  3  to-tag  sdp=sendrecv
    6.2   alice > bob    ACK         3  to-tag
    9.5   alice > bob    BYE         4  to-tag  Reason=Q.850;cause=16;text="Normal_Clearing"
    9.6   bob   > alice  200/BYE     4
"""


def labels(drawing: Ladder) -> list[str]:
    return [step.label for step in drawing.steps]


def message(
    start: str,
    *headers: str,
    src: Endpoint,
    dst: Endpoint,
    at: int = 0,
    call_id: str = "c",
    transport: str = "UDP",
    parties: tuple[str, str] = ("1", "2"),
) -> Packet:
    request = start.partition(" ")[0] if not start.startswith("SIP") else "INVITE"
    fixed = (
        f"From: <sip:{parties[0]}@x>;tag=a",
        f"To: <sip:{parties[1]}@x>",
        f"Call-ID: {call_id}",
        f"CSeq: 1 {request}",
    )
    via = () if any(each.startswith("Via") for each in headers) else ("Via: SIP/2.0/UDP x;branch=z9hG4bKx",)
    text = "\r\n".join((start, *via, *fixed, *headers)) + "\r\n\r\n"
    return Packet(START_US + at, transport, src, dst, text.encode("utf-8", "replace"))


def test_a_call_is_its_participants_and_an_arrow_for_each_message() -> None:
    drawing = ladder(flow(TALK))
    assert drawing.participants == [
        Participant("Phone/1", "caller alice", "192.0.2.101:5060"),
        Participant("PBX 2.1", "callee bob", "192.0.2.201:5060"),
    ]
    assert labels(drawing)[:4] == ["INVITE bob", "180 Ringing", "200 OK", "ACK"]
    assert labels(drawing)[-2:] == ["BYE", "200 OK (BYE)"]
    assert [step.summary for step in drawing.steps][:3] == ["offers PCMU", "", "answers PCMU"]
    assert drawing.steps[-2].summary == "Normal Clearing"
    assert [(step.source, step.target) for step in drawing.steps][:2] == [(0, 1), (1, 0)]
    assert [step.delta_us for step in drawing.steps][:3] == [None, 300_000, 1_700_000]


def test_hold_and_resume_are_told_and_the_time_between_is_the_holders() -> None:
    drawing = ladder(flow(TALK))
    assert [(n, step.change) for n, step in enumerate(drawing.steps) if step.change] == [(4, HOLD), (7, RESUME)]
    assert drawing.steps[4].summary == "offers PCMU sendonly"
    assert drawing.holds == [Hold(column=0, first=4, last=7)]
    unfinished = ladder(flow("\n".join(TALK.splitlines()[:7])))
    assert unfinished.holds == [Hold(column=0, first=4, last=None)]


def test_the_outcome_of_a_response_is_that_of_its_class() -> None:
    found = ladder(
        flow(
            """
            0.0  alice > bob    INVITE      1
            0.1  bob   > alice  302/INVITE  1  Contact=<sip:carol@example.com>
            0.2  alice > bob    INVITE      2
            0.3  bob   > alice  486/INVITE  2
            0.4  alice > bob    INVITE      3
            0.5  bob   > alice  603/INVITE  3
            """
        )
    ).steps
    outcomes = [step.outcome for step in found if step.outcome is not Outcome.REQUEST]
    assert outcomes == [Outcome.REDIRECT, Outcome.CLIENT_ERROR, Outcome.SERVER_ERROR]
    assert found[1].summary == "to carol"


def test_a_retransmission_is_said_to_be_one() -> None:
    line = "alice > bob INVITE 1"
    drawing = ladder(flow(f"0.0 {line}\n0.5 {line}\n1.5 {line}"))
    assert [step.copy for step in drawing.steps] == [1, 2, 3]
    picture = svg(drawing, "t")
    assert "INVITE bob · retransmission<" in picture
    assert "INVITE bob · retransmission 2<" in picture


def test_reports_between_two_messages_are_one_arrow_between_those_who_talk() -> None:
    phone, switch = Endpoint("192.0.2.101", 49173), Endpoint("192.0.2.201", 3457)
    reports = [
        Packet(START_US + 4_000_000 + n, "UDP", phone, switch, receiver_report(0x22, heard(0x11, 64, 3, 17)))
        for n in range(5)
    ]
    unknown = reports[0]._replace(src=Endpoint("203.0.113.9", 1))
    drawing = ladder([*flow(TALK), *reports, unknown])
    (told,) = (step for step in drawing.steps if step.outcome is Outcome.REPORTS)
    assert (told.source, told.target, told.label) == (0, 1, "RTCP, 5 packets")
    assert told.summary == "lost 3 · 25.0% at worst · jitter 17"
    assert drawing.left_out == 1
    silent = Packet(START_US + 4_000_000, "UDP", phone, switch, receiver_report(0x22))
    assert "no reception report" in [step.summary for step in ladder([*flow(TALK), silent]).steps]


def test_a_proxy_is_not_named_after_those_behind_it() -> None:
    ends = [Endpoint("2001:db8::1", 5060), Endpoint("2001:db8::2", 5060), Endpoint("2001:db8::3", 5060)]
    asked = message("INVITE sip:2@x SIP/2.0", "User-Agent: Phone", src=ends[0], dst=ends[1])
    vias = "Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx"
    passed = message("INVITE sip:2@x SIP/2.0", vias, "User-Agent: Phone", src=ends[1], dst=ends[2], at=1)
    found = ladder([asked, passed]).participants
    assert [(each.name, each.role) for each in found] == [("Phone", "caller 1"), ("Proxy", ""), ("2", "callee")]
    assert found[0].address == "[2001:db8::1]:5060"


def test_a_phone_that_is_called_and_calls_is_no_b2bua() -> None:
    """A transfer by phones, and a PBX between two of them."""
    ends = {name: Endpoint(f"192.0.2.{n}", 5060) for n, name in enumerate(("ann", "pbx", "bob", "carol"), 1)}

    def invite(call_id: str, src: str, dst: str, caller: str, callee: str) -> Packet:
        parties = caller, callee
        return message("INVITE sip:x SIP/2.0", src=ends[src], dst=ends[dst], call_id=call_id, parties=parties)

    packets = [
        invite("1", "ann", "pbx", "101", "102"),
        invite("2", "pbx", "bob", "101", "102"),
        invite("3", "bob", "carol", "102", "103"),
    ]
    found = ladder(packets).participants
    assert [(each.name, each.role) for each in found] == [
        ("101", "caller"),
        ("B2BUA", ""),
        ("102", "phone"),
        ("103", "callee"),
    ]


def test_connections_of_one_agent_are_one_participant_and_two_phones_behind_one_nat_are_two() -> None:
    switch = Endpoint("192.0.2.1", 5060)
    a, b = Endpoint("198.51.100.1", 40_001), Endpoint("198.51.100.1", 40_002)
    for agents, transport, columns in (
        (("Phone", "Phone"), "TCP", 2),
        (("Phone", "Other"), "TCP", 3),
        (("Phone", "Phone"), "UDP", 3),
    ):
        packets = [
            message("INVITE sip:2@x SIP/2.0", f"User-Agent: {agent}", src=end, dst=switch, at=n, transport=transport)
            for n, (end, agent) in enumerate(zip((a, b), agents, strict=True))
        ]
        assert len(ladder(packets).participants) == columns


def test_more_participants_than_fit_share_the_last_column() -> None:
    switch = Endpoint("192.0.2.1", 5060)
    packets = [
        message("INVITE sip:2@x SIP/2.0", src=switch, dst=Endpoint(f"198.51.100.{n}", 5060), at=n) for n in range(30)
    ]
    drawing = ladder(packets)
    assert len(drawing.participants) == MOST
    assert drawing.participants[-1] == Participant("Others", f"{31 - MOST + 1} participants", "")
    assert max(step.target for step in drawing.steps) == MOST - 1
    ET.fromstring(svg(drawing, "t"))


def test_what_is_beyond_the_most_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladders, "MOST", 5)
    drawing = ladder(flow(TALK))
    assert (len(drawing.steps), drawing.left_out) == (5, 7)
    assert drawing.holds == [Hold(column=0, first=4, last=None)]
    assert "7 more messages, until 10:00:09.600000, are not drawn" in svg(drawing, "t")


def test_endless_texts_do_not_make_an_endless_picture() -> None:
    ends = Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5060)
    long = "x" * 60_000
    packets = [
        message(f"INVITE sip:{long}@x SIP/2.0", f"User-Agent: {long}", f"Reason: {long}", src=ends[0], dst=ends[1])
    ]
    assert len(svg(ladder(packets), "t")) < 10_000


def test_nothing_captured_is_an_empty_picture() -> None:
    assert ladder([]).steps == []
    ET.fromstring(svg(ladder([]), "nothing"))


# -- the picture --------------------------------------------------------------------------------------------------------


def test_the_picture_says_what_it_is_and_has_a_title_for_every_arrow() -> None:
    root = ET.fromstring(svg(ladder(flow(TALK)), "Call of today"))
    assert root.findtext(f"{SVG}title") == "Call of today"
    assert "12 messages in 9.6 s between 2 participants" in (root.findtext(f"{SVG}desc") or "")
    steps = [each for each in root.iter(f"{SVG}g") if (each.get("class") or "").startswith("step")]
    assert len(steps) == 12
    assert (steps[0].findtext(f"{SVG}title") or "").startswith(
        "10:00:00.000000. Phone/1 192.0.2.101:5060 to PBX 2.1 192.0.2.201:5060. INVITE bob. offers PCMU"
    )


def test_outcomes_differ_without_colour_too() -> None:
    drawing = ladder(flow(TALK))
    drawn = set()
    for outcome in Outcome:
        root = ET.fromstring(svg(drawing._replace(steps=[drawing.steps[0]._replace(outcome=outcome)]), "t"))
        (step,) = (each for each in root.iter(f"{SVG}g") if (each.get("class") or "").startswith("step"))
        shapes = tuple((part.get("class"), part.tag) for part in step if part.tag in (f"{SVG}path", f"{SVG}line"))
        dash = [rule for rule in (root.findtext(f"{SVG}style") or "").split("\n") if "dasharray" in rule]
        kind = (step.get("class") or "").split()[1]
        drawn.add((shapes, next((rule.partition("{")[2] for rule in dash if rule.startswith(f".{kind} ")), "")))
    assert len(drawn) == len(Outcome)


def test_rows_are_numbered_through_all_sheets() -> None:
    drawing = ladder(flow("\n".join(f"{n} alice > bob INFO {n} to-tag" for n in range(100))))
    drawn = re.findall(r'text-anchor="end">(\d+)<', "".join(sheets(drawing)))
    assert [int(each) for each in drawn] == list(range(1, 101))


def test_a_time_that_rounds_to_nothing_has_no_minus() -> None:
    drawing = ladder(flow(TALK))
    for delta_us, told in ((-400, "+0.000 s"), (-1_200, "-0.001 s"), (1_600, "+0.002 s")):
        step = drawing.steps[1]._replace(delta_us=delta_us)
        assert f">{told}<" in svg(drawing._replace(steps=[step]), "t")


def test_a_long_call_is_drawn_in_sheets_of_the_form_of_paper() -> None:
    line = "alice > bob INFO {n} to-tag"
    drawing = ladder(flow("\n".join(f"{n} {line.format(n=n)}" for n in range(100))))
    *parts, _ = sheets(drawing)
    assert len(parts) > 3
    for each in parts:
        root = ET.fromstring(each)
        assert float(root.get("height") or 0) <= 1.42 * float(root.get("width") or 0)
        assert sum(each.tag == f"{SVG}rect" and each.get("class") == "box" for each in root.iter()) == 2


hostile = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"/><svg onload="x">',
            "]]>",
            "<!--",
            "&amp;&#x41;",
            "\x00\x0b\x1b\ufffe\uffff",
            "\u202eevil",
        ]
    ),
)


@given(st.lists(hostile, min_size=6, max_size=6), st.booleans())
def test_whatever_was_sent_the_picture_is_xml_and_text_stays_text(texts: list[str], is_request: bool) -> None:
    phrase, agent, reason, user, call_id, contact = texts
    ends = Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5060)
    start = f"INVITE sip:{user}@x SIP/2.0" if is_request else f"SIP/2.0 302 {phrase}"
    headers = (f"User-Agent: {agent}", f"Reason: {reason}", f"Contact: <sip:{contact}>", f"Refer-To: {user}")
    packet = message(start, *headers, src=ends[0], dst=ends[1], call_id=call_id)
    drawing = ladder([packet, packet, packet._replace(payload=phrase.encode("utf-8", "replace") + b"\xff")])
    for picture in (svg(drawing, phrase), *sheets(drawing)):
        root = ET.fromstring(picture)
        allowed = {"svg", "g", "a", "title", "desc", "style", "rect", "line", "path", "text"}
        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= allowed
        assert {name for each in root.iter() for name in each.attrib if name.startswith("on")} == set()


@given(st.text())
def test_escaped_text_is_read_back_as_it_was_but_for_what_xml_cannot_hold(text: str) -> None:
    read = ET.fromstring(f'<a b="{escaped(text)}">{escaped(text)}</a>').text or ""
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    assert len(read) == len(wanted)
    assert all(one in (other, "\ufffd") for one, other in zip(read, wanted, strict=True))


@given(st.text(max_size=80), st.floats(40, 400))
def test_a_fitted_text_is_no_wider_than_its_room(text: str, room: float) -> None:
    for fit in (fitted, fitted_within):
        assert width(fit(text, 12, room), 12) <= max(room, width("……", 12))


def test_an_address_is_cut_in_its_middle() -> None:
    address = "[2001:db8:85a3:1234:5678:8a2e:370:7334]:5060"
    cut = fitted_within(address, 11, 150)
    assert cut.startswith("[2001:")
    assert cut.endswith("]:5060")
    assert "…" in cut


def test_times_are_as_captured_though_the_order_is_not_theirs() -> None:
    drawing = ladder(flow("0.5 alice > bob INVITE 1\n0.2 bob > alice 180/INVITE 1"))
    assert labels(drawing) == ["INVITE bob", "180 Ringing"]
    assert any(later.at_us < earlier.at_us for earlier, later in pairwise(drawing.steps))
    assert "-0.300 s" in svg(drawing, "t")
