"""Calls that fork, are transferred, lose messages or time out: what one Call-ID tells (RFC 3261, 3262, 3311, 3891, 4028)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip import sdp
from ringback.sip.dialogs import media_sessions
from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.message import scan
from ringback.sip.packet import Packet

from .sip_flows import CALL_ID, START_US, flow


def at_us(seconds: float) -> int:
    return START_US + round(seconds * 1_000_000)


def only(packets: list[Packet]) -> MediaSession:
    (session,) = media_sessions(packets)
    return session


def told(table: str) -> tuple[str, float | None, float | None, str | None, int | None]:
    """Status, seconds of answer and end, cause, duration."""
    session = only(flow(table))
    instants = (session.answered_at_us, session.ended_at_us)
    answered, ended = (None if each is None else (each - START_US) / 1_000_000 for each in instants)
    return session.status, answered, ended, session.t_cause, session.duration_s


FORKS = """
    0.00  alice > proxy  INVITE      1  via=b0
    0.01  proxy > alice  100/INVITE  1  via=b0
    0.02  alice > bob    INVITE      1  via=b1
    0.02  alice > carol  INVITE      1  via=b2
    0.50  bob   > alice  180/INVITE  1  via=b1  tag=bob  Server=Bobs_phone
    0.51  proxy > alice  180/INVITE  1  via=b0  tag=bob  Server=Bobs_phone
    0.60  carol > alice  180/INVITE  1  via=b2  tag=carol
"""
CAROL_ANSWERS = """
    4.00  carol > alice  200/INVITE  1  via=b2  tag=carol  Server=Carols_phone
    4.01  proxy > alice  200/INVITE  1  via=b0  tag=carol  Server=Carols_phone
    4.02  alice > bob    CANCEL      1  via=b1
    4.03  bob   > alice  200/CANCEL  1  via=b1
    4.03  bob   > alice  487/INVITE  1  via=b1  tag=bob
    4.04  alice > bob    ACK         1  via=b1  tag=bob  to-tag
    4.05  alice > carol  ACK         1  via=b3  tag=carol  to-tag
