"""Making customers and users: the one way, for the API, the command line and the demo.

Checking names, addresses and passwords is the caller's. `Taken` when an e-mail (anywhere) or an extension (of
this customer) is in use.
"""

from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db, folded, value


def create_customer(
    db: Db,
    *,
    name: str,
    cc: str,
    now: int,
    currency_iso: str = "EUR",
    language: str = "en",
    time_zone: str = "UTC",
) -> int:
    """`cc`: ISO 3166 country, which national numbers are read in. `now`: UTC seconds. Returns the id."""
    customer_id = db.new_ids("customers", 1)[0]
    row = {
        "id": customer_id,
        "name": name,
        "cc": cc,
        "currency_iso": currency_iso,
        "language": language,
        "time_zone": time_zone,
        "created_at": now,
    }
    db.load("customers", list(row), [list(row.values())])
    return customer_id


def customers(db: Db) -> set[int]:
    """The ids of all that are there."""
    return {row[0] for row in db.all("SELECT id FROM customers WHERE deleted_at IS NULL")}


def country_of(db: Db, customer_id: int) -> str | None:
    """The ISO 3166 country in which the customer dials."""
    country: str | None = value(db, "SELECT cc FROM customers WHERE id = :customer", {"customer": customer_id})
    return country


def extension_of(db: Db, customer_id: int, user_id: int) -> str | None:
    sql = "SELECT ext FROM users WHERE customer_id = :customer AND id = :id"
    found: str | None = value(db, sql, {"customer": customer_id, "id": user_id})
    return found


def full_name(first_name: str | None, last_name: str | None) -> str | None:
    """As it is shown; None for nobody who is named."""
    return " ".join(filter(None, (first_name, last_name))) or None


def create_user(
    db: Db,
    customer_id: int,
    *,
    email: str,
    first_name: str | None = None,
    last_name: str | None = None,
    ext: str | None = None,
    roles: str = '["user"]',
    password_hash: str | None = None,
    is_root: bool = False,
    now: int,
    **columns: Any,
) -> int:
    """`roles`: as stored, JSON text. Without `password_hash` the user cannot log in until one is set. `columns`: others of `users`."""
    row = {
        "email": email,
        "email_folded": folded(email),
        "first_name": first_name,
        "last_name": last_name,
        "ext": ext,
        "roles": roles,
        "password_hash": password_hash,
        "is_root": int(is_root),
        "created_at": now,
        "active": 1,
        "dnd": 0,
        "visited_apps": "[]",
        "two_factor_auth": 0,
        "nb_sip_locations": 0,
        **columns,
    }
    return rows.insert(db, schema.users, customer_id, [row])[0]
