"""What a diagnosis finds: for each kind of finding a call that shows it, and one much like it that does not."""

from typing import NamedTuple

import pytest

from ringback.sip.diagnosis import KINDS, diagnose
from ringback.sip.diagnosis.finding import Finding, Severity
from ringback.sip.packet import Endpoint, Packet
from tests.scenes import ADDRESSES, START_US, scene

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
LOOPING = """
    0.0   alice > p   INVITE  1  sdp
    0.01  p > q       INVITE  1  sdp
    0.02  q > p       INVITE  1  sdp  {r}
    0.03  p > q       INVITE  1  sdp  branch=2  {r}
    0.04  q > p       INVITE  1  sdp  branch=2  {r}
    0.05  p > q       INVITE  1  sdp  branch=3  {r}
    0.06  p > alice   100/INVITE  1
"""

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


# -- what the sentences say ---------------------------------------------------------------------------------------------


def the_only(table: str, **addresses: str) -> Finding:
    (shown,) = diagnose(scene(table, **addresses))
    return shown


def test_a_finding_names_the_messages_that_prove_it() -> None:
    shown = the_only("0.0 alice > bob INVITE 1 sdp x3")
    assert [each.place for each in shown.proofs] == [1, 2, 3]
    assert [each.packet.at_us - START_US for each in shown.proofs] == [0, 500_000, 1_500_000]
    assert shown.says == "203.0.113.22:5060 did not answer the INVITE of 198.51.100.11:5060, which was sent 3 times."


def test_by_tcp_nothing_is_sent_twice_but_silence_is_silence() -> None:
    table = "0.0 alice > bob INVITE 1 sdp\n{}.0 alice > bob CANCEL 1"
    codes = [[each.code for each in diagnose(scene(table.format(at_s), "TCP"))] for at_s in (2, 20)]
    assert codes == [[], ["invite-no-response"]]


def test_a_large_invite_by_udp_may_have_been_lost_in_fragments() -> None:
    table = f"0.0 alice > bob INVITE 1 sdp x3 Filling={'x' * 1300}"
    assert "fragments" in the_only(table).look
    assert "fragments" not in diagnose(scene(table + "\n20.0 alice > bob CANCEL 1", "TCP"))[0].look


def test_the_password_that_is_wrong_is_named() -> None:
    shown = the_only(challenged(1, "", "a") + challenged(2, "a", "b") + challenged(3, "b", "c"))
    assert shown.says == "The credentials of 101 for pbx were refused 2 times by 203.0.113.22:5060."
    assert [each.place for each in shown.proofs] == [4, 5, 7, 8]


def test_a_second_realm_is_another_password() -> None:
    proxy = 'Proxy-Authenticate=Digest_realm="p",nonce="n"'
    first, both = (
        CREDENTIALS.format("a"),
        CREDENTIALS.format("a") + " Proxy-" + CREDENTIALS.format("n").replace("pbx", "p"),
    )
    table = f"""
        0.0  alice > bob  INVITE      1  sdp
        0.1  bob > alice  401/INVITE  1  {CHALLENGE.format("a")}
        0.1  alice > bob  ACK         1
        0.2  alice > bob  INVITE      2  sdp  {first}
        0.3  bob > alice  407/INVITE  2  {proxy}
        0.3  alice > bob  ACK         2
        0.4  alice > bob  INVITE      3  sdp  {both}
    """
    assert found(table + TALK.format(n=3)) == []


def test_a_proxy_that_answers_for_a_silent_phone_is_told_apart() -> None:
    shown = found("""
        0.0   alice > p  INVITE      1  sdp
        0.0   p > alice  100/INVITE  1
        0.1   p > bob    INVITE      1  sdp  x7
        32.0  p > alice  408/INVITE  1
        32.1  alice > p  ACK         1
    """)
    assert [each.code for each in shown] == ["call-timed-out", "invite-no-response", "progress-late"]
    assert shown[0].says == (
        "192.0.2.1:5060 refused the call to 102 with 408 Request Timeout (Recovery on timer expiry); it had passed the call "
        "on, and this answer is its own."
    )


