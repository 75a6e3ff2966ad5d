"""What visitors and operators do in a chat. Each function is one transaction's work, and may be run again.

WAITING → ACTIVE → ENDED        an operator took it
WAITING → MISSED                nobody did, within a minute, or the visitor left before
ACTIVE → WAITING                the operator has gone
OFFLINE                         nobody was there: a message was left
"""

import json
from typing import Any, Literal, NamedTuple

from ringback.callback import proof, rules
from ringback.callback.asking import is_fresh
from ringback.callback.whereabouts import Place
from ringback.chat import frames, watch
from ringback.chat.frames import Say
from ringback.store import callback_requests, chats, rows, schema
from ringback.store.callback_requests import Widget
from ringback.store.chats import Chat
from ringback.store.database import Db, first
from ringback.store.messages import OUTSIDE

Code = Literal["text", "challenge", "later", "email", "refused"]
"""What a page is told. `refused` is all that an attacker must not learn."""

PER_NETWORK = (rules.Limit("hour", 5, rules.HOUR_S), rules.Limit("day", 15, rules.DAY_S))
PER_WIDGET = rules.Limit("hour", 120, rules.HOUR_S)
MOST_MESSAGES, PER_MINUTE = 500, 20
"""Of a visitor, in a chat."""
TYPING_AGAIN_S = 2
MOST_TRANSCRIPTS = 2
ADMINISTRATOR = "administrator"


class Visitor(NamedTuple):
    """Who writes, as the widget's visitors are known. `network`: the address, or the /64 that it is in."""

    token: str
    ip: str
    network: str
    place: Place
    ua: str | None


class Operators(NamedTuple):
    """`asked`: users who may take a chat besides administrators. `is_online`: somebody who may is there."""

    asked: tuple[int, ...]
    is_online: bool


def operators(db: Db, widget: Widget, now: int) -> Operators:
    asked = tuple(chats.behind(db, widget.customer_id, widget.destination))
    there = chats.online(db, widget.customer_id, now)
    is_online = any(user in asked or ADMINISTRATOR in json.loads(roles or "[]") for user, roles in there.items())
    return Operators(asked, is_online)


# -- the visitor


def say(db: Db, widget: Widget, secret: bytes, visitor: Visitor, said: Say, now: int) -> Code | None:
    """None when it is stored, now or before."""
    text = frames.cleaned(said.text)
    if not text or not frames.is_id(said.id):
        return "text"
    chat = chats.latest(db, widget.customer_id, visitor.token)
    if chat is not None and chats.said_before(db, widget.customer_id, chat.id, OUTSIDE, said.id):
        return None
    if chat is None or chat.state not in chats.OPEN:
        return _begin(db, widget, secret, visitor, said, text, now)
    total, lately = chats.count(db, widget.customer_id, chat.id, now - 60)
    if total >= MOST_MESSAGES or lately >= PER_MINUTE:
        return "later"
    _store(db, widget.customer_id, chat, said.id, text, now)
    chats.change(db, widget.customer_id, chat, {"visitor_typing_at": None, "seen_at": now})
    return None


def _begin(db: Db, widget: Widget, secret: bytes, visitor: Visitor, said: Say, text: str, now: int) -> Code | None:
    callback_requests.count_alone(db, widget.customer_id)
    fault = proof.fault(secret, widget.key, said.salt, said.nonce, now)
    if fault is not None or not is_fresh(db, widget.customer_id, said.salt, now):
        return "challenge"
    refused = _refused(db, widget, visitor, now)
    if refused is not None:
        return refused
    found = operators(db, widget, now)
    email = frames.email_of(said.email)
    if not found.is_online and email is None:
        return "email"
    row = _row(db, widget, visitor, said, now)
    state = "WAITING" if found.is_online else "OFFLINE"
    asked = f",{','.join(map(str, found.asked))}," if found.asked else None
    open_token = visitor.token if found.is_online else None
    more = {"state": state, "asked": asked, "open_token": open_token, "visitor_email": email}
    chat_id = chats.add(db, widget.customer_id, {**row, **more})
    chat = chats.locked(db, widget.customer_id, chat_id)
    assert chat is not None
    _store(db, widget.customer_id, chat, said.id, text, now)
    watch.begin(db, widget.customer_id, chat_id, now, is_online=found.is_online)
    return None


def _refused(db: Db, widget: Widget, visitor: Visitor, now: int) -> Code | None:
    customer_id = widget.customer_id
    for each in PER_NETWORK:
        if chats.began(db, customer_id, "network", visitor.network, now - each.within_s) >= each.n:
            return "later"
    if chats.began(db, customer_id, "website_id", widget.id, now - PER_WIDGET.within_s) >= PER_WIDGET.n:
        return "refused"
    return None if rows.exists(db, schema.callmeback_settings, customer_id, widget.id) else "refused"


