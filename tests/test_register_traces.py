"""`/registrations/{id}.trace`: what a phone that is not registered sent last, and what it was told."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ringback.sip.packet import Packet
from ringback.store import register_traces
from tests.api import Answer, Api, Client
from tests.clock import TestClock
from tests.collecting import collecting, hep, send_tcp, settled
from tests.test_registrations import ANN, BOB, LOGIN, REFUSED, START

AGAIN = """
    30.00  R    3
    30.01  401  3
    30.02  R    4  auth
    30.03  403  4
"""
_MESSAGE = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d\.\d\d)\d+ .*\n(?:SIP/2\.0 )?(\w+)", re.M)


@pytest.fixture(autouse=True)
def at_that_time(clock: TestClock) -> None:
    clock.now = START + 60


def collected(api: Api, packets: Iterable[Packet], left_out: str = "") -> None:
    sent = [hep(each) for each in packets]
    with collecting(api, hep_leave_out=left_out) as collector:
        send_tcp(collector, sent)
        settled(collector, len(sent))


def trace(api: Api, aor: str, client: Client | None = None) -> Answer:
    (found,) = api.admin.listed("/registrations", ("aor", "eq", aor))
    return (client or api.admin).get(f"/registrations/{found['id']}.trace")


def told(answer: Answer) -> list[str]:
    """Time and kind of each message."""
    assert answer.status == 200
    return [f"{at} {kind}" for at, kind in _MESSAGE.findall(answer.body.decode())]


def test_the_attempts_since_the_last_success(api: Api) -> None:
    collected(api, [*ANN.flow(LOGIN), *ANN.flow(AGAIN), *BOB.flow(REFUSED)])
    answer = trace(api, "sip:103@pbx.example")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "x-incomplete" not in answer.headers
    assert told(answer) == [
        "10:00:00.02 REGISTER",
        "10:00:00.03 200",
        "10:00:30.00 REGISTER",
        "10:00:30.01 401",
        "10:00:30.02 REGISTER",
        "10:00:30.03 403",
    ]
    assert b"Authorization: Digest" in answer.body


def test_attempts_with_other_call_ids_and_over_midnight(api: Api) -> None:
    midnight_s = -10 * 3600
    over = replace(ANN, call_id="reg-0").flow(f"{midnight_s - 0.01} R 1\n{midnight_s + 0.01} 403 1")
    collected(api, [*over, *ANN.flow(REFUSED)])
    kinds = [each.partition(" ")[2] for each in told(trace(api, "sip:103@pbx.example"))]
    assert kinds == ["REGISTER", "403", "REGISTER", "401", "REGISTER", "401"]


def test_a_phone_that_tries_without_end_shows_its_last_attempts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_traces, "MOST_OF_A_DAY", 30)
    for n in range(20):
        collected(api, ANN.flow(f"{n}.0 R {n + 1}\n{n}.1 403 {n + 1}"))
    shown = told(trace(api, "sip:103@pbx.example"))
    assert shown[-2:] == ["10:00:19.00 REGISTER", "10:00:19.10 403"]
    assert len(shown) == 16


def test_who_registers_with_the_call_id_of_another_phone_does_not_see_it(api: Api) -> None:
    api.write(
        lambda db: db.run(
            "UPDATE users SET ext = CASE id WHEN :ann THEN '103' WHEN :bob THEN '104' ELSE ext END WHERE id IN (:ann, :bob)",
            {"ann": api.ann.user_id, "bob": api.bob.user_id},
        )
    )
    collected(api, [*ANN.flow(REFUSED), *replace(BOB, call_id=ANN.call_id).flow(REFUSED)])
    answer = trace(api, "sip:104@pbx.example", api.bob)
    assert len(told(answer)) == 4
    assert b"103@" not in answer.body
    assert trace(api, "sip:103@pbx.example", api.bob).status == 403
    assert trace(api, "sip:103@pbx.example", api.stranger).status == 404


def test_what_is_not_kept_cannot_be_shown(api: Api) -> None:
    collected(api, ANN.flow(REFUSED), left_out="REGISTER")
    assert trace(api, "sip:103@pbx.example").status == 404


def test_what_is_partly_gone_says_so(api: Api) -> None:
    collected(api, ANN.flow(REFUSED)[:2], left_out="REGISTER")
    collected(api, ANN.flow(REFUSED)[2:])
    answer = trace(api, "sip:103@pbx.example")
    assert told(answer) == ["10:00:00.02 REGISTER", "10:00:00.03 401"]
    assert "x-incomplete" in answer.headers
