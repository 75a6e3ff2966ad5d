"""Requests within an answered call that are refused."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import CHALLENGES, Call, Exchange, Leg
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.packet import SECOND_US

CHANGE = Kind(
    "change-refused",
    Severity.WARNING,
    "A re-INVITE or UPDATE (hold, resume, codec change, fax) was refused; the call goes on as before.",
    "Compare the SDP of the request with the one agreed before; see whether the other side can do what was asked.",
)
UNKNOWN = Kind(
    "dialog-unknown",
    Severity.WARNING,
    "A request within the call was answered 481: for the other side this call does not exist, or no longer.",
    "Compare Call-ID and tags with those of the answer; look for a restart of the other side, or a fail-over without state.",
)
GLARE = Kind(
    "glare-unresolved",
    Severity.WARNING,
    "Both sides wanted to change the call at once (491), and nobody tried again.",
    "Look at the software of both sides: after 491 the request has to be sent again within 4 s.",
)
REQUEST = Kind(
    "request-refused",
    Severity.WARNING,
    "A request within the call (PRACK, INFO, MESSAGE) was refused.",
    "See Allow and Supported of the other side; digits as INFO are better sent as RTP events (RFC 4733).",
)
KINDS = (CHANGE, UNKNOWN, GLARE, REQUEST)
_IN_CALL = ("INVITE", "UPDATE", "PRACK", "INFO", "MESSAGE")
_RETRIED = frozenset({422, 491, 500})
"""422: with a longer session timer; 491 and, where an earlier one is under way, 500: after a pause (RFC 3261 14.1, 14.2)."""
_SOON_US = 5 * SECOND_US


def find(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        inside = [each for each in leg.of(*_IN_CALL) if each.hop.request is not None and not each.is_initial]
        last = {(each.method in ("INVITE", "UPDATE"), each.tag): each for each in inside}
        changed = next((each for each in reversed(inside) if _is_change(each)), None)
        for each in inside:
            is_retried = changed is not None and changed.place > each.place
            if not _is_healthy(leg, each, is_retried or last[_is_change(each), each.tag].place > each.place):
                yield _told(each)


def _is_change(exchange: Exchange) -> bool:
    return exchange.method in ("INVITE", "UPDATE")


def _is_healthy(leg: Leg, exchange: Exchange, is_retried: bool) -> bool:
    """487 and 481 follow a BYE that crossed; 408 is about the session timer or the network."""
    status, final = exchange.hop.status, exchange.hop.final
    if final is None or status < 400 or status in CHALLENGES or status in {408, 487}:
        return True
    ended = leg.bye
    if status == 481:
        return ended is not None and ended.place < final.place
    if status in _RETRIED and is_retried:
        return True
    return status == 491 and ended is not None and ended.at_us - final.at_us < _SOON_US


def _told(exchange: Exchange) -> Finding:
    final = exchange.hop.final
    assert final is not None
    status = final.sip.status
    kind = {481: UNKNOWN, 491: GLARE}.get(status) or (CHANGE if _is_change(exchange) else REQUEST)
    name = "re-INVITE" if exchange.method == "INVITE" else exchange.method
    says = f"{exchange.hop.dst} answered the {name} of {exchange.hop.src} with {status} {final.sip.reason_phrase}."
    return finding(kind, says, [exchange.hop.request, final])
