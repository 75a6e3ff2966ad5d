"""The facts of the reference pages, the rows of the API, and what `docs/deviations.md` says about the difference."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ringback.record import Kind, attributes
from ringback.resources import ENDPOINTS
from ringback.rest.bodies import fields_of
from ringback.rest.endpoint import Endpoint, Shape

HERE = Path(__file__).parent
DEVIATIONS = HERE.parents[1] / "docs" / "deviations.md"

ENVELOPES = {Shape.ITEM: "item", Shape.COLLECTION: "collection", Shape.DICTIONARY: "collection", Shape.EMPTY: "empty"}
TYPES = {Kind.INT: "int", Kind.BOOL: "bool", Kind.MONEY: "float"}


@dataclass(frozen=True)
class Operation:
    """One operation as a reference page has it; `sample_attributes` are names with the JSON type of the sample."""

    module: str
    method: str
    path: str
    bulk: bool
    path_params: list[str]
    body: list[str]
    statuses: list[int]
    envelope: str
    sample_attributes: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def row(self) -> Endpoint | None:
        return ROWS.get((self.method, self.path))


ROWS = {(row.method, row.path): row for row in ENDPOINTS}
OPERATIONS = [Operation(**each) for each in json.loads((HERE / "operations.json").read_text())]


def differences(operation: Operation) -> set[str]:
    """In which respects the row leaves the page: status, envelope, bulk, body, record."""
    row = operation.row
    if row is None:
        return {"missing"}
    body = set(fields_of(row.body)) | ({"id"} if row.bulk else set()) if row.body is not None else set()
    found = {
        "status": min(operation.statuses) != row.status,
        "envelope": operation.envelope != ENVELOPES.get(row.shape, "other"),
        "bulk": operation.bulk != row.bulk,
        "body": not set(operation.body) <= body,
        "record": row.shape is not Shape.FILE and not set(operation.sample_attributes) <= set(record_types(row)),
    }
    return {name for name, differs in found.items() if differs}


def type_differences() -> Iterator[tuple[str, str]]:
    """(record, attribute) whose JSON type is not that of the sample, over the samples that show the right record."""
    for operation in OPERATIONS:
        if operation.row is None or operation.row.shape is Shape.FILE or "record" in differences(operation):
            continue
        ours = record_types(operation.row)
        for name, theirs in operation.sample_attributes.items():
            if ours[name] != theirs:
                yield operation.row.answer.__name__, name


def record_types(row: Endpoint) -> dict[str, str]:
    """The attributes of a row's record with their JSON types; none for answers that are no record."""
    if row.shape not in (Shape.ITEM, Shape.COLLECTION) or row.answer is None:
        return {}
    hints = get_type_hints(row.answer, include_extras=True)
    wire = dict(zip(row.answer.__struct_encode_fields__, row.answer.__struct_fields__, strict=True))
    known = attributes(row.answer)
    return {name: _type_of(known[name].kind, hints[wire[name]]) for name in known}


def _type_of(kind: Kind, hint: Any) -> str:
    if kind is not Kind.JSON:
        return TYPES.get(kind, "str")
    while get_origin(hint) not in (list, dict) and get_args(hint):
        hint = get_args(hint)[0]
    return "list" if get_origin(hint) is list else "dict"


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of `docs/deviations.md`, code marks taken away."""
    _, _, after = DEVIATIONS.read_text().partition(f"## {heading}\n")
    section = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return cells[2:]
