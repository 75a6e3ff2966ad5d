"""A media session: one dialog as seen on the wire, and what time and other dialogs make of it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from ringback.sip import causes
from ringback.sip.dialogs.negotiation import Agreement
from ringback.sip.packet import Packet

SRC, DST = "src", "dst"
"""Who called, and who was called."""
_GRACE_US = 60_000_000
REPLACED_US = 32_000_000
"""64 × T1, as long as a BYE is sent again: between a dialog's end and the answer to whoever takes its place."""


class Status(StrEnum):
    INITIAL = "INITIAL"
    RINGING = "RINGING"
    CONNECTED = "CONNECTED"
    ON_HOLD = "ON_HOLD"
    ENDED = "ENDED"


@dataclass(slots=True)
class MediaSession:
    """One dialog as seen on the wire. Instants are µs since 1970; None: has not happened, or was not captured.

    ``src``, ``dst``: the digits of a number without ``+``, else the user part of the address, None without either.
    ``t_cause``: None while it lasts. ``duration_s``: whole seconds from answer to end, 0 when nobody answered, None
    while people talk. ``messages``, ``rtcp``: the packets it was read from, retransmissions included.
    ``ended_by``: `SRC` or `DST`, who sent the BYE, the CANCEL or the refusal; None while it lasts, and where nobody did.
    ``expires_at_us``: when its session timer runs out unless it is refreshed (RFC 4028); None without one in force.
    ``caller_tag``: the From tag of who called. ``agreement``: the SDP of the dialog that was answered, else of an early
    one. ``described``: every SDP with the tag of its sender. ``replaces``: the Call-ID whose place this one takes.

    Nobody changes one; ``frozen`` would make it cost twice as much.
    """

    call_id: str
    created_at_us: int
    ringing_at_us: int | None
    answered_at_us: int | None
    ended_at_us: int | None
    status: Status
    src: str | None
    dst: str | None
    src_ua: str | None
    dst_ua: str | None
    t_cause: str | None
    duration_s: int | None
    messages: tuple[Packet, ...]
    rtcp: tuple[Packet, ...]
    ended_by: str | None = None
    expires_at_us: int | None = None
    caller_tag: str = field(default="", compare=False)
    agreement: Agreement | None = field(default=None, compare=False)
    described: tuple[tuple[bytes, str], ...] = field(default=(), compare=False)
    replaces: str = field(default="", compare=False)

    @property
    def ended(self) -> bool:
        return self.ended_at_us is not None


def talked_s(answered_at_us: int | None, ended_at_us: int | None) -> int | None:
    """As `MediaSession.duration_s`."""
    if answered_at_us is None:
        return 0
    return None if ended_at_us is None else max(ended_at_us - answered_at_us, 0) // 1_000_000


def expired(session: MediaSession, now_us: int) -> MediaSession:
    """As it stands at ``now_us``: ended when its session timer had run out a minute before without a refresh, as of
    then (RFC 4028 section 10), for the BYE was lost or both ends are gone. Not where reports on media came later.
    """
    ends_us = session.expires_at_us
    if ends_us is None or now_us < ends_us + _GRACE_US or any(packet.at_us > ends_us for packet in session.rtcp):
        return session
    return replace(
        session,
        ended_at_us=ends_us,
        status=Status.ENDED,
        t_cause=causes.EXPIRED,
        duration_s=talked_s(session.answered_at_us, ends_us),
        expires_at_us=None,
    )


def replaced(session: MediaSession, at_us: int) -> MediaSession:
    """As it stands when somebody answered, at ``at_us``, an INVITE whose Replaces names it (RFC 3891): who is replaced gets a
    BYE or CANCEL like any other, and only the other dialog says why.
    """
    if session.ended_at_us is None or session.t_cause != causes.NORMAL_CLEARING:
        return session
    is_near = abs(session.ended_at_us - at_us) <= REPLACED_US
    return replace(session, t_cause=causes.REPLACED) if is_near else session
