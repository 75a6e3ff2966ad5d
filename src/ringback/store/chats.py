"""Live chats of website visitors with operators: rows, and who takes them.

Messages of a chat are numbered from 1 on. Whoever writes locks the chat first, so numbers are seen in their order. `revision`
grows with every change, so that a socket sees at a glance that there is something new. `token`: what the visitor's page is known by.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ringback.store import callback_requests, outbox, rows, schema
from ringback.store.database import Db, first, value
from ringback.store.messages import OUTSIDE

TABLE = schema.chats
OPEN = ("WAITING", "ACTIVE")


class Chat(NamedTuple):
    """Instants are UTC seconds. `asked`: `,7,8,`, the users who may take it besides administrators."""

    id: int
    state: str
    website_id: int | None
    operator_id: int | None
    visitor_name: str | None
    visitor_email: str | None
    token: str | None
    created_at: int
    accepted_at: int | None
    seen_at: int | None
    visitor_typing_at: int | None
    operator_typing_at: int | None
    revision: int
    transcripts: int | None


_NAMES = ", ".join(f"coalesce({name}, 0)" if name == "revision" else name for name in Chat._fields)
_CHAT = f"SELECT {_NAMES} FROM chats"


class Said(NamedTuple):
    """A message. `from_id`: `OUTSIDE` is the visitor."""

    id: int
    number: int
    created_at: int
    from_id: str
    from_name: str | None
    message: str
    client_id: str | None


_SAID = f"SELECT {', '.join(Said._fields)} FROM chatmsgs"


# -- who takes chats


def be_online(db: Db, customer_id: int, user_id: int, until: int | None) -> None:
    sql = "UPDATE users SET chat_until = :until WHERE customer_id = :customer AND id = :user"
    db.run(sql, {"customer": customer_id, "user": user_id, "until": until})


def online(db: Db, customer_id: int, now: int) -> dict[int, str]:
    """The roles (a JSON list) of those who are there, by user."""
    sql = "SELECT id, roles FROM users WHERE customer_id = :customer AND active = 1 AND chat_until > :now"
    return dict(db.all(sql, {"customer": customer_id, "now": now}))


def behind(db: Db, customer_id: int, destination: str | None) -> list[int]:
    """The users to whom a DDI leads, themselves or as members of a queue."""
    target = callback_requests.target(db, customer_id, destination)
    if target is None or not target.extensions:
        return []
    sql = f"SELECT id FROM users WHERE customer_id = :customer AND {db.among('ext', 'extensions')} ORDER BY id"
    return [row[0] for row in db.all(sql, {"customer": customer_id, "extensions": list(target.extensions)})]


# -- chats


def locked(db: Db, customer_id: int, chat_id: int) -> Chat | None:
    rows.lock(db, TABLE, customer_id, [chat_id])
    row = first(db, f"{_CHAT} WHERE customer_id = :customer AND id = :id", {"customer": customer_id, "id": chat_id})
    return None if row is None else Chat(*row)


def latest(db: Db, customer_id: int, token: str) -> Chat | None:
    """The visitor's newest, locked."""
    sql = "SELECT max(id) FROM chats WHERE customer_id = :customer AND token = :token"
    found = value(db, sql, {"customer": customer_id, "token": token})
    return None if found is None else locked(db, customer_id, found)


def latest_of(db: Db, customer_id: int, tokens: Sequence[str]) -> dict[str, Chat]:
    """The newest of each visitor, by token."""
    newest = f"SELECT max(id) FROM chats WHERE customer_id = :customer AND {db.among('token', 'tokens')} GROUP BY token"
    sql = f"{_CHAT} WHERE customer_id = :customer AND id IN ({newest})"
    found = [Chat(*row) for row in db.all(sql, {"customer": customer_id, "tokens": list(tokens)})]
    return {each.token or "": each for each in found}


def began(db: Db, customer_id: int, column: str, it: str | int, since: int) -> int:
    """How many chats came of a network or a website (`column`)."""
    sql = f"SELECT count(*) FROM chats WHERE customer_id = :customer AND {column} = :it AND created_at > :since"
    return int(value(db, sql, {"customer": customer_id, "it": it, "since": since}))


def add(db: Db, customer_id: int, row: Mapping[str, Any]) -> int:
    (chat_id,) = rows.insert(db, TABLE, customer_id, [{"revision": 1, **row}])
    outbox.changed(db, customer_id, "chat.created", [chat_id])
    return chat_id


def change(db: Db, customer_id: int, chat: Chat, changes: Mapping[str, Any]) -> None:
    rows.update(db, TABLE, customer_id, chat.id, {**changes, "revision": chat.revision + 1})
    outbox.changed(db, customer_id, "chat.updated", [chat.id])


def seen(db: Db, customer_id: int, tokens: Sequence[str], now: int) -> None:
    """The visitors of these open chats are there."""
    sql = f"UPDATE chats SET seen_at = :now WHERE customer_id = :customer AND {db.among('open_token', 'tokens')}"
    db.run(sql, {"customer": customer_id, "tokens": list(tokens), "now": now})


def traceable(db: Db, customer_id: int, before: int, n: int) -> list[tuple[int, str | None]]:
    """(id, address) of chats from before an instant whose addresses are as they were."""
    sql = """
        SELECT id, visitor_ip FROM chats
        WHERE customer_id = :customer AND network IS NOT NULL AND created_at < :before ORDER BY created_at LIMIT :n
    """
    return [(row[0], row[1]) for row in db.all(sql, {"customer": customer_id, "before": before, "n": n})]


