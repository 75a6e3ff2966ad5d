"""API tokens: made by a user for a program, shown once, kept as hashes (what clients rely on; not in the reference pages)."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import Forbidden, NotFound
from ringback.identity import tokens
from ringback.record import Column, Count, Flag, Id, Name, Patch, Record, RequiredName, WireTime, time_text
from ringback.resources.customer import revoking
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import list_of
from ringback.store import schema
from ringback.store.database import value
from ringback.store.listing import Listing


class ApiToken(Record):
    """`token` is the token itself in the answer of POST, and afterwards a handle that names it and opens nothing.

    `ingest`: it opens /ingest, and nothing but that.
    """

    id: Id
    name: Name
    token: Annotated[Name, Column("t.handle")]
    user_id: Id
    expiry: Annotated[Count | None, Column("t.expiry_s")]
    created_at: WireTime
    last_used_at: WireTime
    ingest: Annotated[Flag, Column(f"CASE WHEN t.kind = '{tokens.INGEST}' THEN 1 ELSE 0 END")]


class ApiTokenBody(Patch):
    """`expiry`: seconds without a request after which the token dies; 0 or null: never."""

    name: Annotated[RequiredName, Meta(description="one of a name per user")]
    expiry: (
        Annotated[Count, Meta(description="seconds without a request after which the token ends; 0 or null: never")]
        | UnsetType
        | None
    ) = UNSET
    ingest: (
        Annotated[Flag, Meta(description="opens /ingest and nothing else; for administrators to make")] | UnsetType
    ) = UNSET


_KINDS = (tokens.API, tokens.INGEST)
_LIVE = f"t.kind IN {_KINDS} AND (t.expiry_s IS NULL OR :now - t.last_used_at <= t.expiry_s)"

OWN = Listing("own apitokens", ApiToken, schema.tokens, where=f"{_LIVE} AND t.user_id = :me")
APITOKENS = Resource(Listing("apitokens", ApiToken, schema.tokens, where=_LIVE), own=OWN)


def _list(call: Call) -> replies.Reply:
    """One's own. Programs delete what they find under their name, so an administrator must ask for others by user_id."""
    asked = {condition.attribute.name for condition in call.query(APITOKENS).conditions}
    listing = APITOKENS.seen_by(call.caller) if "user_id" in asked else OWN
    return list_of(call, APITOKENS, listing, now=call.now)


def _create(call: Call) -> replies.Reply:
    body, caller = call.body(ApiTokenBody), call.caller
    expiry = None if body.expiry is UNSET else body.expiry or None
    is_ingest = body.ingest is True
    if is_ingest and not caller.is_administrator:
        raise Forbidden("Administrators make the tokens that bring calls in.")
    _free(call, body.name)
    kind = tokens.INGEST if is_ingest else tokens.API
    token, handle = tokens.add(
        call.db, caller.customer_id, caller.user_id, kind=kind, expiry_s=expiry, now=call.now, name=body.name
    )
    sql = "SELECT id FROM tokens WHERE customer_id = :customer AND handle = :handle"
    token_id: int = value(call.db, sql, {"customer": caller.customer_id, "handle": handle})
    call.audit("create", "ApiToken", token_id, name=body.name)
    at = time_text(call.now) or ""
    return replies.item(ApiToken(token_id, body.name, token, caller.user_id, expiry, at, at, is_ingest), 201)


def _free(call: Call, name: str) -> None:
    """A dead token is in no list, so nobody could delete it: its name is free even before the sweep takes it."""
    sql = """
        SELECT hash, expiry_s, last_used_at FROM tokens
        WHERE customer_id = :customer AND user_id = :user AND name = :name AND expiry_s IS NOT NULL
    """
    bound = {"customer": call.customer_id, "user": call.caller.user_id, "name": name}
    for token_hash, expiry_s, stored_at in call.db.all(sql, bound):
        if call.now - call.services.idle.last_used(token_hash, stored_at) > expiry_s:
            tokens.end(call.db, call.customer_id, token_hash)


def _delete(call: Call) -> replies.Reply:
    found = revoking.find(call, _KINDS, call.path["token"])
    if found is None:
        raise NotFound
    revoking.revoke(call, found, "ApiToken")
    return replies.empty()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/apitokens",
        "The caller's API tokens; administrators may filter by user_id for those of others",
        _list,
        Shape.COLLECTION,
        answer=ApiToken,
        resource=APITOKENS,
    ),
    Endpoint(
        "POST",
        "/apitokens",
        "Make an API token; this answer alone shows it",
        _create,
        Shape.ITEM,
        201,
        answer=ApiToken,
        body=ApiTokenBody,
        work=Work.WRITE,
        resource=APITOKENS,
    ),
    Endpoint(
        "DELETE",
        "/apitokens/{token}",
        "End an API token, by its handle or itself",
        _delete,
        Shape.EMPTY,
        204,
        work=Work.WRITE,
    ),
)
