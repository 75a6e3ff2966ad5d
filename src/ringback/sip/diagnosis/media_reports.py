"""What RTCP tells of media that do not arrive (RFC 3550 section 6.4)."""

from collections.abc import Iterator
from itertools import pairwise

from ringback.sip.diagnosis.call import Call, Heard
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.hold import holds
from ringback.sip.packet import SECOND_US, Endpoint
from ringback.sip.reports.rtcp import ReportBlock

NOT_SENT = Kind(
    "media-not-sent",
    Severity.WARNING,
    "One side sent no audio: its RTCP counts no packets, or the count does not rise, while the other side sends.",
    "Look at microphone, mute and silence suppression of that side, and at what it takes for the address of the other.",
)
NOT_HEARD = Kind(
    "media-not-heard",
    Severity.ERROR,
    "One side sends audio and the other gets none of it: one-way audio.",
    "Capture RTP at both sides. Look at firewalls, at the addresses in the SDP of the side that hears nothing, and at NAT.",
)
LOST = Kind(
    "media-loss",
    Severity.WARNING,
    "One side lost 5 % or more of the other's packets, in two reports or more.",
    "Look at the network between the two: wireless links, full uplinks without priority for voice, VPNs.",
)
KINDS = (NOT_SENT, NOT_HEARD, LOST)
_FEW = 2
_SPAN_US = 8 * SECOND_US
_AROUND_HOLD_US = 6 * SECOND_US
_PACKETS = 50  # a second of speech
_ALL, _MUCH = 0.95, 0.05

_Way = tuple[Endpoint, Endpoint]


class _Stream:
    """What one end reports to the other: ``sent``, its packet counts; ``lost``, how it hears the other."""

    def __init__(self) -> None:
        self.reports: list[Heard] = []
        self.sent: list[int] = []
        self.lost: list[tuple[Heard, ReportBlock]] = []

    def add(self, heard: Heard) -> None:
        told = [each for each in heard.reports if each.kind in ("SR", "RR")]
        if told:
            self.reports.append(heard)
            self.sent += [each.packets for each in told if each.kind == "SR"]
            # Before anything is heard some phones report on a source of their own making, 0.
            self.lost += [(heard, block) for each in told for block in each.blocks if block.ssrc]

    @property
    def is_long(self) -> bool:
        return len(self.reports) >= _FEW and self.reports[-1].packet.at_us - self.reports[0].packet.at_us >= _SPAN_US

    @property
    def most(self) -> int:
        return max(self.sent, default=0)

    @property
    def rise(self) -> int:
        """Packets sent while reports came; counts begin anew with another source."""
        if len(self.sent) < _FEW:
            return self.most
        return sum(max(after - before, 0) for before, after in pairwise(self.sent))

    @property
    def proofs(self) -> tuple[Heard, Heard]:
        return self.reports[0], self.reports[-1]


def find(call: Call) -> Iterator[Finding]:
    streams = _streams(call)
    for (src, dst), here in streams.items():
        there = streams.get((dst, src))
        yield from _losses(src, dst, here)
        if there is None or not here.is_long or not there.is_long:
            continue
        if there.rise >= _PACKETS and here.rise == 0:
            says = f"{src} reported no audio sent ({here.most} packets), while {dst} sent {there.rise} packets."
            yield finding(NOT_SENT, says, [*here.proofs, *there.proofs])
        if there.rise >= _PACKETS and _hears_nothing(here):
            says = f"{dst} sent {there.rise} packets of audio, and {src} reports that it got none."
            yield finding(NOT_HEARD, says, [*here.proofs, *there.proofs])


def _hears_nothing(here: _Stream) -> bool:
    """Not one report block in all its reports, or blocks that say that all was lost."""
    return not here.lost or (len(here.lost) >= _FEW and all(each.fraction_lost >= _ALL for _, each in here.lost))


def _losses(src: Endpoint, dst: Endpoint, here: _Stream) -> Iterator[Finding]:
    bad = [(heard, each) for heard, each in here.lost if _MUCH <= each.fraction_lost < _ALL]
    if len(bad) >= _FEW:
        worst = max(each.fraction_lost for _, each in bad)
        says = f"{src} lost up to {worst:.0%} of the packets from {dst}, in {len(bad)} reports."
        yield finding(LOST, says, [heard for heard, _ in bad])


def _streams(call: Call) -> dict[_Way, _Stream]:
    """Reports of the time when both could hear each other: answered, not held, not over."""
    begin_us = min((leg.answer.at_us for leg in call.calls if leg.answer), default=None)
    found: dict[_Way, _Stream] = {}
    if begin_us is None:
        return found
    end_us = max(leg.bye.at_us if leg.bye else leg.last_us for leg in call.calls)
    quiet = list(_quiet(call))
    for heard in call.rtcp:
        at_us = heard.packet.at_us
        if begin_us <= at_us <= end_us and not any(first <= at_us <= last for first, last in quiet):
            found.setdefault((heard.packet.src, heard.packet.dst), _Stream()).add(heard)
    return found


def _quiet(call: Call) -> Iterator[tuple[int, int]]:
    """When the call was on hold, in µs, and a report's interval around it."""
    for leg in call.calls:
        for hold in holds(leg):
            last = hold.end or leg.messages[-1]
            yield hold.begin.at_us - _AROUND_HOLD_US, last.at_us + _AROUND_HOLD_US
