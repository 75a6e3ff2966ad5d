"""Offers and answers of SDP as they travel in SIP (RFC 3264; RFC 6337 section 2): what both sides agreed on."""

from typing import NamedTuple

from ringback.sip import sdp
from ringback.sip.message import SipMessage
from ringback.sip.packet import Endpoint

Tags = tuple[str, str]
"""The From and To tag of a dialog in the order of the alphabet: the same for requests of both sides."""

_DESCRIPTION = b"v=0"

_Transaction = tuple[str, int, str]
"""Whose (From tag), CSeq number and method: names the request until its response comes."""


class Agreement(NamedTuple):
    """The SDP of both sides as last agreed on, and the tag of the side that offered."""

    offerer: str
    offer: bytes
    answer: bytes


class Negotiation:
    """All offers and answers of a Call-ID. SDP is kept as it came and read when somebody asks.

    A relay on the way writes its own addresses into what it passes on: the first copy, the one of who wrote it, counts.
    """

    __slots__ = ("_asked", "_offered", "_settled", "agreed", "described")

    def __init__(self) -> None:
        self.described: dict[bytes, str] = {}
        """Every SDP, refused ones too, with the tag of who sent it."""
        self.agreed: dict[Tags, Agreement] = {}
        self._offered: dict[_Transaction, bytes] = {}
        self._asked: dict[Tags, bytes] = {}
        self._settled: dict[Tags, _Transaction] = {}

    def request(self, tags: Tags, message: SipMessage) -> None:
        """INVITE, UPDATE and PRACK offer; ACK, and PRACK after an offer in a provisional response, answer."""
        body = message.body
        if _DESCRIPTION not in body:
            return
        tag = message.from_tag
        self.described.setdefault(body, tag)
        if message.method in {"ACK", "PRACK"} and tags in self._asked:
            self.agreed[tags] = Agreement(message.to_tag, self._asked.pop(tags), body)
        elif message.method != "ACK":
            self._offered.setdefault(_transaction(message), body)

    def response(self, tags: Tags, message: SipMessage) -> None:
        """A refusal ends the offer, and what was agreed on stays (RFC 3261 section 14.1)."""
        body = message.body
        if message.status >= 300:
            if self._offered:
                self._offered.pop(_transaction(message), None)
        elif _DESCRIPTION in body:
            key = _transaction(message)
            self.described.setdefault(body, message.to_tag)
            offer = self._offered.get(key)
            if offer is None:
                self._asked[tags] = body
            elif self._settled.get(tags) != key:
                self.agreed[tags] = Agreement(message.from_tag, offer, body)
                if message.status >= 200:
                    self._settled[tags] = key

    def rtcp_ends(self) -> set[Endpoint]:
        """Every address that reports may come to."""
        return {end for body in self.described for stream in sdp.streams(body) for end in stream.rtcp}


def _transaction(message: SipMessage) -> _Transaction:
    number, method = message.cseq or (0, "")
    return message.from_tag, number, method
