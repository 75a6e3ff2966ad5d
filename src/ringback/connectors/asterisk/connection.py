"""A running Asterisk, for as long as the server runs: connected, reconnected, its calls kept and shown.

Two threads. One connects and, when the connection is lost, waits and connects again. The other takes what came, in its order, and
is alone with the book. What is asked of Asterisk about a channel is answered into the same queue.
"""

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from ringback.calls import events
from ringback.calls.events import Event
from ringback.connectors.asterisk import orders, snapshot
from ringback.connectors.asterisk import session as sessions
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.descriptions import Descriptions
from ringback.connectors.asterisk.events import Translator
from ringback.connectors.asterisk.orders import Failures
from ringback.connectors.asterisk.session import Login, Lost, Refused, Session
from ringback.connectors.book import Book
from ringback.connectors.journal import Entry, Journal, Origin
from ringback.connectors.orders import NotDone, Origination
from ringback.connectors.settings import Connector
from ringback.connectors.shown import Ends
from ringback.errors import RingbackError
from ringback.services import Services

log = structlog.get_logger()

FIRST_S, LONGEST_S = 1.0, 60.0
TICK_S, SHOW_S = 0.1, 0.2
SHOWN_S = 3.0
BATCH = 5_000
WAITING = 200_000
UNNEEDED = ("VarSet", "TestEvent", "RTCPSent", "RTCPReceived", "ChallengeSent", "SuccessfulAuth", "InvalidAccountID")


class Began(NamedTuple):
    """A connection: what is known now, and not in its snapshot, has ended meanwhile."""


class Snapshot(NamedTuple):
    channels: list[Message]


class Ceased(NamedTuple):
    """The connection is lost, or the server stops."""


class Expected(NamedTuple):
    """A call that was ordered will come under this id."""

    channel_id: str
    live_id: int


Item = tuple[int, Message] | Expected | Entry | Began | Snapshot | Ceased | None


