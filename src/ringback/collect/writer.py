"""The thread that stores what the listeners queued: batches, each one transaction, never later than half a second."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from ringback.collect.intake import Counts, Entry, Queue
from ringback.collect.parts import in_parts, told
from ringback.collect.registers import Registers
from ringback.errors import TooSlow, Unavailable
from ringback.rounds import attempt
from ringback.services import Services
from ringback.sip.capture import hep
from ringback.store import signalling, slices
from ringback.store.captured_calls import Calls, Message
from ringback.store.captures import Gone, Seen
from ringback.store.database import Db, T, value
from ringback.store.incoming import Incoming
from ringback.store.retention import of_customer

log = structlog.get_logger()

BATCH = 4_000
LINGER_S = 0.2
PATIENCE_S = 1.0
AGAIN_S = 0.5
LAST_TRIES_S = 5.0
SWEEP_S = 60.0
USERS_S = 30.0

_CSEQ_METHOD = re.compile(rb"\ncseq[ \t]*:[ \t]*\d+[ \t]+([A-Z]+)", re.I)
_NOTHING = b"\r\n \t\0"


class Writer:
    def __init__(
        self, services: Services, queue: Queue, counts: Counts, left_out: Iterable[str], customers: Iterable[int]
    ):
        self._database, self._clock = services.database, services.clock
        self._queue, self._counts = queue, counts
        self._left_out = frozenset(method.encode() for method in left_out)
        self._customers = sorted(set(customers))
        self._users: dict[int, tuple[float, Mapping[str, int] | None]] = {}
        self._kept_days: dict[int, int | None] = {}
        self._incoming: defaultdict[int, Incoming] = defaultdict(Incoming)
        self._tells_gone_at: dict[int, float] = {}
        self._registers = Registers(services, self._users_of)
        self._calls = Calls()
        self._gives_up_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="hep-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stores what is queued, for as long as the database takes it."""
        self._gives_up_at = time.monotonic() + LAST_TRIES_S
        self._queue.close()
        self._thread.join()

    def _run(self) -> None:
        sweep_at = time.monotonic()
        self._heal()
        while (entries := self._queue.take(BATCH, LINGER_S, PATIENCE_S)) is not None:
            if not attempt("captured messages", partial(self._take, entries)):
                self._counts.failed += len(entries)
            attempt("captured registrations", partial(self._registers.note, entries))
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + SWEEP_S
                self._sweep()

    def _take(self, entries: Iterable[Entry]) -> None:
        by_customer: dict[int, list[Message]] = {}
        spans = {each: slices.span(self._clock(), self._kept_days.get(each)) for each in self._customers}
        for customer_id, captured in entries:
            messages = self._messages(customer_id, captured, spans[customer_id])
            by_customer.setdefault(customer_id, []).extend(messages)
        for customer_id, messages in by_customer.items():
            self._store(customer_id, messages)

    # -- what a packet is ---------------------------------------------------------------------------------------------

    def _messages(self, customer_id: int, captured: hep.Captured, span: slices.Span) -> list[Message]:
        """One for each dialog that it belongs to; none for a keep-alive, and for what the settings leave out."""
        payload = captured.packet.payload
        seen = Seen(captured.packet, captured.capture_id)
        incoming = self._incoming[customer_id]
        if captured.protocol != hep.SIP:
            return incoming.report(seen, captured.correlation, span)
        if not payload.strip(_NOTHING) or (self._left_out and _method(payload) in self._left_out):
            self._counts.left_out += 1
            return []
        return incoming.sip(seen, captured.correlation, span)

    # -- storing ------------------------------------------------------------------------------------------------------

    def _store(self, customer_id: int, messages: Sequence[Message]) -> None:
        """One transaction; when something of it cannot be stored, its parts by themselves. A database that is away when we stop
        would keep each part waiting: Unavailable, TooSlow."""

        def store(some: Sequence[Message]) -> None:
            stored = self._stored(customer_id, some)
            self._counts.stored += stored.new
            self._counts.known += stored.known

        def failed(some: Sequence[Message], error: Exception) -> None:
            self._counts.failed += len(some)
            log.error("captured message cannot be stored", customer=customer_id, error=told(error))

        try:
            in_parts(messages, store, failed, passed_on=(Gone, Unavailable, TooSlow))
        except Gone:
            self._counts.failed += len(messages)
            self._tell_gone(customer_id)

    def _tell_gone(self, customer_id: int) -> None:
        """Now and then: agents go on sending."""
        if time.monotonic() >= self._tells_gone_at.get(customer_id, 0.0):
            self._tells_gone_at[customer_id] = time.monotonic() + SWEEP_S
            log.error("hep_sources names a customer that there is no more", customer=customer_id)

    def _stored(self, customer_id: int, messages: Sequence[Message]) -> signalling.Stored:
        """Waits while the database is away, until we stop."""
        while True:
            try:
                users = self._users_of(customer_id)
                if users is None:
                    raise Gone
                return self._written(
                    partial(
                        signalling.store,
                        customer_id=customer_id,
                        messages=messages,
                        users_by_extension=users,
                        calls=self._calls,
                    )
                )
            except (Unavailable, TooSlow):
                if self._gives_up_at is not None and time.monotonic() > self._gives_up_at:
                    raise
                log.warning("captured messages wait for the database", waiting=len(self._queue))
                time.sleep(AGAIN_S)

    def _written(self, work: Callable[[Db], T]) -> T:
        try:
            return signalling.written(self._database, self._calls, work)
        except BaseException:
            self._users.clear()
            raise

    def _users_of(self, customer_id: int) -> Mapping[str, int] | None:
        """The users by extension, as of some seconds ago; None when there is no such customer. With them comes for how long it
        keeps packets."""
        until, users = self._users.get(customer_id, (0.0, None))
        if time.monotonic() > until:
            users, rules = self._database.read(lambda db: (_users(db, customer_id), of_customer(db, customer_id)))
            self._kept_days[customer_id] = rules.get("sip")
            self._users[customer_id] = time.monotonic() + USERS_S, users
        return users

    def _heal(self) -> None:
        """Before anything else: what a crash has left half done."""
        for customer_id in self._customers:
            try:
                users = self._users_of(customer_id) or {}
                self._written(partial(signalling.heal, customer_id=customer_id, users_by_extension=users))
            except Exception as error:
                log.warning("what a crash has left waits for the next start", customer=customer_id, error=told(error))

    def _sweep(self) -> None:
        """Ends the sessions that never end."""
        for customer_id in self._customers:
            try:
                users, now = self._users_of(customer_id) or {}, self._clock()
                close = partial(
                    signalling.close_lost,
                    customer_id=customer_id,
                    now=now,
                    users_by_extension=users,
                    calls=self._calls,
                )
                while self._written(close) == signalling.CLOSED_AT_ONCE:
                    pass
            except Exception as error:
                log.warning("sessions that never end wait for the database", customer=customer_id, error=told(error))


def _users(db: Db, customer_id: int) -> dict[str, int] | None:
    own = {"customer": customer_id}
    if value(db, "SELECT 1 FROM customers WHERE id = :customer AND deleted_at IS NULL", own) is None:
        return None
    sql = "SELECT ext, id FROM users WHERE customer_id = :customer AND ext IS NOT NULL ORDER BY id"
    return {ext: user_id for ext, user_id in db.all(sql, own) if ext}


def _method(payload: bytes) -> bytes:
    """Of a request, or of the request that is answered."""
    start = payload.lstrip(_NOTHING)
    if not start.startswith(b"SIP/"):
        return start.split(b" ", 1)[0]
    found = _CSEQ_METHOD.search(start)
    return found[1] if found else b""
