"""`contacts`: address books as CSV (ours, Google's, Outlook's) or vCard become contacts of the whole company.

A card is known by its UID, a row and a card without one by what it says. An import adds: what is known stays as it is here,
also when the file says something else now, and calls that came before keep the names that they have.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ringback.errors import Invalid
from ringback.importers import contact_cards, contact_rows, headed, vcard
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Importer, Options, Progress, Summary, watched
from ringback.record import json_text
from ringback.resources.customer import contacts
from ringback.rest import bodies
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Database, Db, persistently

BATCH = 500

HELP = (
    "An address book: vCard (.vcf, 2.1 to 4.0, one or many cards), or a CSV as Google and Outlook export it or with the names of "
    "our attributes in its first line. Everybody of the customer sees the contacts."
)


class Entry(NamedTuple):
    """`given`: attributes as `POST /contacts` takes them. `uid`: what the source calls the contact, if it does."""

    where: str
    given: dict[str, Any]
    uid: str | None = None
    raw: bytes | None = None


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    with path.open("rb") as file:
        is_vcard = re.match(rb"\xef\xbb\xbf?\s*BEGIN:VCARD|\s*BEGIN:VCARD", file.read(1_024), re.IGNORECASE)
    with watched(path, progress) as opened:
        entries = _cards(vcard.read(opened), summary) if is_vcard else _rows(opened, summary)
        columns = _checked(entries, services.clock(), summary)
        while lot := list(islice(columns, BATCH)):
            new = _store(services.database, customer_id, lot)
            summary.new += new
            summary.known += len(lot) - new
    if not summary.read:
        summary.refuse(str(path), "there is no contact in it")
    return summary


def _cards(cards: Iterator[vcard.Card | Refused], summary: Summary) -> Iterator[Entry | Refused]:
    for card in cards:
        if isinstance(card, Refused):
            yield card
        elif contact_cards.is_group(card):
            yield Refused(card.line_no, "a group of contacts, no contact", b"")
        else:
            given, left_out = contact_cards.contact(card)
            summary.noted.update(left_out)
            yield Entry(f"line {card.line_no}", given, contact_cards.uid(card))


def _rows(file: Any, summary: Summary) -> Iterator[Entry | Refused]:
    for row in headed.read(file, contact_rows.NEEDED):
        if isinstance(row, Refused):
            yield row
        else:
            given, left_out = contact_rows.contact(row)
            summary.noted.update(left_out)
            yield Entry(f"line {row.line_no}", given, raw=row.line)


def _checked(entries: Iterator[Entry | Refused], now: int, summary: Summary) -> Iterator[dict[str, Any]]:
    """The columns of those that may come in."""
    for entry in entries:
        summary.read += 1
        if isinstance(entry, Refused):
            summary.refuse(f"line {entry.line_no}", entry.reason, entry.raw)
        elif not any(entry.given.get(name) for name in _IDENTIFYING):
            summary.refuse(entry.where, "neither a name nor a number", entry.raw)
        else:
            try:
                yield {**_columns(entry.given), "source_key": source_key(entry), "created_at": now}
            except Invalid as error:
                summary.refuse(entry.where, headed.reason(error.faults, entry.given), entry.raw)


_IDENTIFYING = ("first_name", "last_name", "company", "email", *contacts.NUMBERS)


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    patch = bodies.decode(msgspec.json.encode(given), contacts.ContactPatch, partial=False, ignored=())
    return {"labels": "[]", "internal": 0, **contacts.columns_of(patch.given()), "global": 1}


def source_key(entry: Entry) -> str:
    said = f"uid:{entry.uid}" if entry.uid else json_text(sorted(entry.given.items())) or ""
    return f"contact:{blake2b(said.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def _store(database: Database, customer_id: int, lot: list[dict[str, Any]]) -> int:
    """How many of them were new."""
    return persistently(
        database, partial(_insert, customer_id=customer_id, lot={row["source_key"]: row for row in lot})
    )


def _insert(db: Db, customer_id: int, lot: Mapping[str, dict[str, Any]]) -> int:
    sql = f"SELECT source_key FROM contacts WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    known = {row[0] for row in db.all(sql, {"customer": customer_id, "keys": list(lot)})}
    return len(rows.insert(db, schema.contacts, customer_id, [row for key, row in lot.items() if key not in known]))


CONTACTS = Importer("contacts", HELP, run)
