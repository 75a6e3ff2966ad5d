"""What became of a phone's registration: a fold over its REGISTER transactions (RFC 3261 section 10).

A `Phone` is one address-of-record at one device. Its messages may come in any order and more than once: each belongs to an
`RegisterAttempt` (a transaction), attempts are merged, and the registration is what they say one after the other. What lies before
the last success is summed up in `Past`, so that a phone's history stays short.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import reduce
from typing import Any, NamedTuple

from ringback.sip.packet import SECOND_US
from ringback.sip.registrations.registers import DEFAULT_S, UNSAID, Answer, Asked, Contact, RegisterAttempt, host_port

NO_ANSWER = "No answer"
MOST_ATTEMPTS = 8
"""Attempts that are kept one by one, from the last success on; those before can no more be changed by a late message."""
SKEW_US = 5_000_000
RETRANSMITTED_US = 100_000
"""Copies of a request nearer than that are one packet seen twice; the first retransmission comes after 500 ms."""
_MOST_HOPS = 8
_STAR = "*"
_STALE = 1
_INTERVAL_TOO_BRIEF = 423


class State(StrEnum):
    REGISTERED = "REGISTERED"
    UNREGISTERED = "UNREGISTERED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Past(NamedTuple):
    """What attempts add up to. `soft`: the kind of the last answer, where it was one that a phone goes on from. Instants
    are µs, 0 for never; `expires_us` is 0 while not registered; `cleared_us`: it removed all contacts of the address."""

    at_us: int = 0
    call_id: str = ""
    cseq: int = 0
    failures: int = 0
    soft: int = 0
    registered_us: int = 0
    expires_us: int = 0
    cleared_us: int = 0
    cause: str = ""
    contact: str = ""
    ip: str = ""
    port: int = 0
    transport: str = ""
    user_agent: str = ""


class Phone(NamedTuple):
    past: Past = Past()
    attempts: tuple[RegisterAttempt, ...] = ()

    @property
    def now(self) -> Past:
        return reduce(_next, self.attempts, self.past)


def state(phone: Past, cleared_us: int) -> State:
    """Without regard to the clock. `cleared_us`: when any device removed all contacts of the address."""
    if phone.failures:
        return State.FAILED
    return State.REGISTERED if phone.expires_us and phone.registered_us > cleared_us else State.UNREGISTERED


def added(phone: Phone, seen: Iterable[RegisterAttempt]) -> Phone:
    """The phone with what was seen besides. What is older than its past says nothing new."""
    known = {_key(each): each for each in phone.attempts}
    for each in seen:
        key = _key(each)
        if key in known:
            known[key] = merged(known[key], each)
        elif not _is_over(phone.past, each):
            known[key] = each
    attempts = _ordered(known.values())
    wins = [place for place, each in enumerate(attempts) if _is_success(each)]
    cut = max(wins[-1] if wins else 0, len(attempts) - MOST_ATTEMPTS)
    return Phone(reduce(_next, attempts[:cut], phone.past), tuple(attempts[cut:]))


def _key(attempt: RegisterAttempt) -> tuple[str, int, str]:
    return attempt[:3]


def _is_over(past: Past, attempt: RegisterAttempt) -> bool:
    """Whether it came before the last attempt of the past, by time or, as clocks of agents differ, by CSeq."""
    if attempt.at_us <= past.at_us:
        return True
    is_near = attempt.at_us <= past.at_us + SKEW_US
    return is_near and attempt.call_id == past.call_id and attempt.cseq <= past.cseq


def merged(one: RegisterAttempt, other: RegisterAttempt) -> RegisterAttempt:
    """What two views of a transaction tell together, whichever came first."""
    heard = one.heard or other.heard
    return RegisterAttempt(
        *one[:3],
        at_us=min(one.at_us, other.at_us),
        end=min(one.end, other.end),
        host=min(one.host, other.host),
        asked=min(filter(None, (one.asked, other.asked)), default=None),
        answer=min(filter(None, (one.answer, other.answer)), default=None),
        heard=heard,
        sent={} if heard else _sent(one.sent, other.sent),
    )


def _sent(one: dict[str, tuple[int, int]], other: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    found = dict(one)
    for hop, (first, last) in other.items():
        known = found.get(hop, (first, last))
        found[hop] = min(first, known[0]), max(last, known[1])
    return {hop: found[hop] for hop in sorted(found)[:_MOST_HOPS]}


def _ordered(attempts: Iterable[RegisterAttempt]) -> list[RegisterAttempt]:
    """By time; those of one Call-ID by CSeq where the clocks of two agents turn them round."""
    latest: dict[str, int] = {}
    placed = []
    for each in sorted(attempts, key=_key):
        before = latest.get(each.call_id, 0)
        at_us = before if each.at_us < before <= each.at_us + SKEW_US else each.at_us
        latest[each.call_id] = at_us
        placed.append((at_us, *_key(each), each))
    return [each[-1] for each in sorted(placed, key=lambda place: place[:-1])]


def _is_success(attempt: RegisterAttempt) -> bool:
    return attempt.answer is not None and attempt.answer.status < 300 and not _is_question(attempt)


def _is_question(attempt: RegisterAttempt) -> bool:
    """Without a contact it only asks which there are (section 10.2.3)."""
    return attempt.asked is not None and not attempt.asked.contacts


def _next(past: Past, attempt: RegisterAttempt) -> Past:
    end, asked = attempt.end, attempt.asked
    contact = user_agent = ""
    if asked is not None:
        contact, user_agent = next((uri for uri, _ in asked.contacts if uri != _STAR), ""), asked.user_agent
    changes = {
        "at_us": max(past.at_us, attempt.at_us),
        "call_id": attempt.call_id,
        "cseq": attempt.cseq,
        "contact": contact or past.contact,
        "ip": end.ip,
        "port": end.port,
        "transport": end.transport,
        "user_agent": user_agent or past.user_agent,
    }
    return past._replace(**{**changes, **_outcome(past, attempt)})


def _outcome(past: Past, attempt: RegisterAttempt) -> dict[str, Any]:
    """What of the past the end of an attempt changes."""
    answer = attempt.answer
    if answer is None:
        is_unheard = not attempt.heard and any(map(_is_repeated, attempt.sent.values()))
        return {"failures": past.failures + 1, "soft": 0, "cause": NO_ANSWER} if is_unheard else {}
    cause = f"{answer.status} {answer.phrase}".strip()
    if answer.status < 300:
        return {"soft": 0, "cause": cause, **_accepted(attempt, answer)}
    soft = _soft(attempt.asked, answer)
    is_failure = not soft or soft == past.soft
    return {"failures": past.failures + is_failure, "soft": soft, "cause": cause}


def _is_repeated(sent: tuple[int, int]) -> bool:
    return sent[1] - sent[0] >= RETRANSMITTED_US


def _soft(asked: Asked | None, answer: Answer) -> int:
    """The kind of an answer that a phone goes on from: a challenge, a redirection, an interval too brief; 0 for a failure.

    The same kind again says that the phone does not go on from it.
    """
    if answer.status in (401, 407):
        has_credentials = asked is not None and (asked.server if answer.status == 401 else asked.proxy)
        return _STALE if answer.stale else 0 if has_credentials else answer.status
    return answer.status if answer.status < 400 or answer.status == _INTERVAL_TOO_BRIEF else 0


def _accepted(attempt: RegisterAttempt, answer: Answer) -> dict[str, Any]:
    if _is_question(attempt):
        return {}
    if attempt.asked is not None and any(uri == _STAR for uri, _ in attempt.asked.contacts):
        return {"failures": 0, "expires_us": 0, "cleared_us": answer.at_us}
    contact, seconds = _granted(attempt, answer)
    if not seconds:
        return {"failures": 0, "expires_us": 0}
    until_us = answer.at_us + seconds * SECOND_US
    return {"failures": 0, "contact": contact, "registered_us": answer.at_us, "expires_us": until_us}


def _granted(attempt: RegisterAttempt, answer: Answer) -> Contact:
    """The phone's contact, and for how many seconds it is bound (section 10.2.4); 0 where it is not any more."""
    asked = attempt.asked
    if asked is None:
        near = [each for each in answer.contacts if _host(each[0]) in (attempt.end.ip, attempt.host)]
        return _longest(near or answer.contacts, answer.expires)
    wanted = {_comparable(uri): (uri, _first(own, asked.expires)) for uri, own in asked.contacts}
    left = {key: each for key, each in wanted.items() if each[1]}
    found = [each for each in answer.contacts if _comparable(each[0]) in left]
    if found:
        return _longest(found, _first(answer.expires, max(seconds for _, seconds in left.values())))
    uri, seconds = next(iter(left.values()), ("", 0))
    return uri, _first(answer.expires, seconds) if left else 0


def _first(*seconds: int) -> int:
    return next((each for each in seconds if each != UNSAID), DEFAULT_S)


def _longest(contacts: Sequence[Contact], expires: int) -> Contact:
    return max(
        ((uri, _first(own, expires)) for uri, own in contacts), key=lambda each: (each[1], each[0]), default=("", 0)
    )


def _comparable(uri: str) -> str:
    """Registrars may leave parameters of a URI out when they list it."""
    return uri.partition(";")[0].lower()


def _host(uri: str) -> str:
    return host_port(uri.partition(":")[2].partition(";")[0].rpartition("@")[2])[0]