def test_a_refusal_that_proxies_pass_on_is_told_once_of_who_said_it() -> None:
    shown = the_only(refused(404))
    assert shown.says == "203.0.113.22:5060 refused the call to 102 with 404 Not Found (Unallocated number)."


TWO_LEGS = """
    0.0  alice > pbx  INVITE        1  sdp  leg=a
    0.1  pbx > alice  100/INVITE    1       leg=a
    0.2  pbx > gw     INVITE        1  sdp  leg=b
    0.5  gw > pbx     {b}/INVITE    1       leg=b
    0.5  pbx > gw     ACK           1       leg=b
    0.6  pbx > alice  {a}/INVITE    1       leg=a
    0.7  alice > pbx  ACK           1       leg=a
"""


def test_of_two_legs_that_fail_together_the_cause_is_told() -> None:
    assert the_only(TWO_LEGS.format(a=480, b=404)).code == "number-unknown"
    assert found(TWO_LEGS.format(a=503, b=486)) == []


def test_a_trunk_that_fails_is_a_warning_when_another_takes_the_call() -> None:
    shown = the_only("""
        0.0  alice > pbx  INVITE      1  sdp  leg=a
        0.1  pbx > alice  100/INVITE  1       leg=a
        0.2  pbx > gw     INVITE      1  sdp  leg=b
        0.5  gw > pbx     503/INVITE  1       leg=b
        0.5  pbx > gw     ACK         1       leg=b
        0.6  pbx > bob    INVITE      1  sdp  leg=c
        3.0  bob > pbx    200/INVITE  1  sdp  leg=c
        3.0  pbx > bob    ACK         1       leg=c
        3.1  pbx > alice  200/INVITE  1  sdp  leg=a
        3.2  alice > pbx  ACK         1       leg=a
    """)
    assert (shown.code, shown.severity) == ("service-unavailable", Severity.WARNING)


def test_a_menu_that_answered_does_not_hide_that_nobody_could_be_reached() -> None:
    shown = the_only("""
        0.0  alice > pbx  INVITE      1  sdp  leg=a
        0.1  pbx > alice  200/INVITE  1  sdp  leg=a
        0.2  alice > pbx  ACK         1       leg=a
        5.0  pbx > bob    INVITE      1  sdp  leg=b
        5.1  bob > pbx    404/INVITE  1       leg=b
        5.1  pbx > bob    ACK         1       leg=b
        9.0  alice > pbx  BYE         2       leg=a
        9.1  pbx > alice  200/BYE     2       leg=a
    """)
    assert (shown.code, shown.severity) == ("number-unknown", Severity.ERROR)


def test_a_proxy_that_sends_the_call_back() -> None:
    shown = the_only("""
        0.0   alice > p  INVITE      1  sdp
        0.0   p > alice  100/INVITE  1
        0.01  p > q      INVITE      1  sdp
        0.02  q > p      INVITE      1  sdp
        0.03  p > q      100/INVITE  1
        0.04  q > p      100/INVITE  1
    """)
    assert shown.code == "call-hairpin"
    assert shown.says == "192.0.2.2:5060 sent the call to 102 back to 192.0.2.1:5060, where it had come from."


def test_a_call_that_goes_round_is_seen_before_its_hops_are_used_up() -> None:
    loop, hairpin = found(LOOPING)
    assert (loop.code, hairpin.code) == ("call-loop", "call-hairpin")
    assert loop.says == "The same INVITE came to 192.0.2.1:5060 3 times, with Max-Forwards 70, 68, 66."


def test_private_addresses_of_a_callee_are_seen_in_the_answer() -> None:
    table = AGREED.format(offer="PCMU", answer="PCMU,@10.1.2.3")
    assert the_only(table).says == "The SDP from 203.0.113.22 says that media go to 10.1.2.3, a private address."
    assert diagnose(scene(table, alice="10.1.2.4", bob="10.1.2.3")) == []


def test_a_relay_may_replace_the_address_in_an_answer() -> None:
    assert found("""
        0.0  alice > p  INVITE      1  sdp
        0.0  p > bob    INVITE      1  sdp:@192.0.2.5
        1.0  bob > p    200/INVITE  1  sdp:@10.1.2.3
        1.0  p > alice  200/INVITE  1  sdp:@192.0.2.5
        1.1  alice > p > bob  ACK   1
    """) == []  # fmt: skip


