"""`cdrs`: our exports of CDRs, back into CDRs, with their ids where these are free.

Each lot of lines is one transaction. A call is known by the key that it has at its source (NDJSON), or by its ids and its
date. Live ids, by which hops of one call know each other, stay as they are, or all of a file move by one number where the
customer has calls of those live ids already. That number is found again by whoever goes on with a run that was killed:
from any call of the file that is stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ringback.errors import UsageError
from ringback.importers.cdr_lines import MAX_ID, Line, read
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Importer, Options, Progress, Summary, uncollected, watched
from ringback.services import Services
from ringback.store import cdrs, ids
from ringback.store.database import Database, Db, first, persistently, value
from ringback.store.parties import CONTACT, contact_of, user_of

BATCH = 2_000
PARQUET = b"PAR1"
BATCH_BYTES = 8 << 20
SAMPLE = 1_000
"""So many of the first lines, and one of so many of the others, are looked at for calls that are stored already."""

HELP = (
    "Our own CDRs: NDJSON or CSV of an export (POST /exports, GET /cdrs.csv). Ids are kept where they are free; import users "
    "first, for a call is its user's only where that user is there."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    start = _start(path)
    summary = options.summary()
    shift = _shift(services.database, customer_id, path, start)
    store = _Store(services.database, customer_id, shift)
    with watched(path, progress) as file, uncollected():
        for lot in _lots(_usable(read(file, start), summary)):
            new = store.put(lot, summary)
            summary.new += new
            summary.known += len(lot) - new
    return summary


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    if not start.strip():
        raise UsageError(f"{path} is empty.")
    if start.startswith(PARQUET):
        raise UsageError(
            f"{path} is Parquet, which goes out only: have the CDRs exported as ndjson (POST /exports) and import that."
        )
    return start


def _usable(lines: Iterable[Line | Refused], summary: Summary) -> Iterator[Line]:
    for line in lines:
        summary.read += 1
        if isinstance(line, Refused):
            summary.refuse(f"line {line.line_no}", line.reason, line.raw)
        else:
            summary.noted.update(line.warnings)
            yield line


def _lots(lines: Iterator[Line]) -> Iterator[list[Line]]:
    lot: list[Line] = []
    size = 0
    for line in lines:
        lot.append(line)
        size += line.size
        if len(lot) >= BATCH or size >= BATCH_BYTES:
            yield lot
            lot, size = [], 0
    if lot:
        yield lot


# -- what is stored already -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _There:
    """What the customer has of a lot. `keys`: source key → (calldate, live id). `calls`: id → the same; of others' calls
    of such an id nothing is told but that it is taken. `live_ids`: those that are taken, after the shift."""

    keys: Mapping[str, tuple[int, int]]
    calls: Mapping[int, tuple[int, int]]
    taken: frozenset[int]
    live_ids: frozenset[int]

    def stored(self, line: Line) -> int | None:
        """The live id under which the call of a line is stored; None when it is not."""
        columns = line.columns
        by_key = self.keys.get(line.own_key) or self.keys.get(columns["source_key"] or "")
        if by_key is not None and by_key[0] == columns["calldate"]:
            return by_key[1]
        same = (columns["calldate"], columns["live_id"])
        return columns["live_id"] if self.calls.get(columns["id"]) == same else None


def _there(db: Db, customer_id: int, lines: Sequence[Line], shift: int = 0) -> _There:
    keys = [key for line in lines for key in (line.own_key, line.columns["source_key"]) if key]
    bound = {
        "customer": customer_id,
        "keys": keys,
        "ids": [line.columns["id"] for line in lines],
        "lives": [line.columns["live_id"] + shift for line in lines],
    }
    own = "customer_id = :customer AND"
    by_key = f"SELECT source_key, calldate, live_id FROM cdrs WHERE {own} {db.among('source_key', 'keys')}"
    by_id = f"SELECT id, customer_id, calldate, live_id FROM cdrs WHERE {db.among('id', 'ids')}"  # ids are one server's
    by_live_id = f"SELECT live_id FROM cdrs WHERE {own} {db.among('live_id', 'lives')}"
    of_ids = db.all(by_id, bound)
    return _There(
        keys={key: (at, live_id) for key, at, live_id in db.all(by_key, bound)},
        calls={cdr_id: (at, live_id) for cdr_id, owner, at, live_id in of_ids if owner == customer_id},
        taken=frozenset(row[0] for row in of_ids),
        live_ids=frozenset(row[0] for row in db.all(by_live_id, bound)),
    )


# -- live ids ---------------------------------------------------------------------------------------------------------


def _shift(database: Database, customer_id: int, path: Path, start: bytes) -> int:
    """By how much the live ids of this file move."""
    with _lines_of(path, start) as lines:
        beginning = list(islice(lines, SAMPLE))
    found = _known_shift(database, customer_id, beginning)
    if found is not None:
        return found
    if database.read(lambda db: _lacks_calls(db, customer_id)):
        return 0
    with _lines_of(path, start) as lines:
        lowest, highest, sample = _range(lines)
    found = _known_shift(database, customer_id, sample)
    if found is not None or lowest > highest:
        return found or 0
    return database.write(lambda db: _beyond(db, customer_id, lowest, highest))


@contextmanager
def _lines_of(path: Path, start: bytes) -> Iterator[Iterator[Line]]:
    with path.open("rb") as file:
        yield (line for line in read(file, start) if isinstance(line, Line))


def _known_shift(database: Database, customer_id: int, sample: Sequence[Line]) -> int | None:
    for at in range(0, len(sample), SAMPLE):
        lines = sample[at : at + SAMPLE]
        there = database.read(lambda db, lines=lines: _there(db, customer_id, lines))  # type: ignore[misc]
        for line in lines:
            live_id = there.stored(line)
            if live_id is not None:
                return int(live_id - line.columns["live_id"])
    return None


def _lacks_calls(db: Db, customer_id: int) -> bool:
    return first(db, "SELECT 1 FROM cdrs WHERE customer_id = :customer LIMIT 1", {"customer": customer_id}) is None


def _range(lines: Iterator[Line]) -> tuple[int, int, list[Line]]:
    """The lowest and the highest live id, and a sample of the lines."""
    lowest, highest = 2**63, 0
    sample = []
    for number, line in enumerate(lines):
        lowest = min(lowest, line.columns["live_id"])
        highest = max(highest, line.columns["live_id"])
        if number % SAMPLE == 0:
            sample.append(line)
    return lowest, highest, sample


def _beyond(db: Db, customer_id: int, lowest: int, highest: int) -> int:
    """0 where the customer has no call between the two, else what moves them beyond all that were given out."""
    sql = "SELECT count(*) FROM cdrs WHERE customer_id = :customer AND live_id BETWEEN :lowest AND :highest"
    if not value(db, sql, {"customer": customer_id, "lowest": lowest, "highest": highest}):
        return 0
    shift: int = db.new_ids("live", 1)[0] - lowest
    ids.skip_to(db, "live", highest + shift)
    return shift


# -- storing ----------------------------------------------------------------------------------------------------------


class _Store:
    """Stores lots. Users and contacts are read once for a run."""

    def __init__(self, database: Database, customer_id: int, shift: int) -> None:
        self._database, self._customer_id, self._shift = database, customer_id, shift
        self._users, self._contacts = (self._all(name) for name in ("users", "contacts"))

    def _all(self, table: str) -> frozenset[int]:
        sql = f"SELECT id FROM {table} WHERE customer_id = :customer"
        rows = self._database.read(lambda db: db.all(sql, {"customer": self._customer_id}))
        return frozenset(row[0] for row in rows)

    def put(self, lot: Sequence[Line], summary: Summary) -> int:
        """How many were new."""
        new, noted = persistently(self._database, lambda db: self._put(db, lot))
        summary.noted.update(noted)
        return new

    def _put(self, db: Db, lot: Sequence[Line]) -> tuple[int, list[str]]:
        there = _there(db, self._customer_id, lot, self._shift)
        noted: list[str] = []
        fresh = self._fresh(lot, there, noted)
        if fresh:
            ids.skip_to(db, "cdrs", max(cdr.get("id", 0) for cdr in fresh))
            ids.skip_to(db, "live", max(cdr.get("live_id") or 0 for cdr in fresh))
            cdrs.insert(db, self._customer_id, fresh)
        return len(fresh), noted

    def _fresh(self, lot: Sequence[Line], there: _There, noted: list[str]) -> list[dict[str, Any]]:
        """The CDRs of those lines that are not stored; a line that stands twice in a lot counts once. In the order of their
        ids, because SQLite's index of numbers begins anew whenever an id is lower than the one before."""
        fresh: dict[str, dict[str, Any]] = {}
        taken, live_ids = set(there.taken), set(there.live_ids)
        for line in lot:
            key = line.columns["source_key"]
            key = line.own_key if key is None or key in there.keys else key
            if there.stored(line) is None and key not in fresh:
                fresh[key] = {**self._columns(line, noted), "source_key": key}
                _keep_if_free(fresh[key], "id", taken, noted)
                _keep_if_free(fresh[key], "live_id", live_ids, noted)
        return sorted(fresh.values(), key=lambda cdr: cdr.get("id", MAX_ID))

    def _columns(self, line: Line, noted: list[str]) -> dict[str, Any]:
        columns = dict(line.columns)
        for name in ("live_id", "parent_live_id", "root_live_id"):
            if columns[name] is not None:
                columns[name] += self._shift
        if columns["user_id"] is not None and columns["user_id"] not in self._users:
            columns["user_id"] = None
            noted.append("its user is not here: the call is nobody's")
        for name in ("src_id", "dst_id"):
            columns[name] = self._party(columns[name], noted)
        return columns

    def _party(self, party: str | None, noted: list[str]) -> str | None:
        """Who the number was, if that user or contact is here."""
        user = user_of(party)
        if party is None or (user is None and not party.startswith(CONTACT)):
            return party
        if user is not None and user not in self._users:
            noted.append("src_id or dst_id names a user who is not here: taken as null")
            return None
        if user is None and contact_of(party) not in self._contacts:
            noted.append("src_id or dst_id names a contact that is not here: taken as 0, somebody outside")
            return "0"
        return party


def _keep_if_free(cdr: dict[str, Any], name: str, taken: set[int], noted: list[str]) -> None:
    if cdr[name] in taken:
        noted.append(f"its {name} is taken: a new one given")
        del cdr[name]
    else:
        taken.add(cdr[name])


CDRS = Importer("cdrs", HELP, run)
