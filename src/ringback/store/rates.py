"""The rate deck of a customer in the database: as a whole, for some numbers, and how rates come in."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ringback.calls.numbers import calling_code
from ringback.calls.rating import Deck, Rate, prefixes
from ringback.store import rows, schema
from ringback.store.database import Db

FEW_NUMBERS = 200  # from there on the whole deck is read faster than the prefixes of each number

_COLUMNS = "prefix, destination, price_micro, minimum_s, increment_s"
_PUT = """
    INSERT INTO rates (id, customer_id, prefix, destination, price_micro, minimum_s, increment_s)
    VALUES (:id, :customer, :prefix, :destination, :price_micro, :minimum_s, :increment_s)
    ON CONFLICT (customer_id, prefix) DO UPDATE SET destination = excluded.destination,
        price_micro = excluded.price_micro, minimum_s = excluded.minimum_s, increment_s = excluded.increment_s
"""


class Put(NamedTuple):
    new: int
    changed: int
    known: int


def deck(db: Db, customer_id: int) -> Deck:
    """All of the customer's rates: once for an import, not for a request."""
    sql = f"SELECT {_COLUMNS} FROM rates WHERE customer_id = :customer"
    return Deck(Rate(*row) for row in db.all(sql, {"customer": customer_id}))


def deck_for(db: Db, customer_id: int, numbers: Collection[str]) -> Deck:
    """The rates that calls to these numbers (E.164 digits) may have; of a few numbers without reading the whole deck."""
    distinct = set(numbers)
    if len(distinct) > FEW_NUMBERS:
        return deck(db, customer_id)
    wanted = sorted({prefix for number in distinct for prefix in prefixes(number)})
    return Deck(_of(db, customer_id, wanted))


def _of(db: Db, customer_id: int, wanted: Sequence[str]) -> list[Rate]:
    sql = f"SELECT {_COLUMNS} FROM rates WHERE customer_id = :customer AND {db.among('prefix', 'prefixes')}"
    return [Rate(*row) for row in db.all(sql, {"customer": customer_id, "prefixes": list(wanted)})]


def unpriced(db: Db, customer_id: int, countries: Iterable[str]) -> list[str]:
    """Those of the countries (alpha-2) whose code begins no rate, so that no number there has a price; all of them without rates."""
    sql = "SELECT DISTINCT substr(prefix, 1, 3) FROM rates WHERE customer_id = :customer"
    known = [prefix for (prefix,) in db.all(sql, {"customer": customer_id})]

    def has_rate(country: str) -> bool:
        code = calling_code(country)
        return any(prefix.startswith(code) or code.startswith(prefix) for prefix in known)

    return [each for each in countries if not has_rate(each)]


def put(db: Db, customer_id: int, rates: Sequence[Rate]) -> Put:
    """Adds rates, or changes those whose prefix is there; each prefix once. With its first rate a customer has a balance."""
    there = {rate.prefix: rate for rate in _of(db, customer_id, [rate.prefix for rate in rates])}
    written = [rate for rate in rates if there.get(rate.prefix) != rate]
    ids = db.new_ids(schema.rates.name, len(written)) if written else []
    ordered = sorted(written)  # two imports at once take the rows in one order
    db.many(
        _PUT,
        [{"id": row_id, "customer": customer_id, **rate._asdict()} for row_id, rate in zip(ids, ordered, strict=True)],
    )
    open_account(db, customer_id)
    changed = sum(rate.prefix in there for rate in written)
    return Put(len(written) - changed, changed, len(rates) - len(written))


def open_account(db: Db, customer_id: int) -> None:
    """From here on there is a balance: 0, unless there was one."""
    db.run("UPDATE customers SET balance = 0 WHERE id = :customer AND balance IS NULL", {"customer": customer_id})


def delete(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """The account and what was charged stay."""
    rows.delete(db, schema.rates, customer_id, ids)
