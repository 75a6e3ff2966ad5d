"""A captured call taken apart: legs (a Call-ID each), exchanges (a request on its whole way), transactions (on one hop)."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from ringback.sip import sdp
from ringback.sip.headers import Headers, headers
from ringback.sip.message import SipMessage
from ringback.sip.order import Scanned, causal
from ringback.sip.packet import SECOND_US, Endpoint, Packet
from ringback.sip.reports import is_bare, is_report, reports
from ringback.sip.reports.rtcp import RtcpReport

_LONGEST_SDP = 8_192
"""Bytes that are read of one; those with every candidate of a browser have half of it."""
_CAPTURED_TWICE_US = 100_000
"""Nothing is sent again so soon: a port that is mirrored in both directions shows each packet twice."""
CHALLENGES = frozenset({401, 407})


class Message:
    """A SIP message of the call. ``place``: which entry of the text trace it is, counted from 1."""

    def __init__(self, place: int, packet: Packet, sip: SipMessage) -> None:
        self.place, self.packet, self.sip = place, packet, sip

    @property
    def at_us(self) -> int:
        return self.packet.at_us

    @cached_property
    def headers(self) -> Headers:
        return headers(self.packet.payload)

    def all(self, name: str) -> list[str]:
        return self.headers.get(name, [])

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def has_sdp(self) -> bool:
        return b"v=0" in self.sip.body

    @cached_property
    def streams(self) -> tuple[sdp.Media, ...]:
        """Those of its SDP that are not refused."""
        return sdp.streams(self.sip.body[:_LONGEST_SDP]) if self.has_sdp else ()

    @property
    def audio(self) -> sdp.Media | None:
        return next((each for each in self.streams if each.kind == "audio"), None)


class Heard(NamedTuple):
    """An RTCP packet of the call."""

    place: int
    packet: Packet
    reports: list[RtcpReport]


class Transaction:
    """A request between two hops, as often as it was sent, and its responses (RFC 3261 section 17)."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.requests: list[Message] = []
        self.responses: list[Message] = []

    @property
    def request(self) -> Message | None:
        return self.requests[0] if self.requests else None

    @property
    def src(self) -> Endpoint:
        return self.requests[0].packet.src if self.requests else self.responses[0].packet.dst

    @property
    def dst(self) -> Endpoint:
        return self.requests[0].packet.dst if self.requests else self.responses[0].packet.src

    @property
    def final(self) -> Message | None:
        """A 2xx before others: after one nothing else counts."""
        finals = [each for each in self.responses if each.sip.status >= 200]
        return next((each for each in finals if each.sip.status < 300), finals[0] if finals else None)

    @property
    def status(self) -> int:
        """Of the final response; 0 without."""
        return self.final.sip.status if self.final else 0

    def copies(self, response: Message) -> list[Message]:
        """This response, as often as it was sent."""
        wanted = response.sip.status, response.sip.to.tag
        return same_way([each for each in self.responses if (each.sip.status, each.sip.to.tag) == wanted])


class Exchange:
    """One request of one side (From tag, CSeq) over all hops and branches, in the order that they were seen."""

    def __init__(self, call_id: str, tag: str, number: int, method: str) -> None:
        self.call_id, self.tag, self.number, self.method = call_id, tag, number, method
        self.transactions: list[Transaction] = []

    @property
    def hop(self) -> Transaction:
        """That of the side that asked, or as near to it as was captured."""
        return self.transactions[0]

    @property
    def place(self) -> int:
        return (self.hop.requests or self.hop.responses)[0].place

    @property
    def messages(self) -> list[Message]:
        """Of the first hop."""
        return [*self.hop.requests, *self.hop.responses]

    @property
    def is_initial(self) -> bool:
        """Whether it begins a dialog, or would."""
        return self.hop.request is not None and not self.hop.request.sip.to.tag

    @cached_property
    def _senders(self) -> set[Endpoint | str]:
        sources = [each.src for each in self.transactions if each.requests]
        return {*sources, *(each.ip for each in sources)}

    @cached_property
    def answerers(self) -> set[str]:
        """The To tags of the final responses."""
        finals = (each.final for each in self.transactions)
        return {each.sip.to.tag for each in finals if each is not None}

    def is_forwarded(self, hop: Transaction) -> bool:
        """Whether the receiver of this hop sent the request on; by TCP from another port."""
        return hop.dst in self._senders or (hop.dst.ip != hop.src.ip and hop.dst.ip in self._senders)

    def origin(self, status: int) -> tuple[Transaction, Message]:
        """Who said so first: the last hop whose final response has the status of the first hop's."""
        found = [each for each in self.transactions if each.status == status and each.final]
        hop = found[-1]
        assert hop.final is not None
        return hop, hop.final


