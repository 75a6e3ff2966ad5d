"""What operators do in chats: be there, take one, write, and end it.

Administrators take any chat; other users those of widgets whose number leads to them, themselves or as members of a queue.
"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ringback.chat import frames, talk, watch
from ringback.errors import Fault, Forbidden, Invalid, NotFound
from ringback.record import NO_NUL, Exact, Flag, Id, Kind, Patch, Record, Wire, WireTime, time_text
from ringback.resources.history.chatmsgs import CHATMSGS, ChatMsg
from ringback.resources.history.chats import CHATS, Chat
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.verbs import item_of
from ringback.store import chats
from ringback.store.database import value

LEASE_S = 30
"""An operator who does not say again that he is there is not."""


class Presence(Record):
    """Whether the caller takes chats, and until when without a word."""

    is_online: Flag
    until: WireTime | None


class PresencePatch(Patch):
    is_online: Flag


class Writing(Patch):
    """`key`: the client's own; a message that is sent again under it is stored once."""

    chat_id: Id
    message: Annotated[str, Meta(min_length=1, max_length=frames.MOST_TEXT, pattern=NO_NUL), Wire(Kind.TEXT)]
    key: Exact | UnsetType | None = UNSET


class Marks(Patch):
    """Up to which of the visitor's messages all have arrived, and were read: their ids."""

    delivered_id: Id | UnsetType = UNSET
    read_id: Id | UnsetType = UNSET


def _be_online(call: Call) -> replies.Reply:
    is_online = call.body(PresencePatch).is_online
    until = call.now + LEASE_S if is_online else None
    chats.be_online(call.db, call.customer_id, call.caller.user_id, until)
    return replies.item(Presence(is_online, time_text(until)))


def _chat(call: Call, chat_id: int, *states: str) -> chats.Chat:
    """Locked, in one of the states; its operator is the caller, unless it waits."""
    call.find(CHATS, chat_id)
    chat = chats.locked(call.db, call.customer_id, chat_id)
    if chat is None or chat.state not in states:
        raise Invalid(f"This chat is {chat.state if chat else 'gone'}.")
    if chat.state != "WAITING" and chat.operator_id != call.caller.user_id:
        raise Forbidden("Somebody else has taken this chat.")
    return chat


def _take(call: Call) -> replies.Reply:
    """Whose it is already gets it as it is."""
    chat = _chat(call, call.path["id"], "WAITING", "ACTIVE")
    if chat.state == "ACTIVE":
        return item_of(call, CHATS, chat.id)
    ua = call.headers.get("user-agent", "")[:255] or None
    talk.take(call.db, call.customer_id, chat, call.caller.user_id, _name(call), ua, call.now)
    return item_of(call, CHATS, chat.id)


def _end(call: Call) -> replies.Reply:
    chat = _chat(call, call.path["id"], "ACTIVE")
    watch.end(call.db, call.customer_id, chat, call.now, call.now)
    return item_of(call, CHATS, chat.id)


def _typing(call: Call) -> replies.Reply:
    chat = _chat(call, call.path["id"], "ACTIVE")
    if talk.is_news(chat.operator_typing_at, call.now):
        chats.change(call.db, call.customer_id, chat, {"operator_typing_at": call.now})
    return replies.empty()


def _mark(call: Call) -> replies.Reply:
    marks = call.body(Marks)
    chat = _chat(call, call.path["id"], "ACTIVE", "ENDED")
    delivered = _number(call, chat.id, "delivered_id", marks.delivered_id)
    read = _number(call, chat.id, "read_id", marks.read_id)
    talk.mark(call.db, call.customer_id, chat, delivered, read, call.now, by_visitor=False)
    return replies.empty()


def _number(call: Call, chat_id: int, name: str, message_id: int | UnsetType) -> int:
    """0 for none."""
    if message_id is UNSET:
        return 0
    sql = "SELECT number FROM chatmsgs WHERE customer_id = :customer AND chat_id = :chat AND id = :id"
    found: int | None = value(call.db, sql, {"customer": call.customer_id, "chat": chat_id, "id": message_id})
    if found is None:
        raise Invalid(faults=[Fault(name, "This message is none of this chat.")])
    return found


def _write(call: Call) -> replies.Reply:
    given = call.body(Writing)
    text = frames.cleaned(given.message)
    if not text:
        raise Invalid(faults=[Fault("message", "There must be a text.")])
    chat = _named(call, given.chat_id)
    sender = call.caller.user_id, _name(call)
    key = None if given.key is UNSET else given.key
    message_id = talk.answer(call.db, call.customer_id, chat, sender, text, key, call.now)
    return item_of(call, CHATMSGS, message_id, 201)


def _name(call: Call) -> str | None:
    """What visitors see: the address of who has no name is for the login, and not for them."""
    return None if "@" in call.caller.name else call.caller.name


def _named(call: Call, chat_id: int) -> chats.Chat:
    """The chat that a body names."""
    try:
        return _chat(call, chat_id, "ACTIVE")
    except NotFound:
        raise Invalid(faults=[Fault("chat_id", "There is no such chat.")]) from None


_CLOSED = frozenset({Policy.CHAT_DISABLED})
_W = Work.WRITE
ENDPOINTS = (
    Endpoint(
        "POST",
        "/chats/presence",
        f"Be there for chats, for {LEASE_S} seconds, or not",
        _be_online,
        Shape.ITEM,
        answer=Presence,
        body=PresencePatch,
        closed_by=_CLOSED,
        work=_W,
    ),
    Endpoint(
        "POST", "/chats/{id}/take", "Take a chat that waits", _take, Shape.ITEM, answer=Chat, resource=CHATS, work=_W
    ),
    Endpoint("POST", "/chats/{id}/end", "End an own chat", _end, Shape.ITEM, answer=Chat, resource=CHATS, work=_W),
    Endpoint(
        "POST",
        "/chats/{id}/typing",
        "Show the visitor that one writes",
        _typing,
        Shape.EMPTY,
        204,
        resource=CHATS,
        work=_W,
    ),
    Endpoint(
        "POST",
        "/chats/{id}/marks",
        "Which of the visitor's messages have arrived, and were read",
        _mark,
        Shape.EMPTY,
        204,
        body=Marks,
        resource=CHATS,
        work=_W,
    ),
    Endpoint(
        "POST",
        "/chatmsgs",
        "Write to the visitor of an own chat",
        _write,
        Shape.ITEM,
        201,
        answer=ChatMsg,
        body=Writing,
        resource=CHATMSGS,
        work=_W,
    ),
)
