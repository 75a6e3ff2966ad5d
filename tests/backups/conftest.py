"""An installation to back up, and an empty place of the same engine to restore to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import Api
from tests.backups.installation import Installation
from tests.conftest import POSTGRES


@pytest.fixture
def acme(api: Api, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    if not POSTGRES:
        yield Installation(api, database_url, tmp_path, str(tmp_path / "restored" / "ringback.db"))
        return
    from tests import postgres

    monkeypatch.setenv("PATH", postgres.programs(), prepend=":")
    with postgres.empty_beside(database_url) as target:
        yield Installation(api, database_url, tmp_path, target)
