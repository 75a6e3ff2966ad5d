"""`include=relation` and `fields[relation]=…`: ids in an answer become the objects that they name."""

from collections.abc import Mapping, Sequence
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
        related = _related(call, resource.relations[name], name, plain)
        beside = _beside(call, resource, name, plain)
        for record in plain:
            own = {each: beside.get((record["id"], each), {}) for each in _as_list(record[name])}
            found = {each: {**related[each], **own[each]} for each in own if each in related}
            record[name] = _replaced(record[name], found, query.fields.get(name))
    return plain


def _related(call: Call, resource: Resource, name: str, records: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    ids = sorted({each for record in records for each in _as_list(record[name])})
    seen = resource.seen_by(call.caller)
    found = call.services.lists.some(call.db, seen, call.bound(), ids, resource.hidden_from(call.caller))
    objects = [msgspec.json.decode(msgspec.json.encode(record)) for record in found]
    return {content["id"]: content for content in objects}


def _beside(
    call: Call, resource: Resource, name: str, records: Sequence[dict[str, Any]]
) -> Mapping[tuple[int, int], Mapping[str, Any]]:
    memberships = resource.memberships.get(name)
    return {} if memberships is None else memberships(call, [record["id"] for record in records])


def _as_list(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _replaced(value: Any, related: dict[int, dict[str, Any]], wanted: Sequence[str] | None) -> Any:
    objects = {each: _picked(related[each], wanted) for each in _as_list(value) if each in related}
    if isinstance(value, list):
        return [objects[each] for each in value if each in objects]
    return objects.get(value)


def _picked(content: dict[str, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    return {key: content[key] for key in wanted if key in content} if wanted else content
