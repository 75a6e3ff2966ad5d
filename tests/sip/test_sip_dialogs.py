"""INVITE dialogs to media sessions, by the flows of RFC 3665 and RFC 5359."""

import pytest

from ringback.sip import causes
from ringback.sip.dialogs import media_sessions
from ringback.sip.dialogs.session import MediaSession, Status
from ringback.sip.identities import party
from ringback.sip.packet import Endpoint, Packet

from .sip_flows import CALL_ID, PEOPLE, START_US, flow

ANSWERED = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv  User-Agent=Phone_1.0
    0.1   bob   > alice  100/INVITE  1  Server=Proxy
    0.5   bob   > alice  180/INVITE  1
    4.5   bob   > alice  200/INVITE  1  sdp=sendrecv  Server=Desk_Phone
    4.6   alice > bob    ACK         1  to-tag
"""  # RFC 3665 section 3.1
HANGUP = """
    65.4  bob   > alice  BYE         1  to-tag
    65.5  alice > bob    200/BYE     1
"""


def at_us(seconds: float) -> int:
    return START_US + round(seconds * 1_000_000)


def only(packets: list[Packet]) -> MediaSession:
    (session,) = media_sessions(packets)
    return session


def test_a_call() -> None:
    packets = flow(ANSWERED + HANGUP)
    assert only(packets) == MediaSession(
        call_id=CALL_ID,
        created_at_us=at_us(0),
        ringing_at_us=at_us(0.5),
        answered_at_us=at_us(4.5),
        ended_at_us=at_us(65.4),
        status=Status.ENDED,
        src="alice",
        dst="bob",
        src_ua="Phone 1.0",
        dst_ua="Desk Phone",
        t_cause="Normal Clearing",
        duration_s=60,
        messages=tuple(packets),
        rtcp=(),
        ended_by="dst",
    )


@pytest.mark.parametrize(
    ("messages", "status", "duration_s"),
    [(1, "INITIAL", 0), (2, "INITIAL", 0), (3, "RINGING", 0), (4, "CONNECTED", None), (5, "CONNECTED", None)],
)
def test_a_call_on_its_way(messages: int, status: str, duration_s: int | None) -> None:
    session = only(flow(ANSWERED)[:messages])
    assert (session.status, session.duration_s) == (status, duration_s)
    assert (session.ended, session.ended_at_us, session.t_cause) == (False, None, None)


def test_order_of_the_packets_does_not_matter() -> None:
    packets = flow(ANSWERED + HANGUP)
    assert only(packets[::-1]) == only(packets)


def test_retransmissions_count_once() -> None:
    """RFC 3261 section 17: the same bytes again, later."""
    packets = flow(ANSWERED + HANGUP)
    again = [packet._replace(at_us=packet.at_us + 500_000) for packet in packets]
    session = only(packets + again)
    assert session.ended_at_us == at_us(65.4)
    assert session.duration_s == 60
    assert len(session.messages) == 14


def test_a_challenge_and_the_second_invite_are_one_session() -> None:
    """RFC 3665 section 3.3."""
    challenged = """
        0.0  alice > bob    INVITE      1  sdp=sendrecv
        0.1  bob   > alice  407/INVITE  1  Server=Proxy
        0.1  alice > bob    ACK         1  to-tag
    """
    answered = """
        0.2  alice > bob    INVITE      2  sdp=sendrecv  Proxy-Authorization=Digest_x
        0.3  bob   > alice  200/INVITE  2  sdp=sendrecv  Server=Desk
        0.4  alice > bob    ACK         2  to-tag
    """
    session = only(flow(challenged + answered))
    assert (session.status, session.created_at_us, session.answered_at_us) == ("CONNECTED", at_us(0), at_us(0.3))
    assert (session.t_cause, session.dst_ua) == (None, "Desk")
    gave_up = only(flow(challenged))
    assert (gave_up.status, gave_up.t_cause, gave_up.duration_s) == ("ENDED", "Call Rejected", 0)


RINGS = """
    0.0  alice > bob    INVITE      1  sdp=sendrecv
    0.5  bob   > alice  180/INVITE  1
