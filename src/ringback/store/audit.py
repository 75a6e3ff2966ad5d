"""The audit log: append-only; who deleted, logged in or changed settings, when and from where."""

from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db


def note(db: Db, customer_id: int, *, at: int, action: str, **columns: Any) -> None:
    """Appends one entry. `columns`: user_id, user_name, object_class, object_id, ip, details (JSON text)."""
    rows.insert(db, schema.auditlog, customer_id, [{"created_at": at, "action": action, **columns}])