def shorten(db: Db, customer_id: int, addresses: Mapping[int, str | None]) -> None:
    sql = "UPDATE chats SET visitor_ip = :ip, network = NULL WHERE customer_id = :customer AND id = :id"
    db.many(sql, [{"ip": ip, "customer": customer_id, "id": row_id} for row_id, ip in sorted(addresses.items())])
    rows.changed(db, TABLE, customer_id)


def is_left(db: Db, customer_id: int, chat: Chat, since: int) -> bool:
    """Whether the operator's presence ran out before `since`, and nothing was done in the chat after; or there is no such user any more.
    One who has never said, or has taken back, that he is there is not looked for."""
    sql = "SELECT chat_until FROM users WHERE customer_id = :customer AND id = :user AND active = 1"
    user = first(db, sql, {"customer": customer_id, "user": chat.operator_id})
    if user is None:
        return True
    sql = "SELECT max(created_at) FROM chatmsgs WHERE customer_id = :customer AND chat_id = :chat AND from_id = :from"
    wrote_at = value(db, sql, {"customer": customer_id, "chat": chat.id, "from": str(chat.operator_id)})
    return user[0] is not None and max(user[0], wrote_at or 0, chat.accepted_at or 0) < since


# -- messages


def add_message(db: Db, customer_id: int, chat_id: int, row: Mapping[str, Any]) -> int:
    """Of a chat that is locked."""
    sql = "SELECT coalesce(max(number), 0) FROM chatmsgs WHERE customer_id = :customer AND chat_id = :chat"
    number = int(value(db, sql, {"customer": customer_id, "chat": chat_id})) + 1
    full = {"chat_id": chat_id, "number": number, **row}
    (message_id,) = rows.insert(db, schema.chatmsgs, customer_id, [full])
    outbox.changed(db, customer_id, "chatmsg.created", [message_id])
    return message_id


def said_before(db: Db, customer_id: int, chat_id: int, from_id: str, client_id: str) -> int | None:
    """The id of the message that this page sent under this id."""
    sql = """
        SELECT id FROM chatmsgs
        WHERE customer_id = :customer AND chat_id = :chat AND from_id = :from AND client_id = :client
    """
    found: int | None = value(db, sql, {"customer": customer_id, "chat": chat_id, "from": from_id, "client": client_id})
    return found


def since(db: Db, customer_id: int, chat_id: int, number: int, n: int) -> list[Said]:
    """At most `n` behind that number."""
    sql = f"{_SAID} WHERE customer_id = :customer AND chat_id = :chat AND number > :number ORDER BY number LIMIT :n"
    return [Said(*row) for row in db.all(sql, {"customer": customer_id, "chat": chat_id, "number": number, "n": n})]


def count(db: Db, customer_id: int, chat_id: int, after: int) -> tuple[int, int]:
    """The visitor's messages: all, and those since an instant."""
    sql = """
        SELECT count(*), coalesce(sum(CASE WHEN created_at > :after THEN 1 ELSE 0 END), 0) FROM chatmsgs
        WHERE customer_id = :customer AND chat_id = :chat AND from_id = :outside
    """
    bound = {"customer": customer_id, "chat": chat_id, "after": after, "outside": OUTSIDE}
    total, lately = db.all(sql, bound)[0]
    return int(total), int(lately)


def marks(db: Db, customer_id: int, chat_id: int) -> tuple[int, int]:
    """Up to which number the visitor's messages have arrived, and were read."""
    sql = """
        SELECT coalesce(max(CASE WHEN delivered_at IS NOT NULL THEN number END), 0),
            coalesce(max(CASE WHEN read_at IS NOT NULL THEN number END), 0) FROM chatmsgs
        WHERE customer_id = :customer AND chat_id = :chat AND from_id = :outside
    """
    delivered, read = db.all(sql, {"customer": customer_id, "chat": chat_id, "outside": OUTSIDE})[0]
    return int(delivered), int(read)


def mark(db: Db, customer_id: int, chat: Chat, up_to: int, now: int, *, by_visitor: bool, is_read: bool) -> None:
    """What the other side wrote up to a number has arrived, or was read. What is marked stays as it is."""
    column = "read_at" if is_read else "delivered_at"
    side = "<>" if by_visitor else "="
    sql = f"""
        UPDATE chatmsgs SET {column} = :now, delivered_at = coalesce(delivered_at, :now)
        WHERE customer_id = :customer AND chat_id = :chat AND number <= :number AND from_id {side} :outside
            AND {column} IS NULL RETURNING id
    """
    if column == "delivered_at":
        sql = sql.replace(", delivered_at = coalesce(delivered_at, :now)", "")
    bound = {"customer": customer_id, "chat": chat.id, "number": up_to, "outside": OUTSIDE, "now": now}
    ids = sorted(row[0] for row in db.all(sql, bound))
    if ids:
        rows.changed(db, schema.chatmsgs, customer_id)
        outbox.changed(db, customer_id, "chatmsg.updated", ids)
        change(db, customer_id, chat, {})


def give(db: Db, customer_id: int, chat_id: int, user_id: int, name: str | None) -> None:
    """What the visitor wrote before somebody took the chat is to who takes it."""
    sql = """
        UPDATE chatmsgs SET user_id = :user, to_id = :text, to_name = :name
        WHERE customer_id = :customer AND chat_id = :chat AND user_id IS NULL RETURNING id
    """
    bound = {"customer": customer_id, "chat": chat_id, "user": user_id, "text": str(user_id), "name": name}
    ids = sorted(row[0] for row in db.all(sql, bound))
    rows.changed(db, schema.chatmsgs, customer_id)
    outbox.changed(db, customer_id, "chatmsg.updated", ids)