"""


def test_a_caller_who_gives_up() -> None:
    """RFC 3665 section 3.8."""
    session = only(
        flow(RINGS + """
            9.0  alice > bob    CANCEL      1
            9.1  bob   > alice  200/CANCEL  1
            9.2  bob   > alice  487/INVITE  1
            9.3  alice > bob    ACK         1  to-tag
        """)
    )  # fmt: skip
    assert (session.ended_at_us, session.t_cause, session.duration_s) == (at_us(9), "Normal Clearing", 0)
    assert session.ringing_at_us == at_us(0.5)


def test_a_cancel_that_says_why() -> None:
    """RFC 3326; 180 may still be on its way when CANCEL is sent."""
    session = only(
        flow(RINGS + """
            9.0  alice > bob    CANCEL      1  Reason=SIP;cause=200;text="Call_completed_elsewhere"
            9.1  bob   > alice  183/INVITE  1
            9.2  bob   > alice  487/INVITE  1
        """)
    )  # fmt: skip
    assert (session.status, session.t_cause) == ("ENDED", "Answered elsewhere")


def test_a_cancel_that_comes_too_late() -> None:
    """RFC 3261 section 9.1: the call is answered and ends by BYE."""
    session = only(
        flow(RINGS + """
            9.0  alice > bob    CANCEL      1
            9.1  bob   > alice  200/INVITE  1
            9.2  bob   > alice  200/CANCEL  1
            9.3  alice > bob    ACK         1  to-tag
            9.4  alice > bob    BYE         2  to-tag
        """)
    )  # fmt: skip
    assert (session.answered_at_us, session.ended_at_us, session.duration_s) == (at_us(9.1), at_us(9.4), 0)


@pytest.mark.parametrize(
    ("status", "words", "t_cause"),
    [
        (486, "", "User busy"),
        (404, "", "Unallocated number"),
        (480, "", "No user responding"),
        (480, "Reason=Q.850;cause=19", "No answer"),
        (603, "", "Call Rejected"),
        (302, "", "Redirected to new destination"),
        (487, "", "Normal Clearing"),
        (699, "", "Gone Fishing"),
    ],
)
def test_failures(status: int, words: str, t_cause: str) -> None:
    session = only(flow(RINGS + f"\n 3.0 bob > alice {status}/INVITE 1 {words}"))
    assert (session.status, session.t_cause, session.duration_s) == ("ENDED", t_cause, 0)
    assert session.ended_at_us == at_us(3)


def test_a_bye_that_says_why() -> None:
    session = only(flow(ANSWERED + "65.4 bob > alice BYE 1 to-tag Reason=Q.850;cause=31"))
    assert session.t_cause == "Normal, unspecified"


HOLD = """
    10.0  bob   > alice  INVITE      5  to-tag  sdp=sendonly
    10.1  alice > bob    200/INVITE  5  sdp=recvonly
    10.2  bob   > alice  ACK         5  to-tag
"""  # RFC 5359 section 2.1
RESUME = """
    20.0  bob   > alice  INVITE      6  to-tag  sdp=sendrecv
    20.1  alice > bob    200/INVITE  6  sdp=sendrecv
    20.2  bob   > alice  ACK         6  to-tag
