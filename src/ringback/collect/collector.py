"""The HEP collector: sockets, listener, queue and writer as one thing that starts and stops."""

import difflib
import gc
import ssl
import threading
from collections.abc import Mapping, Sequence

import structlog

from ringback.collect.addresses import Bound, bound
from ringback.collect.intake import Counts, Intake, Queue
from ringback.collect.listener import Listener
from ringback.collect.sources import Gate, Source, sources
from ringback.collect.writer import Writer
from ringback.errors import UsageError
from ringback.metrics import Metrics
from ringback.services import Services
from ringback.settings import Settings
from ringback.store import accounts

log = structlog.get_logger()

TOLD_S = 60.0
GARBAGE = 100_000, 50, 50
"""When to look for garbage that refers to itself: seldom, for there is hardly any, and each look goes through all calls."""

METHODS = "INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()  # noqa: SIM905
"""The registered ones (IANA, SIP parameters)."""


class Collector:
    """Built with its sockets bound. Nothing is read before `start`."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        admitted = _sources(services)
        tls, left_out = _tls(settings), _methods(settings.hep_leave_out)
        self.counts, self.queue = Counts(), Queue()
        self._intake = Intake(Gate(admitted), self.queue, self.counts, masks=settings.masks_sip())
        self.sockets = bound(settings.hep_listen)
        if tls is None and any(each.transport == "TLS" for each in self.sockets):
            _close(self.sockets)
            raise UsageError("hep_listen has a tls:// address: set hep_tls_certificate and hep_tls_key.")
        self._listener = Listener(self.sockets, self._intake, tls)
        self._writer = Writer(services, self.queue, self.counts, left_out, [each.customer_id for each in admitted])
        self._stopping = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="hep-log", daemon=True)

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in self.sockets]

    def show(self, metrics: Metrics) -> None:
        """The counts among the metrics."""
        counts = self.counts
        metrics.counted("ringback_hep_received", "HEP packets that came in", "transport", lambda: counts.received)
        metrics.counted("ringback_hep_refused", "HEP packets that were refused", "reason", lambda: counts.refused)
        metrics.counted("ringback_hep_messages", "Captured messages by outcome", "outcome", self._outcomes)
        metrics.counted("ringback_hep_dropped", "UDP packets lost on this machine", "where", self._dropped)
        metrics.measured("ringback_hep_waiting", "Captured messages that wait to be stored", lambda: len(self.queue))

    def start(self) -> None:
        gc.set_threshold(*GARBAGE)
        self._writer.start()
        self._listener.start()
        self._teller.start()
        log.info("collecting", addresses=self.addresses)

    def stop(self) -> None:
        """Takes nothing more, stores what is queued, and tells of that too."""
        self._listener.stop()
        self._writer.stop()
        self._stopping.set()
        self._teller.join()

    def _outcomes(self) -> Mapping[str, int]:
        counts = self.counts
        return {"stored": counts.stored, "known": counts.known, "left_out": counts.left_out, "failed": counts.failed}

    def _dropped(self) -> Mapping[str, int]:
        return {"queue": self.counts.dropped, "system": self.counts.kernel_dropped}

    def _tell(self) -> None:
        """What happened since the last minute, once a minute and at the end; losses as a warning."""
        before: dict[str, int] = {}
        done = False
        while not done:
            done = self._stopping.wait(TOLD_S)
            now = {**self._summed(), **{f"dropped_{where}": n for where, n in self._dropped().items()}}
            since = {name: n - before.get(name, 0) for name, n in now.items() if n != before.get(name, 0)}
            before = now
            if since:
                lost = any(name.startswith(("dropped", "refused")) for name in since)
                (log.warning if lost else log.info)("captured signalling", **since)

    def _summed(self) -> dict[str, int]:
        counts = self.counts
        return {
            "received": sum(counts.received.values()),
            **{f"refused_{reason}": n for reason, n in dict(counts.refused).items()},  # it may grow meanwhile
            **self._outcomes(),
        }


def _sources(services: Services) -> Sequence[Source]:
    found = sources(services.settings.hep_sources)
    if not found:
        raise UsageError("hep_listen needs hep_sources: who may send, and for which customer (docs/signalling.md).")
    there = services.database.read(accounts.customers)
    for each in found:
        if each.customer_id not in there:
            raise UsageError(f"hep_sources: there is no customer {each.customer_id}.")
    return found


def _methods(text: str) -> list[str]:
    found = [each.strip().upper() for each in text.split(",") if each.strip()]
    for each in found:
        if each not in METHODS:
            near = difflib.get_close_matches(each, METHODS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"hep_leave_out: {each[:40]} is no method of SIP.{hint}")
    return found


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.hep_tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.num_tickets = 0  # one that an agent has not read when it closes makes its system reset what it had sent
    try:
        context.load_cert_chain(settings.hep_tls_certificate, settings.hep_tls_key or None)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise UsageError(f"hep_tls_certificate, hep_tls_key: cannot be used: {reason}.") from None
    return context


def _close(sockets: Sequence[Bound]) -> None:
    for each in sockets:
        each.socket.close()
