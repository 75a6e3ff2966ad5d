"""SIP messages to media sessions: one for every INVITE dialog, told by its Call-ID (RFC 3261 sections 12 to 15)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ringback.sip import causes, sdp
from ringback.sip.message import Address, SipMessage, address, user_of
from ringback.sip.order import causal
from ringback.sip.packet import Endpoint, Packet, is_rtcp

_SEPARATORS = str.maketrans("", "", " -.()")
_NUMBER = re.compile(r"\+?(\d+)", re.A)
_HELD = frozenset({"sendonly", "inactive"})
_RINGING = frozenset({180, 183})
_CHALLENGES = frozenset({401, 407})
_RTCP_AFTER_END_US = 5_000_000

Offer = tuple[str, int, str]
"""Whose (From tag), CSeq number and method: names the request until its response comes."""


class Status(StrEnum):
    INITIAL = "INITIAL"
    RINGING = "RINGING"
    CONNECTED = "CONNECTED"
    ON_HOLD = "ON_HOLD"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class MediaSession:
    """One dialog as seen on the wire. Instants are µs since 1970; None: has not happened, or was not captured.

    ``src``, ``dst``: the digits of a number without ``+``, else the user part of the address, None without either.
    ``t_cause``: None while it lasts. ``duration_s``: whole seconds from answer to end, 0 when nobody answered, None
    while people talk. ``messages``, ``rtcp``: the packets it was read from, retransmissions included.
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

    @property
    def ended(self) -> bool:
        return self.ended_at_us is not None


class Dialog:
    """The messages of one Call-ID so far. Feed it in causal order; ask it for its session at any time."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.rtcp: list[Packet] = []
        self.rtcp_ends: set[Endpoint] = set()
        self._messages: list[Packet] = []
        self._seen: set[tuple[Endpoint, Endpoint, bytes]] = set()
        self._first: SipMessage | None = None
        self._created_at_us = 0
        self._ringing_at_us: int | None = None
        self._answered_at_us: int | None = None
        self._ended_at_us: int | None = None
        self._cause: str | None = None
        self._cancel_cause: str | None = None
        self._src_ua = self._dst_ua = ""
        self._offers: dict[Offer, str] = {}
        self._directions: dict[str, str] = {}

    def add(self, packet: Packet, message: SipMessage) -> None:
        """A retransmission (section 17: the same bytes again) is kept among the packets and changes nothing."""
        self._messages.append(packet)
        key = packet.src, packet.dst, packet.payload
        if key in self._seen or message.cseq is None:
            return
        self._seen.add(key)
        if message.is_request:
            self._request(packet.at_us, message)
        elif message.cseq.method in {"INVITE", "UPDATE"}:
            self._response(packet.at_us, message)

    def session(self) -> MediaSession | None:
        """None for what is no INVITE dialog: REGISTER, OPTIONS, SUBSCRIBE, or one captured from its BYE on."""
        if self._first is None:
            return None
        return MediaSession(
            call_id=self.call_id,
            created_at_us=self._created_at_us,
            ringing_at_us=self._ringing_at_us,
            answered_at_us=self._answered_at_us,
            ended_at_us=self._ended_at_us,
            status=self._status(),
            src=_caller(self._first),
            dst=_callee(self._first),
            src_ua=self._src_ua or None,
            dst_ua=self._dst_ua or None,
            t_cause=self._cause,
            duration_s=self._duration_s(),
            messages=tuple(self._messages),
            rtcp=tuple(self.rtcp),
        )

    def covers(self, at_us: int) -> bool:
        """Whether a report of that time may be of this session: the last ones come with or after the BYE."""
        last_us = at_us if self._ended_at_us is None else self._ended_at_us + _RTCP_AFTER_END_US
        return self._created_at_us <= at_us <= last_us

    def _request(self, at_us: int, message: SipMessage) -> None:
        self._agent(message)
        if message.method == "INVITE":
            self._invite(at_us, message)
        elif message.method == "BYE" and self._first is not None:
            self._end_talk(at_us, causes.of_request(message))
        elif message.method == "CANCEL" and self._answered_at_us is None:
            self._cancel_cause = causes.of_request(message)
            self._end(at_us, self._cancel_cause)
        elif message.method == "UPDATE":
            self._offer(message)
        elif message.method == "ACK":
            # The answer to an INVITE without a body is in its ACK (section 13.2.1).
            self._direct(message.from_.tag, self._direction(message))

    def _invite(self, at_us: int, message: SipMessage) -> None:
        self._begin(at_us, message)
        if not message.to.tag:
            # Another attempt in the same dialog: with credentials (section 22), to the next phone, after a redirection.
            self._cancel_cause = None
            self._reopen()
        self._offer(message)

    def _response(self, at_us: int, message: SipMessage) -> None:
        if message.cseq is not None and message.cseq.method == "INVITE":
            self._begin(at_us, message)
            self._progress(at_us, message)
        direction = self._direction(message)
        offered = self._offers.get(_offer_key(message))
        if 200 <= message.status < 300:
            self._direct(message.from_.tag, offered)
            self._direct(message.to.tag, direction)

    def _progress(self, at_us: int, message: SipMessage) -> None:
        """What a response to an INVITE means; after the first answer later ones belong to re-INVITEs or lost forks."""
        self._callee_agent(message)
        if self._answered_at_us is not None:
            return
        if message.status in _RINGING:
            self._ring(at_us)
        elif 200 <= message.status < 300:
            # Also behind a CANCEL that came too late (section 9.1).
            self._reopen()
            self._answered_at_us = at_us
        elif message.status >= 300 and not (message.status == 487 and self._ended_at_us is not None):
            # Where a call forks the last refusal counts; 487 only repeats a CANCEL or the refusal that led to it.
            self._end(at_us, self._cancel_cause or causes.of_response(message))

    def _ring(self, at_us: int) -> None:
        if self._cancel_cause is None:
            self._reopen()
        if self._ringing_at_us is None:
            self._ringing_at_us = at_us

    def _begin(self, at_us: int, message: SipMessage) -> None:
        if self._first is None:
            self._first = message
            self._created_at_us = at_us

    def _end(self, at_us: int, cause: str) -> None:
        self._ended_at_us, self._cause = at_us, cause

    def _end_talk(self, at_us: int, cause: str) -> None:
        """Both sides may send BYE at once, and proxies pass it on: the first one ended the call."""
        if self._ended_at_us is None:
            self._end(at_us, cause)

    def _reopen(self) -> None:
        if self._answered_at_us is None:
            self._ended_at_us = self._cause = None

    def _offer(self, message: SipMessage) -> None:
        direction = self._direction(message)
        if direction is not None:
            self._offers[_offer_key(message)] = direction

    def _direction(self, message: SipMessage) -> str | None:
        """Of the audio in this message's SDP, None without; notes where reports will go as well."""
        if b"v=0" not in message.body:
            return None
        direction = None
        for media in sdp.media(message.body):
            self.rtcp_ends |= media.rtcp
            if media.kind == "audio" and direction is None:
                direction = media.direction
        return direction

    def _direct(self, tag: str, direction: str | None) -> None:
        if direction is not None:
            self._directions[tag] = direction

    def _agent(self, message: SipMessage) -> None:
        if self._first is None or message.from_.tag == self._first.from_.tag:
            self._src_ua = self._src_ua or message.user_agent
        elif message.from_.tag:
            self._dst_ua = self._dst_ua or message.user_agent

    def _callee_agent(self, message: SipMessage) -> None:
        """Not from 100 and challenges, which the next hop sends on its own."""
        if message.status > 100 and message.status not in _CHALLENGES and not self._dst_ua:
            self._dst_ua = message.server or message.user_agent

    def _status(self) -> Status:
        if self._ended_at_us is not None:
            return Status.ENDED
        if self._answered_at_us is not None:
            held = any(direction in _HELD for direction in self._directions.values())
            return Status.ON_HOLD if held else Status.CONNECTED
        return Status.INITIAL if self._ringing_at_us is None else Status.RINGING

    def _duration_s(self) -> int | None:
        if self._answered_at_us is None:
            return 0
        if self._ended_at_us is None:
            return None
        return max(self._ended_at_us - self._answered_at_us, 0) // 1_000_000


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
        """RTCP by the addresses that SDP announced; reports between two phones belong to both legs of a call."""
        by_end: dict[Endpoint, list[Dialog]] = {}
        for dialog in self._dialogs.values():
            for end in dialog.rtcp_ends:
                by_end.setdefault(end, []).append(dialog)
        for packet in packets:
            ends = {packet.src, packet.dst}
            owners = {id(one): one for end in ends for one in by_end.get(end, ()) if one.covers(packet.at_us)}
            for dialog in owners.values():
                dialog.rtcp.append(packet)

    def sessions(self) -> Iterator[MediaSession]:
        for dialog in self._dialogs.values():
            session = dialog.session()
            if session is not None:
                yield session


