"""`ddis`: the numbers under which a company is called, out of a CSV.

A number goes through the checks of `POST /ddis`. An import adds: a number that is there already stays as it is.
"""

from pathlib import Path
from typing import Any

import msgspec

from ringback.calls.numbers import digits
from ringback.errors import Fault, Invalid
from ringback.importers import headed
from ringback.importers.headed import Row
from ringback.importers.importer import Importer, Options, Progress, Summary, Unusable
from ringback.resources.customer import ddis
from ringback.rest import bodies
from ringback.services import Services
from ringback.store.database import Db, folded, value

HELP = (
    "A CSV of numbers whose first line names the columns: e164, number (as people write it), destination (the e-mail address or "
    "extension of a user, the name of a queue, or any text). Import users before."
)
_WORDINGS = {
    "e164": ("e164", "ddi", "did", "didnumber", "destinationnumber", "phonenumber"),
    "number": ("number", "name", "description", "destinationdescription"),
    "destination": ("destination", "user", "queue"),
}


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    def store(row: Row) -> bool:
        given = row.pick(_WORDINGS)
        if "e164" not in given and "number" in given:
            given["e164"] = given["number"]
        return add(services, customer_id, given, options.country)

    return headed.take(path, options, progress, (*_WORDINGS["e164"], "number"), store)


def add(services: Services, customer_id: int, given: dict[str, Any], country: str | None) -> bool:
    """Stores a number from attributes as `POST /ddis` takes them, where `destination` may name a user or a queue; False when
    the number is known. Unusable says why not."""
    try:
        patch = bodies.decode(msgspec.json.encode(given), ddis.DdiPatch, partial=False, ignored=())
        e164 = digits(patch.e164, country)

        def work(db: Db) -> bool:
            if _is_known(db, customer_id, e164):
                return False
            resolved = _resolved(db, customer_id, patch.given())
            ddis.save(db, customer_id, None, resolved, country)
            return True

        return services.database.write(work)
    except Invalid as error:
        raise Unusable(headed.reason(error.faults, given)) from None


def _is_known(db: Db, customer_id: int, e164: str | None) -> bool:
    sql = "SELECT 1 FROM ddis WHERE customer_id = :customer AND e164 = :e164"
    return value(db, sql, {"customer": customer_id, "e164": e164}) is not None


def _resolved(db: Db, customer_id: int, given: dict[str, Any]) -> dict[str, Any]:
    """`destination` as the API means it: the id of a user, `Queue<id>`, or the text itself."""
    text = given.get("destination")
    if not text:
        return given
    bound = {"customer": customer_id, "text": text, "folded": folded(text)}
    user = value(db, _USER, bound)
    queue = value(db, _QUEUE, bound)
    if user is None and queue is None and "@" in text:
        raise Invalid(faults=[Fault("destination", "There is no such user.")])
    found = str(user) if user is not None else f"Queue{queue}" if queue is not None else text
    return {**given, "destination": found}


_USER = """
    SELECT id FROM users WHERE customer_id = :customer AND (email_folded = :folded OR ext = :text)
    ORDER BY email_folded = :folded DESC LIMIT 1
"""
_QUEUE = "SELECT id FROM queues WHERE customer_id = :customer AND fold(name) = :folded ORDER BY id LIMIT 1"

DDIS = Importer("ddis", HELP, run)