"""
CAROL_HANGS_UP = "64.00 carol > alice BYE 7 tag=carol to-tag\n 64.1 alice > carol 200/BYE 7 tag=carol"


def test_a_fork_that_one_phone_answers() -> None:
    assert told(FORKS + CAROL_ANSWERS) == ("CONNECTED", 4.0, None, None, None)
    assert told(FORKS + CAROL_ANSWERS + CAROL_HANGS_UP) == ("ENDED", 4.0, 64.0, "Normal Clearing", 60)
    assert only(flow(FORKS + CAROL_ANSWERS)).dst_ua == "Carols phone"


def test_a_fork_that_answers_too_late_gets_its_bye_and_ends_nothing() -> None:
    """RFC 3261 section 13.2.2.4."""
    late = """
        4.06  bob   > alice  200/INVITE  1  via=b1  tag=bob
        4.07  alice > bob    ACK         1  via=b4  tag=bob  to-tag
        4.08  alice > bob    BYE         2  via=b5  tag=bob  to-tag
        4.09  bob   > alice  200/BYE     2  via=b5  tag=bob
    """
    assert told(FORKS + CAROL_ANSWERS + late) == ("CONNECTED", 4.0, None, None, None)
    assert told(FORKS + CAROL_ANSWERS + late + CAROL_HANGS_UP) == ("ENDED", 4.0, 64.0, "Normal Clearing", 60)


def test_the_answer_that_came_first_may_be_the_one_that_loses() -> None:
    first = """
        3.90  bob   > alice  200/INVITE  1  via=b1  tag=bob
        3.91  alice > bob    ACK         1  via=b4  tag=bob  to-tag
        3.92  alice > bob    BYE         2  via=b5  tag=bob  to-tag
    """
    assert told(FORKS + first)[0] == "ENDED"
    assert told(FORKS + first + CAROL_ANSWERS) == ("CONNECTED", 3.9, None, None, None)


def test_a_refusal_by_everybody_ends_the_branches() -> None:
    """RFC 3261 section 16.7: 6xx goes to the caller, and CANCEL to the others."""
    declined = "2.0 bob > alice 603/INVITE 1 via=b1 tag=bob"
    cancelled = """
        2.1  alice > carol  CANCEL      1  via=b2
        2.2  carol > alice  487/INVITE  1  via=b2  tag=carol
    """
    assert told(FORKS + declined)[0] == "RINGING"
    assert told(FORKS + declined + cancelled) == ("ENDED", None, 2.2, "Call Rejected", 0)
    answer = "2.3 proxy > alice 603/INVITE 1 via=b0 tag=bob"
    assert told(FORKS + declined + cancelled + answer) == ("ENDED", None, 2.3, "Call Rejected", 0)


def test_a_caller_who_gives_up_while_several_phones_ring() -> None:
    given_up = """
        9.00  alice > proxy  CANCEL      1  via=b0
        9.01  alice > bob    CANCEL      1  via=b1
        9.02  alice > carol  CANCEL      1  via=b2
        9.03  bob   > alice  487/INVITE  1  via=b1  tag=bob
        9.04  carol > alice  487/INVITE  1  via=b2  tag=carol
        9.05  proxy > alice  487/INVITE  1  via=b0  tag=carol
    """
    assert told(FORKS + given_up) == ("ENDED", None, 9.0, "Normal Clearing", 0)


def test_one_phone_after_the_other() -> None:
    hunt = """
        0.0  alice > proxy  INVITE      1  via=b0
        0.1  alice > bob    INVITE      1  via=b1
        0.2  bob   > alice  180/INVITE  1  via=b1  tag=bob
        9.0  alice > bob    CANCEL      1  via=b1
        9.1  bob   > alice  487/INVITE  1  via=b1  tag=bob
    """
    next_ = "9.2 alice > carol INVITE 1 via=b2\n 9.3 carol > alice 486/INVITE 1 via=b2 tag=carol"
    assert told(hunt)[0] == "RINGING"
    assert told(hunt + next_)[3] == "User busy"
    assert told(hunt + next_ + "\n 9.5 carol > alice 200/INVITE 1 via=b3 tag=mailbox")[:2] == ("CONNECTED", 9.5)


def test_an_early_dialog_that_is_over_is_no_answer() -> None:
    """RFC 6228: 199 is provisional."""
    assert told(FORKS + "1.0 proxy > alice 199/INVITE 1 via=b0 tag=bob")[0] == "RINGING"


# -- inside the dialog ------------------------------------------------------------------------------------------------

TALK = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv  User-Agent=Phone_1.0
    0.5   bob   > alice  180/INVITE  1
    4.5   bob   > alice  200/INVITE  1  sdp=sendrecv  Server=Desk_Phone
    4.6   alice > bob    ACK         1  to-tag
"""
HANGUP = "65.4 bob > alice BYE 1 to-tag\n 65.5 alice > bob 200/BYE 1"


def test_offer_and_answer_in_prack() -> None:
    """RFC 3262 section 5: a reliable 183 offers, its PRACK answers; a second PRACK offers again."""
    early = """
        0.0  alice > bob    INVITE      1
        0.5  bob   > alice  183/INVITE  1  sdp=sendrecv  Require=100rel  RSeq=1
        0.6  alice > bob    PRACK       2  to-tag  sdp=sendonly  RAck=1_1_INVITE
        0.7  bob   > alice  200/PRACK   2
        2.0  bob   > alice  200/INVITE  1
        2.1  alice > bob    ACK         1  to-tag
    """
    assert directions(early) == ["sendrecv", "sendonly"]
    again = """
        0.8  bob   > alice  183/INVITE  1  Require=100rel  RSeq=2
        0.9  alice > bob    PRACK       3  to-tag  sdp=sendrecv  RAck=2_1_INVITE
        1.0  bob   > alice  200/PRACK   3  sdp=sendrecv
    """
    assert directions(early + again) == ["sendrecv", "sendrecv"]


def directions(table: str) -> list[str]:
    """What both sides have agreed on, the offer first."""
    agreement = only(flow(table)).agreement
    assert agreement is not None
    return [stream.direction for body in (agreement.offer, agreement.answer) for stream in sdp.audio(body)]


def test_update_before_and_after_the_answer() -> None:
    early = "0.6 alice > bob UPDATE 2 to-tag sdp=sendonly\n 0.7 bob > alice 200/UPDATE 2 sdp=recvonly"
    assert told(TALK + early)[0] == "CONNECTED"  # nobody holds what is not answered
    late = "9.6 alice > bob UPDATE 2 to-tag sdp=sendonly\n 9.7 bob > alice 200/UPDATE 2 sdp=recvonly"
    assert told(TALK + late)[0] == "ON_HOLD"