def media_sessions(packets: Iterable[Packet]) -> list[MediaSession]:
    """Every INVITE dialog among the packets (SIP and RTCP, any order, other traffic ignored), failed ones included."""
    dialogs = Dialogs()
    others: list[Packet] = []
    for packet, message in causal(packets):
        if message is not None:
            dialogs.add(packet, message)
        elif is_rtcp(packet.payload):
            others.append(packet)
    dialogs.attach(others)
    return list(dialogs.sessions())


def party(user: str) -> str | None:
    """Digits without ``+`` where it is a number (RFC 3966 visual separators dropped), else as it is; None if empty."""
    number = _NUMBER.fullmatch(user.translate(_SEPARATORS))
    return number[1] if number else user or None


def _caller(message: SipMessage) -> str | None:
    """Who calls: P-Asserted-Identity (RFC 3325), Remote-Party-ID of the calling party, From."""
    identities = (address(message.p_asserted_identity), _remote_party(message), message.from_)
    return party(next((one.user for one in identities if one.user), ""))


def _remote_party(message: SipMessage) -> Address:
    """draft-ietf-sip-privacy-04: ``party=called`` is about the other side."""
    called = "party=called" in message.remote_party_id.lower().replace(" ", "")
    return address("" if called else message.remote_party_id)


def _callee(message: SipMessage) -> str | None:
    return party(message.to.user or user_of(message.request_uri))


def _offer_key(message: SipMessage) -> Offer:
    number, method = message.cseq or (0, "")
    return message.from_.tag, number, method
