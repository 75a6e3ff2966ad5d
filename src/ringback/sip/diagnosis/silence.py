"""Requests that nobody answers, or late (RFC 3261 section 17.1: retransmissions by UDP)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import Call, Exchange, Leg, Message, Transaction, same_way, seconds
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.packet import SECOND_US

INVITE = Kind(
    "invite-no-response",
    Severity.ERROR,
    "An INVITE was sent again and again, and nothing came back, not even 100 Trying.",
    "See whether the next hop runs, listens on this address and transport, and lets this sender through its firewall; "
    "capture there too.",
)
BYE = Kind(
    "bye-no-response",
    Severity.WARNING,
    "A BYE was not answered: the other side may think that the call goes on.",
    "Look at the Contact and Record-Route of the answer: the BYE goes there. A private address in Contact is not reached.",
)
REQUEST = Kind(
    "request-no-response",
    Severity.WARNING,
    "A request within the call (re-INVITE, UPDATE, REFER, PRACK, CANCEL and others), or a REGISTER or the like, was not "
    "answered.",
    "Look at the address that it was sent to, and whether earlier requests to it were answered.",
)
LATE = Kind(
    "response-late",
    Severity.WARNING,
    "A request had to be sent three times or more until the first response came.",
    "Look for packet loss between the two, and for slow name resolution or database queries at the one that answers.",
)
PROGRESS = Kind(
    "progress-late",
    Severity.WARNING,
    "After 100 Trying the caller heard nothing for ten seconds or more: no ringing, no refusal.",
    "Look at what the next hop did meanwhile: routes that it tried in vain, slow number lookups.",
)
KINDS = (INVITE, BYE, REQUEST, LATE, PROGRESS)
MANY = 3
SILENT_US = 10 * SECOND_US
_FRAGMENTED = 1_300  # bytes: above it UDP risks being fragmented (RFC 3261 section 18.1.1)
_BY_METHOD = {"INVITE": INVITE, "BYE": BYE}


def find(call: Call) -> Iterator[Finding]:
    answered = max((leg.answer.place for leg in call.calls if leg.answer), default=0)
    for leg in call.legs:
        for exchange in leg.exchanges:
            if exchange.method == "ACK":
                continue
            for hop in exchange.transactions:
                yield from _late(hop) if hop.responses else _silent(leg, exchange, hop, answered)
        yield from _without_progress(leg)


def _silent(leg: Leg, exchange: Exchange, hop: Transaction, answered: int) -> Iterator[Finding]:
    """``answered``: the place of the call's last answer."""
    sent = same_way(hop.requests)
    if not _is_repeated(leg, sent) or _went_on(leg, exchange, hop):
        return
    kind = _BY_METHOD.get(exchange.method, REQUEST)
    if kind is INVITE and not exchange.is_initial:
        kind = REQUEST
    name = "re-INVITE" if exchange.method == "INVITE" and kind is REQUEST else exchange.method
    says = f"{hop.dst} did not answer the {name} of {hop.src}, which was sent {_times(len(sent))}."
    severity = Severity.WARNING if kind is INVITE and answered > sent[0].place else None
    yield finding(kind, says, sent, severity, _size(sent[0]))


def _is_repeated(leg: Leg, sent: list[Message]) -> bool:
    """By UDP what is not sent again was answered, captured or not. By TCP nothing is: there the other side fell silent."""
    first = sent[0]
    if first.packet.transport == "UDP":
        return len(sent) >= MANY
    return leg.last_us - first.at_us >= SILENT_US and leg.last_words.get(first.packet.dst.ip, 0) < first.place


def _went_on(leg: Leg, exchange: Exchange, hop: Transaction) -> bool:
    """Whether somebody did answer and it was not captured: sent on further, or acknowledged."""
    if exchange.is_forwarded(hop):
        return True
    if exchange.method == "INVITE":
        acks = leg.acknowledgements.get((exchange.tag, exchange.number), [])
        return any(each.sip.to.tag not in exchange.answerers for each in acks)
    return exchange.method == "CANCEL" and leg.is_terminated


def _late(hop: Transaction) -> Iterator[Finding]:
    first = hop.responses[0]
    before = same_way([each for each in hop.requests if each.place < first.place])
    if len(before) >= MANY:
        waited = seconds(first.at_us - before[0].at_us)
        says = f"{hop.method} was sent {_times(len(before))} to {hop.dst} until a response came after {waited}."
        yield finding(LATE, says, [*before, first])


def _without_progress(leg: Leg) -> Iterator[Finding]:
    for exchange in leg.attempts:
        request, responses = exchange.hop.request, exchange.hop.responses
        if request is None or not any(each.sip.status == 100 for each in responses) or _is_hidden(leg, exchange):
            continue
        end = next((each for each in responses if each.sip.status > 100), leg.cancel or leg.messages[-1])
        waited_us = end.at_us - request.at_us
        if waited_us >= SILENT_US:
            says = f"{seconds(waited_us)} after its INVITE the caller had got nothing but 100 Trying."
            yield finding(PROGRESS, says, [request, responses[0], end])


def _is_hidden(leg: Leg, exchange: Exchange) -> bool:
    """Whether the caller was told something that was not captured."""
    if any(each.sip.status > 100 for each in exchange.hop.responses):
        return False
    behind = (each for hop in exchange.transactions[1:] for each in hop.responses)
    return (exchange.tag, exchange.number) in leg.acknowledgements or any(each.sip.status > 100 for each in behind)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _size(message: Message) -> str:
    size = len(message.packet.payload)
    if message.packet.transport != "UDP" or size <= _FRAGMENTED:
        return ""
    return f"It has {size} bytes: by UDP it travels in fragments, which firewalls like to drop; TCP carries it whole."
