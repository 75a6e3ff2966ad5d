"""A cdr table, straight from a database; MariaDB's own part is checked by `tools/checks/mariadb`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ringback.errors import UsageError
from ringback.importers import Options, Refusal, Summary
from ringback.importers.asterisk_rows import Reader
from ringback.importers.asterisk_tables import placed, read
from ringback.importers.call_rows import CallRow
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from tests import postgres
from tests.api import Api
from tests.conftest import POSTGRES
from tests.importers import cdr_table
from tests.importers.master_csv import line, run, stored, written

N = 2_500


def url_of(conninfo: str) -> str:
    """As somebody would type it."""
    told = psycopg.conninfo.conninfo_to_dict(conninfo)
    port = f":{told['port']}" if "port" in told else ""
    return f"postgresql://{told.get('user', 'postgres')}:hush@localhost{port}/{told['dbname']}?host={told['host']}"


@pytest.fixture(scope="module")
def server(template: str) -> str:
    return template if POSTGRES else postgres.template()


@contextmanager
def filled(server: str, statements: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    with postgres.copy_of(server) as conninfo:
        with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS cdr")
            for statement in statements:
                cursor.execute(statement)
            cursor.executemany(cdr_table.inserted(), rows)
        yield url_of(conninfo)


def fetched(api: Api, url: str, **options: Any) -> Summary:
    run_url = IMPORTERS["asterisk-cdr"].from_url
    assert run_url is not None
    return run_url(api.services, api.acme, url, Options(**{"country": "GB", **options}), Unwatched())


def test_a_table_becomes_cdrs_and_the_same_calls_out_of_a_file_are_known(api: Api, server: str, tmp_path: Any) -> None:
    rows = [cdr_table.row(**changes) for changes in cdr_table.calls(N)]
    with filled(server, [cdr_table.PGSQL], rows) as url:
        assert fetched(api, url).new == N
        again = fetched(api, url)
    assert (again.new, again.known) == (0, N)
    summary = run(api, "asterisk-cdr", written(tmp_path, *cdr_table.lines(N)))
    assert (summary.new, summary.known) == (0, N)
    assert stored(api, "uniqueid")[0] == ("1795341600.0",)
    cdr = api.admin.listed("/cdrs", sort="id", dir="ASC")[0]
    assert (cdr["calldate"], cdr["src_id"], cdr["dst"]) == (
        "2026-11-20 10:00:00",
        str(api.admin.user_id),
        "442079460000",
    )


def test_a_column_with_a_time_zone_shows_the_clock_of_the_pbx(api: Api, server: str, tmp_path: Any) -> None:
    table = cdr_table.PGSQL.replace("calldate timestamp", "start timestamptz")
    with filled(
        server, [table, "ALTER TABLE cdr RENAME start TO calldate"], [cdr_table.row(start="2026-07-01 10:00:00+00")]
    ) as url:
        assert fetched(api, url, time_zone="Europe/Warsaw").new == 1
    path = written(tmp_path, line(start="2026-07-01 12:00:00", answer="", end=""))
    assert run(api, "asterisk-cdr", path, time_zone="Europe/Warsaw").known == 1
    assert stored(api, "calldate") == [(1_782_900_000,)]


def test_what_a_row_lacks_and_what_it_has_wrong_is_told(api: Api, server: str) -> None:
    rows = [cdr_table.row(), cdr_table.row(duration="-5", uniqueid="u"), cdr_table.row(start="infinity", uniqueid="v")]
    with filled(server, [cdr_table.PGSQL], rows) as url:
        summary = fetched(api, url)
    assert (summary.new, summary.warnings) == (2, ["1 × negative duration taken as 0"])
    assert [(each.where, each.reason) for each in summary.refused] == [("row 3", "start is no possible time")]


def test_nothing_is_written_there(api: Api, server: str) -> None:
    """Even where the table is a view that would write when it is read."""
    table = cdr_table.PGSQL.replace("TABLE cdr", "TABLE kept")
    fill = "CREATE FUNCTION fill() RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM kept; RETURN true; END'"
    view = "CREATE VIEW evil AS SELECT * FROM kept WHERE fill()"
    with filled(server, [table, cdr_table.PGSQL], [cdr_table.row()]) as url:
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO kept SELECT * FROM cdr")
            connection.execute(fill)
            connection.execute(view)
        with pytest.raises(UsageError, match="read-only transaction"):
            fetched(api, f"{url}&table=public.evil")
        assert fetched(api, f"{url}&table=public.kept").new == 1


def test_what_cannot_be_read_is_said_without_the_password(api: Api, server: str) -> None:
    with filled(server, [cdr_table.PGSQL, "CREATE TABLE other (id int)"], []) as url:
        for bad, expected in (
            (f"{url}&table=none", "does not exist"),
            (f"{url}&table=other", "is no cdr table"),
            (f"{url}&table=cdr;drop", "no name of a table"),
            (f"{url}&options=x", "parameter options is not known"),
            (url.replace("/test_", "/hush_"), 'database "\\*\\*\\*_'),
            ("postgresql://ann:hush@localhost/", "names no database"),
            ("postgresql://ann:hush@localhost:port/db", "cannot be read"),
            ("postgresql://ann:hush@localhost:1/db", "localhost"),
            ("mysql://ann:hush@127.0.0.1:1/db", "127.0.0.1"),
            ("oracle://ann:hush@localhost/db", "postgresql://… or mysql://…"),
        ):
            with pytest.raises(UsageError, match=expected) as caught:
                fetched(api, bad)
            assert "hush" not in str(caught.value)
        with pytest.raises(UsageError, match="--columns"):
            fetched(api, url, columns=("src",))
        with pytest.raises(UsageError, match="Mars/Olympus"):
            fetched(api, url, time_zone="Mars/Olympus")


def test_a_url_says_where() -> None:
    place = placed("mysql://ann:p%40ss@pbx:3307/asteriskcdrdb?table=old.cdr_2025&ssl_ca=/ca.pem")
    assert place[:7] == ("mysql", "pbx", 3307, "ann", "p@ss", "asteriskcdrdb", "old.cdr_2025")
    assert place.more == {"ssl_ca": "/ca.pem"}


def test_rows_of_any_server_become_rows_of_calls() -> None:
    """As MariaDB's driver gives them: bytes, and None for NULL."""
    names = ["start", "clid", "src", "dst", "disposition", "duration", "billsec", "channel", "userfield", "uniqueid"]
    rows: list[list[bytes | None]] = [
        [
            b"2026-11-20 10:00:00",
            b'"Zo\xc3\xab" <101>',
            b"101",
            b"902079460000",
            b"8",
            b"60",
            b"55",
            b"SIP/101-1",
            None,
            b"1.1",
        ],
        [b"2026-11-20 10:00:00", b'"Zo\xeb" <101>', b"101", b"103", b"NO ANSWER", b"60", b"0", None, b"note", b"1.2"],
        [b"0000-00-00 00:00:00", None, b"101", b"103", b"BUSY", b"1", b"0", None, None, b"1.3"],
    ]
    found = list(read(iter(rows), names, Reader(Options(country="GB", outside_prefix="9")), Unwatched()))
    first, second, third = found
    assert isinstance(first, CallRow)
    assert (first.src_name, first.dst, first.disposition, first.src_endpoint) == (
        "Zoë",
        "442079460000",
        "CONNECTED",
        "101",
    )
    assert isinstance(second, CallRow)
    assert (second.info, second.disposition, second.warnings) == (
        "note",
        "RINGING",
        ("not UTF-8: unreadable bytes replaced",),
    )
    assert isinstance(third, Refusal)
    assert third.reason == "start is no possible time"
