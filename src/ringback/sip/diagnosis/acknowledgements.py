"""Answers that nobody acknowledges (RFC 3261 section 13.3.1.4 and 17.2.1; PRACK: RFC 3262)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import Call, Exchange, Leg, Message, Transaction, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.silence import MANY

MISSING = Kind(
    "ack-missing",
    Severity.ERROR,
    "A final response to an INVITE was sent again and again, and no ACK came. Answered calls are then ended after 32 s.",
    "Look at the Contact and Record-Route of the response: the ACK goes there. A private address in Contact is not reached.",
)
LOST = Kind(
    "ack-lost",
    Severity.ERROR,
    "An ACK was sent, and yet the final response came again and again: the ACK does not arrive, or does not fit.",
    "Capture at the side that answered. Compare the To tag and the CSeq number of ACK and response, and where the ACK was "
    "sent to.",
)
LATE = Kind(
    "ack-late",
    Severity.WARNING,
    "A final response had to be sent three times or more until the ACK came.",
    "Look for packet loss between the two, and at the side that called for what kept it from answering.",
)
PRACK = Kind(
    "prack-missing",
    Severity.WARNING,
    "A provisional response that must be acknowledged (100rel) was sent again and again, and no PRACK came.",
    "See whether both sides support 100rel; where the caller does not, switch it off at the callee.",
)
KINDS = (MISSING, LOST, LATE, PRACK)


def find(call: Call) -> Iterator[Finding]:
    for leg in call.legs:
        for exchange in leg.of("INVITE"):
            for hop in exchange.transactions:
                yield from _final(leg, exchange, hop)
                yield from _provisional(leg, exchange, hop)


def _final(leg: Leg, exchange: Exchange, hop: Transaction) -> Iterator[Finding]:
    copies = hop.copies(hop.final) if hop.final else []
    if len(copies) < MANY:
        return
    acks = _acks(leg, exchange, copies[0])
    if not acks:
        severity = Severity.ERROR if copies[0].sip.status < 300 else Severity.WARNING
        says = f"{_sent(copies)}, and no ACK came."
        yield finding(MISSING, says, copies, severity)
        return
    waited = seconds(acks[0].at_us - copies[0].at_us)
    proofs = [*copies, acks[0]]
    if sum(each.place > acks[0].place for each in copies) >= 2:
        severity = Severity.ERROR if copies[0].sip.status < 300 else Severity.WARNING
        yield finding(LOST, f"{_sent(copies)}, also after the ACK, which was sent after {waited}.", proofs, severity)
    else:
        yield finding(LATE, f"{_sent(copies)} until the ACK came after {waited}.", proofs)


def _acks(leg: Leg, exchange: Exchange, response: Message) -> list[Message]:
    """An ACK to a 2xx may come another way than the INVITE went."""
    sent = leg.acknowledgements.get((exchange.tag, exchange.number), [])
    if response.sip.status < 300:
        return [each for each in sent if each.sip.to.tag == response.sip.to.tag]
    return [each for each in sent if each.sip.branch == response.sip.branch]


def _provisional(leg: Leg, exchange: Exchange, hop: Transaction) -> Iterator[Finding]:
    reliable: dict[str, list[Message]] = {}
    for each in hop.responses:
        if 100 < each.sip.status < 200 and each.first("rseq"):
            reliable.setdefault(each.first("rseq"), []).append(each)
    for rseq, copies in reliable.items():
        if len(copies) >= MANY and (rseq, str(exchange.number), "INVITE") not in leg.pracked:
            yield finding(PRACK, f"{_sent(copies)}, and no PRACK came.", copies)


def _sent(copies: list[Message]) -> str:
    first = copies[0]
    return f"{first.packet.src} sent {first.sip.status} {first.sip.reason_phrase} {len(copies)} times"
