"""Calls on hold (RFC 3264 section 8.4), and when."""

from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.diagnosis.call import Call, Leg, Message, party, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.packet import SECOND_US
from ringback.sip.sdp import HOLDING

NOT_RESUMED = Kind(
    "hold-not-resumed",
    Severity.NOTICE,
    "One side put the call on hold, and it ended without having been resumed or transferred.",
    "Ask who hung up: a caller who gave up waiting, or a phone that could not take the call back.",
)
KINDS = (NOT_RESUMED,)
_LONG_US = 5 * SECOND_US


class Hold(NamedTuple):
    """``tag``: of who holds. ``end``: the resuming request; None when there was none."""

    leg: Leg
    tag: str
    begin: Message
    end: Message | None


def find(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        for hold in holds(leg):
            end = leg.bye
            is_open = hold.end is None and end is not None and end.at_us - hold.begin.at_us >= _LONG_US
            if is_open and end is not None and not call.is_transferred:
                held = seconds(end.at_us - hold.begin.at_us)
                says = f"{party(leg, hold.tag).capitalize()} put the call on hold; {held} later "
                says += f"{party(leg, end.sip.from_.tag)} hung up."
                yield finding(NOT_RESUMED, says, [hold.begin, end])


def holds(leg: Leg) -> list[Hold]:
    """By accepted re-INVITEs and UPDATEs, as the side that sent them put it."""
    done: list[Hold] = []
    now: dict[str, Hold] = {}
    for each in leg.changes:
        request = each.hop.request
        if request is None or request.audio is None or not 200 <= each.hop.status < 300:
            continue
        is_held = request.audio.direction in HOLDING
        if is_held and each.tag not in now:
            now[each.tag] = Hold(leg, each.tag, request, None)
        elif not is_held and each.tag in now:
            done.append(now.pop(each.tag)._replace(end=request))
    return [*done, *now.values()]
