"""The thread that stores what the listeners queued: batches, each one transaction, never later than half a second."""

import re
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog

from ringback.collect.intake import Counts, Queue
from ringback.collect.parts import in_parts, told
from ringback.collect.registers import Registers
from ringback.errors import TooSlow, Unavailable
from ringback.services import Services
from ringback.sip import hep, sdp, voice_reports
from ringback.sip.message import scan
from ringback.sip.packet import Endpoint, Packet
from ringback.store import signalling
from ringback.store.captures import Seen, key
from ringback.store.database import Db, T, Taken, value
from ringback.store.signalling import Calls, Message

log = structlog.get_logger()

BATCH = 4_000
LINGER_S = 0.2
PATIENCE_S = 1.0
AGAIN_S = 0.5
LAST_TRIES_S = 5.0
ATTEMPTS = 3
SWEEP_S = 60.0
USERS_S = 30.0
MOST_ENDS = 50_000
MOST_UNREAD = 10_000
MOST_UNREAD_BYTES = 16 << 20
MOST_LEGS = 8
LEGS_US = 10_000_000

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
        self._ends: defaultdict[int, Ends] = defaultdict(Ends)
        """By customer: private addresses are the same with many."""
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
            by_customer: dict[int, list[Message]] = {}
            for customer_id, captured in entries:
                by_customer.setdefault(customer_id, []).extend(self._messages(customer_id, captured))
            for customer_id, messages in by_customer.items():
                self._store(customer_id, messages)
            self._registers.note(entries)
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + SWEEP_S
                self._sweep()

    # -- what a packet is ---------------------------------------------------------------------------------------------

    def _messages(self, customer_id: int, captured: hep.Captured) -> Iterator[Message]:
        """One for each dialog that it belongs to; none for a keep-alive, and for what the settings leave out."""
        packet = captured.packet
        payload = packet.payload
        if captured.protocol == hep.SIP:
            if not payload.strip(_NOTHING) or (self._left_out and _method(payload) in self._left_out):
                self._counts.left_out += 1
                return
            sip = scan(payload)
            found = [sip.call_id or captured.correlation]
            if b"\nm=" in payload:
                self._ends[customer_id].learn(packet, found[0])
        else:
            sip, found = None, self._reported(customer_id, captured)
        seen, now = Seen(packet, captured.capture_id), self._clock()
        for call_id in found:
            yield signalling.message(call_id, seen, captured.correlation, sip, now)
        if sip is not None and (told := voice_reports.call_id(payload)):
            yield signalling.message(told, seen, captured.correlation, None, now)

    def _reported(self, customer_id: int, captured: hep.Captured) -> list[str]:
        """The calls that a report on media belongs to: as it says, as its agent says, or by its addresses."""
        named = voice_reports.call_id(captured.packet.payload) or captured.correlation
        return [named] if named else self._ends[customer_id].calls(captured.packet) or [""]

    # -- storing ------------------------------------------------------------------------------------------------------

    def _store(self, customer_id: int, messages: Sequence[Message]) -> None:
        """One transaction; when something of it cannot be stored, its parts by themselves."""

        def store(some: Sequence[Message]) -> None:
            stored = self._stored(customer_id, some)
            self._counts.stored += stored.new
            self._counts.known += stored.known

        def failed(some: Sequence[Message], error: Exception) -> None:
            self._counts.failed += len(some)
            log.error("captured message cannot be stored", customer=customer_id, error=told(error))

        in_parts(messages, store, failed)

    def _stored(self, customer_id: int, messages: Sequence[Message]) -> signalling.Stored:
        """Waits while the database is away; tries again where another process stored the same call."""
        for _ in range(ATTEMPTS - 1):
            with suppress(Taken):
                return self._written(customer_id, messages)
        return self._written(customer_id, messages)

    def _written(self, customer_id: int, messages: Sequence[Message]) -> signalling.Stored:
        while True:
            try:
                users = self._users_of(customer_id)
                if users is None:
                    raise LookupError("there is no such customer")
                return self._tried(
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

    def _tried(self, work: Callable[[Db], T]) -> T:
        """A transaction that did not come to its end leaves nothing in memory."""
        try:
            return self._database.write(work)
        except BaseException:
            self._calls.clear()
            self._users.clear()
            raise

    def _users_of(self, customer_id: int) -> Mapping[str, int] | None:
        """The users by extension, as of some seconds ago; None when there is no such customer."""
        until, users = self._users.get(customer_id, (0.0, None))
        if time.monotonic() > until:
            users = self._database.read(lambda db: _users(db, customer_id))
            self._users[customer_id] = time.monotonic() + USERS_S, users
        return users

    def _heal(self) -> None:
        """Before anything else: what a crash has left half done."""
        for customer_id in self._customers:
            try:
                users = self._users_of(customer_id) or {}
                self._tried(partial(signalling.heal, customer_id=customer_id, users_by_extension=users))
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
                while self._tried(close) == signalling.CLOSED_AT_ONCE:
                    pass
            except Exception as error:
                log.warning("sessions that never end wait for the database", customer=customer_id, error=told(error))


class Ends:
    """Where calls said that they take reports on media: the addresses of a packet without a Call-ID tell its calls.

    Where two name the same end at about the same time they are legs of one call, else the newest has it.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[Endpoint, dict[str, int]] = OrderedDict()
        self._unread: deque[tuple[Packet, str]] = deque()
        self._unread_bytes = 0

    def learn(self, packet: Packet, call_id: str) -> None:
        """Read when the first packet is asked about: agents that send a Call-ID with every report are the rule."""
        self._unread.append((packet, key(call_id)))
        self._unread_bytes += len(packet.payload)
        if len(self._unread) > MOST_UNREAD or self._unread_bytes > MOST_UNREAD_BYTES:
            self._next()

    def calls(self, packet: Packet) -> list[str]:
        while self._unread:
            self._read(*self._next())
            while len(self._calls) > MOST_ENDS:
                self._calls.popitem(last=False)
        return list({name: None for end in (packet.src, packet.dst) for name in self._calls.get(end, ())})

    def _next(self) -> tuple[Packet, str]:
        packet, call_id = self._unread.popleft()
        self._unread_bytes -= len(packet.payload)
        return packet, call_id

    def _read(self, packet: Packet, call_id: str) -> None:
        for media in sdp.media(packet.payload.partition(b"\r\n\r\n")[2]):
            for end in media.rtcp:
                near = self._calls.pop(end, {}).items()
                named = {name: at_us for name, at_us in near if abs(packet.at_us - at_us) < LEGS_US}
                self._calls[end] = {**named, call_id: packet.at_us} if len(named) < MOST_LEGS else named


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
