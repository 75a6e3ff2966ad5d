"""The composition root: builds the whole server of its services, and owns start and stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from ringback import pages
from ringback.collect.collector import Collector
from ringback.connectors.exchange import Exchange
from ringback.errors import RingbackError
from ringback.identity.sweep import sweep
from ringback.jobs import exports, queue, retain
from ringback.jobs.kinds import MAILS, UNTIL_DONE, kinds
from ringback.jobs.worker import Workers
from ringback.metrics import Metrics
from ringback.resources import ENDPOINTS
from ringback.rest.asgi import Application
from ringback.services import Services

log = structlog.get_logger()

FLUSH_S = 1.0
FLUSHES_PER_SETTLING = 2
FLUSHES_PER_SWEEP = 60


@dataclass(frozen=True, slots=True)
class App:
    services: Services
    workers: Workers
    application: Application
    collector: Collector | None = None
    exchange: Exchange | None = None


def build(services: Services) -> App:
    metrics = Metrics()
    workers = Workers(services, kinds(ENDPOINTS), metrics, hurried=MAILS.keys())
    application = Application(services, ENDPOINTS, pages.endpoints(metrics), metrics)
    exchange = Exchange(services) if services.settings.connectors else None
    return App(services, workers, application, _collector(services, metrics), exchange)


def _collector(services: Services, metrics: Metrics) -> Collector | None:
    if not services.settings.hep_listen:
        return None
    collector = Collector(services)
    collector.show(metrics)
    return collector


@contextmanager
def running(app: App) -> Iterator[App]:
    """Workers, the collector, the token flusher and the sweep run inside; at the end what is in memory is written and all is closed."""
    stop = threading.Event()
    flusher = threading.Thread(target=_flush_until, args=(stop, app.services), name="idle-tokens", daemon=True)
    flusher.start()
    app.workers.start()
    for part in (app.collector, app.exchange):
        if part is not None:
            part.start()
    try:
        yield app
    finally:
        if app.exchange is not None:
            app.exchange.stop()
        if app.collector is not None:
            app.collector.stop()
        app.workers.stop()
        stop.set()
        flusher.join()
        app.services.database.close()


def _flush_until(stop: threading.Event, services: Services) -> None:
    flush: Callable[[], None] = partial(services.idle.flush, services.database)
    flushes = 0
    while not stop.wait(FLUSH_S):
        _tried(flush)
        flushes += 1
        if flushes % FLUSHES_PER_SETTLING == 0:
            _tried(services.database.settle)
        if flushes % FLUSHES_PER_SWEEP == 0:
            _tried(lambda: sweep(services.database, services.clock()))
            _tried(lambda: queue.try_again(services.database, UNTIL_DONE, services.clock()))
            _tried(lambda: exports.sweep(services.database, services.clock()))
            _tried(lambda: retain.plan(services.database, services.clock()))
    _tried(flush)


def _tried(work: Callable[[], object]) -> None:
    try:
        work()
    except RingbackError as error:
        log.warning("token times and the sweep wait for the database", error=str(error))
