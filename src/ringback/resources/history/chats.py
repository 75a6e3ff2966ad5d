"""Chats: a website visitor's live chats with operators, running ones included."""

from dataclasses import replace
from typing import Annotated, Literal

from ringback.record import ENUM, Count, Id, Name, Record, Text, WireTime
from ringback.resources.history.chatmsgs import CHATMSGS, ChatMsg
from ringback.rest.access import Policy
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import listed, nested, shown
from ringback.store import schema
from ringback.store.listing import Listing

State = Annotated[Literal["WAITING", "ACTIVE", "ENDED", "MISSED", "OFFLINE"], ENUM]


class Chat(Record):
    id: Id
    created_at: WireTime
    customer_id: Id
    duration: Count | None
    operator_id: Id | None
    operator_ua: Name | None
    state: State
    visitor_city: Name | None
    visitor_country: Name | None
    visitor_email: Name | None
    visitor_geo: Name | None
    visitor_id: Name | None
    visitor_ip: Name | None
    visitor_name: Name | None
    visitor_referer: Text | None
    visitor_ua: Name | None
    website_id: Id | None
    visitor_page: Text | None
    visitor_typing_at: WireTime | None


ALL = Listing("chats", Chat, schema.chats, newest="created_at")
_ASKED = "t.asked LIKE '%,' || :me_text || ',%'"
OWN = replace(ALL, name="own chats", where=f"(t.operator_id = :me OR (t.state = 'WAITING' AND {_ASKED}))")
_TAKEN = replace(ALL, name="chats of others now", where=f"(t.state <> 'WAITING' AND {_ASKED})")
CHATS = Resource(ALL, own=OWN, closed_by=frozenset({Policy.CHAT_DISABLED}))
TAKEN = Resource(_TAKEN, own=_TAKEN, closed_by=CHATS.closed_by)
"""Those that a user could have taken, for streams: they are over for who could."""
OF_CHAT = Listing("chat's messages", ChatMsg, schema.chatmsgs, newest="created_at", where="t.chat_id = :parent")

ENDPOINTS = (
    listed("/chats", CHATS, "The chats of website visitors; a plain user's own, and those that wait for the user"),
    shown("/chats/{id}", CHATS, "One chat"),
    nested("/chats/{id}/chatmsgs", CHATS, CHATMSGS, OF_CHAT, "The messages of a chat"),
)