def test_a_receiver_tells_where_the_call_really_came_from() -> None:
    table = "0.0 alice > p INVITE 1 sdp\n0.1 p > alice 100/INVITE 1 {}"
    inside = {"alice": "192.168.1.20"}
    assert the_only(table.format("received=198.51.100.77"), **inside).code == "nat-media-address"
    assert diagnose(scene(table.format("received=192.168.1.1"), **inside)) == []


def test_two_phones_behind_one_nat_may_hear_each_other_without_help() -> None:
    table = NATTED.format(passed=":@192.168.1.20")
    assert diagnose(scene(table, alice="198.51.100.11", bob="198.51.100.11")) == []


@pytest.mark.parametrize("address", ["10.0.0.1", "172.31.0.1", "192.168.0.9", "100.64.1.1", "169.254.1.1", "fd00::1"])
def test_all_kinds_of_private_address_count(address: str) -> None:
    public = "2001:db8::1" if ":" in address else "198.51.100.11"
    table = f"0.0 alice > pbx INVITE 1 sdp:@{address}\n0.1 pbx > alice 100/INVITE 1"
    assert the_only(table, alice=public).code == "nat-media-address"
    assert diagnose(scene(table.replace(f"@{address}", f"ice,@{address}"), alice=public)) == []


def test_an_offer_that_comes_with_the_answer_is_compared_too() -> None:
    table = "0.0 alice > bob INVITE 1\n1.0 bob > alice 200/INVITE 1 sdp:PCMU\n1.1 alice > bob ACK 1 sdp:{}\n" + HUNG_UP
    assert the_only(table.format("G729")).code == "codec-none-common"
    assert found(table.format("PCMU")) == []


def test_who_may_not_speak_is_told() -> None:
    shown = the_only(AGREED.format(offer="sendrecv", answer="recvonly"))
    assert shown.says == "Only the caller may send audio; the callee may not: offered sendrecv, answered recvonly."
    assert the_only(AGREED.format(offer="sendrecv", answer="@0.0.0.0")).code == "media-none"


def test_a_session_timer_can_also_end_by_a_refresh_that_fails() -> None:
    refresh = "46.0 alice > bob UPDATE 2 x4\n"
    shown = found(TIMED.format(refresh, end="62.0"))
    assert [each.code for each in shown] == ["session-timer-expired", "request-no-response"]
    assert shown[0].says == "The refresh of the session timer (90.0 s) failed, and the callee ended the call."


def test_who_hung_up_a_short_call() -> None:
    table = "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp\n1.1 alice > bob ACK 1\n2.0 {} BYE 2"
    assert the_only(table.format("bob > alice")).says == "The callee hung up 1.0 s after the answer."
    assert the_only(table.format("alice > bob")).says == "The caller hung up 1.0 s after the answer."


def test_the_same_fault_on_both_legs_is_one_finding() -> None:
    shown = the_only("0.0 alice > pbx INVITE 1 sdp x3 leg=a\n0.1 pbx > bob INVITE 1 sdp x3 leg=b")
    assert [each.place for each in shown.proofs] == [1, 2, 3, 4, 5, 6]


# -- what was not captured ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        "0.0 alice > bob INVITE 1 sdp\n0.1 bob > alice 100/INVITE 1\n5.0 alice > bob ACK 1\n60.0 alice > bob BYE 2",
        "0.0 alice > bob INVITE 1 sdp\n5.0 alice > bob ACK 1\n60.0 alice > bob BYE 2",
        "0.0 alice > bob INVITE 1 sdp x3\n5.0 alice > bob ACK 1\n60.0 alice > bob BYE 2",
        "0.0 alice > bob INVITE 1 sdp\n1.0 bob > alice 200/INVITE 1 sdp",
    ],
)
def test_responses_that_nobody_saw_count_as_given_when_the_call_goes_on(table: str) -> None:
    assert found(table) == []


def test_half_of_a_call_is_no_fault() -> None:
    packets = scene(ANSWERED + HOLD + HUNG_UP)
    for way in ("198.51.100.11", "203.0.113.22"):
        assert [each.code for each in diagnose(each for each in packets if each.src.ip == way)] in (
            [],
            ["hold-not-resumed"],
        )


