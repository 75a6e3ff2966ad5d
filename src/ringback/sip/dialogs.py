"""SIP messages to media sessions: one for every INVITE dialog, told by its Call-ID."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ringback.sip import causes, voice_reports
from ringback.sip.dialog import Dialog, MediaSession, Status
from ringback.sip.message import SipMessage
from ringback.sip.order import each_call
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.reports import is_report

_GRACE_US = 60_000_000


class Dialogs:
    """Dialogs by Call-ID, in the order of their first message, and the RTCP that belongs to them."""

    def __init__(self) -> None:
        self._dialogs: dict[str, Dialog] = {}
        self._replacing: dict[str, str] = {}

    def add(self, packet: Packet, message: SipMessage) -> None:
        """Messages without a Call-ID belong nowhere."""
        if not message.call_id:
            return
        dialog = self._dialogs.get(message.call_id)
        if dialog is None:
            dialog = self._dialogs[message.call_id] = Dialog(message.call_id)
        dialog.add(packet, message)
        if message.replaces and message.is_request:
            self._replacing[message.call_id] = message.replaces.partition(";")[0].strip()
        elif self._replacing and message.method == "INVITE" and 200 <= message.status < 300:
            replaced = self._dialogs.get(self._replacing.pop(message.call_id, ""))
            if replaced is not None:
                replaced.replaced(packet.at_us)

    def attach(self, packets: Iterable[Packet]) -> None:
        """Reports by the Call-ID that they name, else by the addresses that SDP announced; those between two phones
        belong to both legs of a call.
        """
        by_end: dict[Endpoint, list[Dialog]] = {}
        for dialog in self._dialogs.values():
            for end in dialog.rtcp_ends:
                by_end.setdefault(end, []).append(dialog)
        for packet in packets:
            named = self._dialogs.get(voice_reports.call_id(packet.payload))
            ends = {packet.src, packet.dst} if named is None else ()
            owners = {id(one): one for end in ends for one in by_end.get(end, ()) if one.covers(packet.at_us)}
            for dialog in owners.values() if named is None else (named,):
                dialog.rtcp.append(packet)

    def sessions(self) -> Iterator[MediaSession]:
        for dialog in self._dialogs.values():
            session = dialog.session()
            if session is not None:
                yield session


def media_sessions(packets: Iterable[Packet]) -> list[MediaSession]:
    """Every INVITE dialog among the packets (SIP and reports on media, any order, other traffic ignored), failed ones
    included. One whose session timer ran out before the last packet has ended.
    """
    dialogs = Dialogs()
    others: list[Packet] = []
    last_us = 0
    for packet, message in each_call(packets):
        last_us = max(last_us, packet.at_us)
        if is_report(packet.payload):
            others.append(packet)
        elif message is not None:
            dialogs.add(packet, message)
    dialogs.attach(others)
    return [expired(session, last_us) for session in dialogs.sessions()]


def expired(session: MediaSession, now_us: int) -> MediaSession:
    """As it stands at ``now_us``: ended when its session timer had run out a minute before without a refresh, as of
    then (RFC 4028 section 10), for the BYE was lost or both ends are gone. Not where reports on media came later.
    """
    ends_us = session.expires_at_us
    if ends_us is None or now_us < ends_us + _GRACE_US or any(packet.at_us > ends_us for packet in session.rtcp):
        return session
    talked_us = ends_us - (session.answered_at_us or ends_us)
    return replace(
        session,
        ended_at_us=ends_us,
        status=Status.ENDED,
        t_cause=causes.EXPIRED,
        duration_s=max(talked_us, 0) // 1_000_000,
        expires_at_us=None,
    )
