"""What calls cost, and the customer's account: rated by the deck, one line a charged call, a running balance.

`customers.balance` and the last line of the statement move in one transaction, with the customer's row locked: so the lines,
in the order of their ids and of their dates, add up to the balance after each of them. A line's date is the end of its call,
but never before the line before it; what is imported late is booked late.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ringback.calls.numbers import digits
from ringback.calls.rating import Deck, Rate, charge
from ringback.store import cdrs as store
from ringback.store import messages, rates
from ringback.store.database import Db, first, value
from ringback.store.parties import CONTACT

BILLED_AS = "billed_as"
"""The key under which a rated CDR carries the name of its destination, until it is billed; no column."""
INSIDE = frozenset({"USER_LOCAL", "IVR", "QUEUE", "CONFERENCE", "VOICEMAIL", "TEST_CALL"})
"""Contexts of calls that do not leave the PBX, whatever was dialled."""
LONGEST_S = 10_000_000
"""A longer call (115 days) is a fault of its source, and costs nothing: no charge may leave the range of 64 bits."""


class Line(NamedTuple):
    """A line to be booked. `at`: when it came about. `amount`: negative for what the customer pays."""

    at: int
    description: str
    amount: int
    cdr_id: int | None = None


def public_number(cdr: Mapping[str, Any]) -> str | None:
    """The E.164 digits that an outbound call went to; None for calls that cost nothing: inbound, or within the PBX."""
    dst_id = cdr.get("dst_id")
    if cdr["type"] != "O" or cdr["context"] in INSIDE or not cdr.get("dst") or cdr["billsec"] > LONGEST_S:
        return None
    if dst_id is not None and dst_id != messages.OUTSIDE and not dst_id.startswith(CONTACT):
        return None
    return _public(cdr["dst"])


@lru_cache(maxsize=32_768)
def _public(number: str) -> str | None:
    return digits(number, None)


def rate_of(deck: Deck, cdr: Mapping[str, Any]) -> Rate | None:
    """The rate of an outbound call to a public number; None for every other call, and where the deck has none."""
    number = public_number(cdr)
    return None if number is None else deck.find(number)


def deck_for(db: Db, customer_id: int, cdrs: Iterable[Mapping[str, Any]]) -> Deck:
    """The rates that these few CDRs need."""
    found = (public_number(cdr) for cdr in cdrs if cdr.get("charge") is None)
    numbers = {number for number in found if number is not None}
    return rates.deck_for(db, customer_id, numbers) if numbers else Deck()


def rate(deck: Deck, cdr: Mapping[str, Any]) -> Mapping[str, Any]:
    """The columns of a CDR with `rate`, `charge` and, where nobody better is known, `dst_name` by the deck.

    Those of a CDR that brings its own charge, or that the deck has no rate for, stay as they are.
    """
    found = rate_of(deck, cdr) if cdr.get("charge") is None else None
    if found is None:
        return cdr
    return {
        **cdr,
        "rate": found.price,
        "charge": charge(found, cdr["billsec"]),
        "dst_name": cdr.get("dst_name") or found.destination,
        BILLED_AS: found.destination,
    }


def rated(deck: Deck, cdrs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """`rate` of each; nothing to do without rates."""
    return [rate(deck, cdr) for cdr in cdrs] if deck else cdrs


def insert(db: Db, customer_id: int, cdrs: Sequence[Mapping[str, Any]], deck: Deck, now: int) -> list[int]:
    """`cdrs.insert` for CDRs that come from outside: rated, and billed. Returns their ids.

    `deck`: the customer's, from `rates.deck` or, for a few CDRs, `deck_for`. Whoever writes other CDRs in the same
    transaction does so before `bill`, and calls the three one by one.
    """
    full = rated(deck, cdrs)
    ids = store.insert(db, customer_id, full)
    bill(db, customer_id, ids, full, now)
    return ids


def bill(db: Db, customer_id: int, ids: Sequence[int], cdrs: Sequence[Mapping[str, Any]], now: int) -> None:
    """Books what `rated` charged for CDRs of these ids, in the order in which the calls ended."""
    lines = [
        Line(cdr["calldate"] + cdr["duration"], of_call(cdr, cdr[BILLED_AS]), -cdr["charge"], cdr_id)
        for cdr_id, cdr in zip(ids, cdrs, strict=True)
        if BILLED_AS in cdr and cdr["charge"]
    ]
    if lines:
        book(db, customer_id, sorted(lines, key=lambda line: line.at), now)


def of_call(cdr: Mapping[str, Any], destination: str) -> str:
    minutes, seconds = divmod(cdr["billsec"], 60)
    return f"Call to {cdr['dst']} ({destination}), {minutes}:{seconds:02}"


def credit(db: Db, customer_id: int, amount: int, description: str, now: int) -> int:
    """Books a payment, or with a negative amount a debit; returns the balance. The first opens the account."""
    rates.open_account(db, customer_id)
    return book(db, customer_id, [Line(now, description, amount)], now)


def book(db: Db, customer_id: int, lines: Sequence[Line], now: int) -> int:
    """Appends lines in this order, and moves the balance; returns it. CDRs are written before: locks are taken in one order."""
    balance = _locked_balance(db, customer_id)
    at = _last_date(db, customer_id)
    booked = []
    for line in lines:
        balance += line.amount
        at = max(at, min(line.at, now))
        fixed = {"created_at": at, "description": line.description, "amount": line.amount, "cdr_id": line.cdr_id}
        booked.append({**fixed, "balance": balance})
    messages.add_statements(db, customer_id, booked)
    db.run(
        "UPDATE customers SET balance = :balance WHERE id = :customer", {"customer": customer_id, "balance": balance}
    )
    return balance


def _locked_balance(db: Db, customer_id: int) -> int:
    """The balance, which nobody else moves until the end of this transaction. SQLite has one writer, and needs nothing."""
    lock = " FOR UPDATE" if db.engine == "postgres" else ""
    row = first(db, f"SELECT balance FROM customers WHERE id = :customer{lock}", {"customer": customer_id})
    return row[0] or 0 if row else 0


def _last_date(db: Db, customer_id: int) -> int:
    sql = "SELECT created_at FROM statements WHERE customer_id = :customer ORDER BY created_at DESC, id DESC LIMIT 1"
    return value(db, sql, {"customer": customer_id}) or 0
