"""Offers and their answers (RFC 3264, RFC 3261 section 13.2.1), hop by hop: a relay may change both."""

from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.diagnosis.call import Exchange, Leg, Message, Transaction


class Agreement(NamedTuple):
    """An offer and the answer to it. ``exchange``: the INVITE or UPDATE."""

    exchange: Exchange
    offer: Message
    answer: Message


def agreements(leg: Leg) -> Iterator[Agreement]:
    """Those of requests that succeeded, in order; of each hop."""
    for exchange in leg.of("INVITE", "UPDATE"):
        for hop in exchange.transactions:
            found = _agreed(leg, exchange, hop)
            if found is not None:
                yield Agreement(exchange, *found)


def _agreed(leg: Leg, exchange: Exchange, hop: Transaction) -> tuple[Message, Message] | None:
    final = hop.final
    if final is None or not 200 <= final.sip.status < 300 or hop.request is None:
        return None
    if hop.request.has_sdp:
        answer = final if final.has_sdp else _early(hop, final)
        return None if answer is None else (hop.request, answer)
    sent = leg.acknowledgements.get((exchange.tag, exchange.number), []) if final.has_sdp else []
    ends = hop.src.ip, hop.dst.ip
    ack = next((each for each in sent if each.has_sdp and (each.packet.src.ip, each.packet.dst.ip) == ends), None)
    return None if ack is None else (final, ack)


def _early(hop: Transaction, final: Message) -> Message | None:
    """The answer in a reliable provisional response of the same dialog (RFC 3262 section 5)."""
    same = (each for each in reversed(hop.responses) if each.has_sdp and each.sip.to.tag == final.sip.to.tag)
    return next(same, None)
