"""Registrations out of captured REGISTERs: what a phone is now, whatever the order of its messages."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.packet import Endpoint, Packet
from ringback.sip.registrations import MOST_ATTEMPTS, Past, Phone, State, added, state
from ringback.sip.registrations.registers import RegisterAttempt, is_register, sighting
from tests.sip.sip_registers import REGISTRAR, START_US, Line, forwarded

PHONE = Line()
LOGIN = """
    0.00  R    1
    0.01  401  1
    0.02  R    2  auth
    0.03  200  2
"""


def attempts(packets: Iterable[Packet], agent: int | None = None) -> dict[tuple[str, str], list[RegisterAttempt]]:
    found: dict[tuple[str, str], list[RegisterAttempt]] = {}
    for packet in packets:
        seen = sighting(packet, agent)
        assert seen is not None
        found.setdefault((seen.aor, seen.device), []).append(seen.attempt)
    return found


def phones(packets: Iterable[Packet]) -> dict[tuple[str, str], Past]:
    return {key: added(Phone(), each).now for key, each in attempts(packets).items()}


def one(packets: Iterable[Packet]) -> Past:
    (found,) = phones(packets).values()
    return found


def told(packets: Iterable[Packet]) -> tuple[State, int, str]:
    now = one(packets)
    return state(now, now.cleared_us), now.failures, now.cause


def seconds(at_us: int) -> float:
    return (at_us - START_US) / 1_000_000


def test_a_challenge_that_is_answered_is_no_failure() -> None:
    assert told(PHONE.flow(LOGIN)) == (State.REGISTERED, 0, "200 OK")
    ((key, now),) = phones(PHONE.flow(LOGIN)).items()
    assert key == ("sip:101@pbx.example", "192.0.2.101")
    assert (seconds(now.registered_us), seconds(now.expires_us), seconds(now.at_us)) == (0.03, 300.03, 0.02)
    assert (now.contact, now.ip, now.port) == ("sip:101@192.0.2.101:5060", "192.0.2.101", 5060)
    assert (now.transport, now.user_agent, now.call_id) == ("UDP", "Yealink T46", "reg-1@phone")


def test_a_challenge_alone_is_not_yet_a_failure() -> None:
    assert told(PHONE.flow(LOGIN)[:2]) == (State.UNREGISTERED, 0, "401 Unauthorized")


@pytest.mark.parametrize(
    ("table", "failures", "cause"),
    [
        ("0 R 1\n 0.1 401 1\n 0.2 R 2 auth\n 0.3 401 2", 1, "401 Unauthorized"),
        ("0 R 1\n 0.1 407 1\n 0.2 R 2 proxy-auth\n 0.3 407 2", 1, "407 Proxy Authentication Required"),
        ("0 R 1\n 0.1 401 1\n 0.2 R 2 auth\n 0.3 403 2", 1, "403 Forbidden"),
        ("0 R 1\n 0.1 404 1", 1, "404 Not Found"),
        ("0 R 1\n 0.1 503 1\n 60 R 2\n 60.1 503 2\n 120 R 3\n 120.1 500 3", 3, "500 Server Internal Error"),
        ("0 R 1\n 0.1 401 1\n 60 R 2\n 60.1 401 2\n 120 R 3\n 120.1 401 3", 2, "401 Unauthorized"),
        ("0 R 1\n 0.5 R 1\n 1.5 R 1", 1, "No answer"),
        ("0 R 1\n 0.5 R 1\n 32 R 2\n 32.5 R 2", 2, "No answer"),
        ("0 R 1 expires=10\n 0.1 423 1 min=60\n 9 R 2 expires=10\n 9.1 423 2 min=60", 1, "423 Interval Too Brief"),
    ],
)
def test_failures_are_counted_since_the_last_success(table: str, failures: int, cause: str) -> None:
    assert told(PHONE.flow(table)) == (State.FAILED, failures, cause)
    assert told(PHONE.flow(table + "\n900 R 9 auth\n900.1 200 9")) == (State.REGISTERED, 0, "200 OK")
    was = one(PHONE.flow("-90 R 1\n-89.9 200 1\n" + table.replace(" R 1", " R 11").replace("1 1", "1 11")))
    assert seconds(was.registered_us) == -89.9, "it is known when it worked"


@pytest.mark.parametrize(
    "table",
    [
        "0 R 1 auth\n 0.1 401 1 stale\n 0.2 R 2 auth\n 0.3 200 2",
        "0 R 1\n 0.1 407 1\n 0.2 R 2 proxy-auth\n 0.3 401 2\n 0.4 R 3 auth proxy-auth\n 0.5 200 3",
        "0 R 1 expires=10\n 0.1 423 1 min=60\n 0.2 R 2 expires=60\n 0.3 200 2",
        "0 R 1\n 0.5 R 1\n 0.6 200 1",
        "0 R 1\n 0.05 R 1",
        "0 R 1\n 0.1 100 1\n 0.5 R 1",
    ],
)
def test_what_a_phone_goes_on_from_is_no_failure(table: str) -> None:
    packets = PHONE.flow(table)
    assert all(one(packets[: n + 1]).failures == 0 for n in range(len(packets)) if "0.5 R 1" not in table or n > 1)


def test_a_nonce_that_is_always_stale_is_a_failure() -> None:
    table = "0 R 1 auth\n 0.1 401 1 stale\n 0.2 R 2 auth\n 0.3 401 2 stale"
    assert told(PHONE.flow(table)) == (State.FAILED, 1, "401 Unauthorized")


@pytest.mark.parametrize(
    ("ask", "answer", "lasts_s"),
    [
        ("", "contact=<sip:101@192.0.2.101:5060>;expires=120", 120),
        ("expires=600", "contact=<sip:101@192.0.2.101:5060> expires=90", 90),
        ("expires=600", "contact=<sip:101@192.0.2.101:5060>", 600),
        ("contact=<sip:101@192.0.2.101:5060>;expires=50", "contact=<sip:101@192.0.2.101:5060>", 50),
        ("", "contact=<sip:101@192.0.2.101:5060>", 3600),
        ("expires=never", "contact=<sip:101@192.0.2.101:5060>", 3600),
        ("", 'contact="A,_<B>"_<sip:101@192.0.2.7>;expires=9,<sip:101@192.0.2.101:5060;ob>;q=0.5;expires=70', 70),
        (
            "contact=<sip:101@10.0.0.9>;expires=0,<sip:101@192.0.2.101:5060>;expires=45",
            "contact=<sip:101@192.0.2.101:5060>;expires=44,<sip:101@192.0.2.7>;expires=999",
            44,
        ),
        ("expires=77", "contact=<sip:rewritten@198.51.100.1>;expires=5", 77),
    ],
)
def test_how_long_a_registration_lasts(ask: str, answer: str, lasts_s: int) -> None:
    now = one(PHONE.flow(f"0 R 1 {ask}\n 0.5 200 1 {answer}"))
    assert state(now, 0) is State.REGISTERED
    assert now.expires_us - now.registered_us == lasts_s * 1_000_000


@pytest.mark.parametrize(
    "last",
    [
        "5 R 7 expires=0\n 5.1 200 7 contact=",
        "5 R 7 contact=<sip:101@192.0.2.101:5060>;expires=0\n 5.1 200 7 contact=<sip:101@192.0.2.9>;expires=60",
        "5 R 7 contact=* expires=0\n 5.1 200 7 contact=",
        "5.1 200 7 contact=",
    ],
)
def test_a_phone_that_unregisters(last: str) -> None:
    now = one(PHONE.flow(LOGIN + last))
    assert state(now, now.cleared_us) is State.UNREGISTERED
    assert (now.failures, now.cause, seconds(now.registered_us)) == (0, "200 OK", 0.03)


def test_a_star_removes_the_contacts_of_all_phones() -> None:
    other = replace(PHONE, ip="192.0.2.55", call_id="reg-2@phone")
    found = phones([*PHONE.flow(LOGIN), *other.flow("5 R 1 contact=* expires=0\n 5.1 200 1 contact=")])
    cleared_us = max(each.cleared_us for each in found.values())
    assert [state(each, cleared_us) for each in found.values()] == [State.UNREGISTERED, State.UNREGISTERED]
    again = phones([*PHONE.flow("6 R 3\n 6.1 200 3")])
    assert [state(each, cleared_us) for each in again.values()] == [State.REGISTERED]


def test_a_question_which_contacts_there_are_registers_nothing() -> None:
    assert told(PHONE.flow("0 R 1 contact=\n 0.1 200 1")) == (State.UNREGISTERED, 0, "200 OK")
    assert told(PHONE.flow("0 R 1 contact=\n 0.1 403 1")) == (State.FAILED, 1, "403 Forbidden")


def test_responses_alone_tell_the_phone_too() -> None:
    answers = [packet for packet in PHONE.flow(LOGIN) if packet.src == REGISTRAR]
    now = one(answers)
    assert (state(now, 0), now.ip, now.contact) == (State.REGISTERED, "192.0.2.101", "sip:101@192.0.2.101:5060")
    several = "0 200 1 contact=<sip:101@192.0.2.9>;expires=900,<sip:101@192.0.2.101>;expires=60"
    assert one(PHONE.flow(several)).expires_us == START_US + 60_000_000


def test_phones_behind_one_router_are_told_apart_by_the_address_they_show() -> None:
    desk = Line("198.51.100.7", 1024, shown="10.0.0.5", call_id="desk")
    soft = Line("198.51.100.7", 1025, shown="10.0.0.6", call_id="soft")
    found = phones([*desk.flow(LOGIN), *soft.flow("0 R 1\n 0.1 403 1")])
    aor = "sip:101@pbx.example"
    assert {key: state(each, 0) for key, each in found.items()} == {
        (aor, "198.51.100.7 10.0.0.5"): State.REGISTERED,
        (aor, "198.51.100.7 10.0.0.6"): State.FAILED,
    }
    web = Line("198.51.100.7", 443, shown="df7jal23ls0d.invalid", transport="WSS")
    assert list(phones(web.flow(LOGIN))) == [(aor, "198.51.100.7")]


def test_what_a_proxy_passes_on_is_the_same_registration() -> None:
    proxy, behind = Endpoint("192.0.2.80", 5060), Endpoint("10.1.1.1", 5060)
    for line in (PHONE, Line("198.51.100.7", 1024, shown="10.0.0.5"), Line("2001:db8::5", 5060)):
        direct = line.flow(LOGIN)
        passed = [forwarded(packet, proxy, behind) for packet in direct]
        ((key, whole),) = phones([*passed, *direct]).items()
        assert (key, whole) == next(iter(phones(direct).items()))
        ((far_key, far),) = phones(passed).items()
        assert (far_key, far.ip, far.port, far.transport) == (key, line.ip, line.port, "UDP")


def test_an_unanswered_request_that_a_proxy_passes_on_was_not_sent_twice() -> None:
    proxy, behind = Endpoint("192.0.2.80", 5060), Endpoint("10.1.1.1", 5060)
    (asked,) = PHONE.flow("0 R 1")
    assert told([asked, forwarded(asked, proxy, behind, after_us=900_000)])[1] == 0


def test_clocks_of_two_agents_do_not_turn_attempts_round() -> None:
    packets = PHONE.flow(LOGIN)
    late = [packet._replace(at_us=packet.at_us + 2_000_000) for packet in packets[:2]]
    assert told([*late, *packets[2:]]) == (State.REGISTERED, 0, "200 OK")
    whole = added(Phone(), next(iter(attempts(packets).values())))
    assert added(whole, next(iter(attempts(late).values()))) == whole


def test_a_restarted_phone_may_begin_again_with_its_call_id() -> None:
    before = LOGIN.replace("2  auth", "900  auth").replace("200  2", "200  900")
    now = told(PHONE.flow(before + "3600 R 5\n 3600.1 403 5"))
    assert now == (State.FAILED, 1, "403 Forbidden")


STORY = """
    0     R    1
    0.1   401  1
    0.2   R    2  auth
    0.3   200  2
    100   R    3  auth
    100.1 401  3  stale
    100.2 R    4  auth
    100.7 R    4  auth
    200   R    5  auth
    200.1 403  5
    300   R    6
    300.1 401  6
    300.2 R    7  auth
    300.3 401  7
    400   R    8  contact=* expires=0
    400.1 500  8
