"""What findings say, whom they name, and what is left unsaid."""

import pytest

from ringback.sip.diagnosis import diagnose
from ringback.sip.diagnosis.finding import Finding, Severity
from ringback.sip.headers import headers
from ringback.sip.packet import Endpoint, Packet
from tests.scenes import ADDRESSES, START_US, scene
from tests.test_diagnosis import (
    AGREED,
    ANSWERED,
    CHALLENGE,
    CREDENTIALS,
    FIRST,
    HOLD,
    HUNG_UP,
    NATTED,
    TALK,
    TIMED,
    challenged,
    found,
    refused,
)

LOOPING = """
    0.0   alice > p   INVITE  1  sdp
    0.01  p > q       INVITE  1  sdp
    0.02  q > p       INVITE  1  sdp  {r}
    0.03  p > q       INVITE  1  sdp  branch=2  {r}
    0.04  q > p       INVITE  1  sdp  branch=2  {r}
    0.05  p > q       INVITE  1  sdp  branch=3  {r}
    0.06  p > alice   100/INVITE  1
"""


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


def test_headers_may_be_short_folded_repeated_or_nonsense() -> None:
    head = b"INVITE sip:x SIP/2.0\r\nv: one\r\nx: 90;\r\n refresher=uac\r\nVIA: two\r\nnonsense\r\n: empty\r\nA\xff: \xfc\r\n\r\nVia: body"
    assert headers(head) == {
        "via": ["one", "two"],
        "session-expires": ["90; refresher=uac"],
        "": ["empty"],
        "aÿ": ["ü"],
    }