"""


def test_hold_and_resume() -> None:
    assert only(flow(ANSWERED + HOLD)).status == "ON_HOLD"
    resumed = only(flow(ANSWERED + HOLD + RESUME))
    assert (resumed.status, resumed.answered_at_us) == ("CONNECTED", at_us(4.5))
    assert only(flow(ANSWERED + HOLD + HANGUP)).status == "ENDED"


def test_a_refused_hold_changes_nothing() -> None:
    refused = "\n".join(HOLD.splitlines()[:2]) + "\n 10.1 alice > bob 491/INVITE 5"
    session = only(flow(ANSWERED + refused))
    assert (session.status, session.ended) == ("CONNECTED", False)


def test_hold_by_both_sides_needs_both_to_resume() -> None:
    both = """
        11.0  alice > bob    INVITE      2  to-tag  sdp=inactive
        11.1  bob   > alice  200/INVITE  2  sdp=inactive
        12.0  alice > bob    INVITE      3  to-tag  sdp=recvonly
        12.1  bob   > alice  200/INVITE  3  sdp=sendonly
    """
    assert only(flow(ANSWERED + HOLD + both)).status == "ON_HOLD"


def test_hold_by_an_update_and_by_an_answer_in_ack() -> None:
    """RFC 3311; RFC 3261 section 13.2.1."""
    update = "10.0 bob > alice UPDATE 5 to-tag sdp=sendonly\n 10.1 alice > bob 200/UPDATE 5 sdp=recvonly"
    assert only(flow(ANSWERED + update)).status == "ON_HOLD"
    offerless = """
        10.0  bob   > alice  INVITE      5  to-tag
        10.1  alice > bob    200/INVITE  5  sdp=sendrecv
        10.2  bob   > alice  ACK         5  to-tag  sdp=sendonly
    """
    assert only(flow(ANSWERED + offerless)).status == "ON_HOLD"


def test_the_old_way_to_hold() -> None:
    """RFC 2543: a connection address of 0.0.0.0."""
    packets = flow(ANSWERED + RESUME)
    old = packets[5]._replace(payload=packets[5].payload.replace(b"IN IP4 192.0.2.201\r\nt=", b"IN IP4 0.0.0.0\r\nt="))
    assert only([*packets[:5], old, *packets[6:]]).status == "ON_HOLD"


def test_a_refusal_of_one_phone_while_another_rings() -> None:
    """RFC 3261 section 16.7: the last word counts."""
    session = only(flow(RINGS + "1.0 bob > alice 486/INVITE 1 via=b1\n 1.5 bob > alice 183/INVITE 1 via=b2"))
    assert (session.status, session.t_cause) == ("RINGING", None)


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE"])
def test_other_dialogs_are_no_sessions(method: str) -> None:
    assert media_sessions(flow(f"0.0 alice > bob {method} 1\n 0.1 bob > alice 200/{method} 1")) == []


def test_a_lost_invite_is_made_up_for_by_its_responses() -> None:
    session = only(flow(ANSWERED)[1:])
    assert (session.created_at_us, session.src, session.dst, session.status) == (
        at_us(0.1),
        "alice",
        "bob",
        "CONNECTED",
    )


def test_calls_side_by_side() -> None:
    both = flow(ANSWERED, call_id="one") + flow(HANGUP, call_id="one") + flow(ANSWERED, call_id="two")
    assert [(one.call_id, one.ended) for one in media_sessions(both)] == [("one", True), ("two", False)]


@pytest.mark.parametrize(
    ("words", "src"),
    [
        ("P-Asserted-Identity=<tel:+44-20-7946-0123>  Remote-Party-ID=<sip:1001@h>", "442079460123"),
        ('P-Asserted-Identity="A"_<sip:%2B442079460123@h>,_<tel:+1>', "442079460123"),
        ("Remote-Party-ID=<sip:1001@h>;party=calling;privacy=off", "1001"),
        ("Remote-Party-ID=<sip:1001@h>;party=called", "alice"),
        ("", "alice"),
    ],
)
def test_who_calls(words: str, src: str) -> None:
    assert only(flow(f"0.0 alice > bob INVITE 1 {words}")).src == src


def test_who_is_called_without_a_user_in_to() -> None:
    (packet,) = flow("0.0 alice > bob INVITE 1")
    plain = packet.payload.replace(b"To: Bob <sip:bob@", b"To: Bob <sip:")
    assert only([packet._replace(payload=plain)]).dst == "bob"


@pytest.mark.parametrize(
    ("user", "expected"),
    [("+44 (20) 7946-0123", "442079460123"), ("1001", "1001"), ("*43", "*43"), ("a.b-c", "a.b-c"), ("", None)],
)
def test_parties(user: str, expected: str | None) -> None:
    assert party(user) == expected


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("Q.850;cause=16;text=\"Terminated\"", "Normal Clearing"),
        ("SIP;cause=480;text=\"a, b\", q.850 ; cause = 19", "No answer"),
        ("Q.850;cause=125;text=\"Odd\"", "Odd"),
        ("Q.850;cause=125", "Cause 125"),
        ("SIP;cause=486;text=\"busy\"", "User busy"),
        ("SIP;cause=999;text=odd", "odd"),
        ("SIP;cause=999", ""),
        ("X.1;cause=3", ""),
        ("Q.850", ""),
        ("Q.850;cause=16;text=\"open", "Normal Clearing"),
        ("", ""),
    ],
)  # fmt: skip
def test_reason_headers(header: str, cause: str) -> None:
    assert causes.of_reason(header) == cause


ALICE_RTCP = Endpoint(PEOPLE["alice"].host, PEOPLE["alice"].port + 1)
ELSEWHERE = Endpoint("198.51.100.1", 9)
RECEIVER_REPORT = bytes.fromhex("80c90001 00000001")


def rtcp(seconds: float, src: Endpoint, dst: Endpoint) -> Packet:
    return Packet(at_us(seconds), "UDP", src, dst, RECEIVER_REPORT)


def test_rtcp_belongs_to_the_session_whose_sdp_names_its_port() -> None:
    mine = [rtcp(10, ALICE_RTCP, ELSEWHERE), rtcp(65.5, ELSEWHERE, ALICE_RTCP)]
    others = [
        rtcp(10, ELSEWHERE, ELSEWHERE),
        rtcp(10, Endpoint(ALICE_RTCP.ip, ALICE_RTCP.port - 1), ELSEWHERE),
        rtcp(-1, ALICE_RTCP, ELSEWHERE),
        rtcp(75, ALICE_RTCP, ELSEWHERE),
    ]
    assert only([*others, *flow(ANSWERED + HANGUP), *mine]).rtcp == tuple(mine)


def test_where_legs_share_an_address_reports_go_by_both_ends() -> None:
    """Bob is a PBX that takes the media of both its legs at one port."""
    first = ANSWERED + HANGUP
    second = first.replace("bob ", "carol ").replace("alice", "bob")
    bobs, carols = (Endpoint(PEOPLE[name].host, PEOPLE[name].port + 1) for name in ("bob", "carol"))
    alices = [rtcp(10, ALICE_RTCP, bobs), rtcp(15, bobs, ALICE_RTCP)]
    others = [rtcp(20, carols, bobs), rtcp(25, bobs, carols)]
    anybodys = rtcp(30, ELSEWHERE, bobs)
    direct = rtcp(35, ALICE_RTCP, carols)
    legs = [*flow(first), *flow(second, "bob", "second")]
    told = {each.call_id: each.rtcp for each in media_sessions([*legs, *alices, *others, anybodys, direct])}
    assert told == {CALL_ID: (*alices, anybodys, direct), "second": (*others, anybodys, direct)}


@pytest.mark.parametrize(
    ("attribute", "end"),
    [
        ("rtcp:53020", Endpoint("192.0.2.101", 53020)),  # RFC 3605
        ("rtcp:53020 IN IP6 2001:DB8:0::1", Endpoint("2001:db8::1", 53020)),
        ("rtcp-mux", Endpoint("192.0.2.101", 49172)),  # RFC 5761
    ],
)
def test_rtcp_elsewhere_than_on_the_next_port(attribute: str, end: Endpoint) -> None:
    packets = flow(ANSWERED)
    invite = packets[0].payload.replace(b"a=sendrecv", attribute.join(["a=", "\r\na=sendrecv"]).encode())
    cut = invite.replace(b"Content-Length: ", b"X-Length: ")
    report = rtcp(10, end, ELSEWHERE)
    assert only([packets[0]._replace(payload=cut), *packets[1:], report]).rtcp == (report,)


CHALLENGED = """
    0.0   alice > bob    INVITE      1  User-Agent=Phone
    0.1   bob   > alice  401/INVITE  1  Server=PBX
    0.2   alice > bob    ACK         1  to-tag
