"""From the settings to the services that everything works with. Commands need no more than this of the server."""

import time

from ringback.blobs import Blobs, open_blobs
from ringback.errors import UsageError
from ringback.identity.idle import IdleTokens
from ringback.services import Clock, Services
from ringback.settings import Settings
from ringback.store import revision
from ringback.store.engines import open_database, sqlite_path
from ringback.store.lists import Lists


def system_clock() -> int:
    return int(time.time())


def open_services(settings: Settings, clock: Clock = system_clock) -> Services:
    """Opens the object store and the database (migrating an embedded one, checking another)."""
    url = settings.database_url()
    if not (settings.is_embedded() and revision.is_newest(sqlite_path(url))):
        from ringback.store import migrate

        migrate.upgrade(url) if settings.is_embedded() else migrate.check(url)
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
