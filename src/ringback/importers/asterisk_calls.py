"""`asterisk-cdr`: the rows of Asterisk's Master.csv become CDRs.

Each 2,000 rows are one transaction: what is known by its key is passed over, so that a run which was killed goes on where
it stopped. Rows of one call (the same linkedid, or uniqueid where the file has no such column) make a tree: the row of the
first channel is the root, the others hang on it.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ringback.calls import numbers
from ringback.calls.rating import Deck
from ringback.errors import UsageError
from ringback.importers.asterisk_cdr import CallRow, Direction, direction, parse
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Importer, Options, Progress, Summary, watched
from ringback.services import Services
from ringback.store import billing, rates
from ringback.store.database import Database, Db, Taken
from ringback.store.parties import Parties, parties

BATCH = 2_000
ATTEMPTS = 5

HELP = (
    "Asterisk's cdr-csv/Master.csv, with 16 to 21 columns. Importing it again adds only what is new. A row is known by its "
    "whole line: the same calls written with other columns (Master.csv, then a shorter form of it) come in twice."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    who, deck = services.database.read(
        lambda db: (parties(db, customer_id, options.country), rates.deck(db, customer_id))
    )
    summary = options.summary()
    with watched(path, progress) as file:
        try:
            lines = parse(file, options)
        except ValueError as error:
            raise UsageError(f"The PBX's clock: {error}.") from None
        with _uncollected():
            while lot := list(islice(lines, BATCH)):
                _store(services, customer_id, list(_usable(lot, summary)), who, deck, summary)
    return summary


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows make no reference cycles; looking for some takes an eighth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _usable(lot: Sequence[CallRow | Refused], summary: Summary) -> Iterator[CallRow]:
    for row in lot:
        summary.read += 1
        if isinstance(row, Refused):
            summary.refuse(f"line {row.line_no}", row.reason, row.raw)
        else:
            summary.noted.update(row.warnings)
            yield row


def _store(
    services: Services, customer_id: int, lot: Sequence[CallRow], who: Parties, deck: Deck, summary: Summary
) -> None:
    """One transaction; once more when another import stored some of the rows meanwhile."""
    calls = {f"asterisk:{row.key}": row for row in lot}

    def work(db: Db) -> int:
        fresh = _unknown(db, customer_id, calls)
        billing.insert(db, customer_id, list(_hops(db, customer_id, fresh, who)), deck, services.clock())
        return len(fresh)

    new = _persistently(services.database, work)
    summary.new += new
    summary.known += len(lot) - new


def _persistently(database: Database, work: Any) -> int:
    for _ in range(ATTEMPTS - 1):
        try:
            return int(database.write(work))
        except Taken:
            continue
    return int(database.write(work))


def _unknown(db: Db, customer_id: int, calls: Mapping[str, CallRow]) -> dict[str, CallRow]:
    sql = f"SELECT source_key FROM cdrs WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    known = {row[0] for row in db.all(sql, {"customer": customer_id, "keys": list(calls)})}
    return {key: row for key, row in calls.items() if key not in known} if known else dict(calls)


def _hops(db: Db, customer_id: int, fresh: Mapping[str, CallRow], who: Parties) -> Iterator[dict[str, Any]]:
    """The CDRs of rows, each with its live id and its place in the tree of its call."""
    live_ids = dict(zip(fresh, db.new_ids("live", len(fresh)), strict=True)) if fresh else {}
    roots = _roots(db, customer_id, fresh, live_ids)
    for key, row in fresh.items():
        live_id = live_ids[key]
        call = _call(row)
        root = live_id if call is None else roots[call]
        yield {
            **_columns(row, who),
            "source_key": key,
            "live_id": live_id,
            "root_live_id": root,
            "parent_live_id": None if root == live_id else root,
        }


def _call(row: CallRow) -> str | None:
    return row.linked_id or row.uniqueid


def _roots(db: Db, customer_id: int, fresh: Mapping[str, CallRow], live_ids: Mapping[str, int]) -> dict[str, int]:
    """The live id of the root by call: of a row stored before, else of the first row of the first channel."""
    called = {call for row in fresh.values() if (call := _call(row)) is not None}
    sql = f"""
        SELECT uniqueid, min(root_live_id) FROM cdrs
        WHERE customer_id = :customer AND {db.among("uniqueid", "calls")} GROUP BY uniqueid
    """
    roots: dict[str, int] = dict(db.all(sql, {"customer": customer_id, "calls": sorted(called)}))
    for key, row in sorted(fresh.items(), key=lambda each: each[1].uniqueid != _call(each[1])):
        roots.setdefault(_call(row) or "", live_ids[key])
    return roots


def _columns(row: CallRow, who: Parties) -> dict[str, Any]:
    was = direction(row, who.extensions)
    src_id, src_name = _source(row, was, who)
    dst_id, dst_name = _destination(row, was, who)
    return {
        "calldate": row.started_at,
        "duration": row.duration_s,
        "billsec": row.billsec,
        "user_id": was.user_id,
        "type": was.type,
        "disposition": row.disposition,
        "destination": was.destination,
        "context": was.context,
        "clid": row.clid,
        "src_id": src_id,
        "src_name": src_name,
        "src": row.src,
        "dst_id": dst_id,
        "dst_name": dst_name,
        "dst": row.dst,
        "t_cause": row.t_cause,
        "info": row.user_field,
        "uniqueid": row.uniqueid,
    }


def _source(row: CallRow, was: Direction, who: Parties) -> tuple[str, str | None]:
    if was.src_user_id is not None:
        return str(was.src_user_id), who.user_names.get(was.src_user_id, row.src_name)
    contact_id, name = who.contacts.get(row.src or "", ("0", None))
    return contact_id, name or row.src_name


def _destination(row: CallRow, was: Direction, who: Parties) -> tuple[str | None, str | None]:
    """A user, a queue, a contact, somebody outside; null for what the PBX itself answered or nobody has."""
    if was.dst_user_id is not None:
        return str(was.dst_user_id), who.user_names.get(was.dst_user_id)
    known = who.queues.get(row.dst or "") or who.contacts.get(row.dst or "")
    if known is not None:
        return known
    outside = was.type == "O" and (row.dst_endpoint is not None or numbers.digits(row.dst or "", None) is not None)
    return ("0" if outside else None), None


ASTERISK_CDR = Importer("asterisk-cdr", HELP, run)