"""
LET_IN = """
    0.3   alice > bob    INVITE      2  User-Agent=Phone  sdp=sendrecv
    0.4   bob   > alice  100/INVITE  2  Server=PBX
    0.5   bob   > alice  180/INVITE  2
    2.0   bob   > alice  200/INVITE  2  sdp=sendrecv
    2.1   alice > bob    ACK         2  to-tag
"""


@pytest.mark.parametrize(
    ("later", "agent"),
    [
        ("9.0 bob > alice BYE 1 to-tag User-Agent=Desk\n 9.1 alice > bob 200/BYE 1 Server=Phone", "Desk"),
        ("9.0 alice > bob BYE 3 to-tag\n 9.1 bob > alice 200/BYE 3 Server=Desk", "Desk"),
        ("9.0 alice > bob INVITE 3 to-tag\n 9.1 bob > alice 200/INVITE 3 User-Agent=Desk", "Desk"),
        ("9.0 alice > bob UPDATE 3 to-tag\n 9.1 bob > alice 200/UPDATE 3 Server=Desk", "Desk"),
        ("9.0 alice > bob BYE 3 to-tag\n 9.1 bob > alice 481/BYE 3 Server=Relay", None),
        ("9.0 bob > alice BYE 1 to-tag\n 9.1 alice > bob 200/BYE 1 Server=Phone", None),
    ],
)
def test_a_phone_that_says_what_it_is_in_later_messages_only(later: str, agent: str | None) -> None:
    """Who wanted credentials may be a proxy, so it is not taken for who was called."""
    session = only(flow(CHALLENGED + LET_IN + later))
    assert (session.src_ua, session.dst_ua) == ("Phone", agent)


def test_a_caller_that_says_what_it_is_in_answers_only() -> None:
    talk = "2 bob > alice 200/INVITE 1\n 9 bob > alice BYE 1 to-tag\n 9.1 alice > bob 200/BYE 1 Server=Soft"
    session = only(flow(RINGS + talk))
    assert (session.src_ua, session.dst_ua) == ("Soft", None)


@pytest.mark.parametrize("status", [401, 407])
def test_who_wants_credentials_that_never_come_is_who_was_called(status: int) -> None:
    wrong = (
        CHALLENGED + "0.3 alice > bob INVITE 2\n 0.4 bob > alice 401/INVITE 2 Server=PBX\n 0.5 alice > bob ACK 2 to-tag"
    )
    session = only(flow(wrong.replace("401", str(status))))
    assert (session.t_cause, session.dst_ua) == ("Call Rejected", "PBX")
    answered = only(flow(CHALLENGED + "2 bob > alice 200/INVITE 2"))  # the second INVITE was not captured
    given_up = only(flow(CHALLENGED + "0.3 alice > bob INVITE 2\n 1 alice > bob CANCEL 2"))
    assert (answered.dst_ua, given_up.dst_ua) == (None, None)
