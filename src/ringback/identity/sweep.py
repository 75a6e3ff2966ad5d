"""Removes what is over and would only pile up: expired tokens, challenges and shares, forgotten tries."""

from ringback.identity import throttle, tokens
from ringback.store import shares
from ringback.store.database import Database, Db


def sweep(database: Database, now: int) -> None:
    def work(db: Db) -> None:
        tokens.sweep(db, now)
        shares.sweep(db, now)
        db.run("DELETE FROM challenges WHERE expires_at <= :now", {"now": now})
        sql = "DELETE FROM throttles WHERE updated_at < :forget AND blocked_until <= :now"
        db.run(sql, {"forget": now - throttle.LONGEST_MEMORY_S, "now": now})

    database.write(work)
