"""One filled world for the generated tests of a file."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback import app as composition
from ringback.opening import open_services
from ringback.settings import Settings
from tests.api import Api
from tests.clock import TestClock
from tests.conftest import POSTGRES
from tests.contract.world import World, filled


@pytest.fixture(scope="module")
def world(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One filled world for all tests here that leave it as it is, or take only what they made."""
    folder = tmp_path_factory.mktemp("world")
    with database(template, folder) as url:
        services = open_services(Settings(data_dir=str(folder), database=url), TestClock())
        yield filled(Api(composition.build(services)))
        services.database.close()


def database(template: str, folder: Path) -> Any:
    if POSTGRES:
        from tests import postgres

        return postgres.copy_of(template)
    from contextlib import nullcontext

    return nullcontext(str(shutil.copy(template, folder / "ringback.db")))
