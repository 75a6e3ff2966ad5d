"""Answered calls that end too soon, or not by a person."""

from collections.abc import Iterator

from ringback.sip.causes import of_reason
from ringback.sip.diagnosis.call import Call, Leg, party, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.packet import SECOND_US

SHORT = Kind(
    "call-short",
    Severity.NOTICE,
    "The call was answered and ended within 3 seconds.",
    "Ask who hung up. Many such calls of one number are robots, an answering machine, a fax, or audio that fails.",
)
CUT = Kind(
    "call-cut-off",
    Severity.WARNING,
    "An answered call was ended with a cause that is no hanging up: network, time-out, no media.",
    "Look at the log of the side that sent the BYE, at its time.",
)
KINDS = (SHORT, CUT)
_SHORT_US = 3 * SECOND_US
_BY_PEOPLE = frozenset(
    {"", "Normal Clearing", "User busy", "No user responding", "No answer", "Call Rejected", "Normal, unspecified"}
    | {
        "Answered elsewhere",
        "Redirected to new destination",
        "Call awarded and being delivered in an established channel",
    }
)


def find(call: Call) -> Iterator[Finding]:
    if call.calls:
        yield from _short(call)
    for leg in call.calls:
        cause = of_reason(leg.bye.sip.reason) if leg.bye else ""
        if leg.bye and leg.answer and cause not in _BY_PEOPLE and not _is_signalling(leg.bye.sip.reason):
            says = f"{party(leg, leg.bye.sip.from_.tag).capitalize()}'s side ended the call: {cause}."
            yield finding(CUT, says, [leg.answer, leg.bye])


def _is_signalling(reason: str) -> bool:
    """`SIP;cause=200` and the like only repeat what was said in SIP; a time-out does not."""
    words = reason.lower().replace(" ", "").replace("_", "")
    return (
        "sip;" in words
        and "q.850" not in words
        and not any(each in words for each in ("cause=408", "cause=5", "timeout"))
    )


def _is_given_up(leg: Leg) -> bool:
    """Whether the caller's CANCEL met the answer on its way (RFC 3261 section 9.1)."""
    callers = {each.hop.src for each in leg.attempts}
    return any(hop.requests and hop.src in callers for each in leg.of("CANCEL") for hop in each.transactions)


def _short(call: Call) -> Iterator[Finding]:
    """Of the whole call: a leg that ends soon because another goes on is a transfer or a queue."""
    leg = call.calls[0]
    answered, ended = leg.answer, leg.bye
    if answered is None or ended is None or call.is_transferred or _is_given_up(leg):
        return
    others = [(each.answer, each.bye) for each in call.calls[1:] if each.answer]
    spans = [(bye.at_us if bye else each.at_us + _SHORT_US) - each.at_us for each, bye in others if each is not None]
    lasted_us = ended.at_us - answered.at_us
    if max([lasted_us, *spans]) < _SHORT_US:
        who = party(leg, ended.sip.from_.tag)
        says = f"{who.capitalize()} hung up {seconds(lasted_us)} after the answer."
        yield finding(SHORT, says, [answered, ended])
