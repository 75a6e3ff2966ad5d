"""`POST /ingest/cdrs`: programs bring CDRs in, a line each, and may send them again until they are acknowledged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from typing import Any, TypeVar

from ringback.errors import Fault, Invalid, TooLarge
from ringback.record import Count, Record
from ringback.resources.history.cdrs import Cdr
from ringback.resources.ingest.hops import Home, Hop, columns, faults
from ringback.rest import bodies, replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store import accounts
from ringback.store import hops as store
from ringback.store.database import Db, persistently
from ringback.store.parties import contact_of, named, parties, user_of

T = TypeVar("T")

NDJSON = "application/x-ndjson"
MAX_LINES = 10_000
_READ_ONLY = Cdr.__struct_encode_fields__


class Told(Record):
    """One thing wrong with a line, as in the answer of an error."""

    field: str | None
    message: str
    code: str


class RefusedLine(Record):
    """A line that was not stored: its number from 1 on, its key where it has one, why in words, and everything wrong."""

    line: int
    key: str | None
    message: str
    errors: list[Told]


class Ingested(Record):
    """`new` lines were stored, `known` ones had been before, and both are on disk. `refused` ones are not stored."""

    new: Count
    known: Count
    refused: list[RefusedLine]


@dataclass(slots=True)
class _Line:
    number: int
    content: Any = None
    hop: Hop | None = None
    faults: list[Fault] = field(default_factory=list)
    message: str = ""


def _ingest(call: Call) -> replies.Reply:
    lines = list(_checked(_lines(call)))
    if not any(isinstance(line.content, dict) for line in lines):
        told = [fault for line in lines for fault in line.faults][: bodies.MAX_FAULTS]
        raise Invalid("Nothing here can be read: send a JSON object in each line.", told or [Fault(None)])
    home = call.services.database.read(lambda db: _home(db, call.customer_id, lines))
    for line in lines:
        if line.hop is not None:
            line.faults.extend(faults(line.hop, home))
    good = [columns(line.hop, home) for line in lines if line.hop is not None and not line.faults]
    new = _stored(call, good)
    refused = [_refused(line) for line in lines if line.faults]
    return replies.item(Ingested(new, len(good) - new, refused))


def _lines(call: Call) -> Iterable[_Line]:
    """NDJSON unless the media type says JSON: then one object, or an array of them."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() == replies.JSON:
        content = bodies.parsed(call.raw)
        objects = content if isinstance(content, list) else [content]
        return [_Line(*each) for each in _some(enumerate(objects, start=1))]
    texts = enumerate(BytesIO(call.raw.removeprefix(b"\xef\xbb\xbf")), start=1)
    return [_parsed(*each) for each in _some(each for each in texts if each[1].strip())]


def _some(lines: Iterable[T]) -> list[T]:
    """Counted before they are read: of a body of the largest size, a million lines would take a minute and gigabytes."""
    found = list(islice(lines, MAX_LINES + 1))
    if len(found) > MAX_LINES:
        raise TooLarge(f"At most {MAX_LINES} lines are taken at once.")
    return found


def _parsed(number: int, text: bytes) -> _Line:
    try:
        return _Line(number, bodies.parsed(text))
    except Invalid as error:
        return _Line(number, faults=[Fault(None, error.message.replace("The body", "The line", 1))])


def _checked(lines: Iterable[_Line]) -> Iterator[_Line]:
    """After a thousand faults each line has its first one only: an answer must not be many times the size of its request."""
    found = 0
    for line in lines:
        _check(line)
        if found >= bodies.MAX_FAULTS:
            del line.faults[1:]
            line.message = ""
        found += len(line.faults)
        yield line


def _check(line: _Line) -> None:
    if line.faults:
        return
    if not isinstance(line.content, dict):
        line.faults.append(Fault(None, "The line must be a JSON object."))
        return
    try:
        line.hop = bodies.checked(line.content, Hop, partial=False, ignored=_READ_ONLY)
    except Invalid as error:
        line.faults.extend(error.faults)
        line.message = error.message


def _home(db: Db, customer_id: int, lines: Sequence[_Line]) -> Home:
    country = accounts.country_of(db, customer_id)
    hops = [line.hop for line in lines if line.hop is not None]
    sides = [side for hop in hops for side in (hop.src_id or None, hop.dst_id or None)]
    users = [*map(user_of, sides), *(hop.user_id or None for hop in hops)]
    return Home(
        country, parties(db, customer_id, country), named(db, customer_id, _ids(users), _ids(map(contact_of, sides)))
    )


def _ids(found: Iterable[int | None]) -> Iterator[int]:
    return (each for each in found if each is not None)


def _stored(call: Call, hops: Sequence[dict[str, Any]]) -> int:
    """How many were new."""
    return persistently(call.services.database, lambda db: store.add(db, call.customer_id, hops, call.now))


def _refused(line: _Line) -> RefusedLine:
    key = line.content.get("key") if isinstance(line.content, dict) else None
    told = [Told(fault.field, fault.message, fault.code) for fault in line.faults]
    message = line.message or "; ".join(
        f"{each.field}: {each.message}" if each.field else each.message for each in told
    )
    return RefusedLine(line.number, key[:200] if isinstance(key, str) else None, message, told)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/ingest/cdrs",
        "Store CDRs, a JSON object in each line; those whose key is known are not stored again",
        _ingest,
        Shape.ITEM,
        answer=Ingested,
        ingest=True,
        takes=NDJSON,
        work=Work.OWN,
    ),
)
