"""Transfers that fail (RFC 3515, RFC 5589)."""

import re
from collections.abc import Iterator

from ringback.sip.diagnosis.call import CHALLENGES, Call, Exchange, Leg, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.outcomes import PERSONAL
from ringback.sip.message import address

REFUSED = Kind(
    "transfer-refused",
    Severity.ERROR,
    "The transfer was refused: the other side did not accept the REFER.",
    "See whether the other side may transfer (Allow: REFER; many trunks do not), and let the PBX bridge the calls instead.",
)
FAILED = Kind(
    "transfer-failed",
    Severity.ERROR,
    "The transfer was accepted, and the call to its target failed, as the NOTIFY says.",
    "Compare the address in Refer-To with what that side can call; look at the leg to the target.",
)
KINDS = (REFUSED, FAILED)
_FRAGMENT = re.compile(rb"\s*SIP/\d\.\d\s+([1-6]\d\d)")


def find(call: Call) -> Iterator[Finding]:
    for leg in call.legs:
        yield from _refused(leg)
        yield from _failed(leg)


def _refused(leg: Leg) -> Iterator[Finding]:
    asked = list(leg.of("REFER"))
    for each in asked:
        status, final = each.hop.status, each.hop.final
        is_retried = each is not asked[-1]
        if final and status >= 400 and status not in CHALLENGES and not (is_retried and status in {491, 500}):
            says = f"{each.hop.dst} refused the transfer{_target(each)} with {status} {final.sip.reason_phrase}."
            yield finding(REFUSED, says, [each.hop.request, final])


def _failed(leg: Leg) -> Iterator[Finding]:
    notified = [each for each in leg.of("NOTIFY") if each.hop.request]
    refers = [each for each in leg.of("REFER") if each.hop.request]
    for each in notified:
        request = each.hop.request
        status = _told_status(request) if request else 0
        if request and status >= 300 and status not in PERSONAL and status != 487:
            before = next((one for one in reversed(refers) if one.place < each.place), None)
            says = f"The transfer{_target(before)} failed with {status}, {request.packet.src} reports."
            yield finding(FAILED, says, [request, before.hop.request if before else None])


def _told_status(notify: Message) -> int:
    """Of the message/sipfrag body (RFC 3420)."""
    if not notify.first("event").lower().startswith("refer"):
        return 0
    found = _FRAGMENT.match(notify.sip.body)
    return int(found[1]) if found else 0


def _target(exchange: Exchange | None) -> str:
    request = exchange.hop.request if exchange is not None else None
    told = address(request.first("refer-to")) if request is not None else None
    return f" to {told.user or told.uri}" if told is not None and told.uri else ""
