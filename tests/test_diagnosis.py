"""What a diagnosis finds: for each kind of finding a call that shows it, and one much like it that does not."""

from typing import NamedTuple

import pytest

from ringback.sip.diagnosis import KINDS, diagnose
from ringback.sip.diagnosis.finding import Finding, Severity
from tests.scenes import scene
from tests.sip.sip_flows import flow

TALK = """
    1.0   bob > alice   200/INVITE  {n}  sdp
    1.1   alice > bob   ACK         {n}
    30.0  bob > alice   BYE         1
    30.1  alice > bob   200/BYE     1
"""
FIRST = TALK.format(n=1)
SECOND = TALK.format(n=2)
ANSWERED = "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n"
HUNG_UP = "30.0 bob > alice BYE 9\n30.1 alice > bob 200/BYE 9\n"
CHALLENGE = 'WWW-Authenticate=Digest_realm="pbx",nonce="{}"'
CREDENTIALS = 'Authorization=Digest_username="101",realm="pbx",nonce="{}",response="0"'


class Case(NamedTuple):
    """`near`: almost the same call, which has no such finding."""

    code: str
    shows: str
    near: str
    severity: Severity = Severity.ERROR


def case_ids(case: Case) -> str:
    return case.code


def challenged(n: int, given: str = "", answer: str = "", stale: str = "") -> str:
    """INVITE number n, with credentials for the nonce `given`, is challenged with nonce `answer`."""
    return f"""
        0.{n}0   alice > bob  INVITE      {n}  sdp  {CREDENTIALS.format(given) if given else ""}
        0.{n}1   bob > alice  401/INVITE  {n}  {CHALLENGE.format(answer)}{stale}
        0.{n}2   alice > bob  ACK         {n}
    """


def refused(status: int, *more: str) -> str:
    return f"""
        0.0  alice > p      INVITE            1  sdp
        0.1  p > alice      100/INVITE        1
        0.1  p > bob        INVITE            1  sdp
        {" ".join(more)}
        2.0  bob > p > alice  {status}/INVITE  1
        2.1  p > bob        ACK               1
        2.1  alice > p      ACK               1
    """


RINGS = "\n1.0  bob > p > alice  180/INVITE  1\n"
CANCELLED = """
    0.0   alice > bob   INVITE      1  sdp
    0.1   bob > alice   100/INVITE  1
    {}
    {end}   alice > bob   CANCEL      1
    {end}   bob > alice   200/CANCEL  1
    {end}   bob > alice   487/INVITE  1
    {end}   alice > bob   ACK         1
"""

AUTHENTICATION = [
    Case(
        "authentication-loop",
        challenged(1, "", "a") + challenged(2, "a", "b") + challenged(3, "b", "c"),
        challenged(1, "", "a") + challenged(2, "old", "b") + challenged(3, "b", "c", ",stale=true")
        + "0.40 alice > bob INVITE 4 sdp " + CREDENTIALS.format("c") + TALK.format(n=4),
    ),
    Case(
        "authentication-rejected",
        challenged(1, "", "a") + challenged(2, "a", "b"),
        challenged(1, "", "a") + challenged(2, "a", "b") + "0.30 alice > bob INVITE 3 sdp " + CREDENTIALS.format("b")
        + TALK.format(n=3),
    ),
    Case(
        "authentication-unanswered",
        challenged(1, "", "a"),
        challenged(1, "", "a") + "0.20 alice > bob INVITE 2 sdp " + CREDENTIALS.format("a") + SECOND,
    ),
]  # fmt: skip