@pytest.mark.parametrize("status", [488, 491])
def test_a_refused_reinvite_changes_nothing(status: int) -> None:
    refused = f"9.0 bob > alice INVITE 5 to-tag sdp=sendonly\n 9.1 alice > bob {status}/INVITE 5"
    assert told(TALK + refused) == ("CONNECTED", 4.5, None, None, None)
    assert told(TALK + refused + "\n" + HANGUP) == ("ENDED", 4.5, 65.4, "Normal Clearing", 60)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(("status", "cause"), [(481, "Temporary failure"), (408, "Recovery on timer expiry")])
def test_a_dialog_that_the_other_side_does_not_know_any_more(method: str, status: int, cause: str) -> None:
    """RFC 3261 section 12.2.1.2: the BYE that follows, if one does, is for the peace of mind."""
    lost = f"30.0 bob > alice {method} 5 to-tag sdp=sendrecv\n 30.5 alice > bob {status}/{method} 5"
    assert told(TALK + lost) == ("ENDED", 4.5, 30.5, cause, 26)
    assert told(TALK + lost + "\n 31.0 bob > alice BYE 6 to-tag") == ("ENDED", 4.5, 30.5, cause, 26)


@pytest.mark.parametrize(
    "between",
    [
        "9.0 bob > alice OPTIONS 5 to-tag User-Agent=Other\n 9.1 alice > bob 481/OPTIONS 5",
        "9.0 bob > alice INFO 5 to-tag User-Agent=Other\n 9.1 alice > bob 200/INFO 5",
        "9.0 bob > alice NOTIFY 5 to-tag\n 9.1 alice > bob 481/NOTIFY 5",
        "9.0 alice > bob MESSAGE 5 to-tag\n 9.1 bob > alice 603/MESSAGE 5",
        "9.0 alice > bob REFER 5 to-tag Refer-To=<sip:carol@x>\n 9.1 bob > alice 202/REFER 5",
        "0.7 bob > alice 199/INVITE 1",
        "0.7 bob > alice 181/INVITE 1",
    ],
)
def test_what_does_not_concern_the_call_changes_nothing(between: str) -> None:
    packets, added = flow(TALK + HANGUP), flow(between)
    with_it = only(packets + added)
    assert facts(with_it) == facts(only(packets))


def test_a_blind_transfer() -> None:
    """RFC 5589 section 6: the leg ends by BYE once the REFER was accepted."""
    refer = """
        20.0  alice > bob    REFER       3  to-tag  Refer-To=<sip:carol@chicago.example.com>
        20.1  bob   > alice  202/REFER   3
        20.2  bob   > alice  NOTIFY      4  to-tag
        20.3  alice > bob    200/NOTIFY  4
        20.4  alice > bob    BYE         5  to-tag
    """
    assert told(TALK + refer) == ("ENDED", 4.5, 20.4, "Normal Clearing", 15)


def test_a_dialog_that_is_replaced_says_so() -> None:
    """RFC 3891: an attended transfer; only the other call tells why this one ends."""
    talk = flow(TALK + "20.5 bob > alice BYE 1 to-tag")
    takes_over = f"""
        20.0  carol > bob    INVITE      1  Replaces={CALL_ID};to-tag=8321234356;from-tag=9fxced76sl
        20.3  bob   > carol  200/INVITE  1
    """
    takes_over_later = takes_over.replace("20.", "60.")
    first, second = media_sessions(talk + flow(takes_over, caller="carol", call_id="second"))
    assert (first.t_cause, second.status) == ("Replaced by another call", "CONNECTED")
    other, _ = media_sessions(talk + flow(takes_over_later, caller="carol", call_id="second"))
    assert other.t_cause == "Normal Clearing"
    refused = flow(takes_over.replace("200/INVITE", "481/INVITE"), caller="carol", call_id="second")
    assert media_sessions(talk + refused)[0].t_cause == "Normal Clearing"


def test_bye_from_both_sides_at_once_and_bye_with_481() -> None:
    crossing = """
        65.4  bob   > alice  BYE      1  to-tag
        65.5  alice > bob    BYE      2  to-tag  Reason=Q.850;cause=31
        65.6  alice > bob    481/BYE  1
        65.6  bob   > alice  481/BYE  2
    """
    assert told(TALK + crossing) == ("ENDED", 4.5, 65.4, "Normal Clearing", 60)


