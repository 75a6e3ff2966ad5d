"""Import of a Master.csv beside a bare executemany (SQLite) or COPY (PostgreSQL) of the same rows with the same indexes."""

import csv
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import data
from ringback import opening
from ringback.importers import Options
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.settings import Settings
from ringback.store.database import Database, Db
from ringback.store.engines import open_database
from ringback.store.schema import cdrs, columns
from ringback.store.statements import SEARCHED

ROWS = 200_000
BATCH = 2_000

Fresh = Callable[[str], AbstractContextManager[str]]
"""A new, migrated database by name; gives its URL."""


def measured(fresh: Fresh, folder: Path) -> Iterator[tuple[int, str, float, float | None, str]]:
    file = folder / "Master.csv"
    _write(file)
    with fresh("ours") as url:
        services = opening.open_services(Settings(database=url, data_dir=str(folder)))
        customer_id = data.customer(services.database, int(time.time()))
        began = time.perf_counter()
        summary = IMPORTERS["asterisk-cdr"].run(services, customer_id, file, Options(country="GB"), Unwatched())
        ours_s = time.perf_counter() - began
        assert summary.new == ROWS, summary
        names = columns(cdrs)
        listed = ", ".join(f'"{name}"' for name in names)
        with services.database.stream(f"SELECT {listed} FROM cdrs", {}, BATCH) as lots:
            rows = list(lots)
        services.database.close()
    with fresh("bare") as url:
        bare_s = _bare(open_database(url), names, rows)
    yield (
        ROWS,
        "import of Master.csv, rows/s",
        ROWS / ours_s,
        ROWS / bare_s,
        "bare: the driver's bulk insert into the same table and indexes",
    )


def _bare(database: Database, names: Sequence[str], lots: Sequence[Sequence[tuple[Any, ...]]]) -> float:
    places = [names.index(name) for name in ("id", "src", "dst")]
    began = time.perf_counter()
    for lot in lots:
        database.write(partial(load, names, lot, places))
    seconds = time.perf_counter() - began
    database.close()
    return seconds


def load(names: Sequence[str], lot: Sequence[tuple[Any, ...]], places: Sequence[int], db: Db) -> None:
    """Rows of `cdrs` as they are. `places`: where among `names` id, src and dst are."""
    db.load("cdrs", names, lot)
    if db.engine == "sqlite":
        db.load(SEARCHED, ("rowid", "src", "dst"), [[row[place] for place in places] for row in lot])


def _write(file: Path) -> None:
    """Calls as Asterisk's cdr_csv writes them."""
    chance = random.Random(7)
    with file.open("w", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        for number in range(ROWS):
            writer.writerow(_line(chance, data.START + number * 97, number))


def _line(chance: random.Random, at: int, number: int) -> list[str]:
    inside = str(100 + chance.randrange(data.USERS))
    outside = f"02079{chance.randrange(20_000) * 37 % 1_000_000:06}"
    src, dst = (inside, outside) if number % 2 else (outside, inside)
    talk = chance.randrange(300)
    times = [datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%d %H:%M:%S") for each in (at, at + 6, at + 6 + talk)]
    channels = [
        f"PJSIP/{src if len(src) < 5 else 'trunk'}-{number:08x}",
        f"PJSIP/{dst if len(dst) < 5 else 'trunk'}-{number:08x}",
    ]
    app_ = ["Dial", f"PJSIP/{dst}@trunk,30"]
    clid = f'"Caller {src}" <{src}>'
    tail = [str(talk + 6), str(talk), "ANSWERED", "DOCUMENTATION", f"{at}.{number}", ""]
    return ["", src, dst, "from-internal", clid, *channels, *app_, *times, *tail]
