"""CDRs with what hangs on each: the users it belongs to, and the index of parts of numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ringback.store import cdr_channels, cdr_links, mailbox_calls, recordings, rows, schema
from ringback.store.database import Db
from ringback.store.parties import contact_of, user_of

_INDEXED = "INSERT INTO cdr_numbers (rowid, src, dst) VALUES (:id, :src, :dst)"
_UNINDEXED = "INSERT INTO cdr_numbers (cdr_numbers, rowid, src, dst) VALUES ('delete', :id, :src, :dst)"
_NOBODY = {None, 0}
_HUNG_ON = ("id", "calldate", "user_id", "src_id", "src", "dst_id", "dst")
_COLUMNS = frozenset(schema.columns(schema.cdrs))
_LINKED = (
    schema.monitors,
    schema.msdrs,
    schema.statements,
    schema.callmeback_visitors,
    schema.callmeback_requests,
)


def insert(db: Db, customer_id: int, cdrs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Inserts CDRs (columns of `schema.cdrs`; `live_id` and `root_live_id` are made where missing); returns their ids."""
    fresh = iter(db.new_ids("live", sum(cdr.get("live_id") is None for cdr in cdrs)))
    full = [_complete(cdr, fresh) for cdr in cdrs]
    ids = rows.insert(db, schema.cdrs, customer_id, full)
    for cdr, cdr_id in zip(full, ids, strict=True):
        cdr["id"] = cdr_id
    parties = [party for cdr in full for party in _parties(cdr)]
    rows.insert(db, schema.cdr_parties, customer_id, parties)
    if db.engine == "sqlite":
        db.many(_INDEXED, full)
    cdr_links.link_near(db, customer_id, full)
    recordings.link(db, customer_id, (cdr.get("uniqueid") for cdr in full))
    mailbox_calls.link(db, customer_id, full)
    _note_last_calls(db, customer_id, full)
    return ids


def _complete(cdr: Mapping[str, Any], fresh: Iterable[int]) -> dict[str, Any]:
    live_id = cdr.get("live_id")
    if live_id is None:
        live_id = next(iter(fresh))
    is_root = cdr.get("parent_live_id") is None
    return {
        "labels": "[]",
        "nb_notes": 0,
        "source_key": f"live:{live_id}",
        "src": None,
        "dst": None,
        **cdr,
        "live_id": live_id,
        "root_live_id": live_id if is_root else cdr.get("root_live_id"),
        "is_root": int(is_root),
    }


def _parties(cdr: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The users to whom a CDR belongs: its user, and the users that its source and destination are."""
    users = {cdr.get("user_id"), user_of(cdr.get("src_id")), user_of(cdr.get("dst_id"))} - _NOBODY
    return [{"user_id": user, "calldate": cdr["calldate"], "cdr_id": cdr["id"]} for user in users]


def _note_last_calls(db: Db, customer_id: int, cdrs: Sequence[Mapping[str, Any]]) -> None:
    """A contact knows when it last had a call. In the order of their ids, so that two transactions cannot block each other."""
    latest: dict[int, int] = {}
    for cdr in cdrs:
        for party in (cdr.get("src_id"), cdr.get("dst_id")):
            contact = contact_of(party)
            if contact is not None:
                latest[contact] = max(latest.get(contact, 0), cdr["calldate"])
    sql = (
        "UPDATE contacts SET last_call_at = :at WHERE customer_id = :customer AND id = :id"
        " AND (last_call_at IS NULL OR last_call_at < :at)"
    )
    db.many(sql, [{"customer": customer_id, "id": contact, "at": at} for contact, at in sorted(latest.items())])


def amend(db: Db, customer_id: int, cdr_id: int, changes: Mapping[str, Any]) -> None:
    """Changes a CDR with all that hangs on its columns."""
    bound = {"customer": customer_id, "id": cdr_id}
    rows.lock(db, schema.cdrs, customer_id, [cdr_id])
    sql = f"SELECT {', '.join(_HUNG_ON)} FROM cdrs WHERE customer_id = :customer AND id = :id"
    before = dict(zip(_HUNG_ON, db.all(sql, bound)[0], strict=True))
    own = {name: each for name, each in changes.items() if name in _COLUMNS}
    if db.engine == "sqlite":
        db.many(_UNINDEXED, [before])
        db.many(_INDEXED, [{**before, **own}])
    rows.update(db, schema.cdrs, customer_id, cdr_id, own)
    rows.delete_where(db, schema.cdr_parties, customer_id, "customer_id = :customer AND cdr_id = :id", bound)
    rows.insert(db, schema.cdr_parties, customer_id, _parties({**before, **own}))


def delete(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Deletes CDRs and their notes. Recordings, MSDRs, statement lines and what led to a callback stay, unlinked."""
    bound = {"customer": customer_id, "ids": list(ids)}
    if db.engine == "sqlite":
        numbers = db.all(f"SELECT id, src, dst FROM cdrs WHERE {rows.by_ids(db)}", bound)
        db.many(_UNINDEXED, [{"id": row[0], "src": row[1], "dst": row[2]} for row in numbers])
    rows.delete(db, schema.cdrs, customer_id, ids)  # first, as `insert` does: counters are taken in one order
    linked = db.among("cdr_id", "ids")
    rows.delete_where(db, schema.cdr_parties, customer_id, f"customer_id = :customer AND {linked}", bound)
    cdr_channels.forget(db, customer_id, ids)
    db.run(f"DELETE FROM cdr_notes WHERE customer_id = :customer AND {linked}", bound)
    for table in _LINKED:
        if db.run(f"UPDATE {table.name} SET cdr_id = NULL WHERE customer_id = :customer AND {linked}", bound):
            rows.changed(db, table, customer_id)


def count_notes(db: Db, customer_id: int, cdr_id: int, n: int) -> None:
    """Notes were added to (1) or taken from (-1) a CDR: within the same transaction."""
    sql = "UPDATE cdrs SET nb_notes = nb_notes + :n WHERE customer_id = :customer AND id = :id"
    db.run(sql, {"customer": customer_id, "id": cdr_id, "n": n})
    rows.changed(db, schema.cdrs, customer_id)
