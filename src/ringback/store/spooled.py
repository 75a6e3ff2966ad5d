"""Messages of a PBX's voicemail spool that are voice messages here: which is which, and in which folder both sides last had them.

The state of one is told by its voice message, or by the entry of the audio inbox that it still is.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ringback.store import inbox, outbox, rows, schema
from ringback.store.database import Db, first

SHELF = "voicemessages"


class Spooled(NamedTuple):
    """`place`: the mailbox in the spool. `folder`: agreed on. `was_here`: it became a voice message; `message_id`, `here`: of that and
    its folder, None without one. `is_entry`: its audio waits to be encoded, or cannot be."""

    source_key: str
    place: str
    folder: str
    was_here: bool
    message_id: int | None
    here: str | None
    is_entry: bool


_FOUND = """
    SELECT s.source_key, s.place, s.folder, s.was_here, v.id, v.folder, a.id IS NOT NULL FROM spooled s
    LEFT JOIN voicemessages v ON v.customer_id = s.customer_id AND v.source_key = s.source_key
    LEFT JOIN audio_inbox a ON a.customer_id = s.customer_id AND a.shelf = 'voicemessages' AND a.source_key = s.source_key
    WHERE s.customer_id = :customer AND s.pbx = :pbx
"""
_ONE = "customer_id = :customer AND pbx = :pbx AND source_key = :key"


def of_place(db: Db, customer_id: int, pbx: str, place: str) -> list[Spooled]:
    found = db.all(f"{_FOUND} AND s.place = :place", {"customer": customer_id, "pbx": pbx, "place": place})
    return [Spooled(row[0], row[1], row[2], bool(row[3]), row[4], row[5], bool(row[6])) for row in found]


def moved(db: Db, customer_id: int, pbx: str) -> set[str]:
    """The mailboxes with messages that were moved, deleted or encoded here, or whose entry is gone from the inbox."""
    moved = "AND (v.folder <> s.folder OR (v.id IS NULL AND a.id IS NULL) OR (v.id IS NOT NULL AND s.was_here = 0))"
    return {row[1] for row in db.all(f"{_FOUND} {moved}", {"customer": customer_id, "pbx": pbx})}


def change_numbers(db: Db, customer_id: int) -> tuple[Any, ...]:
    """Others when any voice message of the customer was changed, or an entry came into the inbox or left it."""
    number = rows.change_number_sql(schema.voicemessages)
    entries = "FROM audio_inbox WHERE customer_id = :customer AND shelf = 'voicemessages'"
    sql = f"SELECT {number}, (SELECT count(*) {entries}), (SELECT max(id) {entries})"
    return db.all(sql, {"customer": customer_id})[0]


def add(db: Db, customer_id: int, pbx: str, source_key: str, place: str, folder: str) -> None:
    """A message that was taken, or was known already."""
    row = {"pbx": pbx, "source_key": source_key, "place": place, "folder": folder}
    was_here = inbox.stored(db, customer_id, SHELF, source_key) is not None
    rows.insert(db, schema.spooled, customer_id, [{**row, "was_here": int(was_here)}])


def agree(db: Db, customer_id: int, pbx: str, source_key: str, changes: Mapping[str, Any]) -> None:
    """`changes`: of `place`, `folder`, `was_here`."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    db.run(
        f"UPDATE spooled SET {sets} WHERE {_ONE}", {**changes, "customer": customer_id, "pbx": pbx, "key": source_key}
    )


def forget(db: Db, customer_id: int, pbx: str, source_key: str) -> None:
    db.run(f"DELETE FROM spooled WHERE {_ONE}", {"customer": customer_id, "pbx": pbx, "key": source_key})


def put(db: Db, customer_id: int, known: Spooled, folder: str, *, is_new: bool) -> bool:
    """The voice message goes to that folder, unless somebody has moved it meanwhile."""
    assert known.message_id is not None, "what is moved is a voice message"
    rows.lock(db, schema.voicemessages, customer_id, [known.message_id])
    bound = {"customer": customer_id, "id": known.message_id}
    found = first(db, "SELECT folder FROM voicemessages WHERE customer_id = :customer AND id = :id", bound)
    if found is None or found[0] != known.here:
        return False
    rows.update(db, schema.voicemessages, customer_id, known.message_id, {"folder": folder, "is_new": int(is_new)})
    outbox.changed(db, customer_id, "voicemessage.updated", [known.message_id])
    return True
