"""What the phones saw, as the tests expect it: the legs of a call with their times, and every message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_TIMES = ("created_at", "ringing_at", "answered_at", "ended_at")


@dataclass(frozen=True)
class Message:
    """As one phone sent or got it. `at`: by the phone's clock, seconds since 1970. `line`: "INVITE" or "200 INVITE"."""

    phone: str
    address: str
    peer: str
    at: float
    is_sent: bool
    line: str
    call_id: str
    cseq: int
    reason: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Truth:
    """A leg of a scenario: its Call-ID by a phone, and what the scenario makes of it."""

    call_id: str
    src: str
    dst: str
    cause: str


def message(phone: str, address: str, told: dict[str, Any]) -> Message:
    """`told`: as `phone.py` tells it."""
    text: str = told["text"]
    number, method = _header(text, "CSeq").split()
    first = text.split(" ", 2)
    return Message(
        phone,
        address,
        told["peer"],
        told["at"],
        told["sent"],
        f"{first[1]} {method}" if first[0].startswith("SIP/") else first[0],
        _header(text, "Call-ID", "i"),
        int(number),
        _header(text, "Reason"),
        len(text.encode()),
        hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _header(text: str, *names: str) -> str:
    head = text.partition("\r\n\r\n")[0]
    found = re.search(rf"^(?:{'|'.join(names)})[ \t]*:[ \t]*(.*?)[ \t]*$", head, re.M | re.I)
    return found[1].strip() if found else ""


def expected(about: str, truths: Sequence[Truth], messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "about": about,
        "legs": [{**asdict(truth), **_times(truth.call_id, messages)} for truth in truths],
        "messages": [asdict(each) for each in sorted(messages, key=lambda each: each.at)],
    }


def _times(call_id: str, messages: Iterable[Message]) -> dict[str, float | None]:
    """Of the leg with this Call-ID, by the phones' clocks: first INVITE, first ringing, first answer, and the end, which is
    the first BYE, else the CANCEL or the last refusal."""
    of_leg = sorted((each for each in messages if each.call_id == call_id), key=lambda each: each.at)

    def first(*lines: str) -> float | None:
        return next((each.at for each in of_leg if each.line in lines), None)

    refusals = [each.at for each in of_leg if re.fullmatch(r"[3-6]\d\d INVITE", each.line)]
    ended = first("BYE") or first("CANCEL") or (refusals[-1] if refusals else None)
    answered = first("200 INVITE")
    return dict(zip(_TIMES, (first("INVITE"), first("180 INVITE", "183 INVITE"), answered, ended), strict=True))
