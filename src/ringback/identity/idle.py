"""When each token was last used: kept in memory, written behind.

Every request resets its token's idle timer; writing that to the database each time would make every read a write. The time is
noted here and flushed about once a second, so that a crash ages a token by a second at most.
"""

import threading

from ringback.store.database import Database


class IdleTokens:
    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def last_used(self, token_hash: str, stored_at: int) -> int:
        return max(self._used.get(token_hash, 0), stored_at)

    def touch(self, token_hash: str, now: int, stored_at: int) -> None:
        if now > self.last_used(token_hash, stored_at):
            with self._lock:
                self._used[token_hash] = now

    def flush(self, database: Database) -> None:
        """Writes what has been noted since the last flush; what cannot be written stays for the next."""
        with self._lock:
            noted, self._used = self._used, {}
        if not noted:
            return
        rows = [{"hash": token_hash, "at": at} for token_hash, at in noted.items()]
        sql = "UPDATE tokens SET last_used_at = :at WHERE hash = :hash AND last_used_at < :at"
        try:
            database.write(lambda db: db.many(sql, rows))
        except BaseException:
            with self._lock:
                self._used = {**noted, **self._used}
            raise
