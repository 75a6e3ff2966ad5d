"""Audio that came in and is no recording or voice message yet: it waits to be encoded, or is broken and stays to be seen.

An entry has the columns of the row that it becomes, with its id, and the key of the audio as it came. Entries of imports
are only ever broken and have no audio here: the file stays where it was.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ringback.store import mailbox_calls, outbox, recordings, rows, schema
from ringback.store.database import Db, first, value

State = Literal["waiting", "broken"]
WAITING: Final = "waiting"
BROKEN: Final = "broken"
SHELVES = {"monitors": schema.monitors, "voicemessages": schema.voicemessages}
"""What audio becomes: the table of its row, and the folder of its MP3."""


@dataclass(frozen=True, slots=True)
class Entry:
    customer_id: int
    id: int
    shelf: str
    source_key: str
    row: Mapping[str, Any]
    name: str
    state: State
    blob_key: str | None
    error: str | None

    @property
    def mp3_key(self) -> str:
        return mp3_key(self.customer_id, self.shelf, self.row["id"])


def mp3_key(customer_id: int, shelf: str, row_id: int) -> str:
    return f"{customer_id}/{shelf}/{row_id}.mp3"


def add(
    db: Db,
    customer_id: int,
    shelf: str,
    row: Mapping[str, Any],
    *,
    name: str,
    now: int,
    entry_id: int | None = None,
    blob_key: str | None = None,
    error: str | None = None,
) -> int:
    """`row`: the columns of the row to be, with `id` and `source_key`. With an `error` it is broken. Raises Taken when
    its source has an entry."""
    entry = {
        "shelf": shelf,
        "source_key": row["source_key"],
        "row": json.dumps(row),
        "name": name,
        "state": WAITING if error is None else BROKEN,
        "blob_key": blob_key,
        "error": error,
        "created_at": now,
    }
    own_id = {} if entry_id is None else {"id": entry_id}
    return rows.insert(db, schema.audio_inbox, customer_id, [{**entry, **own_id}])[0]


_ENTRY = (
    "SELECT id, shelf, source_key, row, name, state, blob_key, error FROM audio_inbox WHERE customer_id = :customer"
)


def of_id(db: Db, customer_id: int, entry_id: int) -> Entry | None:
    return _entry(customer_id, first(db, f"{_ENTRY} AND id = :id", {"customer": customer_id, "id": entry_id}))


def of_source(db: Db, customer_id: int, shelf: str, source_key: str) -> Entry | None:
    bound = {"customer": customer_id, "shelf": shelf, "key": source_key}
    return _entry(customer_id, first(db, f"{_ENTRY} AND shelf = :shelf AND source_key = :key", bound))


def _entry(customer_id: int, found: tuple[Any, ...] | None) -> Entry | None:
    if found is None:
        return None
    entry_id, shelf, source_key, row, *rest = found
    return Entry(customer_id, entry_id, shelf, source_key, json.loads(row), *rest)


def stored(db: Db, customer_id: int, shelf: str, source_key: str) -> int | None:
    """The id of the row that came of a source already."""
    sql = f'SELECT id FROM "{SHELVES[shelf].name}" WHERE customer_id = :customer AND source_key = :key'
    found: int | None = value(db, sql, {"customer": customer_id, "key": source_key})
    return found


def is_row(db: Db, customer_id: int, shelf: str, row_id: int) -> bool:
    return rows.exists(db, SHELVES[shelf], customer_id, row_id)


def become(db: Db, entry: Entry, found: Mapping[str, Any]) -> None:
    """The entry goes and its row comes, with what was `found` (duration, size). Raises Taken when its source has a row."""
    rows.delete(db, schema.audio_inbox, entry.customer_id, [entry.id])
    insert(db, entry.customer_id, entry.shelf, {**entry.row, **found, "blob_key": entry.mp3_key})
    outbox.changed(db, entry.customer_id, f"{entry.shelf.removesuffix('s')}.created", [entry.row["id"]])


def insert(db: Db, customer_id: int, shelf: str, row: Mapping[str, Any]) -> None:
    """The row of stored audio. Raises Taken when its source has one."""
    if shelf == "monitors":
        recordings.insert(db, customer_id, row)
    else:
        mailbox_calls.insert(db, customer_id, row)


def mark(db: Db, customer_id: int, entry_id: int, state: State, error: str | None) -> None:
    rows.update(db, schema.audio_inbox, customer_id, entry_id, {"state": state, "error": error})


def counts(db: Db) -> dict[str, int]:
    """How many entries of all customers there are in each state."""
    return {WAITING: 0, BROKEN: 0} | dict(db.all("SELECT state, count(*) FROM audio_inbox GROUP BY state"))
