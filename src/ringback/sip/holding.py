"""Who holds a call, message by message: the one rule for the state of a session, the ladder and the diagnosis.

A side holds when it wants to hear nothing (RFC 3264 section 8.4; RFC 2543 said it by the address 0.0.0.0): its audio, or
where there is none all its media, is `sendonly` or `inactive` in an offer or answer within the dialog that both sides agreed on. It holds
until they agree on something else. Who answers an offer that holds has no choice, so nothing follows for that side. What is refused
changes nothing, and what is agreed on before the call is answered puts nobody on hold: paging and announcements are `sendonly` all the time.
"""

from typing import Generic, NamedTuple, TypeVar

from ringback.sip import sdp
from ringback.sip.message import SipMessage

M = TypeVar("M")

_DESCRIPTION = b"v=0"
_OFFERING = frozenset({"INVITE", "UPDATE"})

_Transaction = tuple[str, str, int]
"""Call-ID, From tag and CSeq number of a request."""


class Change(NamedTuple, Generic[M]):
    """``tag``: of who holds from now on, or no more. ``mark``: of the message by which that side says so."""

    call_id: str
    tag: str
    is_held: bool
    mark: M


class _Said(NamedTuple, Generic[M]):
    """A side's part of an offer and answer; ``body`` is empty where it has no SDP."""

    tag: str
    body: bytes
    mark: M


class Holding(Generic[M]):
    """Of any dialogs. Feed it their messages in causal order; copies passed on by proxies and retransmissions change nothing."""

    def __init__(self) -> None:
        self._offers: dict[_Transaction, _Said[M]] = {}
        self._asked: dict[_Transaction, _Said[M]] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._waiting: set[str] = set()
        """Call-IDs of which an INVITE has not been answered."""
        self._held: dict[tuple[str, str, str], None] = {}

    def is_held(self, call_id: str, tags: tuple[str, str]) -> bool:
        """Whether one of the two sides of a dialog holds."""
        one, other = tags
        return (call_id, one, other) in self._held or (call_id, other, one) in self._held

    def heard(self, message: SipMessage, mark: M) -> list[Change[M]]:
        """What both sides have agreed on with this message. ``mark``: what to call it."""
        if message.cseq is None:
            return []
        key = message.call_id, message.from_tag, message.cseq.number
        if message.is_request:
            return self._request(key, message, mark)
        if message.status >= 200 and message.cseq.method in _OFFERING:
            return self._answered(key, message, mark)
        return []

    def _request(self, key: _Transaction, message: SipMessage, mark: M) -> list[Change[M]]:
        if message.method == "INVITE" and not message.to_tag:
            self._waiting.add(message.call_id)
        elif message.method in _OFFERING and self._is_of_talk(message) and key[2] > self._last.get(key[:2], -1):
            self._offers.setdefault(key, _Said(message.from_tag, _body(message), mark))
        elif message.method == "ACK" and key in self._asked:
            return self._agreed(key[0], self._asked.pop(key), _Said(message.from_tag, _body(message), mark))
        return []

    def _is_of_talk(self, message: SipMessage) -> bool:
        return bool(message.to_tag) and (message.method == "INVITE" or message.call_id not in self._waiting)

    def _answered(self, key: _Transaction, message: SipMessage, mark: M) -> list[Change[M]]:
        offer = self._offers.pop(key, None)
        if offer is None:
            self._waiting.discard(key[0] if message.status < 300 else "")
            return []
        self._last[key[:2]] = key[2]
        answer = _Said(message.to_tag, _body(message), mark)
        if message.status >= 300:
            return []
        if offer.body:
            return self._agreed(key[0], offer, answer)
        if answer.body:  # an INVITE without an offer: the answer comes with the ACK (RFC 3261 section 13.2.1)
            self._asked[key] = answer
        return []

    def _agreed(self, call_id: str, offer: _Said[M], answer: _Said[M]) -> list[Change[M]]:
        by_offer = _wants_silence(offer.body)
        found = self._set(call_id, offer, answer.tag, by_offer)
        by_answer = None if by_offer else _wants_silence(answer.body)
        return found + self._set(call_id, answer, offer.tag, by_answer)

    def _set(self, call_id: str, said: _Said[M], other: str, is_held: bool | None) -> list[Change[M]]:
        key = call_id, said.tag, other
        if is_held is None or is_held == (key in self._held):
            return []
        if is_held:
            self._held[key] = None
        else:
            del self._held[key]
        return [Change(call_id, said.tag, is_held, said.mark)]


def _wants_silence(body: bytes) -> bool | None:
    """None where it says nothing of media, or refuses all."""
    streams = sdp.streams(body) if body else ()
    told = [each for each in streams if each.kind == "audio"] or streams
    return all(each.direction in sdp.HOLDING for each in told) if told else None


def _body(message: SipMessage) -> bytes:
    return message.body if _DESCRIPTION in message.body else b""
