"""What a captured packet is: a message of which dialogs."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping

from ringback.sip import sdp
from ringback.sip.message import scan
from ringback.sip.packet import Endpoint, Packet, is_text
from ringback.sip.reports import is_bare, voice_reports
from ringback.store.captured_calls import Message, message
from ringback.store.captures import Seen, key
from ringback.store.slices import Span

MOST_ENDS = 50_000
MOST_UNREAD = 10_000
MOST_UNREAD_BYTES = 16 << 20
MOST_LEGS = 8
LEGS_US = 10_000_000


class Incoming:
    """Of one customer: private addresses are the same with many. `correlation`: what the capture agent says it belongs to, empty
    where it does not."""

    def __init__(self) -> None:
        self._ends = Ends()

    def sip(self, seen: Seen, correlation: str, span: Span) -> list[Message]:
        """One of its own dialog, and one of the call on whose quality it reports."""
        payload = seen.packet.payload
        sip = scan(payload)
        call_id = sip.call_id or correlation
        if b"\nm=" in sip.body:
            self._ends.learn(seen.packet, call_id)
        found = [message(call_id, seen, correlation, sip, span)]
        if told := voice_reports.call_id(payload):
            found.append(message(told, seen, correlation, None, span))
        return found

    def report(self, seen: Seen, correlation: str, span: Span) -> list[Message]:
        """One for each call that a report on media belongs to: as it says, as its agent says, or by its addresses. Of none
        where none is known."""
        named = voice_reports.call_id(seen.packet.payload) or correlation
        calls = [named] if named else self._ends.calls(seen.packet) or [""]
        return [message(call_id, seen, correlation, None, span) for call_id in calls]


def of_file(packets: Iterable[Packet], span: Span) -> Iterator[Message]:
    """What of the packets of a capture file may be SIP or reports on media."""
    incoming = Incoming()
    for packet in packets:
        if is_bare(packet.payload):
            yield from incoming.report(Seen(packet, None), "", span)
        elif is_text(packet.payload):
            yield from incoming.sip(Seen(packet, None), "", span)


class Ends:
    """Where calls said that they take reports on media: the addresses of a packet without a Call-ID tell its calls.

    Anybody may name anybody's address. So a report is of calls that named both its ends; of one that named a single end only where
    the other, perhaps behind NAT, was named by nobody. Those that named them at about the same time are legs of one call, else
    the newest has it.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[Endpoint, dict[str, int]] = OrderedDict()
        self._unread: deque[tuple[Packet, str]] = deque()
        self._unread_bytes = 0

    def learn(self, packet: Packet, call_id: str) -> None:
        """Read when the first packet is asked about: agents that send a Call-ID with every report are the rule."""
        self._unread.append((packet, key(call_id)))
        self._unread_bytes += len(packet.payload)
        if len(self._unread) > MOST_UNREAD or self._unread_bytes > MOST_UNREAD_BYTES:
            self._next()

    def calls(self, packet: Packet) -> list[str]:
        while self._unread:
            self._read(*self._next())
            while len(self._calls) > MOST_ENDS:
                self._calls.popitem(last=False)
        src, dst = (self._calls.get(end, {}) for end in (packet.src, packet.dst))
        if not src or not dst:
            return _latest(src or dst)
        return _latest({name: max(at_us, dst[name]) for name, at_us in src.items() if name in dst})

    def _next(self) -> tuple[Packet, str]:
        packet, call_id = self._unread.popleft()
        self._unread_bytes -= len(packet.payload)
        return packet, call_id

    def _read(self, packet: Packet, call_id: str) -> None:
        for media in sdp.media(packet.payload.partition(b"\r\n\r\n")[2]):
            for end in media.rtcp:
                named = {**self._calls.pop(end, {}), call_id: packet.at_us}
                if len(named) > MOST_LEGS:
                    del named[min(named, key=named.__getitem__)]
                self._calls[end] = named


def _latest(named: Mapping[str, int]) -> list[str]:
    """The legs of the call that was named last."""
    last_us = max(named.values(), default=0)
    return [name for name, at_us in named.items() if last_us - at_us < LEGS_US]
