"""The composition root: builds the whole server of its services, and owns start and stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from ringback import pages
from ringback.callback import leftover, visitors, whereabouts
from ringback.callback.runner import Runner
from ringback.chat.reader import ChatReader
from ringback.collect.collector import Collector
from ringback.connectors.exchange import Exchange
from ringback.identity.sweep import sweep
from ringback.jobs import exports, queue, retain
from ringback.jobs.kinds import MAILS, UNTIL_DONE, kinds
from ringback.jobs.worker import Workers
from ringback.metrics import Metrics
from ringback.resources import ENDPOINTS
from ringback.resources.events import SUBJECTS
from ringback.rest.asgi import Application
from ringback.rounds import attempt
from ringback.services import Services
from ringback.settings import Settings
from ringback.store import outbox
from ringback.store.database import Database
from ringback.streams.reader import Reader

FLUSH_S = 1.0
FLUSHES_PER_SETTLING = 2
FLUSHES_PER_SWEEP = 60


@dataclass(frozen=True, slots=True)
class App:
    services: Services
    workers: Workers
    application: Application
    callbacks: Runner
    collector: Collector | None = None
    exchange: Exchange | None = None
    reader: Reader | None = None
    chats: ChatReader | None = None


def build(services: Services) -> App:
    whereabouts.check(services.settings.geoip_database)
    metrics = Metrics()
    workers = Workers(services, kinds(ENDPOINTS), metrics, hurried=MAILS.keys())
    application = Application(services, ENDPOINTS, pages.endpoints(metrics), metrics)
    exchange = Exchange(services) if services.settings.connectors else None
    if exchange is not None:
        exchange.show(metrics)
    reader = Reader(services, SUBJECTS)
    reader.show(metrics)
    callbacks = Runner(services)
    metrics.counted("ringback_callbacks", "Callbacks by how they ended", "outcome", lambda: callbacks.outcomes)
    chats = ChatReader(services)
    chats.show(metrics)
    return App(services, workers, application, callbacks, _collector(services, metrics), exchange, reader, chats)


def _collector(services: Services, metrics: Metrics) -> Collector | None:
    if not services.settings.hep_listen:
        return None
    collector = Collector(services)
    collector.show(metrics)
    return collector


@contextmanager
def running(app: App) -> Iterator[App]:
    """Workers, the collector, the token flusher and the sweep run inside; at the end what is in memory is written and all is closed."""
    with ExitStack() as ends:
        ends.callback(app.services.database.close)
        stop = threading.Event()
        flusher = threading.Thread(target=_flush_until, args=(stop, app.services), name="idle-tokens", daemon=True)
        flusher.start()
        ends.callback(flusher.join)
        ends.callback(stop.set)
        for part in (app.workers, app.reader, app.chats, app.collector, app.exchange, app.callbacks):
            if part is not None:
                part.start()
                ends.callback(attempt, f"the end of {type(part).__name__}", part.stop)
        yield app


def _flush_until(stop: threading.Event, services: Services) -> None:
    flush: Callable[[], None] = partial(services.idle.flush, services.database)
    flushes = 0
    while not stop.wait(FLUSH_S):
        attempt("token times", flush)
        flushes += 1
        if flushes % FLUSHES_PER_SETTLING == 0:
            attempt("settling", services.database.settle)
        if flushes % FLUSHES_PER_SWEEP == 0:
            for work in _sweeps(services.database, services.clock(), services.settings):
                attempt("the sweep", work)
    attempt("token times", flush)


def _sweeps(database: Database, now: int, settings: Settings) -> Iterator[Callable[[], object]]:
    yield partial(sweep, database, now)
    yield partial(queue.try_again, database, UNTIL_DONE, now)
    yield partial(exports.sweep, database, now)
    yield partial(outbox.prune, database, now)
    yield partial(retain.plan, database, now)
    yield partial(leftover.end, database, now)
    yield partial(visitors.shorten, database, settings.visitor_ip_days, now)
