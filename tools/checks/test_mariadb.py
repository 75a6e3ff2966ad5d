"""Calls out of a table of a real MariaDB: run by `tools/checks/mariadb`."""

import csv
import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
from tests.api import Api
from tests.importers import cdr_table
from tests.importers.master_csv import run, shape, written
from tests.test_asterisk_cel import SCENES, file, raw

from ringback.errors import UsageError
from ringback.importers import Options, Summary, asterisk_tables, cel_records
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched

SOCKET = os.environ["RINGBACK_TEST_MARIADB"]
URL = "mysql://reader:hu%40sh@127.0.0.1:33099/asteriskcdrdb"
N = 2_500
MANY = 50_000
CEL = """
    CREATE TABLE cel (
        id int(11) NOT NULL AUTO_INCREMENT, eventtype varchar(30) NOT NULL, eventtime datetime{fraction} NOT NULL,
        cid_name varchar(80) NOT NULL, cid_num varchar(80) NOT NULL, cid_ani varchar(80) NOT NULL, cid_rdnis varchar(80) NOT NULL,
        cid_dnid varchar(80) NOT NULL, exten varchar(80) NOT NULL, context varchar(80) NOT NULL, channame varchar(80) NOT NULL,
        appname varchar(80) NOT NULL, appdata varchar(80) NOT NULL, amaflags int(11) NOT NULL, accountcode varchar(20) NOT NULL,
        uniqueid varchar(32) NOT NULL, linkedid varchar(32) NOT NULL, peer varchar(80) NOT NULL, userdeftype varchar(255) NOT NULL,
        extra varchar(512) NOT NULL, PRIMARY KEY (id), KEY uniqueid_index (uniqueid), KEY linkedid_index (linkedid)
    ) DEFAULT CHARSET=utf8mb4
"""
"""As FreePBX makes it in its database asteriskcdrdb, to the second; `fraction`: (6) is what others have."""


@pytest.fixture(autouse=True)
def table() -> Iterator[Any]:
    """A database as FreePBX has it, and somebody who may only read."""
    with pymysql.connect(unix_socket=SOCKET, user="root", autocommit=True) as connection:
        cursor = connection.cursor()
        for statement in (
            "DROP DATABASE IF EXISTS asteriskcdrdb",
            "CREATE DATABASE asteriskcdrdb",
            "USE asteriskcdrdb",
            cdr_table.FREEPBX,
            "CREATE USER IF NOT EXISTS reader@'127.0.0.1' IDENTIFIED BY 'hu@sh'",
            "GRANT SELECT ON asteriskcdrdb.* TO reader@'127.0.0.1'",
        ):
            cursor.execute(statement)
        cursor.executemany(cdr_table.inserted(), [cdr_table.row(**changes) for changes in cdr_table.calls(N)])
        yield cursor


def fetched(api: Api, url: str = URL, kind: str = "asterisk-cdr", **options: Any) -> Summary:
    run_url = IMPORTERS[kind].from_url
    assert run_url is not None
    return run_url(api.services, api.acme, url, Options(**{"country": "GB", **options}), Unwatched())


def test_a_table_becomes_cdrs_and_the_same_calls_out_of_a_file_are_known(api: Api, tmp_path: Path) -> None:
    assert fetched(api).new == N
    again = fetched(api, URL.replace("mysql", "mariadb"))
    assert (again.new, again.known) == (0, N)
    summary = run(api, "asterisk-cdr", written(tmp_path, *cdr_table.lines(N)))
    assert (summary.new, summary.known) == (0, N)
    cdr = api.admin.listed("/cdrs", sort="id", dir="ASC")[0]
    assert (cdr["calldate"], cdr["src_id"], cdr["dst"]) == (
        "2026-11-20 10:00:00",
        str(api.admin.user_id),
        "442079460000",
    )