SILENCE = [
    Case(
        "invite-no-response",
        "0.0 alice > bob INVITE 1 sdp x7",
        "0.0 alice > bob INVITE 1 sdp x2\n0.6 bob > alice 180/INVITE 1" + FIRST,
    ),
    Case(
        "bye-no-response",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n9.0 alice > bob BYE 2 x8",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n9.0 alice > bob BYE 2 x2"
        "\n9.6 bob > alice 200/BYE 2",
        Severity.WARNING,
    ),
    Case(
        "request-no-response",
        ANSWERED + "2.0 alice > bob INVITE 2 sdp x7\n" + HUNG_UP,
        ANSWERED
        + "2.0 alice > bob INVITE 2 sdp x2\n2.6 bob > alice 200/INVITE 2 sdp\n2.7 alice > bob ACK 2\n"
        + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "response-late",
        "0.0 alice > bob INVITE 1 sdp x4\n3.8 bob > alice 100/INVITE 1"
        + FIRST.replace("1.0 ", "4.0 ").replace("1.1 ", "4.1 "),
        "0.0 alice > bob INVITE 1 sdp x2\n0.8 bob > alice 100/INVITE 1" + FIRST,
        Severity.WARNING,
    ),
    Case(
        "progress-late",
        CANCELLED.format("", end="15.0"),
        CANCELLED.format("3.0 bob > alice 180/INVITE 1", end="15.0"),
        Severity.WARNING,
    ),
]

REFUSALS = [
    Case("redirect-not-followed", refused(302), refused(302) + "2.2 alice > bob INVITE 2 sdp"
         + SECOND.replace("1.0 ", "2.5 ").replace("1.1 ", "2.6 ")),
    Case("call-forbidden", refused(403), refused(603)),
    Case("number-unknown", refused(404), refused(486)),
    Case("number-incomplete", refused(484), refused(484) + "2.2 alice > bob INVITE 2 sdp"
         + SECOND.replace("1.0 ", "2.5 ").replace("1.1 ", "2.6 ")),
    Case("callee-unreachable", refused(480), refused(480, RINGS)),
    Case("call-timed-out", refused(408), refused(408, RINGS)),
    Case("service-unavailable", refused(503), refused(600)),
    Case("server-error", refused(500), refused(603)),
    Case("request-not-understood", refused(400), refused(486)),
    Case("extension-required", refused(421), refused(421) + "2.2 alice > bob INVITE 2 sdp "
         "Require=100rel" + SECOND.replace("1.0 ", "2.5 ").replace("1.1 ", "2.6 ")),
    Case("session-interval-refused", refused(422), refused(422) + "2.2 alice > bob INVITE 2 sdp Session-Expires=1800"
         + SECOND.replace("1.0 ", "2.5 ").replace("1.1 ", "2.6 ")),
    Case("identity-refused", refused(433), refused(603)),
    Case("call-blocked", refused(608), refused(603), Severity.WARNING),
    Case("ended-without-cancel", refused(487), CANCELLED.format("1.0 bob > alice 180/INVITE 1", end="5.0"),
         Severity.NOTICE),
]  # fmt: skip


def changed(method: str, status: int, at_s: float = 5.0, n: int = 2) -> str:
    return f"""
        {at_s}  alice > bob  {method}           {n}  sdp:sendonly
        {at_s + 0.1}  bob > alice  {status}/{method}  {n}
        {f"{at_s + 0.2}  alice > bob  ACK  {n}" if method == "INVITE" else ""}
    """


INSIDE = [
    Case(
        "change-refused",
        ANSWERED + changed("INVITE", 488) + HUNG_UP,
        ANSWERED + changed("INVITE", 488).replace("INVITE", "OPTIONS") + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "dialog-unknown",
        ANSWERED + changed("UPDATE", 481) + HUNG_UP,
        ANSWERED + changed("UPDATE", 481, at_s=30.05) + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "glare-unresolved",
        ANSWERED + changed("INVITE", 491) + HUNG_UP,
        ANSWERED + changed("INVITE", 491) + "7.0 alice > bob INVITE 3 sdp\n7.1 bob > alice 200/INVITE 3 sdp\n"
        "7.2 alice > bob ACK 3\n" + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "request-refused",
        ANSWERED + "5.0 alice > bob INFO 2\n5.1 bob > alice 415/INFO 2\n" + HUNG_UP,
        ANSWERED + "5.0 alice > bob OPTIONS 2\n5.1 bob > alice 415/OPTIONS 2\n" + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "transfer-refused",
        ANSWERED + "5.0 alice > bob REFER 2 Refer-To=<sip:103@x>\n5.1 bob > alice 403/REFER 2\n" + HUNG_UP,
        ANSWERED + "5.0 alice > bob REFER 2 Refer-To=<sip:103@x>\n5.1 bob > alice 202/REFER 2\n" + HUNG_UP,
    ),
    Case(
        "transfer-failed",
        ANSWERED + "5.0 alice > bob REFER 2 Refer-To=<sip:103@x>\n5.1 bob > alice 202/REFER 2\n"
        "6.0 bob > alice NOTIFY 2 Event=refer sipfrag=404_Not_Found\n6.1 alice > bob 200/NOTIFY 2\n" + HUNG_UP,
        ANSWERED + "5.0 alice > bob REFER 2 Refer-To=<sip:103@x>\n5.1 bob > alice 202/REFER 2\n"
        "6.0 bob > alice NOTIFY 2 Event=refer sipfrag=486_Busy_Here\n6.1 alice > bob 200/NOTIFY 2\n" + HUNG_UP,
    ),
]