def test_formats_that_nobody_names_may_be_anything() -> None:
    packets = scene(AGREED.format(offer="PCMA", answer="opus"))
    unnamed = [each._replace(payload=each.payload.replace(b"a=rtpmap:111", b"a=nothing:0")) for each in packets]
    assert [each.code for each in diagnose(packets)] == ["codec-none-common"]
    assert diagnose(unnamed) == []


def test_a_server_that_tries_another_one_again_goes_in_no_circle() -> None:
    table = "".join(f"0.{n} p > bob INVITE 1 sdp branch={n}\n" for n in range(4))
    assert found(table) == []


def test_a_trunk_that_is_silent_is_a_warning_when_another_takes_the_call() -> None:
    shown = the_only("""
        0.0  alice > pbx  INVITE      1  sdp  leg=a
        0.1  pbx > alice  180/INVITE  1       leg=a
        0.2  pbx > gw     INVITE      1  sdp  leg=b  x5
        9.0  pbx > bob    INVITE      1  sdp  leg=c
        9.9  bob > pbx    200/INVITE  1  sdp  leg=c
        9.9  pbx > bob    ACK         1       leg=c
    """)
    assert (shown.code, shown.severity) == ("invite-no-response", Severity.WARNING)


def test_a_call_that_lost_its_media_was_cut_off() -> None:
    ended = HUNG_UP.replace("BYE 9", 'BYE 9 Reason=SIP;cause=604;text="MEDIA_TIMEOUT"', 1)
    assert the_only(ANSWERED + ended).code == "call-cut-off"
    assert found(ANSWERED + HUNG_UP.replace("BYE 9", 'BYE 9 Reason=SIP;cause=200;text="Transfer"', 1)) == []


def test_a_mirrored_port_shows_each_packet_twice_and_that_is_no_retransmission() -> None:
    packets = scene("0.0 alice > bob INVITE 1 sdp x2\n0.6 bob > alice 180/INVITE 1" + FIRST)
    twice = [*packets, *(each._replace(at_us=each.at_us + 15) for each in packets)]
    assert diagnose(twice) == []
    assert len(the_only("0.0 alice > bob INVITE 1 sdp x3").proofs) == 3


def test_requests_that_begin_no_call_may_be_unanswered_too() -> None:
    shown = the_only("0.0 alice > p REGISTER 1 x5")
    assert shown.code == "request-no-response"
    assert shown.says == "192.0.2.1:5060 did not answer the REGISTER of 198.51.100.11:5060, which was sent 5 times."


def test_where_a_redirection_leads_and_what_a_refusal_says_of_itself() -> None:
    table = "0.0 alice > bob INVITE 1 sdp\n0.1 bob > alice {}/INVITE 1 {}\n0.2 alice > bob ACK 1"
    redirected = the_only(table.format(302, "Contact=<sip:103@example.com>"))
    assert redirected.says == "203.0.113.22:5060 redirected the call to 102 with 302 Moved Temporarily to 103."
    refused_by_rule = the_only(table.format(420, "Unsupported=100rel"))
    assert refused_by_rule.look.endswith("The response says: Unsupported: 100rel.")


def test_reports_as_asterisk_writes_them_are_read_too() -> None:
    """RTCP as JSON, in place of the reports of `media-not-heard`."""
    packets = scene(ANSWERED + HUNG_UP)
    for n in range(1, 5):
        for src, dst, blocks in (("alice", "bob", '{"source_ssrc":2,"fraction_lost":0}'), ("bob", "alice", "")):
            told = f'{{"sender_information":{{"packets":{250 * n}}},"ssrc":1,"type":200,"report_blocks":[{blocks}]}}'
            here, there = (Endpoint(ADDRESSES[name], 4001) for name in (src, dst))
            packets.append(Packet(START_US + 5_000_000 * n, "UDP", here, there, told.encode()))
    (shown,) = diagnose(packets)
    assert shown.code == "media-not-heard"
    assert shown.says == "198.51.100.11:4001 sent 750 packets of audio, and 203.0.113.22:4001 reports that it got none."
