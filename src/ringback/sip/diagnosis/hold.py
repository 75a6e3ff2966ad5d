"""Calls on hold, and when."""

from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.diagnosis.call import Call, Leg, Message, party, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.holding import Holding
from ringback.sip.packet import SECOND_US

NOT_RESUMED = Kind(
    "hold-not-resumed",
    Severity.NOTICE,
    "One side put the call on hold, and it ended without having been resumed or transferred.",
    "Ask who hung up: a caller who gave up waiting, or a phone that could not take the call back.",
)
KINDS = (NOT_RESUMED,)
_LONG_US = 5 * SECOND_US


class Hold(NamedTuple):
    """``tag``: of who holds. ``end``: the message that resumes; None when there was none."""

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
    done: list[Hold] = []
    now: dict[str, Hold] = {}
    holding: Holding[Message] = Holding()
    for message in leg.messages:
        for change in holding.heard(message.sip, message):
            if change.is_held:
                now[change.tag] = Hold(leg, change.tag, change.mark, None)
            else:
                done.append(now.pop(change.tag)._replace(end=change.mark))
    return [*done, *now.values()]
