"""What PBXs say of users' phones, in the users' rows: `presence` and `nb_sip_locations`. Without a PBX both are unknown: null."""

from collections.abc import Mapping

from ringback.store import outbox, rows, schema
from ringback.store.database import Db

Told = tuple[str | None, int]
"""Presence and how many phones there are; no presence where no PBX knows the extension."""
UNKNOWN: Told = (None, 0)


def differing(db: Db, customer_id: int, told: Mapping[str, Told]) -> dict[int, Told]:
    """By user id, what is not as the rows have it. `told`: by extension."""
    sql = "SELECT id, ext, presence, nb_sip_locations FROM users WHERE customer_id = :customer"
    found = db.all(sql, {"customer": customer_id})
    return {
        user_id: wanted
        for user_id, ext, presence, locations in found
        if (wanted := told.get(ext or "", UNKNOWN)) != (presence, locations)
    }


def put(db: Db, customer_id: int, told: Mapping[str, Told]) -> dict[int, Told]:
    """Makes the rows so; returns what has changed, by user id."""
    changed = differing(db, customer_id, told)
    for user_id, (presence, locations) in sorted(changed.items()):
        columns = {"presence": presence, "nb_sip_locations": locations}
        rows.update(db, schema.users, customer_id, user_id, columns)
    outbox.changed(db, customer_id, "user.presence", sorted(changed))
    return changed
