"""Announcements and music before an answer that never comes (RFC 3960)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import Call, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.packet import SECOND_US

UNANSWERED = Kind(
    "early-media-unanswered",
    Severity.NOTICE,
    "The caller heard something for 20 seconds or more (183 with SDP), and the call was never answered.",
    "Listen to what is played there: an announcement of the network, a queue that does not answer. It is not billed, and "
    "many servers cut it off after a minute or three.",
)
KINDS = (UNANSWERED,)
_LONG_US = 20 * SECOND_US


def find(call: Call) -> Iterator[Finding]:
    if call.is_answered:
        return
    for leg in call.calls:
        for exchange in leg.attempts:
            early = next((each for each in exchange.hop.responses if each.sip.status == 183 and each.has_sdp), None)
            if early is None or (
                exchange.hop.final is None and (exchange.tag, exchange.number) in leg.acknowledgements
            ):
                continue  # what is acknowledged had an answer that was not captured
            end = leg.cancel or exchange.hop.final or leg.messages[-1]
            if end.at_us - early.at_us >= _LONG_US:
                says = f"Early media from {early.packet.src} for {seconds(end.at_us - early.at_us)}, and no answer."
                yield finding(UNANSWERED, says, [early, end])
