"""The messages of one Call-ID to one media session (RFC 3261 sections 12 to 15, RFC 3262, RFC 3311, RFC 3891, RFC 4028)."""

from collections.abc import Sequence

from ringback.sip import causes, identities
from ringback.sip.dialogs.attempts import InviteAttempt
from ringback.sip.dialogs.negotiation import Agreement, Negotiation, Tags
from ringback.sip.dialogs.session import DST, SRC, MediaSession, Status, talked_s
from ringback.sip.holding import Holding
from ringback.sip.message import SipMessage
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.reports import voice_reports

_RINGING = frozenset({180, 183})
_CHALLENGES = frozenset({401, 407})
_OF_THE_NEXT_HOP = frozenset({100, 401, 407, 408})
"""Answers that mostly are not from who is called."""
_GONE = frozenset({408, 481})
"""Answers to a re-INVITE or UPDATE that end the dialog (RFC 3261 section 12.2.1.2, RFC 5057 section 5.1)."""
_OFFERING = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
_OF_CALL = _OFFERING | {"BYE", "CANCEL"}
_REPORTING = frozenset({"PUBLISH", "NOTIFY"})
"""Requests that may bring quality reports (RFC 6035 section 4.2)."""
_RTCP_AFTER_END_US = 5_000_000


class Dialog:
    """The messages of one Call-ID so far. Feed it in causal order; ask it for its session at any time.

    The session lasts while any dialog of it that was answered does, so a fork that is answered too late and gets its BYE
    at once ends nothing.
    """

    __slots__ = (
        "_agents",
        "_answered_at_us",
        "_attempt",
        "_cancel_cause",
        "_cause",
        "_created_at_us",
        "_ended_at_us",
        "_ended_by",
        "_expires_at_us",
        "_first",
        "_gone",
        "_holding",
        "_live",
        "_messages",
        "_negotiation",
        "_parties",
        "_refuser",
        "_replaces",
        "_ringing_at_us",
        "_seen",
        "_vouched",
        "call_id",
        "rtcp",
    )

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.rtcp: list[Packet] = []
        self._messages: list[Packet] = []
        self._seen: set[tuple[Endpoint, Endpoint, bytes]] = set()
        self._first: SipMessage | None = None
        self._vouched: SipMessage | None = None
        self._parties: tuple[str | None, str | None] | None = None
        self._attempt: InviteAttempt
        self._live: dict[Tags, None] = {}
        self._gone: dict[Tags, None] = {}
        self._created_at_us = 0
        self._ringing_at_us: int | None = None
        self._answered_at_us: int | None = None
        self._ended_at_us: int | None = None
        self._expires_at_us: int | None = None
        self._ended_by: str | None = None
        self._replaces = ""
        self._cause: str | None = None
        self._cancel_cause: str | None = None
        self._agents = ["", ""]
        self._refuser = ""  # who wants credentials, until they come: else the one that was called
        self._negotiation = Negotiation()
        self._holding: Holding[None] | None = None  # from the first offer after the answer on

    @property
    def rtcp_ends(self) -> set[Endpoint]:
        """Where its SDP says that reports may come to."""
        return self._negotiation.rtcp_ends()

    def add(self, packet: Packet, message: SipMessage) -> None:
        """A retransmission (section 17: the same bytes again) is kept among the packets and changes nothing."""
        self._messages.append(packet)
        method = message.method
        key = packet.src, packet.dst, packet.payload
        if method not in _OF_CALL or key in self._seen:
            if method in _REPORTING and voice_reports.is_in(packet.payload):
                self.rtcp.append(packet)
            return
        self._seen.add(key)
        self._take(packet, message)

    def _take(self, packet: Packet, message: SipMessage) -> None:
        ours, theirs = message.from_tag, message.to_tag
        tags = (ours, theirs) if ours < theirs else (theirs, ours)
        if message.is_request:
            self._request(packet.at_us, message, tags)
        else:
            self._response(packet.at_us, message, tags)
        if self._holding is not None:
            self._holding.heard(message, None)

    def session(self) -> MediaSession | None:
        """None for what is no INVITE dialog: REGISTER, OPTIONS, SUBSCRIBE, or one captured from its BYE on."""
        if self._first is None:
            return None
        if self._parties is None:
            known = self._vouched or self._first
            self._parties = identities.caller(known), identities.callee(self._first)
        src, dst = self._parties
        src_ua, dst_ua = self._agents
        if self._is_refused():
            dst_ua = dst_ua or self._refuser
        return MediaSession(
            call_id=self.call_id,
            created_at_us=self._created_at_us,
            ringing_at_us=self._ringing_at_us,
            answered_at_us=self._answered_at_us,
            ended_at_us=self._ended_at_us,
            status=self._status(),
            src=src,
            dst=dst,
            src_ua=src_ua or None,
            dst_ua=dst_ua or None,
            t_cause=self._cause,
            duration_s=talked_s(self._answered_at_us, self._ended_at_us),
            messages=tuple(self._messages),
            rtcp=tuple(self.rtcp),
            ended_by=self._ended_by,
            expires_at_us=self.expires_at_us,
            caller_tag=self._attempt.caller_tag,
            agreement=self._agreement(),
            described=tuple(self._negotiation.described.items()),
            replaces=self._replaces,
        )

    @property
    def ended(self) -> bool:
        """As of its session, for less."""
        return self._ended_at_us is not None

    @property
    def messages(self) -> Sequence[Packet]:
        """So far; not a copy."""
        return self._messages

    def told(self) -> tuple[object, ...]:
        """What its session is made of, the messages aside: while this is equal, so is the rest of the session."""
        return (
            self._first,
            self._vouched,
            *self._agents,
            self._refuser,
            self._created_at_us,
            self._ringing_at_us,
            self._answered_at_us,
            self._ended_at_us,
            self._expires_at_us,
            self._cause,
            self._ended_by,
            self._replaces,
            len(self.rtcp),
            tuple(self._live),
            tuple(self._gone),
            tuple(map(self._is_held, self._live)),
            tuple(self._negotiation.agreed.values()),
            len(self._negotiation.described),
        )

    @property
    def expires_at_us(self) -> int | None:
        """As of its session, for less."""
        return self._expires_at_us if self._live else None

    def covers(self, at_us: int) -> bool:
        """Whether a report of that time may be of this session: the last ones come with or after the BYE."""
        last_us = at_us if self._ended_at_us is None else self._ended_at_us + _RTCP_AFTER_END_US
        return self._created_at_us <= at_us <= last_us

    # -- requests -----------------------------------------------------------------------------------------------------

    def _request(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        self._agent(message)
        method = message.method
        if method == "INVITE":
            self._invite(at_us, message, tags)
        elif method == "BYE":
            self._bye(at_us, message, tags)
        elif method == "CANCEL":
            self._cancel(at_us, message)
        elif method == "ACK":
            self._ack(at_us, message, tags)
        if method in _OFFERING:
            self._negotiation.request(tags, message)
            if self._holding is None and self._answered_at_us is not None and method != "ACK":
                self._holding = Holding()

    def _invite(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        if message.replaces and not self._replaces:
            self._replaces = message.replaces.partition(";")[0].strip()
        if self._first is None:
            self._begin(at_us, message)
            if message.to_tag:
                self._answer(at_us, tags)  # captured from somewhere in the talk on
        elif message.to_tag and not self._is_retry(message):
            if self._answered_at_us is None:
                self._answer(at_us, tags)  # its 2xx and ACK were not captured
        elif self._answered_at_us is None or self._live:
            self._try(message)

    def _is_retry(self, message: SipMessage) -> bool:
        """Some phones send credentials with the To tag of who asked for them."""
        return self._is_refused() and self._attempt.is_before(message)

    def _try(self, message: SipMessage) -> None:
        """Another attempt (with credentials, section 22; after a redirection), or a branch of the one that goes on."""
        if self._attempt.is_before(message):
            self._attempt = InviteAttempt(message)
            self._cancel_cause = None
            self._refuser = ""
        else:
            self._attempt.fork(message.branch)
        self._vouch(message)
        if self._cancel_cause is None:
            self._reopen()

    def _vouch(self, message: SipMessage) -> None:
        """Who hides from the called may be named between proxies that trust each other (RFC 3325 section 9.1)."""
        if (
            self._vouched is None
            and self._first is not None
            and identities.is_anonymous(self._first)
            and message.from_tag == self._attempt.caller_tag
            and not identities.asserted(self._first)
            and identities.asserted(message)
        ):
            self._vouched, self._parties = message, None

    def _bye(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        """Both sides may send BYE at once, and proxies pass it on: the first one ended the dialog."""
        if self._first is None or tags in self._gone:
            return
        if self._answered_at_us is None and message.from_tag != self._attempt.caller_tag:
            self._answer(at_us, tags)  # section 15: who is called sends no BYE before; the 2xx was not captured
        if tags in self._live:
            self._end_dialog(at_us, tags, causes.of_request(message), self._side(message))
        elif self._answered_at_us is None:
            self._end(at_us, causes.of_request(message), self._side(message))

    def _cancel(self, at_us: int, message: SipMessage) -> None:
        if self._first is not None and self._attempt.cancel(message.branch) and self._answered_at_us is None:
            self._cancel_cause = causes.of_request(message)
            self._end(at_us, self._cancel_cause, SRC)

    def _ack(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        """The ACK of a 2xx is a transaction of its own, that of a failure belongs to its INVITE (13.2.2.4, 17.1.1.3)."""
        if self._first is None or not message.to_tag or not self._attempt.is_of(message) or self._is_refused():
            return
        if not self._attempt.has(message.branch):
            self._answer(at_us, tags)  # its 2xx was not captured
        elif self._attempt.is_root(message.branch) and self._answered_at_us is None:
            self._end(at_us, causes.UNKNOWN, None)

    def _is_refused(self) -> bool:
        return self._answered_at_us is None and self._ended_at_us is not None

    # -- responses ----------------------------------------------------------------------------------------------------

    def _response(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        method = message.method
        if method == "INVITE":
            self._begin(at_us, message)
            if tags in self._live and not self._attempt.is_of(message):
                self._mid_dialog(at_us, message, tags)
            else:
                self._progress(at_us, message, tags)
        elif method == "UPDATE":
            self._mid_dialog(at_us, message, tags)
        elif method == "BYE" and message.status >= 200 and message.status not in _CHALLENGES and tags in self._live:
            self._end_dialog(at_us, tags, causes.NORMAL_CLEARING, self._side(message))
        if 200 <= message.status < 300 and method != "CANCEL":
            self._answering_agent(message)
        if method in _OFFERING:
            self._negotiation.response(tags, message)

    def _mid_dialog(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        if tags not in self._live:
            return
        if message.status in _GONE:
            self._end_dialog(at_us, tags, causes.of_response(message), None)
        elif 200 <= message.status < 300:
            self._time(at_us, message)

    def _progress(self, at_us: int, message: SipMessage, tags: Tags) -> None:
        """What a response to an attempt means."""
        status = message.status
        if 200 <= status < 300:
            if self._answered_at_us is None or self._live or self._attempt.is_of(message):
                self._callee_agent(message, answers=self._answered_at_us is None)
                self._answer(at_us, tags)
                self._time(at_us, message)
            return
        self._callee_agent(message, answers=False)
        if self._answered_at_us is not None:
            return
        if status in _RINGING:
            self._ring(at_us)
        elif status >= 300:
            self._fail(at_us, message)

    def _ring(self, at_us: int) -> None:
        if self._cancel_cause is None:
            self._reopen()
        if self._ringing_at_us is None:
            self._ringing_at_us = at_us

    def _fail(self, at_us: int, message: SipMessage) -> None:
        """Where a call forks the last refusal counts; 487 only repeats a CANCEL or the refusal that led to it."""
        attempt = self._attempt
        if attempt.is_after(message):
            return
        is_answer = attempt.fail(message.branch)
        if message.status != 487:
            attempt.refusal = causes.of_response(message)
        elif self._ended_at_us is not None or not (is_answer or attempt.refusal):
            return
        if is_answer or not attempt.is_forked:
            is_given_up = self._cancel_cause is not None or (message.status == 487 and attempt.refusal is None)
            cause = self._cancel_cause or attempt.refusal or causes.of_response(message)
            self._end(at_us, cause, SRC if is_given_up else DST)

    # -- what they change ---------------------------------------------------------------------------------------------

    def _begin(self, at_us: int, message: SipMessage) -> None:
        if self._first is None:
            self._first = message
            self._created_at_us = at_us
            self._attempt = InviteAttempt(message)

    def _answer(self, at_us: int, tags: Tags) -> None:
        if tags in self._live or tags in self._gone:
            return
        if self._answered_at_us is None:
            self._answered_at_us = at_us
        self._live[tags] = None
        self._ended_at_us = self._cause = self._ended_by = None  # also behind a CANCEL that came too late (section 9.1)

    def _end_dialog(self, at_us: int, tags: Tags, cause: str, by: str | None) -> None:
        del self._live[tags]
        self._gone[tags] = None
        if not self._live:
            self._end(at_us, cause, by)

    def _end(self, at_us: int, cause: str, by: str | None) -> None:
        self._ended_at_us, self._cause, self._ended_by = at_us, cause, by

    def _side(self, message: SipMessage) -> str:
        """Who sent this request, or is answered by this response."""
        return SRC if message.from_tag == self._attempt.caller_tag else DST

    def _reopen(self) -> None:
        if self._answered_at_us is None:
            self._ended_at_us = self._cause = self._ended_by = None

    def _time(self, at_us: int, message: SipMessage) -> None:
        """RFC 4028 section 7.2: each 2xx says anew how long the session lasts, or that it has no limit."""
        seconds = message.session_expires.partition(";")[0].strip()
        is_time = seconds.isascii() and seconds.isdecimal() and len(seconds) < 10
        self._expires_at_us = at_us + int(seconds) * 1_000_000 if is_time else None

    def _agent(self, message: SipMessage) -> None:
        called = self._first is not None and message.from_tag != self._attempt.caller_tag and bool(message.to_tag)
        if not self._agents[called] and message.user_agent:
            self._agents[called] = message.user_agent

    def _callee_agent(self, message: SipMessage, *, answers: bool) -> None:
        """Who answers counts most."""
        agent = message.server or message.user_agent
        if agent and message.status not in _OF_THE_NEXT_HOP and (answers or not self._agents[1]):
            self._agents[1] = agent
        elif message.status in _CHALLENGES:
            self._refuser = agent

    def _answering_agent(self, message: SipMessage) -> None:
        """Some say who they are in later answers only; those that proxies give (to CANCEL, refusals) do not count."""
        if self._first is None:
            return
        called = message.from_tag == self._attempt.caller_tag
        if not self._agents[called]:
            self._agents[called] = message.server or message.user_agent

    # -- how it stands ------------------------------------------------------------------------------------------------

    def _status(self) -> Status:
        if self._ended_at_us is not None:
            return Status.ENDED
        if self._answered_at_us is not None:
            return Status.ON_HOLD if any(map(self._is_held, self._live)) else Status.CONNECTED
        return Status.INITIAL if self._ringing_at_us is None else Status.RINGING

    def _is_held(self, tags: Tags) -> bool:
        return self._holding is not None and self._holding.is_held(self.call_id, tags)

    def _agreement(self) -> Agreement | None:
        agreed = self._negotiation.agreed
        answered = [agreed[tags] for tags in (*self._live, *reversed(self._gone)) if tags in agreed]
        return answered[0] if answered else next(reversed(agreed.values()), None)
