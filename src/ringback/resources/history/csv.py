"""CDRs as CSV (RFC 4180): every match in order, streamed, safe to open in a spreadsheet, and readable back without loss."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ringback.query import Query, parse
from ringback.record import MONEY_UNIT, Attribute, Kind, time_text
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.replies import Reply
from ringback.services import Services
from ringback.store.database import Row
from ringback.store.listing import Listing

MEDIA_TYPE = "text/csv; charset=utf-8"
_QUOTE = '"'
_SPECIAL = re.compile(r'[,"\r\n]')
_FORMULA = frozenset("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")
"""The last four are the first in full width, which East Asian spreadsheets take for the same."""


def neutral(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one `'` in front, which an importer strips again."""
    return f"'{text}" if text[:1] in _FORMULA else text


def exported(path: str, resource: Resource, summary: str) -> Endpoint:
    def handler(call: Call) -> Reply:
        return stream(call, resource, resource.seen_by(call.caller))

    return Endpoint(
        "GET",
        path,
        summary,
        handler,
        Shape.FILE,
        answer=MEDIA_TYPE,
        work=Work.OWN,
        resource=resource,
        closed_by=frozenset({Policy.EXPORT_DISABLED}),
    )


def stream(call: Call, resource: Resource, listing: Listing, **bound: Any) -> Reply:
    """Filter and sort as on the list; limit and page are ignored. Errors come before the first byte, as JSON."""
    hidden = resource.hidden_from(call.caller)
    wanted = [(name, value) for name, value in call.params if name in ("filter", "sort", "dir")]
    query = parse(wanted, resource.usable_by(call.caller))
    chunks = written(call.services, listing, call.bound(**bound), query, hidden)
    first = next(chunks)
    headers = {"Content-Disposition": 'attachment; filename="cdrs.csv"', "Cache-Control": "private"}
    return Reply(200, _joined(first, chunks), MEDIA_TYPE, headers)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def written(
    services: Services, listing: Listing, bound: Mapping[str, Any], query: Query, hidden: frozenset[str]
) -> Iterator[bytes]:
    """The header with the first rows, then lots of rows."""
    with services.lists.stream(services.database, listing, bound, query, hidden) as lots:
        yield from of_lots(listing, lots)


def of_lots(listing: Listing, lots: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """The header with the first lot of database rows, then the others."""
    attributes = list(listing.attributes().values())
    text = lines([[each.name for each in attributes]])
    for rows in lots:
        yield (text + lines(cells(rows, attributes))).encode()
        text = ""
    if text:
        yield text.encode()


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Cells as CSV."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def cells(rows: Sequence[Row], attributes: Sequence[Attribute]) -> Iterable[Sequence[Any]]:
    """Database values as cells, column by column: each kind has one conversion for all its rows."""
    columns = zip(attributes, zip(*rows, strict=True), strict=True)
    return zip(*(_column(attribute, column) for attribute, column in columns), strict=True)


@lru_cache(maxsize=256)
def _list_cell(text: str) -> str:
    """Texts with commas between; one that holds a comma, a quote or a line end is quoted as a cell would be."""
    return ",".join(
        f'"{each.replace(_QUOTE, 2 * _QUOTE)}"' if _SPECIAL.search(each) else each for each in json.loads(text)
    )


def _column(attribute: Attribute, values: Sequence[Any]) -> Sequence[Any]:
    match attribute.kind:
        case Kind.TIME:
            return [time_text(value) for value in values]
        case Kind.MONEY:
            return [None if value is None else value / MONEY_UNIT for value in values]
        case Kind.BOOL:
            return ["true" if value else "false" for value in values]
        case Kind.LIST:
            return [neutral(_list_cell(value)) if value else value for value in values]
        case Kind.INT | Kind.ENUM:
            return values
        case _:
            return [f"'{value}" if value and value[0] in _FORMULA else value for value in values]
