"""Who the numbers of calls belong to: the customer's users, contacts and queues, read once for a lot of calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ringback.calls import numbers
from ringback.store.accounts import full_name
from ringback.store.database import Db

CONTACT = "contact:"
_PHONES = ("tel", "tel_1", "tel_2", "mobile", "mobile_1", "mobile_2")


@dataclass(frozen=True, slots=True)
class Parties:
    """`extensions`: user id by extension, which is the name of the endpoint too. `user_names`: by id. `contacts`, `queues`:
    (id as the API writes it, name) by number."""

    extensions: Mapping[str, int]
    user_names: Mapping[int, str]
    contacts: Mapping[str, tuple[str, str | None]]
    queues: Mapping[str, tuple[str, str | None]]


def parties(db: Db, customer_id: int, country: str | None) -> Parties:
    bound = {"customer": customer_id}
    users = db.all("SELECT id, ext, first_name, last_name FROM users WHERE customer_id = :customer ORDER BY id", bound)
    queues = db.all("SELECT id, number, name FROM queues WHERE customer_id = :customer ORDER BY id", bound)
    return Parties(
        extensions={ext: user_id for user_id, ext, _, _ in users if ext},
        user_names={user_id: name for user_id, _, first, last in users if (name := full_name(first, last))},
        contacts=_contacts(db, customer_id, country),
        queues={number: (f"Queue{queue_id}", name) for queue_id, number, name in queues if number},
    )


def _contacts(db: Db, customer_id: int, country: str | None) -> dict[str, tuple[str, str | None]]:
    """Those of all users only: whom one user knows privately is not for everybody who sees the call. The first wins."""
    phones = ", ".join(_PHONES)
    sql = f"""
        SELECT id, first_name, last_name, company, {phones} FROM contacts
        WHERE customer_id = :customer AND "global" = 1 ORDER BY id
    """
    found: dict[str, tuple[str, str | None]] = {}
    for contact_id, first, last, company, *written in db.all(sql, {"customer": customer_id}):
        for number in filter(None, written):
            found.setdefault(_key(number, country), (f"{CONTACT}{contact_id}", full_name(first, last) or company))
    return found


@lru_cache(maxsize=50_000)
def _key(number: str, country: str | None) -> str:
    """Kept, because programs that bring calls in one by one ask for the same contacts each time."""
    return numbers.digits(number, country) or numbers.normal(number)


@dataclass(frozen=True, slots=True)
class Named:
    """Which of the users and contacts that somebody names are the customer's."""

    users: frozenset[int]
    contacts: frozenset[int]


def named(db: Db, customer_id: int, users: Iterable[int], contacts: Iterable[int]) -> Named:
    return Named(_there(db, "users", customer_id, users), _there(db, "contacts", customer_id, contacts))


def _there(db: Db, table: str, customer_id: int, ids: Iterable[int]) -> frozenset[int]:
    asked = sorted(set(ids))
    sql = f"SELECT id FROM {table} WHERE customer_id = :customer AND {db.among('id', 'ids')}"
    return frozenset(row[0] for row in db.all(sql, {"customer": customer_id, "ids": asked})) if asked else frozenset()


def user_of(party: str | None) -> int | None:
    """The user that `src_id` or `dst_id` names; None for nobody of ours (0, a contact, a queue)."""
    return _id(party) or None if party is not None else None


def contact_of(party: str | None) -> int | None:
    """The contact that `src_id` or `dst_id` names."""
    return _id(party.removeprefix(CONTACT)) if party is not None and party.startswith(CONTACT) else None


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
