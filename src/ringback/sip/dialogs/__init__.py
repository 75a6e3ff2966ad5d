"""SIP messages to media sessions: one for every INVITE dialog, told by its Call-ID."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession, expired, replaced
from ringback.sip.message import SipMessage
from ringback.sip.order import each_call
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.reports import is_report, voice_reports


class Dialogs:
    """Dialogs by Call-ID, in the order of their first message, and the RTCP that belongs to them."""

    def __init__(self) -> None:
        self._dialogs: dict[str, Dialog] = {}

    def add(self, packet: Packet, message: SipMessage) -> None:
        """Messages without a Call-ID belong nowhere."""
        if not message.call_id:
            return
        dialog = self._dialogs.get(message.call_id)
        if dialog is None:
            dialog = self._dialogs[message.call_id] = Dialog(message.call_id)
        dialog.add(packet, message)

    def attach(self, packets: Iterable[Packet]) -> None:
        """Reports by the Call-ID that they name, else by the addresses that SDP announced: those of dialogs that named both, or
        where none did, those that named either. So reports between two phones belong to both legs of a call.
        """
        by_end: dict[Endpoint, list[Dialog]] = {}
        for dialog in self._dialogs.values():
            for end in dialog.rtcp_ends:
                by_end.setdefault(end, []).append(dialog)
        for packet in packets:
            named = self._dialogs.get(voice_reports.call_id(packet.payload))
            for dialog in _owners(by_end, packet) if named is None else (named,):
                dialog.rtcp.append(packet)

    def sessions(self) -> Iterator[MediaSession]:
        found = [session for each in self._dialogs.values() if (session := each.session()) is not None]
        taken = {each.replaces: each.answered_at_us for each in found if each.answered_at_us is not None}
        for session in found:
            at_us = taken.get(session.call_id)
            yield session if at_us is None else replaced(session, at_us)


def _owners(by_end: Mapping[Endpoint, Sequence[Dialog]], packet: Packet) -> Iterable[Dialog]:
    here, there = (
        {id(one): one for one in by_end.get(end, ()) if one.covers(packet.at_us)} for end in (packet.src, packet.dst)
    )
    return [here[one] for one in here.keys() & there.keys()] or (here | there).values()


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
