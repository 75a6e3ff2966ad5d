"""What is wrong with a captured call, in words, with the messages that prove it. Pure; any bytes may come in.

Each module has one family of findings: its `KINDS`, and `find`, which looks for them in a call.
"""

from collections.abc import Iterable

from ringback.sip.diagnosis import (
    acknowledgements,
    authentication,
    codecs,
    directions,
    early_media,
    endings,
    hold,
    loops,
    media_reports,
    nat,
    refusals,
    renegotiation,
    session_timers,
    silence,
    transfers,
)
from ringback.sip.diagnosis.call import Call
from ringback.sip.diagnosis.finding import MOST_PROOFS, Finding, Kind, Severity
from ringback.sip.packet import Packet

FAMILIES = (
    authentication,
    silence,
    refusals,
    renegotiation,
    acknowledgements,
    nat,
    codecs,
    directions,
    media_reports,
    early_media,
    hold,
    session_timers,
    loops,
    transfers,
    endings,
)
KINDS: tuple[Kind, ...] = tuple(kind for family in FAMILIES for kind in family.KINDS)
_SEVERITIES = list(Severity)


def diagnose(packets: Iterable[Packet]) -> list[Finding]:
    """One finding of a kind, the worst first. A healthy call has none."""
    call = Call(packets)
    found: dict[str, Finding] = {}
    for family in FAMILIES:
        for each in family.find(call):
            before = found.get(each.code)
            found[each.code] = each if before is None else _joined(before, each)
    return sorted(found.values(), key=_rank)


def _joined(one: Finding, other: Finding) -> Finding:
    """The same on another leg, or again: told once, by the worst, with the messages of both."""
    worst, rest = sorted((one, other), key=_rank)
    proofs = {each.place: each for each in (*worst.proofs, *rest.proofs)}
    return worst._replace(proofs=tuple(sorted(proofs.values(), key=lambda each: each.place))[:MOST_PROOFS])


def _rank(finding: Finding) -> tuple[int, int]:
    return _SEVERITIES.index(finding.severity), min((each.place for each in finding.proofs), default=0)