# -- lost messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((0, 1, 3, 4, 5), ("ENDED", 4.6, 65.4, "Normal Clearing", 60)),  # no 200: its ACK says that it was answered
        ((0, 1, 2, 4, 5), ("ENDED", 4.5, 65.4, "Normal Clearing", 60)),  # no ACK
        ((0, 1, 2, 3, 5), ("ENDED", 4.5, 65.5, "Normal Clearing", 61)),  # no BYE, but its answer
        ((0, 1, 2, 3, 4), ("ENDED", 4.5, 65.4, "Normal Clearing", 60)),
        ((1, 2, 3, 4, 5), ("ENDED", 4.5, 65.4, "Normal Clearing", 60)),  # no INVITE
        ((2, 3, 4, 5), ("ENDED", 4.5, 65.4, "Normal Clearing", 60)),
        ((0, 1, 4, 5), ("ENDED", 65.4, 65.4, "Normal Clearing", 0)),  # who is called hangs up: it was answered
        ((0, 1, 2, 3), ("CONNECTED", 4.5, None, None, None)),
        ((0, 3), ("CONNECTED", 4.6, None, None, None)),
    ],
)
def test_lost_messages(lines: tuple[int, ...], expected: tuple[object, ...]) -> None:
    rows = [row for row in (TALK + HANGUP).splitlines() if row.strip()]
    assert told("\n".join(rows[each] for each in lines)) == expected


def test_an_early_dialog_that_its_caller_ends_by_bye() -> None:
    """RFC 3261 section 15: only the caller may."""
    early = "0.0 alice > bob INVITE 1\n 0.5 bob > alice 180/INVITE 1\n 3.0 alice > bob BYE 2 to-tag\n"
    assert told(early + "3.1 bob > alice 487/INVITE 1") == ("ENDED", None, 3.0, "Normal Clearing", 0)


def test_the_ack_of_a_failure_that_was_not_captured() -> None:
    failed = "0.0 alice > bob INVITE 1 via=b0\n 3.0 alice > bob ACK 1 via=b0 to-tag"
    assert told(failed) == ("ENDED", None, 3.0, "Normal, unspecified", 0)


def test_a_capture_that_begins_within_the_talk() -> None:
    session = only(flow("9.0 alice > bob INVITE 4 to-tag sdp=sendonly\n 9.1 bob > alice 200/INVITE 4 sdp=recvonly"))
    assert (session.status, session.answered_at_us) == ("ON_HOLD", at_us(9.0))
    refused = only(flow("9.0 alice > bob INVITE 4 to-tag\n 9.1 bob > alice 491/INVITE 4"))
    assert refused.status == "CONNECTED"


def test_attempts_under_one_call_id() -> None:
    """Credentials with the To tag of the challenge, which some phones send; then the call is answered."""
    challenged = "0.0 alice > bob INVITE 1\n 0.1 bob > alice 401/INVITE 1\n 0.2 alice > bob INVITE 2 to-tag\n"
    assert told(challenged)[0] == "INITIAL"
    assert told(challenged + "0.3 bob > alice 503/INVITE 2")[3] == "Temporary failure"
    redirected = "0.0 alice > bob INVITE 1\n 0.1 bob > alice 302/INVITE 1\n 0.2 alice > carol INVITE 2\n"
    assert told(redirected)[0] == "INITIAL"
    # what is left over of the first attempt is no answer to the second
    assert told(redirected + "0.3 proxy > alice 302/INVITE 1 via=x")[0] == "INITIAL"


def test_a_call_id_that_is_used_again_after_the_call() -> None:
    again = "90 alice > bob INVITE 9\n 91 bob > alice 200/INVITE 9 tag=new\n 99 alice > bob BYE 10 tag=new to-tag"
    assert told(TALK + HANGUP + "\n" + again) == ("ENDED", 4.5, 65.4, "Normal Clearing", 60)


# -- session timers ---------------------------------------------------------------------------------------------------

TIMED = TALK.replace("Server=Desk_Phone", "Server=Desk_Phone Session-Expires=90;refresher=uac")
REFRESH = """
    45.0  alice > bob    UPDATE      2  to-tag  Session-Expires=90;refresher=uac
    45.1  bob   > alice  200/UPDATE  2  Session-Expires=90;refresher=uac
"""
OTHER_CALL = "{at} alice > carol INVITE 1"


def ends(table: str, now_s: float) -> tuple[str, float | None, str | None, int | None]:
    other = flow(OTHER_CALL.format(at=now_s), call_id="other")
    session = next(one for one in media_sessions(flow(table) + other) if one.call_id == CALL_ID)
    ended = None if session.ended_at_us is None else (session.ended_at_us - START_US) / 1_000_000
    return session.status, ended, session.t_cause, session.duration_s


