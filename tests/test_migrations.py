"""Migrations: what they build is what the tables say, on both engines; a newer schema is refused."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from ringback.errors import UsageError
from ringback.store import captures, migrate
from ringback.store.engines import open_database
from ringback.store.schema import SEQUENCES, metadata
from tests.conftest import POSTGRES
from tests.packets import stored_in


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://") if POSTGRES else f"sqlite:///{url}")


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Not the tables of the full-text search, nor the trigram indexes: these are no tables of the schema."""
    return not (
        kind in ("table", "index") and (name or "").startswith(("cdr_numbers", "ix_cdrs_src_p", "ix_cdrs_dst_p"))
    )


def test_the_migrated_database_is_what_the_schema_says(database_url: str) -> None:
    engine = engine_of(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        if POSTGRES:
            found = set(connection.scalars(sa.text("SELECT sequencename FROM pg_sequences")))
            assert found == {f"{name}_ids" for name in SEQUENCES}
        else:
            rows = connection.execute(sa.text("SELECT name, next FROM sequences"))
            assert {row.name: row.next for row in rows} == SEQUENCES
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    assert migrate.upgrade(database_url) == ("0003", "0003")
    migrate.check(database_url)


def oldest(tmp_path: Path, database_url: str) -> tuple[str, sa.Engine]:
    """A database of the first schema, without rows."""
    url = database_url if POSTGRES else str(tmp_path / "old.db")
    engine = engine_of(url)
    if POSTGRES:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
    migrate.upgrade(url, "0001")
    return url, engine


def test_an_older_database_keeps_its_rows(tmp_path: Path, database_url: str) -> None:
    url, engine = oldest(tmp_path, database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO customers (id, name, created_at) VALUES (1, 'Acme', 0)"))
        connection.execute(sa.text("INSERT INTO usergroup_users (customer_id, usergroup_id, user_id) VALUES (1, 2, 3)"))
    with pytest.raises(UsageError, match="older schema"):
        migrate.check(url)
    assert migrate.upgrade(url) == ("0001", "0003")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT name FROM customers")) == "Acme"
        assert connection.scalar(sa.text("SELECT count(*) FROM usergroup_users")) == 1
    engine.dispose()


def test_captured_packets_of_an_older_database_move_into_slices(tmp_path: Path, database_url: str) -> None:
    url, engine = oldest(tmp_path, database_url)
    at = 1_795_341_600  # 2026-11-22 10:00 UTC
    with engine.begin() as connection:
        session = "INSERT INTO mediasessions (id, customer_id, call_id, created_at, updated_at, status, duration)"
        connection.execute(sa.text(f"{session} VALUES (1, 1, 'a', {at}, {at}, 'ENDED', 1)"))
        columns = (
            "id, customer_id, call_id, captured_at_us, transport, src_ip, src_port, dst_ip, dst_port, payload, digest"
        )
        for n, (call_id, payload) in enumerate((("a", "INVITE \u00ff\u0100"), ("a", "BYE"), ("none", "REGISTER"))):
            connection.execute(
                sa.text(
                    f"INSERT INTO sip_messages ({columns}) VALUES"
                    f" ({n}, 1, '{call_id}', {at}000001 + {n}, 'UDP', '::1', 1, '::1', 2, :payload, '{n}')"
                ),
                {"payload": payload},
            )
    engine.dispose()
    migrate.upgrade(url)
    database = open_database(url)
    found = database.read(lambda db: captures.read_seen(db, 1, ["a"]))
    assert [seen.packet.payload for seen in found["a"]] == [b"INVITE \xff\0", b"BYE"]
    assert found["a"][0].packet.at_us == at * 10**6 + 1
    assert [(each.customer_id, each.day) for each in database.slices.listed()] == [(1, 20261122)]
    assert stored_in(database) == 3
    database.close()


def test_a_newer_schema_is_refused_and_an_older_one_asks_for_the_migration(database_url: str) -> None:
    engine = engine_of(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrate.upgrade, migrate.check):
        with pytest.raises(UsageError, match="newer than this Ringback"):
            refused(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    with pytest.raises(UsageError, match="ringback migrate"):
        migrate.check(database_url)
    engine.dispose()


def test_a_new_sqlite_file_is_for_its_owner_alone_and_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ringback.db"
    migrate.upgrade(str(path))
    assert path.stat().st_mode & 0o077 == 0
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # incremental
    connection.close()
