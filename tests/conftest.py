"""Real parts for every test: a migrated database (SQLite, or PostgreSQL when RINGBACK_TEST_ENGINE=postgres), a folder of
blobs, and the whole application called in process."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from ringback import app as composition
from ringback import logs
from ringback.opening import open_services
from ringback.services import Services
from ringback.settings import Settings
from ringback.store import migrate
from tests.api import Api
from tests.clock import TestClock
from tests.people import give_password
from tests.process import COMMAND, Login, Process, login
from tests.smtp import Mailbox, mailbox

logs.configure("warning")
hypothesis_settings.register_profile("ringback", deadline=None, max_examples=60, derandomize=True)
"""A busy machine is no fault, and what is drawn is the same everywhere."""
hypothesis_settings.register_profile("wander", deadline=None, max_examples=1_000)
"""`pytest --hypothesis-profile=wander`: draws anew each time, to find what nobody thought of."""
hypothesis_settings.load_profile("ringback")
POSTGRES = os.environ.get("RINGBACK_TEST_ENGINE") == "postgres"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated, empty database to copy: migrating anew for each test would take most of the time."""
    if POSTGRES:
        from tests import postgres

        return postgres.template()
    path = tmp_path_factory.mktemp("template") / "ringback.db"
    migrate.upgrade(str(path))
    return str(path)


@pytest.fixture
def database_url(template: str, tmp_path: Path) -> Iterator[str]:
    if POSTGRES:
        from tests import postgres

        with postgres.copy_of(template) as url:
            yield url
    else:
        copied = tmp_path / "ringback.db"
        shutil.copy(template, copied)
        yield str(copied)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path), database=database_url, metrics_token="metrics-secret")


@pytest.fixture
def start(settings: Settings, clock: TestClock) -> Iterator[Callable[..., Api]]:
    """Starts the application with changed settings: `start(trusted_proxies="10.0.0.0/8")`."""
    opened: list[Services] = []

    def begin(**changes: object) -> Api:
        services = open_services(replace(settings, **changes), clock)  # type: ignore[arg-type]
        opened.append(services)
        return Api(composition.build(services))

    yield begin
    for services in opened:
        services.database.close()


@pytest.fixture
def api(start: Callable[..., Api]) -> Api:
    """The application, with two customers: see `tests/api.py`."""
    return start()


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture
def mailing(start: Callable[..., Api], mails: Mailbox) -> Api:
    """The application with a mail server, and with passwords for Ann and Bob."""
    api = start(smtp_url=mails.url, mail_from="Ringback <ringback@pbx.example>")
    give_password(api, api.ann, api.bob)
    return api


# -- the server as a process of its own: see `tests/process.py`


@pytest.fixture
def acme(settings: Settings) -> Login:
    """A customer of the database, and a token of its administrator."""
    return login(settings)


@pytest.fixture
def services(settings: Settings, acme: Login) -> Iterator[Services]:
    """The same database, opened beside the server."""
    services = open_services(settings)
    yield services
    services.database.close()


@pytest.fixture
def begin(settings: Settings) -> Iterator[Callable[..., Process]]:
    """Starts `ringback serve` on the test's database: `begin(RINGBACK_TRUSTED_PROXIES="127.0.0.1")`."""
    begun: list[Process] = []

    def start(*command: str, **environment: str) -> Process:
        begun.append(Process(command or (*COMMAND, "serve", "--port", "0"), settings, **environment))
        return begun[-1]

    yield start
    for each in begun:
        each.popen.kill()
        each.popen.wait()
