"""How the legs of a call came out, and which failure is only the echo of another."""

from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.diagnosis.call import CHALLENGES, Call, Exchange, Leg, Message, Transaction
from ringback.sip.packet import SECOND_US

PERSONAL = frozenset({486, 600, 603, 607})
"""Busy, or declined by a person: the call did what it should."""
_UNANSWERED = frozenset({408, 480})
"""After ringing they say that nobody picked up."""
_ECHO_US = 2 * SECOND_US


class Failure(NamedTuple):
    """A leg that was refused. ``response``: of the hop that said so first. ``is_rescued``: the call was answered
    elsewhere or later all the same.
    """

    leg: Leg
    exchange: Exchange
    hop: Transaction
    response: Message
    is_rescued: bool

    @property
    def is_own(self) -> bool:
        """Whether who refused had sent the request on, and nobody behind it refused with this status."""
        return self.exchange.is_forwarded(self.hop)


def failures(call: Call) -> Iterator[Failure]:
    """Refused legs. Of legs within one another that fail together the innermost: it is the cause of the others."""
    refused = [(leg, leg.attempts[-1]) for leg in call.calls if _is_refused(leg)]
    refused.sort(key=lambda each: _final(each[1]).place)
    for place, (leg, exchange) in enumerate(refused):
        inner = refused[place - 1][0] if place else None
        if inner is None or not _is_echo(leg, exchange, inner):
            hop, response = exchange.origin(exchange.hop.status)
            if _is_fault(leg, response):
                yield Failure(leg, exchange, hop, response, _is_rescued(call, leg, response))


def lost_branches(call: Call) -> Iterator[Failure]:
    """Servers that failed on the way of a call for which another way was found."""
    for leg in call.calls:
        for exchange in leg.attempts:
            for hop in exchange.transactions:
                final, is_last = hop.final, exchange is leg.attempts[-1] and hop.status == exchange.hop.status
                if final and not is_last and final.sip.status in {408, *range(500, 600)} and not leg.ringing:
                    yield Failure(leg, exchange, hop, final, is_rescued=True)


def _is_refused(leg: Leg) -> bool:
    """Not one that was cancelled, and not one that waits for credentials."""
    status = leg.attempts[-1].hop.status
    return status >= 300 and status not in CHALLENGES and leg.answer is None and leg.cancel is None


def _final(exchange: Exchange) -> Message:
    assert exchange.hop.final is not None
    return exchange.hop.final


def _is_echo(leg: Leg, exchange: Exchange, inner: Leg) -> bool:
    """Whether the other leg, which failed just before, had begun within this one."""
    failed = _final(inner.attempts[-1])
    return leg.messages[0].place < inner.messages[0].place and _final(exchange).at_us - failed.at_us <= _ECHO_US


def _is_fault(leg: Leg, response: Message) -> bool:
    status = response.sip.status
    return status not in PERSONAL and not (status in _UNANSWERED and leg.ringing is not None)


def _is_rescued(call: Call, leg: Leg, response: Message) -> bool:
    others = (each for each in call.calls if each is not leg and each.answer is not None)
    return any(each is not call.calls[0] or (each.answer and each.answer.place > response.place) for each in others)