def _row(db: Db, widget: Widget, visitor: Visitor, said: Say, now: int) -> dict[str, Any]:
    """Columns of a new chat; what the widget knows of its visitor goes with it."""
    sql = """
        SELECT id, referer, page, name FROM callmeback_visitors
        WHERE customer_id = :customer AND token = :token
    """
    found = first(db, sql, {"customer": widget.customer_id, "token": visitor.token})
    visitor_id, referer, page, name = found if found is not None else (None,) * 4
    return {
        "created_at": now,
        "website_id": widget.id,
        "visitor_id": None if visitor_id is None else str(visitor_id),
        "visitor_city": visitor.place.city,
        "visitor_country": visitor.place.country,
        "visitor_geo": visitor.place.geo,
        "visitor_ip": visitor.ip,
        "visitor_name": frames.cleaned(said.name.replace("\n", " "), frames.MOST_NAME) or name,
        "visitor_referer": referer,
        "visitor_page": page,
        "visitor_ua": visitor.ua,
        "token": visitor.token,
        "network": visitor.network,
        "seen_at": now,
    }


def _store(db: Db, customer_id: int, chat: Chat, client_id: str, text: str, now: int) -> None:
    operator = {} if chat.operator_id is None else {"user_id": chat.operator_id, "to_id": str(chat.operator_id)}
    from_ = {"from_id": OUTSIDE, "from_name": chat.visitor_name, "client_id": client_id}
    chats.add_message(db, customer_id, chat.id, {**from_, **operator, "message": text, "created_at": now})


def typing(db: Db, customer_id: int, token: str, now: int) -> None:
    chat = chats.latest(db, customer_id, token)
    if chat is not None and chat.state in chats.OPEN and is_news(chat.visitor_typing_at, now):
        chats.change(db, customer_id, chat, {"visitor_typing_at": now, "seen_at": now})


def is_news(typing_at: int | None, now: int) -> bool:
    """Whether it is worth a row that somebody writes. `typing_at`: when it was said last."""
    return typing_at is None or typing_at <= now - TYPING_AGAIN_S


def marked(db: Db, customer_id: int, token: str, delivered: int, read: int, now: int) -> None:
    chat = chats.latest(db, customer_id, token)
    if chat is not None:
        mark(db, customer_id, chat, delivered, read, now, by_visitor=True)


def mark(db: Db, customer_id: int, chat: Chat, delivered: int, read: int, now: int, *, by_visitor: bool) -> None:
    """`delivered`, `read`: numbers of messages; 0 for none."""
    if delivered > read:
        chats.mark(db, customer_id, chat, delivered, now, by_visitor=by_visitor, is_read=False)
        chat = chats.locked(db, customer_id, chat.id) or chat
    if read > 0:
        chats.mark(db, customer_id, chat, read, now, by_visitor=by_visitor, is_read=True)


def leave(db: Db, customer_id: int, token: str, now: int) -> None:
    """The visitor has had enough."""
    chat = chats.latest(db, customer_id, token)
    if chat is not None and chat.state in chats.OPEN:
        watch.end(db, customer_id, chat, now, now)


def contact(db: Db, customer_id: int, token: str, given: str) -> Code | None:
    """Where a visitor can be reached whom nobody answered."""
    chat, email = chats.latest(db, customer_id, token), frames.email_of(given)
    if chat is None or chat.state not in ("MISSED", "OFFLINE"):
        return "refused"
    if email is None:
        return "email"
    chats.change(db, customer_id, chat, {"visitor_email": email})
    return None


def transcript(db: Db, customer_id: int, token: str, given: str, now: int) -> Code | None:
    """Of a chat that an operator took: so nobody sends mails of his own to others by this."""
    chat, email = chats.latest(db, customer_id, token), frames.email_of(given)
    if chat is None or chat.accepted_at is None:
        return "refused"
    if email is None:
        return "email"
    if (chat.transcripts or 0) >= MOST_TRANSCRIPTS:
        return "later"
    chats.change(db, customer_id, chat, {"transcripts": (chat.transcripts or 0) + 1})
    watch.enqueue_transcript(db, customer_id, chat.id, email, now)
    return None


# -- the operator


def take(db: Db, customer_id: int, chat: Chat, user_id: int, name: str | None, ua: str | None, now: int) -> None:
    """`chat`: one that waits."""
    taken = {"state": "ACTIVE", "operator_id": user_id, "operator_ua": ua, "accepted_at": now}
    chats.change(db, customer_id, chat, taken)
    chats.give(db, customer_id, chat.id, user_id, name)


def answer(
    db: Db, customer_id: int, chat: Chat, sender: tuple[int, str | None], text: str, client_id: str | None, now: int
) -> int:
    """The id of the message, which is stored once. `sender`: the operator's id and name."""
    user_id, name = sender
    if client_id is not None:
        before = chats.said_before(db, customer_id, chat.id, str(user_id), client_id)
        if before is not None:
            return before
    from_ = {"from_id": str(user_id), "from_name": name, "user_id": user_id, "client_id": client_id}
    to = {"to_id": OUTSIDE, "to_name": chat.visitor_name}
    message_id = chats.add_message(db, customer_id, chat.id, {**from_, **to, "message": text, "created_at": now})
    chats.change(db, customer_id, chat, {"operator_typing_at": None})
    return message_id