"""
WHOLE = PHONE.flow(STORY)


@given(st.permutations(WHOLE), st.lists(st.sampled_from(WHOLE), max_size=8))
def test_the_order_of_messages_and_copies_of_them_change_nothing(packets: list[Packet], again: list[Packet]) -> None:
    now = one([*packets, *again])
    assert now == one(WHOLE)
    assert (now.failures, now.cause) == (4, "500 Server Internal Error")


@given(st.permutations(WHOLE[:14]), st.lists(st.integers(1, 14), max_size=5))
def test_they_may_come_little_by_little(packets: list[Packet], cuts: Sequence[int]) -> None:
    """As long as not more attempts came in before."""
    phone = Phone()
    places = [0, *sorted(cuts), len(packets)]
    for first, last in pairwise(places):
        for lot in attempts(packets[first:last]).values():
            phone = added(added(phone, lot), lot)
    assert len(phone.attempts) <= MOST_ATTEMPTS
    assert phone.now == one(WHOLE[:14])


@given(st.lists(st.sampled_from(["200", "401", "403", "500", "none"]), max_size=40))
def test_a_long_story_is_kept_short_and_stays_true(outcomes: list[str]) -> None:
    phone, failures = Phone(), 0
    for n, outcome in enumerate(outcomes, start=1):
        answer = f"{60 * n}.1 {outcome} {n}" if outcome != "none" else f"{60 * n}.5 R {n} auth"
        packets = PHONE.flow(f"{60 * n} R {n} auth\n {answer}")
        for lot in attempts(packets).values():
            phone = added(phone, lot)
        failures = 0 if outcome == "200" else failures + 1
        assert (phone.now.failures, len(phone.attempts) <= MOST_ATTEMPTS) == (failures, True)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 500))
def test_any_bytes_are_read(noise: bytes, which: int, place: int) -> None:
    packet = WHOLE[which]
    payload = packet.payload[:place] + noise + packet.payload[place:]
    for each in (noise, b"REGISTER " + noise, payload):
        if is_register(each):
            sighting(packet._replace(payload=each), 7)


@pytest.mark.parametrize("piece", [b"<", b'"', b'\\"', b",", b";", b" ", b"<,", b"\r\n ", b"\r\nVia: a"])
def test_nothing_takes_long(piece: bytes) -> None:
    packet = WHOLE[0]
    for name in (b"Contact: ", b"Via: ", b"To: ", b"CSeq: "):
        payload = packet.payload.replace(name, name + piece * (60_000 // len(piece)), 1)
        sighting(packet._replace(payload=payload), None)


def test_other_messages_are_none() -> None:
    invite = b"INVITE sip:bob@b SIP/2.0\r\nAllow: INVITE, REGISTER\r\nCSeq: 1 INVITE\r\n\r\n"
    assert not is_register(invite)
    answer = WHOLE[1].payload.replace(b"1 REGISTER", b"1 INVITE").replace(b"Content", b"X: REGISTER\r\nContent")
    assert is_register(answer)
    assert sighting(WHOLE[1]._replace(payload=answer), None) is None
    for name in (b"Via: ", b"Call-ID: ", b"To: ", b"CSeq: "):
        assert sighting(WHOLE[0]._replace(payload=WHOLE[0].payload.replace(name, b"X-" + name, 1)), None) is None
