"""Calls that end because nobody refreshed them (RFC 4028)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import Call, Leg, Message, party, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.headers import number
from ringback.sip.packet import SECOND_US

EXPIRED = Kind(
    "session-timer-expired",
    Severity.ERROR,
    "The call was ended because its session timer ran out: no refresh came, or it was not answered.",
    "Look at Session-Expires and its refresher in the answer: that side must send a re-INVITE or UPDATE in time. If it did, "
    "see where it was lost (NAT, a firewall that forgets the connection).",
)
KINDS = (EXPIRED,)
_SLACK_US = 10 * SECOND_US
_AFTER_FAILURE_US = 40 * SECOND_US
_FAILED = frozenset({0, 408, 481})


def find(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        if leg.bye is not None and leg.answer is not None:
            yield from _expired(leg, leg.bye)


def _expired(leg: Leg, bye: Message) -> Iterator[Finding]:
    interval_us, agreed, failed = _timer(leg, bye)
    if agreed is None or not interval_us:
        return
    waited_us = bye.at_us - agreed.at_us
    # The side that waits hangs up this long before the end (section 10), the other at the end.
    earliest_us = interval_us - min(32 * SECOND_US, interval_us // 3) - SECOND_US
    is_by_timer = earliest_us <= waited_us <= interval_us + _SLACK_US or "cause=408" in bye.sip.reason.replace(" ", "")
    side = party(leg, bye.sip.from_.tag)
    if failed is not None and bye.at_us - failed.at_us <= _AFTER_FAILURE_US:
        says = f"The refresh of the session timer ({seconds(interval_us)}) failed, and {side} ended the call."
        yield finding(EXPIRED, says, [agreed, failed, bye])
    elif is_by_timer:
        says = f"A session timer of {seconds(interval_us)} was agreed; {seconds(waited_us)} later, without a refresh, "
        yield finding(EXPIRED, f"{says}{side} ended the call.", [agreed, bye])


def _timer(leg: Leg, bye: Message) -> tuple[int, Message | None, Message | None]:
    """The interval agreed last, by which response, and the request that failed to agree it anew."""
    interval_us, agreed, failed = 0, None, None
    for each in leg.of("INVITE", "UPDATE"):
        request, final = each.hop.request, each.hop.final
        if request is None or request.place > bye.place:
            continue
        if final is not None and 200 <= final.sip.status < 300:
            interval_us = (number(final.first("session-expires")) or 0) * SECOND_US
            agreed, failed = final, None
        elif each.hop.status in _FAILED and not each.is_initial:
            failed = request
    return interval_us, agreed, failed
