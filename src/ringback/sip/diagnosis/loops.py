"""Calls that come back (RFC 3261 section 16.3, RFC 5393)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import Call, Exchange, Leg, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.message import user_of
from ringback.sip.packet import Endpoint

LOOP = Kind(
    "call-loop",
    Severity.ERROR,
    "The call went round in circles: 482 Loop Detected, 483 Too Many Hops, or the same INVITE at the same server again and "
    "again.",
    "Look at the routes of the servers that the INVITE passes: each sends this number to the other.",
)
HAIRPIN = Kind(
    "call-hairpin",
    Severity.WARNING,
    "The call came back to where it came from.",
    "See whether the number is one's own: then it need not leave. Look at forwarding and at the default route of the other "
    "side.",
)
KINDS = (LOOP, HAIRPIN)
_ROUNDS = 3


def find(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        for exchange in leg.attempts:
            yield from _refused(leg, exchange)
            yield from _rounds(exchange)
    yield from _hairpins(call)


def _refused(leg: Leg, exchange: Exchange) -> Iterator[Finding]:
    """Of a call that forks and joins again, one branch gets 482 though another is answered (section 8.2.2.2)."""
    for hop in exchange.transactions:
        final = hop.final
        if final and (final.sip.status == 483 or (final.sip.status == 482 and leg.answer is None)):
            says = f"{final.packet.src} answered {final.sip.status} {final.sip.reason_phrase}"
            left = hop.request.first("max-forwards") if hop.request else ""
            says += f"; the INVITE had come with Max-Forwards {left[:9]}." if left else "."
            yield finding(LOOP, says, [hop.request, final])
            return


def _rounds(exchange: Exchange) -> Iterator[Finding]:
    visits: dict[tuple[Endpoint, str], list[Message]] = {}
    for hop in exchange.transactions:
        if hop.request is not None:
            visits.setdefault((hop.dst, hop.request.sip.request_uri), []).append(hop.request)
    for (server, _), requests in visits.items():
        falling = [each.first("max-forwards")[:9] for each in requests[:10]]
        # A server that tries another one again sends what it got: the number stays.
        if len(requests) >= _ROUNDS and len(set(falling)) == len(falling):
            says = f"The same INVITE came to {server} {len(requests)} times, with Max-Forwards {', '.join(falling)}."
            yield finding(LOOP, says, requests)
            return


def _hairpins(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        for exchange in leg.attempts:
            yield from _sent_back(exchange)
    if call.calls:
        yield from _called_back(call)


def _sent_back(exchange: Exchange) -> Iterator[Finding]:
    """By a proxy, unchanged, to who had sent it there. Changed it may well go back: to a phone behind the same proxy."""
    ways: dict[tuple[Endpoint, Endpoint, str], Message] = {}
    for hop in exchange.transactions:
        request = hop.request
        if request is None:
            continue
        before = ways.get((hop.dst, hop.src, request.sip.request_uri))
        if before is not None:
            says = f"{hop.src} sent the call to {_called(request)} back to {hop.dst}, where it had come from."
            yield finding(HAIRPIN, says, [before, request])
            return
        ways.setdefault((hop.src, hop.dst, request.sip.request_uri), request)


def _called_back(call: Call) -> Iterator[Finding]:
    """By a B2BUA, as a new call between the same two."""
    first = call.calls[0].attempts[0]
    asked = first.hop.request
    final = call.calls[0].attempts[-1].hop.final
    if asked is None:
        return
    for leg in call.calls[1:]:
        back = leg.attempts[0].hop.request
        is_back = back is not None and back.packet.dst == asked.packet.src and _parties(back) == _parties(asked)
        if back is not None and is_back and (final is None or back.place < final.place):
            says = f"{back.packet.src} called {asked.packet.src} with the call to {_called(asked)} that had come from there."
            yield finding(HAIRPIN, says, [asked, back])
            return


def _parties(message: Message) -> tuple[str, str]:
    return message.sip.from_.user, _called(message)


def _called(message: Message) -> str:
    return user_of(message.sip.request_uri) or message.sip.to.user
