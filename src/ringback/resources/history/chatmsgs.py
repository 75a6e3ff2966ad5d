"""Chat messages: between a website visitor and an operator, or between colleagues."""

from dataclasses import replace

from ringback.errors import Forbidden
from ringback.record import Id, Name, Record, Text, WireTime
from ringback.resources.customer.users import USERS
from ringback.rest import replies
from ringback.rest.access import EVERYBODY, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import list_of
from ringback.rest.wipes import cleared
from ringback.store import messages, schema
from ringback.store.listing import Listing


class ChatMsg(Record):
    id: Id
    chat_id: Id | None
    created_at: WireTime
    user_id: Id | None
    from_id: Name | None
    from_name: Name | None
    to_id: Name | None
    to_name: Name | None
    message: Text
    read_at: WireTime | None
    delivered_at: WireTime | None


ALL = Listing("chatmsgs", ChatMsg, schema.chatmsgs, newest="created_at")


def _of(name: str, number: str, text: str) -> Listing:
    """The messages of a user: the parameter `number` holds the id, `text` the same as text."""
    parties = f"(t.user_id = :{number} OR t.from_id = :{text} OR t.to_id = :{text})"
    return Listing(name, ChatMsg, schema.chatmsgs, newest="created_at", where=parties)


_MATES = """
    SELECT CAST(:me_text AS TEXT) UNION ALL
    SELECT CAST(o.user_id AS TEXT) FROM usergroup_users m
    JOIN usergroup_users o ON o.customer_id = m.customer_id AND o.usergroup_id = m.usergroup_id
    WHERE m.customer_id = :customer AND m.user_id = :me
"""


def _within_team(listing: Listing) -> Listing:
    """Without the messages between colleagues of whom one is in no team of the caller's. Visitors' chats stay."""
    team = f"(t.chat_id IS NOT NULL OR (t.from_id IN ({_MATES}) AND t.to_id IN ({_MATES})))"
    where = f"{listing.where} AND {team}" if listing.where else team
    return replace(listing, name=f"{listing.name} within the team", where=where, tally=None)


CHATMSGS = Resource(ALL, own=_of("own chatmsgs", "me", "me_text"), closed_by=frozenset({Policy.CHAT_DISABLED}))
OF_USER = _of("user's chatmsgs", "parent", "parent_text")
OF_USER_IN_TEAM = _within_team(OF_USER)
IN_TEAM = _within_team(ALL)


def _team_only(call: Call) -> bool:
    return Policy.CHAT_TEAM_ONLY in call.caller.policies


def _of_user(call: Call) -> replies.Reply:
    user_id = call.path["id"]
    call.find(USERS, user_id)
    if user_id != call.caller.user_id and not call.caller.is_administrator:
        raise Forbidden
    listing = OF_USER_IN_TEAM if _team_only(call) else OF_USER
    return list_of(call, CHATMSGS, listing, parent=user_id, parent_text=str(user_id))


def _remove(call: Call) -> replies.Reply:
    ids = call.path["ids"]
    call.find_all(CHATMSGS, ids)
    if _team_only(call) and len(call.services.lists.some(call.db, IN_TEAM, call.bound(), ids)) < len(ids):
        raise Forbidden
    call.refuse_held("chatmsgs", ids)
    messages.delete_chatmsgs(call.db, call.customer_id, ids)
    for each in ids:
        call.audit("delete", "ChatMsg", each)
    return replies.empty()


ENDPOINTS = (
    Endpoint(
        "DELETE",
        "/chatmsgs/{ids}",
        "Delete chat messages; a plain user's own",
        _remove,
        Shape.EMPTY,
        204,
        roles=EVERYBODY,
        work=Work.WRITE,
        resource=CHATMSGS,
    ),
    cleared("/chatmsgs", CHATMSGS, messages.delete_chatmsgs, 204, "Delete the chat messages that the filter matches"),
    Endpoint(
        "GET",
        "/users/{id}/chatmsgs",
        "The chat messages that a user sent or received",
        _of_user,
        Shape.COLLECTION,
        answer=ChatMsg,
        resource=CHATMSGS,
        parent=USERS,
    ),
)