def test_a_session_that_nobody_refreshes_ends_when_its_timer_runs_out() -> None:
    """RFC 4028 section 10."""
    assert only(flow(TIMED)).expires_at_us == at_us(94.5)
    assert ends(TIMED, 100) == ("CONNECTED", None, None, None)
    assert ends(TIMED, 160) == ("ENDED", 94.5, "Recovery on timer expiry", 90)
    assert ends(TIMED + REFRESH, 160) == ("CONNECTED", None, None, None)
    assert ends(TIMED + REFRESH, 200) == ("ENDED", 135.1, "Recovery on timer expiry", 130)
    assert ends(TIMED + HANGUP, 200) == ("ENDED", 65.4, "Normal Clearing", 60)


def test_a_refresh_without_a_timer_switches_it_off() -> None:
    assert ends(TIMED + REFRESH.replace("Session-Expires=90;refresher=uac", ""), 9_999)[0] == "CONNECTED"


@pytest.mark.parametrize("value", ["soon", "-5", "99999999999999", "", "٣"])
def test_a_timer_that_is_no_number_is_none(value: str) -> None:
    assert ends(TIMED.replace("90;refresher=uac", value), 9_999)[0] == "CONNECTED"


# -- whatever comes ---------------------------------------------------------------------------------------------------

FLOWS = {
    "talk": TALK + HANGUP,
    "fork": FORKS + CAROL_ANSWERS + CAROL_HANGS_UP,
    "timed": TIMED + REFRESH + HANGUP,
    "challenged": "0.0 alice > bob INVITE 1\n 0.1 bob > alice 401/INVITE 1\n 0.2 alice > bob ACK 1 to-tag\n"
    " 0.3 alice > bob INVITE 2\n 0.4 bob > alice 180/INVITE 2\n 5.0 alice > bob CANCEL 2\n 5.1 bob > alice 487/INVITE 2",
}
UNRELATED = flow("1.0 alice > bob OPTIONS 90\n 1.1 bob > alice 200/OPTIONS 90\n 5 bob > alice INFO 91 to-tag")


def facts(session: MediaSession | None) -> tuple[object, ...] | None:
    """All but the packets."""
    if session is None:
        return None
    at = (session.created_at_us, session.ringing_at_us, session.answered_at_us, session.ended_at_us)
    words = (session.status, session.src, session.dst, session.src_ua, session.dst_ua, session.t_cause)
    return *at, *words, session.duration_s, session.expires_at_us


def fed(packets: list[Packet]) -> MediaSession | None:
    dialog = Dialog(CALL_ID)
    for packet in packets:
        dialog.add(packet, scan(packet.payload))
    return dialog.session()


@given(st.sampled_from(sorted(FLOWS)), st.data())
def test_duplicates_and_messages_beside_change_nothing(name: str, data: st.DataObject) -> None:
    packets = flow(FLOWS[name])
    more = list(packets)
    for again in data.draw(st.lists(st.sampled_from(range(len(packets))), max_size=6)):
        place = data.draw(st.integers(more.index(packets[again]) + 1, len(more)))
        more.insert(place, packets[again]._replace(at_us=packets[again].at_us + 500_000))
    for other in data.draw(st.lists(st.sampled_from(UNRELATED), max_size=3)):
        more.insert(data.draw(st.integers(0, len(more))), other)
    assert facts(fed(more)) == facts(fed(packets))


@given(st.sampled_from(sorted(FLOWS)), st.data())
def test_whatever_is_lost_the_instants_are_in_order(name: str, data: st.DataObject) -> None:
    packets = flow(FLOWS[name])
    kept = data.draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
    session = fed([packet for packet, keep in zip(packets, kept, strict=True) if keep])
    if session is not None:
        instants = [session.created_at_us, session.ringing_at_us, session.answered_at_us, session.ended_at_us]
        there = [each for each in instants if each is not None]
        assert there == sorted(there)
        assert session.duration_s is None or session.duration_s >= 0


@given(st.sampled_from(sorted(FLOWS)), st.data())
def test_hostile_text_raises_nothing(name: str, data: st.DataObject) -> None:
    packets = flow(FLOWS[name])
    broken: list[Packet] = []
    for packet in data.draw(st.permutations(packets)):
        payload = bytearray(packet.payload)
        for place in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=4)):
            payload[place] = data.draw(st.integers(0, 255))
        broken.append(packet._replace(payload=bytes(payload)))
    session = fed(broken)
    assert session is None or session.duration_s is None or session.duration_s >= 0
    media_sessions(broken)
