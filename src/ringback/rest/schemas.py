"""JSON Schemas of the types in the endpoint rows: answers, request bodies, errors."""

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from ringback.query import OPERATORS
from ringback.record import Patch
from ringback.rest.bodies import MAX_ELEMENTS, fields_of
from ringback.rest.endpoint import Endpoint, Resource, Shape

Schema = dict[str, Any]
PREFIX = "#/components/schemas/"


def ref(name: str) -> Schema:
    return {"$ref": PREFIX + name}


class Schemas:
    """The components of a set of endpoints, and the schema of each type by reference to them."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        rows = list(endpoints)
        types = list(_unique(_types(rows)))
        found, components = msgspec.json.schema_components(types, ref_template=PREFIX + "{name}")
        self._of = {_key(each): _public(schema) for each, schema in zip(types, found, strict=True)}
        self.components: dict[str, Schema] = {name: _public(schema) for name, schema in components.items()}
        self.components.update(FIXED)
        for row in rows:
            if row.body is not None:
                self._add_body(row, row.body)
            if row.resource is not None:
                self._add_relations(row.resource)

    def _add_relations(self, resource: Resource) -> None:
        """With `include` an id in an answer becomes the object that it names, or the attributes asked for."""
        properties = self.components.get(resource.record.__name__, {}).get("properties", {})
        for name in resource.relations.keys() & properties.keys():
            properties[name] = _or_objects(properties[name])

    def answer(self, kind: Any) -> Schema:
        return {} if kind is None else self._of[_key(kind)]

    def body(self, row: Endpoint) -> Schema:
        """What the endpoint takes: on PATCH nothing is required, in bulk each element has its id."""
        if row.body is None:
            return {}
        name = ref(_body_name(row, row.body))
        return {"type": "array", "maxItems": MAX_ELEMENTS, "items": name} if row.bulk else name

    def parameters(self, row: Endpoint) -> list[Schema]:
        """What the query of an operation that is no list may and must have."""
        known = fields_of(row.parameters).items() if row.parameters is not None else ()
        return [
            {"name": name, "in": "query", "required": needed, "schema": self._union(hint)}
            for name, (hint, needed) in known
        ]

    def _add_body(self, row: Endpoint, patch: type[Patch]) -> None:
        """Attribute by attribute, as bodies are read: a union may hold what msgspec cannot tell apart as a whole."""
        known = fields_of(patch)
        properties = {name: self._union(hint) for name, (hint, _) in known.items()}
        required = [name for name, (_, needed) in known.items() if needed and row.method != "PATCH"]
        if row.bulk:
            properties, required = {"id": {"type": "integer", "minimum": 0}, **properties}, ["id"]
        schema: Schema = {"title": _body_name(row, patch), "type": "object", "properties": properties}
        if patch.LEAST:
            schema["minProperties"] = patch.LEAST
        self.components[schema["title"]] = {**schema, "required": required} if required else schema

    def _union(self, hint: Any) -> Schema:
        parts = [self._of[_key(part)] for part in _parts(hint)]
        return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _or_objects(schema: Schema) -> Schema:
    """Ids, or objects in their place; a schema that says so already stays as it is."""
    if "items" in schema:
        return {**schema, "items": _or_objects(schema["items"])}
    return schema if {"type": "object"} in schema.get("anyOf", []) else {"anyOf": [schema, {"type": "object"}]}


def _body_name(row: Endpoint, patch: type[Patch]) -> str:
    """One name for each of the three things that a body type is: a new record, a change, an element of many changes."""
    if row.bulk:
        return f"{patch.__name__}Element"
    needed = any(required for _, required in fields_of(patch).values())
    return f"{patch.__name__}Change" if row.method == "PATCH" and needed else patch.__name__


def _types(rows: Iterable[Endpoint]) -> Iterator[Any]:
    for row in rows:
        if row.shape is not Shape.FILE and row.answer is not None:
            yield row.answer
        for patch in filter(None, (row.body, row.parameters)):
            for hint, _ in fields_of(patch).values():
                yield from _parts(hint)


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _unique(types: Iterable[Any]) -> Iterator[Any]:
    yield from {_key(each): each for each in types}.values()


def _key(kind: Any) -> str:
    """Types of attributes need not be hashable; their texts tell them apart."""
    return repr(kind)


def _public(schema: Any) -> Any:
    """Without what only speaks to readers of the code (docstrings of types), and with the type of each enumeration."""
    if isinstance(schema, list):
        return [_public(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    content = {name: _public(each) for name, each in schema.items() if each != [] or name != "required"}
    if "title" in content:
        content.pop("description", None)
    values = content.get("enum")
    if isinstance(values, list) and "type" not in content and all(isinstance(each, str) for each in values):
        content = {"type": "string", **content}
    return content


def is_upload(row: Endpoint) -> bool:
    """Whether the body is audio: files, and the rows that PUT something without a body type."""
    return row.upload or (row.method == "PUT" and row.body is None)


_TEXT = {"type": "string"}

FIXED: Mapping[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {
            "message": {**_TEXT, "description": "What went wrong, for people."},
            "errors": {"type": "array", "items": ref("Fault"), "description": "Every fault of the request at once."},
        },
        "required": ["message", "errors"],
    },
    "Fault": {
        "type": "object",
        "properties": {
            "field": {"type": ["string", "null"], "description": "Path of the attribute, such as `[0].labels[2]`."},
            "message": _TEXT,
            "code": {**_TEXT, "description": "`SF0010`: the value is not valid. `AU1003`: the login failed."},
        },
        "required": ["field", "message", "code"],
    },
    "Filter": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "property": _TEXT,
                "operator": {**_TEXT, "enum": list(OPERATORS), "default": "eq"},
                "value": {"description": "A text, number, boolean or null; for `in` an array or comma-separated text."},
            },
            "required": ["property", "value"],
        },
    },
    "Dictionary": {
        "type": "object",
        "properties": {
            "property": {**_TEXT, "description": "The attribute."},
            "values": {
                "type": "array",
                "items": {"type": "object", "properties": {"id": _TEXT, "name": _TEXT}, "required": ["id", "name"]},
            },
        },
        "required": ["property", "values"],
    },
}