class Leg:
    """The messages of one Call-ID."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.messages: list[Message] = []
        self.exchanges: list[Exchange] = []
        self._open: dict[tuple[str, int, str], Exchange] = {}
        self._transactions: dict[tuple[object, ...], Transaction] = {}

    def add(self, message: Message) -> None:
        sip = message.sip
        assert sip.cseq is not None
        self.messages.append(message)
        asked = sip.from_.tag, sip.cseq.number, sip.cseq.method
        # Without a branch (RFC 2543) the ends tell the hop.
        ends = frozenset((message.packet.src, message.packet.dst)) if not sip.branch else None
        transaction = self._transactions.get((asked, sip.branch, ends))
        if transaction is None:
            transaction = self._transactions[asked, sip.branch, ends] = Transaction(sip.cseq.method)
            self._exchange(message, asked).transactions.append(transaction)
        (transaction.requests if sip.is_request else transaction.responses).append(message)

    def _exchange(self, message: Message, asked: tuple[str, int, str]) -> Exchange:
        """Some send a request again with credentials and the same CSeq number (proxies that have the account's)."""
        found = self._open.get(asked)
        is_retry = found is not None and found.hop.status in CHALLENGES and found.hop.src == message.packet.src
        if found is None or is_retry:
            found = self._open[asked] = Exchange(self.call_id, *asked)
            self.exchanges.append(found)
        return found

    def of(self, *methods: str) -> Iterator[Exchange]:
        return (each for each in self.exchanges if each.method in methods)

    @cached_property
    def attempts(self) -> list[Exchange]:
        """INVITEs outside of a dialog: the first, with credentials, after a redirection."""
        return [each for each in self.of("INVITE") if each.is_initial]

    @cached_property
    def changes(self) -> list[Exchange]:
        """INVITEs and UPDATEs within the dialog."""
        return [each for each in self.of("INVITE", "UPDATE") if each.hop.request and not each.is_initial]

    @cached_property
    def acknowledgements(self) -> dict[tuple[str, int], list[Message]]:
        """The ACKs by From tag and CSeq number of what they acknowledge."""
        found: dict[tuple[str, int], list[Message]] = {}
        for each in self.of("ACK"):
            messages = [message for hop in each.transactions for message in hop.requests]
            found.setdefault((each.tag, each.number), []).extend(messages)
        return found

    @cached_property
    def last_words(self) -> dict[str, int]:
        """The place of the last message from each address."""
        return {each.packet.src.ip: each.place for each in self.messages}

    @cached_property
    def pracked(self) -> set[tuple[str, ...]]:
        """What RAck headers name: RSeq, CSeq number, method (RFC 3262 section 7.2)."""
        requests = (each.hop.request for each in self.of("PRACK"))
        return {tuple(request.first("rack").split()) for request in requests if request is not None}

    @property
    def caller_tag(self) -> str:
        return self.attempts[0].tag if self.attempts else ""

    @cached_property
    def answer(self) -> Message | None:
        """The first 2xx to an INVITE, as the caller saw it."""
        return next((each.hop.final for each in self.attempts if 200 <= each.hop.status < 300), None)

    @cached_property
    def bye(self) -> Message | None:
        """That which ended the call: of several dialogs (a fork that answers too late gets its BYE at once) that of the last."""
        ends: dict[frozenset[str], Message] = {}
        for each in self.messages:
            if each.sip.is_request and each.sip.method == "BYE":
                ends.setdefault(frozenset((each.sip.from_tag, each.sip.to_tag)), each)
        return list(ends.values())[-1] if ends else None

    @cached_property
    def cancel(self) -> Message | None:
        return self._request("CANCEL")

    @cached_property
    def is_terminated(self) -> bool:
        """Whether a CANCEL did what it should."""
        return any(each.hop.status == 487 for each in self.attempts)

    @cached_property
    def refer(self) -> Message | None:
        return self._request("REFER")

    @cached_property
    def ringing(self) -> Message | None:
        """The callee was alerted (180), or the caller heard something from there (183)."""
        return next((each for each in self.messages if each.sip.status in (180, 183)), None)

    @property
    def last_us(self) -> int:
        return self.messages[-1].at_us

    def _request(self, method: str) -> Message | None:
        return next((each for each in self.messages if each.sip.is_request and each.sip.method == method), None)


class Call:
    """``legs`` in the order of their first message; ``calls``: those of them that have an INVITE."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self.rtcp: list[Heard] = []
        legs: dict[str, Leg] = {}
        for place, (packet, message) in enumerate(_traced(causal(packets)), 1):
            if message is None or is_report(packet.payload):
                self.rtcp.append(Heard(place, packet, reports(packet.payload)))
            elif message.call_id and message.cseq is not None and _is_readable(message):
                legs.setdefault(message.call_id, Leg(message.call_id)).add(Message(place, packet, message))
        self.legs = list(legs.values())
        self.calls = [each for each in self.legs if each.attempts]

    def exchanges(self, *methods: str) -> Iterator[tuple[Leg, Exchange]]:
        return ((leg, each) for leg in self.legs for each in leg.of(*methods))

    @cached_property
    def is_answered(self) -> bool:
        return any(leg.answer for leg in self.calls)

    @cached_property
    def is_transferred(self) -> bool:
        return any(leg.refer for leg in self.legs) or bool(self.replaced)

    @cached_property
    def replaced(self) -> set[str]:
        """Call-IDs that a Replaces header names (RFC 3891)."""
        invites = (each.hop.request for leg in self.calls for each in leg.attempts)
        values = (value for invite in invites if invite for value in invite.all("replaces"))
        return {value.partition(";")[0].strip() for value in values}


def same_way(messages: list[Message]) -> list[Message]:
    """Of messages that are one, those between the two ends that saw most of them: as often as it was sent."""
    ways: dict[tuple[Endpoint, Endpoint], list[Message]] = {}
    for each in messages:
        way = ways.setdefault((each.packet.src, each.packet.dst), [])
        if not way or each.at_us - way[-1].at_us >= _CAPTURED_TWICE_US:
            way.append(each)
    return max(ways.values(), key=len, default=[])


def party(leg: Leg, tag: str) -> str:
    """Who of the two it is, by the tag of who speaks."""
    return "the caller" if tag == leg.caller_tag else "the callee"


def seconds(span_us: int) -> str:
    return f"{max(span_us, 0) / SECOND_US:.1f} s"


def _traced(seen: Iterable[Scanned]) -> Iterator[Scanned]:
    """What the text trace shows."""
    return (one for one in seen if one[1] is not None or is_bare(one[0].payload))


def _is_readable(message: SipMessage) -> bool:
    return bool(message.request_uri if message.is_request else message.status)