def test_old_texts_and_dates(api: Api, table: Any) -> None:
    table.execute("DELETE FROM cdr")
    table.execute(
        "ALTER TABLE cdr CONVERT TO CHARACTER SET latin1, RENAME COLUMN calldate TO start, ADD answer datetime"
    )
    sql = "INSERT INTO cdr (start, answer, clid, src, dst, duration, billsec, disposition, uniqueid) VALUES (%s, %s, %s, '1', '2', 9, %s, %s, %s)"
    table.execute(sql, ("2026-11-20 10:00:00", "0000-00-00 00:00:00", '"Zoë" <1>', 0, "NO ANSWER", "1.1"))
    table.execute(sql, ("0000-00-00 00:00:00", None, "", 0, "BUSY", "1.2"))
    summary = fetched(api)
    assert (summary.new, [refusal.reason for refusal in summary.refused]) == (1, ["start is no possible time"])
    assert api.admin.listed("/cdrs")[0]["src_name"] == "Zoë"


def test_memory_stays_flat(table: Any) -> None:
    table.execute("DELETE FROM cdr")
    for first in range(0, MANY, 10_000):
        lot = [cdr_table.row(uniqueid=f"1795341600.{i}") for i in range(first, first + 10_000)]
        table.executemany(cdr_table.inserted(), lot)
    tracemalloc.start()
    with asterisk_tables.opened(URL, Options(), Unwatched()) as rows:
        assert sum(1 for _ in rows) == MANY
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20  # of which 8 MiB are the caches of numbers


def test_nothing_is_written_and_no_password_told(api: Api, table: Any) -> None:
    table.execute("CREATE TABLE kept LIKE cdr")
    table.execute("GRANT ALL ON asteriskcdrdb.* TO reader@'127.0.0.1'")
    table.execute("CREATE FUNCTION fill() RETURNS int BEGIN INSERT INTO kept (src) VALUES ('1'); RETURN 1; END")
    table.execute("CREATE VIEW evil AS SELECT * FROM cdr WHERE fill() = 1")
    with pytest.raises(UsageError, match="READ ONLY"):
        fetched(api, f"{URL}?table=evil")
    for url, expected in ((URL.replace("hu%40sh", "hush"), "Access denied"), (f"{URL}?table=none", "doesn't exist")):
        with pytest.raises(UsageError, match=expected) as caught:
            fetched(api, url)
        assert "hush" not in str(caught.value)
        assert "hu@sh" not in str(caught.value)


def log(table: Any, fraction: str) -> None:
    """The channel event log of all recorded calls as a table, in the time of UTC."""
    table.execute(CEL.format(fraction=fraction))
    names = [name for name in cel_records.SAMPLE if name in CEL]
    lot = []
    for cells in csv.reader(raw(*SCENES).decode().splitlines()):
        given = dict(zip(cel_records.SAMPLE, cells, strict=True))
        given["eventtime"] = datetime.fromtimestamp(float(given["eventtime"]), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        lot.append([given[name] for name in names])
    table.executemany(f"INSERT INTO cel ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})", lot)


@pytest.mark.parametrize("fraction", ["(6)", ""], ids=["microseconds", "seconds"])
def test_a_table_of_channel_events_becomes_whole_calls(api: Api, table: Any, tmp_path: Path, fraction: str) -> None:
    """The same as out of the file: their tree, their parties, how each ended."""
    log(table, fraction)
    found = fetched(api, kind="asterisk-cel", time_zone="UTC")
    again = fetched(api, f"{URL}?table=cel", kind="asterisk-cel", time_zone="UTC")
    assert (found.refused, again.new, again.changed) == ([], 0, 0)
    out_of_file = run(api, "asterisk-cel", file(tmp_path, raw(*SCENES)))
    assert (out_of_file.new, out_of_file.known) == (0, found.new)
    other = api.stranger.customer_id
    assert run(api, "asterisk-cel", file(tmp_path, raw(*SCENES)), customer=other).new == found.new
    if fraction:
        assert shape(api, api.acme) == shape(api, other)
