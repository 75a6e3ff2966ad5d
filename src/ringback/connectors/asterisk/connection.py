"""A running Asterisk: what it tells, what it serves besides calls, and what is ordered of it.

What is asked of Asterisk about a channel is answered into the same queue as what it tells.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import structlog

from ringback.calls import events, ordered
from ringback.calls.events import Event
from ringback.connectors import connection, dialling
from ringback.connectors.asterisk import orders, snapshot
from ringback.connectors.asterisk import session as sessions
from ringback.connectors.asterisk.advice import Advice
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.callbacks import Callbacks
from ringback.connectors.asterisk.descriptions import Descriptions
from ringback.connectors.asterisk.events import Translator
from ringback.connectors.asterisk.logins import Logins
from ringback.connectors.asterisk.part import Part
from ringback.connectors.asterisk.presence import Presence
from ringback.connectors.asterisk.queues import Queues
from ringback.connectors.asterisk.recordings import Recordings
from ringback.connectors.asterisk.session import Login, Session
from ringback.connectors.asterisk.voicemail import Voicemail
from ringback.connectors.journal import Origin
from ringback.connectors.keeper import Began, Expected, Snapshot
from ringback.connectors.link import Refused
from ringback.connectors.orders import Origination
from ringback.connectors.settings import Connector
from ringback.connectors.wire import waited
from ringback.rounds import attempt
from ringback.services import Services

log = structlog.get_logger()

BOOTED_S = 10.0
"""So long an Asterisk may take until it says that it is ready; at once when it was."""
LOOK_S = 0.1
"""So soon it is seen that it will not, because it is gone or the server stops."""
UNNEEDED = (
    "VarSet.*[[:cntrl:]]Variable: ([^M]|M[^I]|MI[^X])",  # all variables but those of recordings
    "CEL",  # events.py
    "TestEvent",
    "RTCPSent",
    "RTCPReceived",
    "ChallengeSent",
    "SuccessfulAuth",
    "InvalidAccountID",
)
"""Regular expressions over the event's text, which begins with its name. They match nothing that a caller can write: a name of a
caller with `Event: CEL` in it hides no call."""


class Connection(connection.Connection[Session]):
    def __init__(self, services: Services, connector: Connector) -> None:
        super().__init__(services, connector)
        self.parts = self._parts(services)
        self._translator = Translator(self.book.seen_us())
        self._described = Descriptions(self.keeper.offer)
        self._booted = threading.Event()

    def _parts(self, services: Services) -> list[Part]:
        given = self.connector
        parts: list[Part] = [each(services, given) for each in (Presence, Queues, Logins, Advice)]
        parts.append(Callbacks(services, given, lambda *ids: self.keeper.put(Expected(*ids))))
        if given.recordings:
            recordings = Recordings(services, given)
            self.book.on_over.append(recordings.over)
            parts.append(recordings)
        if given.voicemail:
            parts.append(Voicemail(services, given))
        return parts

    def start(self) -> None:
        for part in self.parts:
            part.lost()
        super().start()

    def stop(self) -> None:
        """What has come is kept; live calls are gone."""
        self.link.stop()
        for part in self.parts:
            attempt(f"the end of {type(part).__name__}", part.stop)
        self.keeper.stop()

    # -- connecting

    def _login(self, on_lost: Callable[[str], None]) -> Session:
        given = self.connector
        self._booted.clear()
        return Session(Login(given.host, given.port, given.user, given.secret, given.mark), self._heard, on_lost)

    def _begin(self, session: Session) -> None:
        self._prepare(session)
        self.book.logins += 1
        for part in self.parts:
            try:
                part.connected(session)
            except Refused as error:
                log.warning("the pbx refuses", pbx=self.connector.name, part=type(part).__name__, reason=str(error))

    def _ended(self) -> None:
        super()._ended()
        for part in self.parts:
            part.lost()

    def _prepare(self, session: Session) -> None:
        major = self._version(session)
        if not sessions.OLDEST <= major <= sessions.NEWEST:
            log.warning("this version of Asterisk was not tried", pbx=self.connector.name, version=major)
        for name in UNNEEDED:
            try:
                session.ask("Filter", ("Operation", "Add"), ("Filter", f"!^Event: {name}"))
            except Refused as error:
                log.warning("more events than needed come in", pbx=self.connector.name, reason=str(error))
                break
        self._await_boot()
        self.keeper.put(Began())
        found = session.send_list("CoreShowChannels")
        found.add_done_callback(self._snapped)
        waited(found, "CoreShowChannels")

    def _await_boot(self) -> None:
        """One that begins tells nothing of its calls yet."""
        give_up = time.monotonic() + BOOTED_S
        while not self._booted.wait(LOOK_S) and not self.link.is_lost and time.monotonic() < give_up:
            pass

    def _version(self, session: Session) -> int:
        try:
            return session.version()
        except Refused as error:
            name = self.connector.name
            raise Refused(f"{error}: `ringback doctor asterisk {name}` says what manager.conf has to allow") from None

    def _snapped(self, found: Future[list[Message]]) -> None:
        if found.exception() is None:
            channels = found.result()
            news = partial(snapshot.news, channels, now_us=time.time_ns() // 1_000)
            self.keeper.put(Snapshot(snapshot.ids(channels), news))

    def _heard(self, message: Message) -> None:
        """In the reading thread: a message takes ten times the memory of what it says."""
        if message.get("Event") == "Newchannel":
            get = message.get
            origin = Origin(get("Uniqueid", ""), get("Context", ""), get("AccountCode", ""), get("Exten", ""))
            self.keeper.put(origin)
        for event in self._translator.events(message, time.time_ns() // 1_000):
            self.keeper.put(event)
        if message.get("Event") == "FullyBooted":
            self._booted.set()
        for part in self.parts:
            part.heard(message)

    def _taken(self, entry: Event | Origin) -> None:
        """Not in the reading thread: it must not wait for Asterisk to read."""
        match entry:
            case Event(fact=events.Answered()):
                self._described.answered(self.link.session, entry.name, entry.channel)
            case Event(fact=events.Started()):
                self._described.started(self.link.session, entry.name, entry.channel)

    def _turned(self) -> None:
        self._described.again()

    # -- orders, from any thread

    def originate(self, order: Origination) -> int:
        session, live_id = self.link.online(), self._new_live_id()
        channel_id = ordered.channel(order.customer_id, self._services.clock(), live_id)
        self.keeper.put(Expected(channel_id, live_id, order.customer_id))
        orders.originate(session, order, self.connector, channel_id)
        self._await_shown(order.customer_id, live_id)
        return live_id

    def hang_up(self, customer_id: int, live_id: int) -> None:
        """Both sides; the one who called goes on where others ring for him too."""
        ends, session = self._ends(customer_id, live_id), self.link.online()
        for channel in filter(None, (ends.dst, ends.src if ends.is_connected or not ends.dst else "")):
            orders.hang_up(session, channel)

    def transfer(self, customer_id: int, live_id: int, by_extension: str, number: str) -> None:
        ends, session = self._ends(customer_id, live_id), self.link.online()
        context = dialling.context(self.connector, customer_id)
        if not ends.is_connected or not ends.dst:
            orders.redirect(session, ends.src or ends.dst, number, context)
            return
        by = ends.src if by_extension and by_extension == ends.src_endpoint else ends.dst
        orders.transfer(session, by, number, context)
