"""Files out of the object store: whole, or the one range that a player asks for (RFC 9110 section 14)."""

import re

from ringback.blobs import BlobMissing
from ringback.errors import NotFound, RangeNotSatisfiable
from ringback.record import Id, Name, Patch
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.replies import Reply
from ringback.store.database import Db, first

MP3 = "audio/mpeg"
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.I | re.A)


class LinkParameters(Patch):
    """What a signed URL has, for readers of the OpenAPI document; without them it opens nothing (403)."""

    customer: Id
    expires: Id
    signature: Name


def audio(call: Call, key: str, size: int) -> Reply:
    """The blob of `size` bytes as MP3. NotFound when it has gone; RangeNotSatisfiable with the size in Content-Range."""
    return blob(call, key, size, MP3)


def blob(
    call: Call, key: str, size: int, media_type: str, *, etag: str | None = None, name: str | None = None
) -> Reply:
    """A blob as a file. `etag`: changes whenever the bytes do, so that a broken download can go on under If-Range.
    `name`: what the file is called where it is saved."""
    span = _span(call, size, etag)
    start, stop = span or (0, size)
    headers = {"Content-Length": str(stop - start), "Cache-Control": "private", "Accept-Ranges": "bytes"}
    if etag is not None:
        headers["ETag"] = etag
    if name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    try:
        body = call.services.blobs.read(key, start, stop - start)
    except BlobMissing:
        raise NotFound("The file is not there any more.") from None
    return Reply(200 if span is None else 206, body, media_type, headers)


def played(path: str, resource: Resource, summary: str) -> Endpoint:
    """The audio of a record whose table has `blob_key` and `size`, for whoever may see the record."""

    def handler(call: Call) -> Reply:
        def find(db: Db) -> tuple[str, int]:
            call.transaction = db
            call.find(resource, call.path["id"])
            return place(db, resource, call.customer_id, call.path["id"])

        return audio(call, *call.services.database.read(find))

    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=MP3, work=Work.OWN, resource=resource)


def place(db: Db, resource: Resource, customer_id: int, record_id: int) -> tuple[str, int]:
    """Where the audio of a record is, and its size; NotFound without such a record."""
    assert resource.listing.table is not None
    sql = f'SELECT blob_key, size FROM "{resource.listing.table.name}" WHERE customer_id = :customer AND id = :id'
    row = first(db, sql, {"customer": customer_id, "id": record_id})
    if row is None:
        raise NotFound
    return row[0], row[1]


def _span(call: Call, size: int, etag: str | None) -> tuple[int, int] | None:
    """The half-open range asked for; None for the whole: no range, several, another unit, a malformed one.

    A range counts for GET only (section 14.2), and under If-Range (section 13.1.5) only of the file that the reader began.
    """
    text = call.headers.get("range", "")
    match = _RANGE.fullmatch(text)
    if match is None or call.method != "GET" or call.headers.get("if-range", etag) != etag:
        return None
    first_, last = (int(part) if part else None for part in match.groups())
    if first_ is None:
        return None if last is None else _suffix(last, size)
    if last is not None and last < first_:
        return None
    if first_ >= size:
        raise _outside(size)
    return first_, size if last is None else min(last + 1, size)


def _suffix(length: int, size: int) -> tuple[int, int]:
    if not length or not size:
        raise _outside(size)
    return max(size - length, 0), size


def _outside(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(headers=[("Content-Range", f"bytes */{size}")])
