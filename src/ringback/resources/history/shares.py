"""Shares: a call's ladder, text trace and capture file by a URL, for somebody who has no account.

A link shows what its user may see at the time: it ends with the user's account, with the call, and under a policy that
forbids exports. Why it shows nothing, nobody is told.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import Forbidden, NotFound
from ringback.identity import tokens
from ringback.record import Id, Kind, Patch, Record, Text, Wire, WireTime, time_text
from ringback.resources.history import ladder_page
from ringback.resources.history.cdrs import CDRS
from ringback.resources.history.ladders import as_page
from ringback.resources.history.traces import PCAP, TEXT, as_pcap, as_text, captured
from ringback.rest import replies
from ringback.rest.access import EVERYBODY, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import listed, removed
from ringback.store import audit, schema, whole_calls
from ringback.store import shares as store
from ringback.store.database import Db
from ringback.store.listing import Listing
from ringback.store.rows import DAY_S
from ringback.store.whole_calls import Capture

DAYS = 7


class Share(Record):
    """The link itself is shown once, to who makes it."""

    id: Id
    cdr_id: Id
    user_id: Id
    created_at: WireTime
    expires_at: WireTime


class ShareLink(Record):
    """`url` (relative to the server where `public_url` is not set) opens the call without an account."""

    id: Id
    url: Text
    expires_at: WireTime


class ShareBody(Patch):
    days: Annotated[int, Meta(ge=1, le=90, description="how long it works; 7"), Wire(Kind.INT)] | UnsetType = UNSET


ALL = Listing("shares", Share, schema.shares, newest="created_at")
SHARES = Resource(
    ALL, own=replace(ALL, name="own shares", where="t.user_id = :me"), closed_by=frozenset({Policy.EXPORT_DISABLED})
)


def _create(call: Call) -> replies.Reply:
    """The capture is read outside of the transaction that writes."""
    days = call.services.database.read(lambda db: _asked(db, call))
    token = tokens.new_token()
    expires_at = call.now + days * DAY_S
    share_id = call.services.database.write(lambda db: _added(db, call, token, expires_at, days))
    url = f"{call.services.settings.public_url.rstrip('/')}/share/{token}"
    return replies.item(ShareLink(share_id, url, time_text(expires_at) or ""), 201)


def _asked(db: Db, call: Call) -> int:
    call.transaction = db
    call.find(CDRS, call.path["id"])
    days = call.body(ShareBody).days
    captured(call, CDRS, whole_calls.of_cdr)
    return DAYS if days is UNSET else days


def _added(db: Db, call: Call, token: str, expires_at: int, days: int) -> int:
    call.transaction = db
    cdr_id = call.path["id"]
    share_id = store.add(
        db,
        call.customer_id,
        tokens.hash_of(token),
        cdr_id=cdr_id,
        user_id=call.caller.user_id,
        created_at=call.now,
        expires_at=expires_at,
    )
    call.audit("create", Share.__name__, share_id, cdr_id=cdr_id, days=days)
    return share_id


ENDPOINTS = (
    Endpoint(
        "POST",
        "/cdrs/{id}/share",
        "A URL that shows the call's signalling to somebody without an account",
        _create,
        Shape.ITEM,
        201,
        answer=ShareLink,
        body=ShareBody,
        work=Work.OWN,
        resource=SHARES,
        parent=CDRS,
    ),
    listed("/shares", SHARES, "The customer's share links; a plain user's own"),
    removed("/shares/{id}", SHARES, store.delete, "Revoke a share link at once", roles=EVERYBODY),
)

# -- what the links open, at the root -----------------------------------------------------------------------------------


def _page(call: Call, found: Capture) -> replies.Reply:
    token = call.path["token"]
    return as_page(found, {f"{token}/trace.txt": "Text trace", f"{token}/call.pcap": "Capture file (pcap)"})


def _text(_: Call, found: Capture) -> replies.Reply:
    return as_text(found)


def _pcap(_: Call, found: Capture) -> replies.Reply:
    return as_pcap(found, "call.pcap")


def _opened(call: Call, show: Callable[[Call, Capture], replies.Reply]) -> replies.Reply:
    database = call.services.database
    try:
        share, found = database.read(lambda db: _shared(db, call))
    except (NotFound, Forbidden):
        return _nothing()
    if call.method == "GET":
        database.write(lambda db: _note(db, call, share))
    reply = show(call, found)
    return replace(reply, headers={**ladder_page.headers(), **reply.headers, "Cache-Control": "private, no-store"})


def _shared(db: Db, call: Call) -> tuple[store.Share, Capture]:
    """What the link's user sees; NotFound or Forbidden when the link has ended, or the user may not see it any more."""
    share = store.of(db, tokens.hash_of(call.path["token"]), call.now)
    if share is None:
        raise NotFound
    caller = tokens.user(db, share.customer_id, share.user_id)
    if caller is None or not SHARES.closed_by.isdisjoint(caller.policies):
        raise Forbidden
    call.current, call.transaction = caller, db
    return share, captured(call, CDRS, whole_calls.of_cdr, share.cdr_id)


def _note(db: Db, call: Call, share: store.Share) -> None:
    """Who opened it is not known, only from where."""
    what = call.endpoint.path.removeprefix("/share/{token}").strip("/") or "ladder"
    details = json.dumps({"cdr_id": share.cdr_id, "file": what})
    told = {"object_class": Share.__name__, "object_id": share.id, "ip": call.ip, "details": details}
    audit.note(db, share.customer_id, at=call.now, action="open", **told)


def _nothing() -> replies.Reply:
    title = "There is nothing here"
    text = f"<header><h1>{title}</h1><p>This link does not exist, or it has ended.</p></header>"
    return replies.Reply(404, ladder_page.document(title, text), ladder_page.HTML, ladder_page.headers())


def _row(path: str, summary: str, media_type: str, show: Callable[[Call, Capture], replies.Reply]) -> Endpoint:
    handler = partial(_opened, show=show)
    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=media_type, open=True, work=Work.OWN)


PAGES = (
    _row("/share/{token}", "The ladder of a shared call", ladder_page.HTML, _page),
    _row("/share/{token}/trace.txt", "Its text trace", TEXT, _text),
    _row("/share/{token}/call.pcap", "Its capture file", PCAP, _pcap),
)
"""Not of the API: without a token of ours, at the root of the server."""
