"""Answers: the two envelopes, empty answers, files, and the one shape of an error."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ringback.errors import RingbackError
from ringback.rest.outlets import Outlet

JSON = "application/json"
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. A body that is an iterator is streamed."""

    status: int
    body: bytes | Iterator[bytes] = b""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    outlet: Outlet | None = None
    """What goes on being sent; then there is no body."""
    cors: Mapping[str, str] | None = None
    """What pages of other origins may read, where that is not what they may of the API."""


def data(content: Any, status: int = 200) -> Reply:
    """Any JSON value as it is (login, ping)."""
    return Reply(status, _encode(content), JSON)


def item(record: Any, status: int = 200) -> Reply:
    return Reply(status, _encode({"data": record, "links": {}}), JSON)


def collection(records: Sequence[Any], total: int) -> Reply:
    return Reply(200, _encode({"data": records, "total": total}), JSON)


def empty(status: int = 204) -> Reply:
    return Reply(status)


def problem(error: RingbackError) -> Reply:
    faults = [{"field": fault.field, "message": fault.message, "code": fault.code} for fault in error.faults]
    body = _encode({"message": error.message, "errors": faults})
    return Reply(error.status, body, JSON, dict(error.headers))
