"""The lines of the account statement."""

from ringback.record import Id, Money, Record, Text, WireTime
from ringback.rest.access import Policy
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import listed
from ringback.rest.wipes import cleared
from ringback.store import messages, schema
from ringback.store.listing import Listing


class Statement(Record):
    id: Id
    created_at: WireTime
    description: Text
    amount: Money
    balance: Money
    """The account after this line."""
    cdr_id: Id | None


STATEMENTS = Resource(
    Listing("statements", Statement, schema.statements, newest="created_at"),
    own=Listing(
        "own statements",
        Statement,
        schema.statements,
        newest="created_at",
        where="t.cdr_id IN (SELECT p.cdr_id FROM cdr_parties p WHERE p.customer_id = :customer AND p.user_id = :me)",
    ),
    closed_by=frozenset({Policy.BILLING_DISABLED}),
)

ENDPOINTS = (
    listed("/statements", STATEMENTS, "The account statement; for a plain user the lines of own calls"),
    cleared("/statements", STATEMENTS, messages.delete_statements, 204, "Delete the lines that the filter matches"),
)