ACKS = [
    Case(
        "ack-missing",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x8\n33.0 bob > alice BYE 1\n33.1 alice > bob "
        "200/BYE 1",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x2\n1.6 alice > bob ACK 1\n33.0 bob > alice BYE 1\n"
        "33.1 alice > bob 200/BYE 1",
    ),
    Case(
        "ack-lost",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x8\n1.1 alice > bob ACK 1 x8\n"
        "33.0 bob > alice BYE 1\n33.1 alice > bob 200/BYE 1",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x2\n1.1 alice > bob ACK 1 x2\n"
        "33.0 bob > alice BYE 1\n33.1 alice > bob 200/BYE 1",
    ),
    Case(
        "ack-late",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x3\n3.0 alice > bob ACK 1\n" + HUNG_UP,
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp x2\n3.0 alice > bob ACK 1\n" + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "prack-missing",
        "0.0 alice > bob INVITE 1 sdp\n0.1 bob > alice 183/INVITE 1 sdp Require=100rel RSeq=7 x5\n" + FIRST,
        "0.0 alice > bob INVITE 1 sdp\n0.1 bob > alice 183/INVITE 1 sdp Require=100rel RSeq=7 x3\n"
        "2.0 alice > bob PRACK 2 RAck=7_1_INVITE\n2.1 bob > alice 200/PRACK 2\n"
        + FIRST.replace("1.0 ", "3.0 ").replace("1.1 ", "3.1 "),
        Severity.WARNING,
    ),
]

NATTED = """
    0.0  alice > pbx  INVITE      1  sdp:@192.168.1.20  leg=a
    0.1  pbx > alice  100/INVITE  1                     leg=a
    0.2  pbx > bob    INVITE      1  sdp{passed}        leg=b
    2.0  bob > pbx    200/INVITE  1  sdp                leg=b
    2.1  pbx > bob    ACK         1                     leg=b
    2.1  pbx > alice  200/INVITE  1  sdp                leg=a
    2.2  alice > pbx  ACK         1                     leg=a
    30.0 alice > pbx  BYE         2                     leg=a
    30.1 pbx > alice  200/BYE     2                     leg=a
    30.1 pbx > bob    BYE         2                     leg=b
    30.2 bob > pbx    200/BYE     2                     leg=b
"""
AGREED = (
    "0.0 alice > bob INVITE 1 sdp:{offer}\n1.0 bob > alice 200/INVITE 1 sdp:{answer}\n1.1 alice > bob ACK 1\n" + HUNG_UP
)
REPORTED = "".join(
    f"{at}.0 alice ~ bob RTCP sent={{a{n}}} {{la}}\n{at}.1 bob ~ alice RTCP sent={{b{n}}} {{lb}}\n"
    for n, at in enumerate((6, 11, 16, 21))
)
FINE = {"a0": 250, "a1": 500, "a2": 750, "a3": 1000, "b0": 250, "b1": 500, "b2": 750, "b3": 1000}

