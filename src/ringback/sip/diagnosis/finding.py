"""What a diagnosis says, and the kinds of finding there are."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ringback.sip.diagnosis.call import Heard, Message
from ringback.sip.packet import Packet

MOST_PROOFS = 20
_LONGEST = 1_000  # characters of a sentence


class Severity(StrEnum):
    """``ERROR``: the call failed, or somebody hears nothing. ``WARNING``: something is wrong though the call may have
    worked. ``NOTICE``: no fault in the signalling, but people ask about such calls.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Kind(NamedTuple):
    """One row of the table in docs/diagnosis.md. ``look``: what to look at."""

    code: str
    severity: Severity
    meaning: str
    look: str


class Proof(NamedTuple):
    """A packet, and which entry of the text trace it is, counted from 1."""

    place: int
    packet: Packet


class Finding(NamedTuple):
    """``says``: what happened in this call. ``proofs``: the messages that show it, in the order of the trace."""

    severity: Severity
    code: str
    says: str
    look: str
    proofs: tuple[Proof, ...]


def finding(
    kind: Kind, says: str, shown: Iterable[Message | Heard | None], severity: Severity | None = None, look: str = ""
) -> Finding:
    """``severity``: where the call tells it better than the kind. ``look``: what to look at besides."""
    proofs = sorted({each.place: Proof(each.place, each.packet) for each in shown if each is not None}.values())
    advice = " ".join(filter(None, (kind.look, look)))
    return Finding(severity or kind.severity, kind.code, says[:_LONGEST], advice, tuple(proofs[:MOST_PROOFS]))
