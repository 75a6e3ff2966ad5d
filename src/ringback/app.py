"""The composition root: builds everything from the settings, and owns start and stop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from ringback import pages
from ringback.blobs import Blobs, open_blobs
from ringback.collect.collector import Collector
from ringback.errors import RingbackError, UsageError
from ringback.identity.idle import IdleTokens
from ringback.identity.sweep import sweep
from ringback.jobs import exports, queue, retain
from ringback.jobs.kinds import MAILS, UNTIL_DONE, kinds
from ringback.jobs.worker import Workers
from ringback.metrics import Metrics
from ringback.resources import ENDPOINTS
from ringback.rest.asgi import Application
from ringback.services import Clock, Services
from ringback.settings import Settings
from ringback.store import migrate
from ringback.store.engines import open_database
from ringback.store.lists import Lists

log = structlog.get_logger()

FLUSH_S = 1.0
FLUSHES_PER_SETTLING = 2
FLUSHES_PER_SWEEP = 60


def system_clock() -> int:
    return int(time.time())


@dataclass(frozen=True, slots=True)
class App:
    services: Services
    workers: Workers
    application: Application
    collector: Collector | None = None


def open_services(settings: Settings, clock: Clock = system_clock) -> Services:
    """Opens the object store and the database (migrating an embedded one, checking another)."""
    if settings.is_embedded():
        migrate.upgrade(settings.database_url())
    else:
        migrate.check(settings.database_url())
    return services_of(settings, clock)


def services_of(settings: Settings, clock: Clock = system_clock) -> Services:
    """The same without a look at the schema.

    The database comes last: its connections are there to be closed, and nothing after it can fail.
    """
    blobs = _blobs(settings.blobs_url())
    return Services(
        settings=settings,
        database=open_database(settings.database_url(), settings.query_timeout_s),
        lists=Lists(),
        blobs=blobs,
        idle=IdleTokens(),
        clock=clock,
    )


def _blobs(place: str) -> Blobs:
    try:
        return open_blobs(place)
    except ValueError as error:
        raise UsageError(f"blobs: {error}") from None


def build(services: Services) -> App:
    metrics = Metrics()
    workers = Workers(services, kinds(ENDPOINTS), metrics, hurried=MAILS.keys())
    application = Application(services, ENDPOINTS, pages.endpoints(metrics), metrics)
    return App(services, workers, application, _collector(services, metrics))


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
    if app.collector is not None:
        app.collector.start()
    try:
        yield app
    finally:
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