class Connection:
    """`session` is None while there is no connection."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self.connector = connector
        self.session: Session | None = None
        self.trouble = "not connected yet"
        path = Path(services.settings.data_dir) / "connectors" / f"{connector.name}.journal"
        self.book = Book(services, connector, Journal(path))
        self._services = services
        self._queue: queue.Queue[Item] = queue.Queue(WAITING)
        self._translator = Translator()
        self._described = Descriptions(self._queue.put)
        self._before: set[str] = set()
        self._contact_us = 0
        self._is_shown = False
        self._shown_at = 0.0
        self._stopping = threading.Event()
        self._lost = threading.Event()
        self._failures = Failures()
        self._connecting = threading.Thread(target=self._connect, name=f"pbx-{connector.name}", daemon=True)
        self._keeping = threading.Thread(target=self._keep, name=f"calls-{connector.name}", daemon=True)

    @property
    def is_running(self) -> bool:
        return self._keeping.is_alive()

    def start(self) -> None:
        self._keeping.start()
        self._connecting.start()

    def stop(self) -> None:
        """What has come is kept; live calls are gone."""
        self._stopping.set()
        self._lost.set()
        self._connecting.join()
        self._queue.put(None)
        self._keeping.join()
        self.book.close()

    # -- connecting

    def _connect(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.is_set():
            self._lost.clear()
            try:
                self._hold()
                wait_s = FIRST_S
            except (Lost, Refused) as error:
                self._tell(str(error))
                wait_s = min(wait_s * 2, LONGEST_S)
            self._stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - several servers shall not come at once

    def _hold(self) -> None:
        """Connected until it is lost."""
        given = self.connector
        login = Login(given.host, given.port, given.user, given.secret)
        session = Session(login, self._heard, lambda _reason: self._lost.set())
        try:
            self._prepare(session)
            self.session, self.trouble = session, ""
            log.info("pbx connected", pbx=given.name)
            if self._stopping.is_set():
                return
            self._lost.wait()
        finally:
            self.session = None
            session.close()
            self._queue.put(Ceased())
        if not self._stopping.is_set():
            self._tell(session.lost)

    def _prepare(self, session: Session) -> None:
        major = session.version()
        if not sessions.OLDEST <= major <= sessions.NEWEST:
            log.warning("this version of Asterisk was not tried", pbx=self.connector.name, version=major)
        for name in UNNEEDED:
            try:
                session.ask("Filter", ("Operation", "Add"), ("Filter", f"!Event: {name}"))
            except Refused as error:
                log.warning("more events than needed come in", pbx=self.connector.name, reason=str(error))
                break
        self._queue.put(Began())
        found = session.send_list("CoreShowChannels")
        found.add_done_callback(self._snapped)
        sessions.waited(found, "CoreShowChannels")

    def _snapped(self, found: Future[list[Message]]) -> None:
        if found.exception() is None:
            self._queue.put(Snapshot(found.result()))

    def _tell(self, reason: str) -> None:
        """Once, until it changes."""
        if reason != self.trouble:
            self.trouble = reason
            log.warning("pbx not connected", pbx=self.connector.name, reason=reason)

    def _heard(self, message: Message) -> None:
        if message.get("Event") == "OriginateResponse" and self._failures.heard(message):
            self.book.shown.look()
        self._queue.put((time.time_ns() // 1_000, message))

    # -- orders, from any thread

    def serves(self, customer_id: int) -> bool:
        return customer_id in self.connector.customers()

    def has(self, customer_id: int, live_id: int) -> bool:
        return (customer_id, live_id) in self.book.shown.ends

    def originate(self, order: Origination) -> int:
        session, customer_id = self._online(), order.customer_id
        live_id = self._services.database.write(lambda db: db.new_ids("live", 1), at_once=False)[0]
        channel_id = f"ringback-{self._services.clock()}.{live_id}"
        has_failed = self._failures.await_(channel_id)
        self._queue.put(Expected(channel_id, live_id))
        try:
            prefix, context = self.connector.endpoint_prefix(customer_id), self.connector.context_of(customer_id)
            orders.originate(session, order, prefix, context, channel_id)
            if not self.book.shown.wait_for(live_id, customer_id, SHOWN_S, has_failed):
                raise NotDone("The PBX has taken the order, and no call was seen.")
        finally:
            self._failures.done(channel_id)
        return live_id

    def hang_up(self, customer_id: int, live_id: int) -> None:
        """Both sides; the one who called goes on where others ring for him too."""
        ends, session = self._ends(customer_id, live_id), self._online()
        for channel in filter(None, (ends.dst, ends.src if ends.is_connected or not ends.dst else "")):
            orders.hang_up(session, channel)

    def transfer(self, customer_id: int, live_id: int, by_extension: str, number: str) -> None:
        ends, session = self._ends(customer_id, live_id), self._online()
        context = self.connector.context_of(customer_id)
        if not ends.is_connected or not ends.dst:
            orders.redirect(session, ends.src or ends.dst, number, context)
            return
        by = ends.src if by_extension and by_extension == ends.src_endpoint else ends.dst
        orders.transfer(session, by, number, context)

    def _online(self) -> Session:
        session = self.session
        if session is None:
            raise NotDone("The PBX is not connected.")
        return session

    def _ends(self, customer_id: int, live_id: int) -> Ends:
        found = self.book.shown.ends.get((customer_id, live_id))
        if found is None or not (found.src or found.dst):
            raise NotDone("The call has just ended.")
        return found

    # -- keeping

    def _keep(self) -> None:
        self._contact_us = self.book.seen_us()
        self._tried(self.book.replay)
        self._tried(self.book.clear)
        while True:
            items, is_last = self._waiting()
            self._tried(partial(self._take, items))
            self._tried(self._write)
            if is_last:
                self._tried(self.book.shown.hide_all)
                return

    def _waiting(self) -> tuple[list[Item], bool]:
        """What has come, at most `BATCH`; nothing when nothing came for a moment."""
        items: list[Item] = []
        try:
            items.append(self._queue.get(timeout=TICK_S))
            while len(items) < BATCH:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return [each for each in items if each is not None], None in items

    def _take(self, items: list[Item]) -> None:
        entries: list[Entry] = []
        for item in items:
            match item:
                case Began():
                    self._flush(entries)
                    self._before = set(self.book.open_legs())
                case Snapshot(channels):
                    self._flush(entries)
                    self._reconcile(channels)
                case Ceased():
                    self._flush(entries)
                    self._is_shown = False
                case Expected(channel_id, live_id):
                    self._flush(entries)
                    self.book.expect(channel_id, live_id)
                case (int() as at_us, dict() as message):
                    entries += self._entries(message, at_us)
                case Event() | Origin():
                    entries.append(item)
        self._flush(entries)

    def _flush(self, entries: list[Entry]) -> None:
        if entries:
            self.book.take(entries)
            entries.clear()

    def _entries(self, message: Message, at_us: int) -> list[Entry]:
        found: list[Entry] = []
        if message.get("Event") == "Newchannel":
            get = message.get
            found.append(Origin(get("Uniqueid", ""), get("Context", ""), get("AccountCode", ""), get("Exten", "")))
            self._described.started(self.session, get("Channel", ""), get("Uniqueid", ""))
        for event in self._translator.events(message, at_us):
            found.append(event)
            if isinstance(event.fact, events.Answered):
                self._described.answered(self.session, event.name, event.channel)
        return found

    def _reconcile(self, channels: list[Message]) -> None:
        """Those that ended while nobody listened are closed with what is known, those that began are taken up."""
        seen_us = max(self.book.last_us, self._contact_us)
        open_now, there = self.book.open_legs(), snapshot.ids(channels)
        self.book.missed([leg for name, leg in open_now.items() if name in self._before - there], seen_us)
        known = self.book.ledger.board.legs
        self._flush(list(snapshot.unknown(channels, known, time.time_ns() // 1_000)))
        self._before = set()
        self._is_shown = True
        self._tried(self.book.show_all)

    def _write(self) -> None:
        self.book.store()
        if self._is_shown:
            self._contact_us = self.book.see(time.time_ns() // 1_000)
            if time.monotonic() - self._shown_at > SHOW_S:
                self.book.show()
                self._shown_at = time.monotonic()
        else:
            self.book.shown.hide_all()

    def _tried(self, work: Callable[[], object]) -> None:
        """What goes wrong with one lot is told, and does not end the thread."""
        try:
            work()
        except RingbackError as error:
            log.warning("live calls wait for the database", pbx=self.connector.name, error=str(error))
        except Exception:
            log.exception("something of the PBX was not understood", pbx=self.connector.name)
