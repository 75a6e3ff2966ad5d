"""Tickets: each opens one stream, within half a minute. For browsers, which can send no header with one, and whose URLs are no
place for a token. What a ticket opened lives as long as the token that asked for it."""

from ringback.errors import Unauthorized
from ringback.identity import tokens
from ringback.rest.access import Caller
from ringback.store import rows, schema
from ringback.store.database import Db, value

LIFE_S = 30
KIND = "ticket"
NOT_GOOD = "This ticket is unknown, was used, or is older than 30 seconds. POST /events/tickets gives a new one."


def issue(db: Db, caller: Caller, now: int) -> tuple[str, int]:
    """A ticket, and when it ends."""
    ticket = tokens.new_token()
    row = {
        "hash": tokens.hash_of(ticket),
        "user_id": caller.user_id,
        "kind": KIND,
        "secret": caller.token_hash,
        "tries": 0,
        "expires_at": now + LIFE_S,
    }
    rows.insert(db, schema.challenges, caller.customer_id, [row])
    return ticket, now + LIFE_S


def redeem(db: Db, ticket: str, now: int) -> str:
    """Ends the ticket; returns the hash of the token that asked for it."""
    sql = """
        DELETE FROM challenges WHERE hash = :hash AND kind = :kind AND expires_at > :now RETURNING secret
    """
    found: str | None = value(db, sql, {"hash": tokens.hash_of(ticket), "kind": KIND, "now": now})
    if found is None:
        raise Unauthorized(NOT_GOOD)
    return found
