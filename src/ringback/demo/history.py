"""What happened at the company besides its calls. There is no operation that makes these, so they are stored as the
connectors store them; each table only once."""

from collections.abc import Mapping
from typing import Any

from ringback.calls.persons import Person
from ringback.jobs import erase
from ringback.record import MONEY_UNIT
from ringback.services import Services
from ringback.store import billing, callbacks, cdrs, messages, rows, schema
from ringback.store.database import Db, value

HOUR = 3_600
VISITOR = {
    "ip": "198.51.100.23",
    "country": "GB",
    "city": "Leeds",
    "ua": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
}


def happened(services: Services, customer_id: int, users: Mapping[str, int]) -> None:
    now = services.clock()

    def work(db: Db) -> None:
        _sms(db, customer_id, users, now)
        _chats(db, customer_id, users, now)
        _callback(db, customer_id, users, now)

    services.database.write(work)


def _is_empty(db: Db, customer_id: int, table: str) -> bool:
    sql = f'SELECT 1 FROM "{table}" WHERE customer_id = :customer LIMIT 1'
    return value(db, sql, {"customer": customer_id}) is None


def _sms(db: Db, customer_id: int, users: Mapping[str, int], now: int) -> None:
    if not _is_empty(db, customer_id, "sms"):
        return
    dave = {"user_id": users["104"]}
    ours = {"from": "442079460104", "from_id": str(users["104"]), "from_name": "Dave Harper"}
    theirs = {"to": "447700900118", "to_id": "0", "to_name": "Tom Adeyemi"}
    back = {"from": "447700900118", "from_id": "0", "from_name": "Tom Adeyemi"}
    dave_got = {"to": "442079460104", "to_id": str(users["104"]), "to_name": "Dave Harper"}
    asked = "Your repair, ticket 7419, is ready for collection."
    thanks = "Thank you, I will be there at five."
    sent = {
        **dave,
        **ours,
        **theirs,
        "message": asked,
        "type": "O",
        "result": "DELIVERED",
        "created_at": now - 3 * HOUR,
    }
    got = {
        **dave,
        **back,
        **dave_got,
        "message": thanks,
        "type": "I",
        "result": "RECEIVED",
        "created_at": now - 2 * HOUR,
    }
    messages.add_sms(db, customer_id, [sent, got])


def _chats(db: Db, customer_id: int, users: Mapping[str, int], now: int) -> None:
    if not _is_empty(db, customer_id, "chats"):
        return
    website_id = value(
        db, "SELECT min(id) FROM callmeback_settings WHERE customer_id = :customer", {"customer": customer_id}
    )
    began = now - 5 * HOUR
    visitor = {f"visitor_{name}": VISITOR[name] for name in ("ip", "country", "city", "ua")}
    chat = {
        **visitor,
        "visitor_id": "v1",
        "visitor_name": "Priya",
        "visitor_referer": "https://shop.harbour-bicycles.example/touring",
        "created_at": began,
        "duration": 240,
        "operator_id": users["101"],
        "website_id": website_id,
        "state": "ENDED",
    }
    left = {
        **visitor,
        "visitor_name": "Tom",
        "visitor_email": "tom@cyclist.example",
        "visitor_page": "https://shop.harbour-bicycles.example/workshop",
        "created_at": began - HOUR,
        "website_id": website_id,
        "state": "OFFLINE",
    }
    left_id, chat_id = messages.add_chats(db, customer_id, [left, chat])
    alice = (str(users["101"]), "Alice Novak")
    priya, tom = (messages.OUTSIDE, "Priya"), (messages.OUTSIDE, "Tom")
    bob = (str(users["102"]), "Bob Okafor")
    said = (
        _message(chat_id, priya, alice, "Do you have the touring bicycle in green?", began + 20),
        _message(chat_id, alice, priya, "From next week on. Shall I put one aside for you?", began + 65),
        _message(chat_id, priya, alice, "Yes please!", began + 90),
        _message(left_id, tom, (None, None), "Nobody there? Please write when my wheel is true again.", began - HOUR),
        _message(None, alice, bob, "Can you order two green frames?", began + 400),
    )
    messages.add_chatmsgs(db, customer_id, said)


def _message(
    chat_id: int | None, by: tuple[str, str], to: tuple[str, str] | tuple[None, None], text: str, at: int
) -> dict[str, Any]:
    parties = {"from_id": by[0], "from_name": by[1], "to_id": to[0], "to_name": to[1]}
    return {"chat_id": chat_id, **parties, "message": text, "created_at": at, "read_at": at + 5}


def paid(services: Services, customer_id: int) -> None:
    """Money on the account, before calls are charged to it."""

    def work(db: Db) -> None:
        if _is_empty(db, customer_id, "statements"):
            billing.credit(db, customer_id, 50 * MONEY_UNIT, "Payment", services.clock())

    services.database.write(work)


def _callback(db: Db, customer_id: int, users: Mapping[str, int], now: int) -> None:
    """A visitor of the web shop asked to be called, and was."""
    if not _is_empty(db, customer_id, "callmeback_visitors"):
        return
    setting_id = value(
        db, "SELECT min(id) FROM callmeback_settings WHERE customer_id = :customer", {"customer": customer_id}
    )
    at, number = now - 6 * HOUR, "447700900118"
    call = {
        "calldate": at + 60,
        "duration": 95,
        "billsec": 88,
        "user_id": users["101"],
        "type": "O",
        "disposition": "CONNECTED",
        "destination": "callmeback",
        "context": "PSTN_CALL",
        "src": "101",
        "src_id": str(users["101"]),
        "src_name": "Alice Novak",
        "dst": number,
        "dst_id": "0",
        "dst_name": "Tom Adeyemi",
        "rate": 150,
        "charge": 225,
        "t_cause": "Normal Clearing",
    }
    (cdr_id,) = cdrs.insert(db, customer_id, [call])
    page = "https://shop.harbour-bicycles.example/workshop"
    shared = {"setting_id": setting_id, "created_at": at, "number": number, "cdr_id": cdr_id}
    visitor = {**VISITOR, **shared, "name": "Tom", "page": page, "state": "ENDED"}
    (visitor_id,) = callbacks.add_visitors(db, customer_id, [visitor])
    callbacks.add_requests(db, customer_id, [{**shared, "visitor_id": visitor_id, "state": "ENDED"}])
    callbacks.seen_on(db, customer_id, setting_id, "shop.harbour-bicycles.example", at)


def forgotten(services: Services, customer_id: int, someone: Person) -> None:
    """A person whom nobody knew: done at once, not by a job that would take later exports along."""
    row = {
        "kind": someone.kind,
        "fingerprint": erase.fingerprint(services.database, someone),
        "state": erase.WAITING,
        "created_at": services.clock(),
    }

    def work(db: Db) -> int | None:
        return (
            rows.insert(db, schema.erasures, customer_id, [row])[0] if _is_empty(db, customer_id, "erasures") else None
        )

    erasure_id = services.database.write(work)
    if erasure_id is not None:
        erase.erase(services, customer_id, erasure_id, someone)
