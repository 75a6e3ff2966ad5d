"""The order of cause and effect among captured packets."""

from collections.abc import Iterable, Iterator

from ringback.sip.message import SipMessage, scan
from ringback.sip.packet import Packet, is_rtcp

Seen = tuple[Packet, SipMessage | None]
"""A packet and what it says; None where it is no SIP (RTCP, RTP, STUN, keep-alives)."""

_Transaction = tuple[str, str, int, str]


def causal(packets: Iterable[Packet]) -> list[Seen]:
    """By captured time, ties as given, but no response before its request.

    Two captures of one call never have quite the same clock. A response that comes out earlier than the request of
    its transaction (RFC 3261 section 17.1.3: topmost branch and CSeq method) is moved to just behind it.
    """
    seen = [(packet, _message(packet)) for packet in packets]
    seen.sort(key=lambda one: one[0].at_us)
    return list(_requests_first(seen))


def _requests_first(seen: list[Seen]) -> Iterator[Seen]:
    awaited = {_transaction(message) for _, message in seen if message is not None and message.is_request}
    held: dict[_Transaction, list[Seen]] = {}
    for packet, message in seen:
        if message is None:
            yield packet, message
            continue
        key = _transaction(message)
        if key not in awaited:
            yield packet, message
        elif message.is_request:
            awaited.discard(key)
            yield packet, message
            yield from held.pop(key, ())
        else:
            held.setdefault(key, []).append((packet, message))


def _transaction(message: SipMessage) -> _Transaction:
    number, method = message.cseq or (0, "")
    return message.call_id, message.branch, number, method


def _message(packet: Packet) -> SipMessage | None:
    """Text is taken for SIP however damaged it is, bytes that no text starts with are not."""
    first = packet.payload.lstrip(b"\r\n")[:1]
    if not b" " <= first <= b"~" or is_rtcp(packet.payload):
        return None
    return scan(packet.payload)