MEDIA = [
    Case("nat-media-address", NATTED.format(passed=":@192.168.1.20"), NATTED.format(passed="")),
    Case(
        "codec-mismatch",
        "0.0 alice > bob INVITE 1 sdp:G729\n0.1 bob > alice 488/INVITE 1 Warning=304_bob_no\n0.2 alice > bob ACK 1",
        "0.0 alice > bob INVITE 1 sdp:G729\n0.1 bob > alice 488/INVITE 1\n0.2 alice > bob ACK 1\n"
        "0.3 alice > bob INVITE 2 sdp:PCMU" + SECOND,
    ),
    Case(
        "codec-none-common",
        AGREED.format(offer="PCMA,G729,telephone-event", answer="PCMU,telephone-event"),
        AGREED.format(offer="PCMA,G729,telephone-event", answer="G729,telephone-event"),
    ),
    Case(
        "codec-not-offered",
        AGREED.format(offer="PCMA,PCMU", answer="G722,PCMU"),
        AGREED.format(offer="PCMA,PCMU", answer="PCMU,G722"),
        Severity.WARNING,
    ),
    Case(
        "media-one-way",
        AGREED.format(offer="sendrecv", answer="sendonly"),
        AGREED.format(offer="sendonly", answer="recvonly").replace(
            HUNG_UP,
            "5.0 alice > bob INVITE 2 sdp\n5.1 bob > alice 200/INVITE 2 sdp\n5.2 alice > bob ACK 2\n" + HUNG_UP,
        ),
        Severity.WARNING,
    ),
    Case(
        "media-none",
        AGREED.format(offer="sendrecv", answer="port0"),
        AGREED.format(offer="sendrecv", answer="port0,image"),
    ),
    Case(
        "media-not-heard",
        ANSWERED + REPORTED.format(**FINE, la="lost=0.0", lb="") + HUNG_UP,
        ANSWERED + REPORTED.format(**FINE, la="lost=0.0", lb="lost=0.01") + HUNG_UP,
    ),
    Case(
        "media-not-sent",
        ANSWERED + REPORTED.format(**FINE | dict.fromkeys(("b0", "b1", "b2", "b3"), 0), la="", lb="lost=0.0") + HUNG_UP,
        ANSWERED
        + "5.0 bob > alice INVITE 2 sdp:sendonly\n5.1 alice > bob 200/INVITE 2 sdp:recvonly\n5.2 bob > alice ACK 2\n"
        + REPORTED.format(**FINE | dict.fromkeys(("b0", "b1", "b2", "b3"), 99), la="", lb="lost=0.0")
        + "25.0 bob > alice INVITE 3 sdp\n25.1 alice > bob 200/INVITE 3 sdp\n25.2 bob > alice ACK 3\n" + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "media-loss",
        ANSWERED + REPORTED.format(**FINE, la="lost=0.2", lb="lost=0.0") + HUNG_UP,
        ANSWERED + REPORTED.format(**FINE, la="lost=0.03", lb="lost=0.0") + HUNG_UP,
        Severity.WARNING,
    ),
    Case(
        "early-media-unanswered",
        CANCELLED.format("0.5 bob > alice 183/INVITE 1 sdp", end="41.0"),
        CANCELLED.format("0.5 bob > alice 183/INVITE 1 sdp", end="9.0"),
        Severity.NOTICE,
    ),
]  # fmt: skip

HOLD = "5.0 alice > bob INVITE 2 sdp:sendonly\n5.1 bob > alice 200/INVITE 2 sdp:recvonly\n5.2 alice > bob ACK 2\n"
TIMED = """
    0.0   alice > bob   INVITE      1  sdp  Session-Expires=90
    1.0   bob > alice   200/INVITE  1  sdp  Session-Expires=90;refresher=uac
    1.1   alice > bob   ACK         1
    {}
    {end}  bob > alice   BYE         1
    {end}  alice > bob   200/BYE     1
"""
REFRESH = "46.0 alice > bob UPDATE 2 Session-Expires=90\n46.1 bob > alice 200/UPDATE 2 Session-Expires=90;refresher=uac"

