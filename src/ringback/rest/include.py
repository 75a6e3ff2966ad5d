"""`include=relation` and `fields[relation]=…`: ids in an answer become the objects that they name."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ringback.query import Query
from ringback.record import Record
from ringback.rest.endpoint import Call, Resource


def expanded(call: Call, resource: Resource, records: Sequence[Record], query: Query) -> Sequence[Any]:
    """The records, with each included attribute's id or ids replaced by the related objects that the caller may see."""
    if not query.include:
        return records
    plain = [msgspec.json.decode(msgspec.json.encode(record)) for record in records]
    for name in query.include:
        related = _related(call, resource.relations[name], name, plain, query)
        for record in plain:
            record[name] = _replaced(record[name], related)
    return plain


def _related(
    call: Call, resource: Resource, name: str, records: Sequence[dict[str, Any]], query: Query
) -> dict[int, dict[str, Any]]:
    ids = sorted({each for record in records for each in _as_list(record[name])})
    seen = resource.seen_by(call.caller)
    found = call.services.lists.some(call.db, seen, call.bound(), ids, resource.hidden_from(call.caller))
    wanted = query.fields.get(name)
    objects = {}
    for record in found:
        content = msgspec.json.decode(msgspec.json.encode(record))
        objects[content["id"]] = {key: content[key] for key in wanted if key in content} if wanted else content
    return objects


def _as_list(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _replaced(value: Any, related: dict[int, dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [related[each] for each in value if each in related]
    return related.get(value) if value is not None else None
