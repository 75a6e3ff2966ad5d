"""Conversations: one row per call, website chat, SMS and voicemail, whatever the channel."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from sqlalchemy import Table

from ringback.record import ENUM, Count, Id, Int, Key, Name, Number, Record, WireTime
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape
from ringback.store import merged, schema
from ringback.store.listing import Listing, Tally
from ringback.store.merged import Arm


class Conversation(Record):
    id: Name
    """`<channel>:<object id>`; sorting by it sorts by `created_at`."""
    channel: Annotated[Literal["call", "chat", "sms", "voicemail"], ENUM]
    created_at: WireTime
    customer_id: Id
    cx_score: Int | None
    dst: Number | None
    dst_name: Name | None
    duration: Count | None
    monitor_id: Id | None
    object_class: Annotated[Literal["Cdr", "Chat", "Sms", "Voicemessage"], ENUM]
    object_id: Key
    src: Number | None
    src_name: Name | None
    type: Annotated[Literal["I", "O", "M"], ENUM] | None
    user_id: Id | None


_NO_TEXT = "CAST(NULL AS TEXT)"
_NO_NUMBER = "CAST(NULL AS BIGINT)"


def _monitor(column: str) -> str:
    """Of the first recording of the call, whichever hop it was made on."""
    return (
        f"(SELECT m.{column} FROM cdrs h CROSS JOIN monitors m"  # CROSS: SQLite goes from the few hops to theirs
        " WHERE h.customer_id = t.customer_id AND h.root_live_id = t.live_id"
        " AND m.customer_id = t.customer_id AND m.cdr_id = h.id ORDER BY m.id LIMIT 1)"
    )


def _user_name(column: str) -> str:
    name = "NULLIF(TRIM(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')), '')"
    return f"(SELECT {name} FROM users u WHERE u.customer_id = t.customer_id AND u.id = t.{column})"


def _arm(channel: str, object_class: str, table: Table, tally: Tally | None, sql: Mapping[str, str]) -> Arm:
    fixed = {"channel": channel, "object_class": object_class}
    common = {
        "id": f"'{channel}:' || CAST(t.id AS TEXT)",
        "object_id": "t.id",
        "cx_score": _NO_NUMBER,
        "monitor_id": _NO_NUMBER,
        **{name: f"CAST('{value}' AS TEXT)" for name, value in fixed.items()},
    }
    name = f"{channel} conversations"
    listing = Listing(
        name, Conversation, table, newest="created_at", tally=tally, sql={**common, **sql}, day="created_at"
    )
    return Arm(listing, fixed)


def _own(arm: Arm, column: str) -> Arm:
    return replace(arm, listing=arm.listing.own_by(column))


_call = _arm(
    "call",
    "Cdr",
    schema.cdrs,
    Tally("cdrs", "is_root", fixed="1"),
    {"created_at": "t.calldate", "monitor_id": _monitor("id"), "cx_score": _monitor("cx_score")},
)
CALL = replace(_call, listing=replace(_call.listing, where="t.is_root = 1", searched=frozenset({"src", "dst"})))
CHAT = _arm(
    "chat",
    "Chat",
    schema.chats,
    None,
    {
        "src": _NO_TEXT,
        "src_name": "t.visitor_name",
        "dst": _NO_TEXT,
        "dst_name": _user_name("operator_id"),
        "type": "CASE WHEN t.state IN ('MISSED', 'OFFLINE') THEN 'M' ELSE 'I' END",
        "user_id": "t.operator_id",
    },
)
SMS = _arm(
    "sms",
    "Sms",
    schema.sms,
    None,
    {"src": 't."from"', "src_name": "t.from_name", "dst": 't."to"', "dst_name": "t.to_name", "duration": _NO_NUMBER},
)
VOICEMAIL = _arm(
    "voicemail",
    "Voicemessage",
    schema.voicemessages,
    None,
    {
        "created_at": "t.origtime",
        "src": "t.caller",
        "src_name": "NULLIF(t.callerid, t.caller)",
        "dst": "t.dialled",
        "dst_name": _user_name("extension_id"),
        "type": "CAST('I' AS TEXT)",
        "user_id": "t.extension_id",
    },
)
OWN_CALL = replace(
    CALL,
    listing=replace(
        CALL.listing,
        name="own call conversations",
        source='"cdr_parties" p JOIN "cdrs" t ON t.id = p.cdr_id',
        where="p.user_id = :me AND t.is_root = 1",
        customer="p.customer_id",
        tally=None,
        sql={**CALL.listing.sql, "created_at": "p.calldate", "object_id": "p.cdr_id"},
    ),
)
ALL = (CALL, CHAT, SMS, VOICEMAIL)
OWN = (OWN_CALL, _own(CHAT, "operator_id"), _own(SMS, "user_id"), _own(VOICEMAIL, "extension_id"))

CONVERSATIONS = Resource(
    Listing("conversations", Conversation, None, newest="created_at"),
    hidden_by={Policy.RECORDINGS_DISABLED: frozenset({"monitor_id", "cx_score"})},
)


def _list(call: Call) -> replies.Reply:
    """Whoever may not chat sees no chats here either."""
    arms: tuple[Arm, ...] = ALL if call.caller.is_administrator else OWN
    if Policy.CHAT_DISABLED in call.caller.policies:
        arms = tuple(arm for arm in arms if arm.fixed["channel"] != "chat")
    query, hidden = call.query(CONVERSATIONS), CONVERSATIONS.hidden_from(call.caller)
    records, total = merged.page(call.services.lists, call.db, arms, call.bound(), query, hidden)
    return replies.collection(records, total)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/conversations",
        "Calls, chats, SMS and voicemail in one list; a plain user's own",
        _list,
        Shape.COLLECTION,
        answer=Conversation,
        resource=CONVERSATIONS,
    ),
)
