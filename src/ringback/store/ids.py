"""Ids that come from elsewhere: a restored or copied row keeps its own, and ours go on beyond it."""

from ringback.store.database import Db

MARGIN = 1_000  # other connections may be taking ids meanwhile; PostgreSQL's sequences have no lock


def skip_to(db: Db, name: str, last: int) -> None:
    """From now on `Db.new_ids(name, …)` gives ids above `last`; never lower ones than before."""
    if db.engine == "sqlite":
        db.run("UPDATE sequences SET next = max(next, :next) WHERE name = :name", {"next": last + 1, "name": name})
    else:
        sql = f"SELECT setval('{name}_ids', :beyond) FROM {name}_ids WHERE last_value <= :last"
        db.all(sql, {"beyond": last + MARGIN, "last": last})
