"""Who ended a call, and in which words; what a dialog tells of itself while it goes on."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession, expired
from ringback.sip.message import scan

from .sip_flows import CALL_ID, START_US, flow
from .test_sip_dialogs import ANSWERED, HANGUP, HOLD, RESUME, RINGS, only
from .test_sip_forks import CAROL_ANSWERS, CAROL_HANGS_UP, FORKS, TIMED

CANCELLED = "9.0 alice > bob CANCEL 1\n 9.1 bob > alice 200/CANCEL 1\n 9.2 bob > alice 487/INVITE 1"
CHALLENGED = "0.0 alice > bob INVITE 1\n 0.1 bob > alice 407/INVITE 1\n 0.2 alice > bob ACK 1 to-tag\n"


@pytest.mark.parametrize(
    ("table", "by"),
    [
        (ANSWERED, None),
        (ANSWERED + HANGUP, "dst"),
        (ANSWERED + "65.4 alice > bob BYE 2 to-tag", "src"),
        (ANSWERED + "65.5 alice > bob 200/BYE 1", "dst"),  # the BYE was not captured
        (ANSWERED + HANGUP + "65.45 alice > bob BYE 2 to-tag", "dst"),  # both at once: the first
        (RINGS + CANCELLED, "src"),
        (RINGS + "9.2 bob > alice 487/INVITE 1", "src"),  # the CANCEL was not captured
        (RINGS + "9.0 alice > bob BYE 2 to-tag", "src"),
        (RINGS + "3.0 bob > alice 486/INVITE 1", "dst"),
        (RINGS + "9.0 alice > bob CANCEL 1\n 9.1 bob > alice 200/INVITE 1 sdp=sendrecv", None),  # too late
        (RINGS + "9.2 alice > bob ACK 1 to-tag", None),  # the refusal was not captured
        (ANSWERED + "65 alice > bob INVITE 2 to-tag\n 65.1 bob > alice 481/INVITE 2", None),  # nobody: it was gone
        (CHALLENGED, "dst"),
        (CHALLENGED + "0.3 alice > bob INVITE 2", None),
        (FORKS + CAROL_ANSWERS, None),
        (FORKS + CAROL_ANSWERS + CAROL_HANGS_UP, "dst"),
    ],
)
def test_who_ended_it(table: str, by: str | None) -> None:
    assert only(flow(table)).ended_by == by


def test_nobody_ended_what_ran_out() -> None:
    session = expired(only(flow(TIMED)), START_US + 9_999_000_000)
    assert (session.ended, session.ended_by) == (True, None)


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (603, "Q.850;cause=16", "Call Rejected"),
        (486, 'Q.850;cause=16;text="Normal_Clearing"', "User busy"),
        (503, "SIP;cause=487", "Temporary failure"),
        (603, "Q.850;cause=17", "User busy"),
        (480, "Q.850;cause=31", "Normal, unspecified"),
        (487, "Q.850;cause=16", "Normal Clearing"),
        (699, "Q.850;cause=16", "Gone Fishing"),
    ],
)
def test_a_refusal_is_no_normal_clearing(status: int, reason: str, cause: str) -> None:
    """RFC 3326 lets any response have a Reason; some PBXs send one and the same with each. Cause 16 (Q.850: one of the users
    asked for the call to be cleared) of a call that never was says nothing, the status does."""
    assert only(flow(RINGS + f"3.0 bob > alice {status}/INVITE 1 Reason={reason}")).t_cause == cause


def test_a_caller_who_gives_up_cleared_the_call() -> None:
    """As RFC 3398 section 7.2.4.1 maps it (CANCEL and cause 16), and as PBXs write it into their CDRs."""
    session = only(flow(RINGS + CANCELLED))
    assert (session.t_cause, session.ended_by, session.duration_s) == ("Normal Clearing", "src", 0)


# -- what a dialog tells ----------------------------------------------------------------------------------------------

TABLES = {
    "talk": ANSWERED + HOLD + RESUME + HANGUP,
    "fork": FORKS + CAROL_ANSWERS + CAROL_HANGS_UP,
    "cancelled": CHALLENGED + RINGS.replace(" 1 ", " 2 ").replace("0.0 ", "0.3 ") + CANCELLED.replace(" 1", " 2"),
    "replacing": ANSWERED.replace("INVITE      1  sdp", "INVITE      1  Replaces=other;to-tag=1  sdp", 1) + HANGUP,
    "hidden": ANSWERED
    + "0.01 alice > proxy INVITE 1 via=b1 P-Asserted-Identity=<tel:+44>\n 9 alice > bob BYE 7 to-tag Reason=Q.850;cause=31",
    "timed": TIMED + "30 alice > bob INVITE 5 to-tag\n 30.1 bob > alice 200/INVITE 5 Session-Expires=1800",
}


def _said(session: MediaSession | None) -> dict[str, Any] | None:
    """All but the packets, with what equality leaves out."""
    if session is None:
        return None
    return {each.name: getattr(session, each.name) for each in fields(session) if each.name not in ("messages", "rtcp")}


@given(st.sampled_from(sorted(TABLES)), st.data())
def test_while_a_dialog_tells_the_same_its_session_is_the_same(name: str, data: st.DataObject) -> None:
    """Whatever was lost, came twice or out of order. So a collector that asks after each lot misses nothing."""
    packets = flow(TABLES[name])
    if name == "hidden":
        plain, hidden = b"Alice <sip:alice@atlanta.example.com>", b"<sip:anonymous@anonymous.invalid>"
        packets = [each._replace(payload=each.payload.replace(plain, hidden)) for each in packets]
    dialog = Dialog(CALL_ID)
    before = dialog.told(), _said(dialog.session())
    for packet in data.draw(st.lists(st.sampled_from(packets), max_size=2 * len(packets))):
        dialog.add(packet, scan(packet.payload))
        now = dialog.told(), _said(dialog.session())
        assert now[0] != before[0] or now[1] == before[1]
        before = now


@given(st.sampled_from(sorted(TABLES)), st.data())
def test_a_dialog_in_two_parts_is_the_dialog_in_one(name: str, data: st.DataObject) -> None:
    packets = flow(TABLES[name])
    parts, whole = Dialog(CALL_ID), Dialog(CALL_ID)
    cut = data.draw(st.integers(0, len(packets)))
    for number, packet in enumerate(packets):
        if number == cut:
            parts.session(), parts.told()
        parts.add(packet, scan(packet.payload))
        whole.add(packet, scan(packet.payload))
    assert parts.told() == whole.told()
    assert _said(parts.session()) == _said(whole.session())


AGAIN = CHALLENGED + "0.3 alice > bob INVITE 2 via=again User-Agent=Phone\n 0.5 bob > alice 180/INVITE 2 via=again\n"
GIVEN_UP = "2.0 alice > bob CANCEL 2 via=again\n 2.1 bob > alice 487/INVITE 2 via=again\n"
TALKED = """
    2.0  bob > alice  200/INVITE  2  via=again
    2.1  alice > bob  ACK         2  to-tag
    9.0  alice > bob  BYE         3  to-tag  User-Agent=Phone
    9.1  bob > alice  200/BYE     3
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CSeq: 2 ", b"CSeq: 1 "),
        (b"tag=9fxced76sl", b"tag=another"),
    ],  # both where RFC 3261 section 22.2 has it otherwise
)
@pytest.mark.parametrize(("end", "duration_s"), [(GIVEN_UP, 0), (TALKED, 7)])
def test_credentials_that_come_as_another_attempt(old: bytes, new: bytes, end: str, duration_s: int) -> None:
    """Proxies that have a trunk's credentials keep the CSeq number, some phones take another From tag."""
    first, rest = flow(AGAIN + end)[:3], flow(AGAIN + end)[3:]
    session = only([*first, *(each._replace(payload=each.payload.replace(old, new)) for each in rest)])
    assert (session.t_cause, session.ended_by, session.duration_s) == ("Normal Clearing", "src", duration_s)
    assert (session.src_ua, session.dst_ua) == ("Phone", None)