REST = [
    Case(
        "hold-not-resumed",
        ANSWERED + HOLD + HUNG_UP,
        ANSWERED
        + HOLD
        + "9.0 alice > bob INVITE 3 sdp\n9.1 bob > alice 200/INVITE 3 sdp\n9.2 alice > bob ACK 3\n"
        + HUNG_UP,
        Severity.NOTICE,
    ),
    Case(
        "session-timer-expired",
        TIMED.format("", end="61.0"),
        TIMED.format(REFRESH, end="100.0"),
    ),
    Case(
        "call-loop",
        refused(483),
        refused(482).replace("482", "486"),
    ),
    Case(
        "call-hairpin",
        "0.0 pbx > gw INVITE 1 sdp leg=a\n0.1 gw > pbx 100/INVITE 1 leg=a\n0.2 gw > pbx INVITE 1 sdp leg=b "
        "to=12025550123 as=500\n",
        "0.0 pbx > gw INVITE 1 sdp leg=a\n0.1 gw > pbx 100/INVITE 1 leg=a\n0.2 gw > bob INVITE 1 sdp leg=b "
        "to=12025550123\n",
        Severity.WARNING,
    ),
    Case(
        "call-short",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n3.4 alice > bob BYE 2\n"
        "3.5 bob > alice 200/BYE 2",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n4.4 alice > bob BYE 2\n"
        "4.5 bob > alice 200/BYE 2",
        Severity.NOTICE,
    ),
    Case(
        "call-cut-off",
        ANSWERED + HUNG_UP.replace("BYE 9", "BYE 9 Reason=Q.850;cause=38", 1),
        ANSWERED + HUNG_UP.replace("BYE 9", "BYE 9 Reason=Q.850;cause=16", 1),
        Severity.WARNING,
    ),
]

CASES = [*AUTHENTICATION, *SILENCE, *REFUSALS, *INSIDE, *ACKS, *MEDIA, *REST]


def found(table: str) -> list[Finding]:
    return diagnose(scene(table))


@pytest.mark.parametrize("case", CASES, ids=case_ids)
def test_a_call_that_shows_it(case: Case) -> None:
    shown = found(case.shows)
    assert [(each.code, each.severity) for each in shown] == [(case.code, case.severity)]
    assert shown[0].proofs
    assert shown[0].says.endswith(".")


@pytest.mark.parametrize("case", CASES, ids=case_ids)
def test_a_call_that_almost_shows_it(case: Case) -> None:
    assert found(case.near) == []


def test_every_kind_has_a_case() -> None:
    assert sorted(case.code for case in CASES) == sorted(kind.code for kind in KINDS)


@pytest.mark.parametrize(("old", "new"), [(b"CSeq: 2 ", b"CSeq: 1 "), (b"tag=alice-one", b"tag=another")])
def test_credentials_that_come_as_another_attempt_are_healthy(old: bytes, new: bytes) -> None:
    """Proxies that have a trunk's credentials keep the CSeq number, some phones take another From tag."""
    packets = scene(challenged(1, "", "a") + "0.30 alice > bob INVITE 2 sdp " + CREDENTIALS.format("a") + SECOND)
    again = [each._replace(payload=each.payload.replace(old, new)) for each in packets[3:]]
    assert diagnose([*packets[:3], *again]) == []


TWO_ANSWER = """
    0.0   alice > bob  INVITE      1  sdp=sendrecv
    3.0   bob > alice  200/INVITE  1  sdp=sendrecv
    3.1   bob > alice  200/INVITE  1  sdp=sendrecv  tag=late
    3.2   alice > bob  ACK         1  to-tag
    3.2   alice > bob  ACK         1  to-tag  tag=late
    3.3   alice > bob  BYE         2  to-tag  tag=late
    3.4   bob > alice  200/BYE     2  tag=late
    30.0  alice > bob  BYE         3  to-tag
    30.1  bob > alice  200/BYE     3
"""
ANSWER_MEETS_CANCEL = """
    0.0   alice > bob  INVITE      1  sdp=sendrecv
    1.0   bob > alice  180/INVITE  1
    4.0   alice > bob  CANCEL      1
    4.01  bob > alice  200/INVITE  1  sdp=sendrecv
    4.05  bob > alice  200/CANCEL  1
    4.1   alice > bob  ACK         1  to-tag
    4.11  alice > bob  BYE         2  to-tag
    4.2   bob > alice  200/BYE     2
"""


@pytest.mark.parametrize("table", [TWO_ANSWER, ANSWER_MEETS_CANCEL])
def test_a_bye_that_is_no_hanging_up(table: str) -> None:
    """The caller keeps one of two phones; the caller gives up as the callee answers."""
    assert diagnose(flow(table)) == []
