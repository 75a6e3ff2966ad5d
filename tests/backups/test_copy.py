"""From SQLite to PostgreSQL, whatever engine the other tests run on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ringback import app as composition
from ringback import doctor
from ringback.backups.compare import standing
from ringback.backups.copy import copy
from ringback.backups.rows import tallies
from ringback.errors import UsageError
from ringback.opening import open_services
from ringback.settings import Settings
from ringback.store import migrate
from tests.api import Api
from tests.backups.installation import Installation, Unwatched
from tests.clock import TestClock
from tests.packets import stored_in
from tests.test_captures import stored as capture
from tests.test_captures import talk


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A filled SQLite database that no server has open."""
    path = tmp_path / "source.db"
    services = open_services(Settings(data_dir=str(tmp_path), database=str(path)), TestClock())
    api = Api(composition.build(services))
    Installation(api, str(path), tmp_path, "").fill(30)
    capture(api, talk())
    services.database.close()
    return path


@pytest.fixture(scope="module")
def server() -> str:
    from tests import postgres

    return postgres.template()


@pytest.fixture
def target(server: str) -> Iterator[str]:
    from tests import postgres

    with postgres.empty_beside(server) as url:
        yield url


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql, values)
        connection.commit()


def indexes(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT indexdef FROM pg_indexes ORDER BY indexname")]


def test_every_value_is_the_same_afterwards(source: Path, target: str, server: str) -> None:
    copied = copy(source, target, Unwatched())
    assert (copied["cdrs"], copied["monitors"], copied["cdr_parties"], copied["captured packets"]) == (30, 30, 30, 6)
    with standing(str(source)) as ours, standing(target) as theirs:
        rows = tallies(theirs, Unwatched())
        assert tallies(ours, Unwatched()) == {name: each for name, each in rows.items() if not name.startswith("sip_")}
    assert [each for each in indexes(target) if " sip_" not in each] == indexes(server)
    services = open_services(Settings(data_dir=str(source.parent), database=target))
    assert [text for level, text in doctor.of_counters(services) if level is not doctor.Level.OK] == []
    assert stored_in(services.database) == 6
    assert services.database.write(lambda db: db.new_ids("cdrs", 1))[0] > 30
    assert services.database.write(lambda db: db.new_ids("users", 1))[0] > 100_001
    services.database.close()


def test_nothing_is_copied_while_a_server_has_the_database_open(source: Path, target: str) -> None:
    settings = Settings(data_dir=str(source.parent), database=str(source))
    services = open_services(settings)
    services.database.read(lambda db: db.all("SELECT 1 FROM customers"))
    with pytest.raises(UsageError, match="open in another process"):
        copy(source, target, Unwatched())
    services.database.close()
    assert copy(source, target, Unwatched())["cdrs"] == 30


def test_nobody_can_write_to_the_source_meanwhile(source: Path, target: str) -> None:
    class Writer(Unwatched):
        def step(self, text: str, total: int) -> None:
            with closing(sqlite3.connect(source, timeout=0)) as connection, pytest.raises(sqlite3.OperationalError):
                connection.execute("UPDATE customers SET name = 'x'")

    assert copy(source, target, Writer())["cdrs"] == 30
    change(source, "UPDATE customers SET name = 'x'")


def test_a_target_with_rows_is_refused(source: Path, target: str) -> None:
    copy(source, target, Unwatched())
    with pytest.raises(UsageError, match="has rows in"):
        copy(source, target, Unwatched())


@pytest.mark.parametrize(
    ("sql", "value", "said"),
    [
        ("UPDATE cdrs SET dst_name = ? WHERE id = 7", "a\0b", "cdrs: PostgreSQL does not take a row"),
        ("UPDATE cdrs SET duration = ? WHERE id = 7", 1.5, "cdrs: PostgreSQL does not take a row"),
        ("UPDATE cdrs SET duration = ? WHERE id = 7", "soon", "cdrs: PostgreSQL does not take a row"),
        ("UPDATE cdrs SET dst_name = CAST(? AS TEXT) WHERE id = 7", b"\xff", "cdrs: a row cannot be read"),
        ("UPDATE cdrs SET dst_name = ? WHERE id = 7", b"bytes", "cdrs: the row of id 7 is not the same"),
    ],
)
def test_what_cannot_be_there_is_named_and_nothing_is_kept(
    source: Path, target: str, sql: str, value: object, said: str
) -> None:
    change(source, sql, value)
    with pytest.raises(UsageError, match=said):
        copy(source, target, Unwatched())
    change(source, "UPDATE cdrs SET dst_name = 'mended', duration = 1 WHERE id = 7")
    assert copy(source, target, Unwatched())["cdrs"] == 30


def test_an_older_source_has_to_be_migrated_first(source: Path, target: str, tmp_path: Path) -> None:
    older = str(tmp_path / "older.db")
    migrate.upgrade(older, "0001")
    with pytest.raises(UsageError, match="older schema"):
        copy(Path(older), target, Unwatched())


def test_letters_of_every_script_stay_and_keep_their_order(source: Path, target: str) -> None:
    for number, text in enumerate(("\U0010ffff", "\ud7ff\ue000", "é", "e\u0301", "\u0001", "ﬀ", "Ä", "ä", "\x7f")):
        change(source, "INSERT INTO throttles VALUES (?, 1, 2, 3)", text)
        change(source, "UPDATE cdrs SET dst_name = ? WHERE id = ?", text, number + 1)
    assert copy(source, target, Unwatched())["throttles"] == 9
