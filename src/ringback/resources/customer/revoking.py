"""Ending a session or an API token by its handle."""

from collections.abc import Sequence
from dataclasses import dataclass

from ringback.errors import Forbidden
from ringback.identity import tokens
from ringback.rest.endpoint import Call
from ringback.store.database import first


@dataclass(frozen=True, slots=True)
class Found:
    hash: str
    id: int
    user_id: int
    name: str | None


def find(call: Call, kinds: Sequence[str], named: str) -> Found | None:
    """The customer's session or token of this handle or, for who has it, of the token itself."""
    sql = f"""
        SELECT hash, id, user_id, name FROM tokens
        WHERE customer_id = :customer AND {call.db.among("kind", "kinds")} AND (handle = :named OR hash = :hash)
    """
    bound = {"customer": call.customer_id, "kinds": list(kinds), "named": named, "hash": tokens.hash_of(named)}
    row = first(call.db, sql, bound)
    return None if row is None else Found(*row)


def revoke(call: Call, found: Found, object_class: str) -> None:
    """Forbidden for another's, unless the caller is an administrator."""
    if found.user_id != call.caller.user_id and not call.caller.is_administrator:
        raise Forbidden
    tokens.end(call.db, call.customer_id, found.hash)
    call.audit("revoke", object_class, found.id, user_id=found.user_id, name=found.name)
