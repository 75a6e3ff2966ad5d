"""Chats: a website visitor's live chats with operators, running ones included."""

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


ALL = Listing("chats", Chat, schema.chats, newest="created_at")
CHATS = Resource(ALL, own=ALL.own_by("operator_id"), closed_by=frozenset({Policy.CHAT_DISABLED}))
OF_CHAT = Listing("chat's messages", ChatMsg, schema.chatmsgs, newest="created_at", where="t.chat_id = :parent")

ENDPOINTS = (
    listed("/chats", CHATS, "The chats of website visitors; a plain user's own"),
    shown("/chats/{id}", CHATS, "One chat"),
    nested("/chats/{id}/chatmsgs", CHATS, CHATMSGS, OF_CHAT, "The messages of a chat"),
)
