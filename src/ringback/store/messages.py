"""Chats, chat messages, SMS and statement lines: how each comes in, and how it goes."""

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db

OUTSIDE = "0"
"""The `from_id` or `to_id` of somebody who is no user."""


def add_chats(db: Db, customer_id: int, chats: Sequence[Mapping[str, Any]]) -> list[int]:
    """Chats of website visitors (columns of `schema.chats`; `state` is `WAITING` unless given)."""
    return rows.insert(db, schema.chats, customer_id, [{"state": "WAITING", **chat} for chat in chats])


def add_chatmsgs(db: Db, customer_id: int, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Chat messages (columns of `schema.chatmsgs`). `user_id` is the user who sent it, else the one who got it."""
    return rows.insert(db, schema.chatmsgs, customer_id, [{"user_id": _user(each), **each} for each in messages])


def _user(message: Mapping[str, Any]) -> int | None:
    parties = (message.get("from_id"), message.get("to_id"))
    users = [int(each) for each in parties if each and each != OUTSIDE and str(each).isdecimal()]
    return users[0] if users else None


def delete_chatmsgs(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.chatmsgs, customer_id, ids)


def add_sms(db: Db, customer_id: int, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """SMS (columns of `schema.sms`)."""
    return rows.insert(db, schema.sms, customer_id, messages)


def delete_sms(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.sms, customer_id, ids)


def add_statements(db: Db, customer_id: int, lines: Sequence[Mapping[str, Any]]) -> list[int]:
    """Lines of the account statement (columns of `schema.statements`; money in 1/10,000 units)."""
    return rows.insert(db, schema.statements, customer_id, lines)


def delete_statements(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """The customer's balance stays as it is."""
    rows.delete(db, schema.statements, customer_id, ids)
