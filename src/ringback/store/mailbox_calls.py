"""Which call left a voice message: the only one of its caller that a mailbox had answered at that second.

Asterisk's spool says who called and when the recording began, and does not name the call. Either may come in first. What
cannot be told without doubt stays without a call.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db

SLACK_S = 3
"""Between the clock of a call record, whole seconds, and that of a message."""
LONGEST_S = 7_200
MAILBOX = "VM"

_CALLS = """
    SELECT live_id, parent_live_id, user_id = :user OR dst_id = :user_text,
        dst_id IS NULL AND (user_id IS NULL OR src_id = CAST(user_id AS TEXT)) FROM cdrs
    WHERE customer_id = :customer AND calldate BETWEEN :earliest AND :latest AND calldate + duration >= :over
    AND disposition = :mailbox AND src = :caller
"""
_LOOSE = """
    SELECT id, extension_id, caller, origtime FROM voicemessages
    WHERE customer_id = :customer AND origtime BETWEEN :first AND :last AND live_id IS NULL AND caller IS NOT NULL
    ORDER BY id
"""


def insert(db: Db, customer_id: int, message: Mapping[str, Any]) -> None:
    """Inserts a voice message, linked when its call is there. Raises Taken when its source is known.

    CDRs are counted first, as `cdrs.insert` does: of a CDR and its message that come at once, one waits for the other.
    """
    rows.changed(db, schema.cdrs, customer_id)
    known = message.get("live_id") is not None or not message.get("caller")
    found = {} if known else _call(db, customer_id, message["extension_id"], message["caller"], message["origtime"])
    rows.insert(db, schema.voicemessages, customer_id, [{**message, **found}])


def link(db: Db, customer_id: int, cdrs: Iterable[Mapping[str, Any]]) -> None:
    """Links the messages of calls that have come in, within the same transaction."""
    spans = [(cdr["calldate"], cdr["duration"]) for cdr in cdrs if cdr.get("disposition") == MAILBOX]
    if not spans:
        return
    bound = {
        "customer": customer_id,
        "first": min(at for at, _ in spans) - SLACK_S,
        "last": max(at + duration for at, duration in spans) + SLACK_S,
    }
    for message_id, user_id, caller, at in db.all(_LOOSE, bound):
        found = _call(db, customer_id, user_id, caller, at)
        if found:
            rows.update(db, schema.voicemessages, customer_id, message_id, found)


def _call(db: Db, customer_id: int, user_id: int | None, caller: str, at: int) -> dict[str, Any]:
    """The columns that name the call; empty when there is none, or a second one. `user_id`: whose mailbox it is."""
    bound = {"customer": customer_id, "user": user_id or 0, "user_text": str(user_id or 0), "caller": caller}
    times = {"earliest": at - LONGEST_S, "latest": at + SLACK_S, "over": at - SLACK_S, "mailbox": MAILBOX}
    calls = db.all(_CALLS, {**bound, **times})
    found = [call for call in calls if call[2]] or [call for call in calls if call[3]]
    return {"live_id": found[0][0], "parent_live_id": found[0][1]} if len(found) == 1 else {}
