"""Live changes: `GET /events` as server-sent events, `/events/socket` as a WebSocket, and the tickets that open either in a browser.

Both send the same: an event has a name, an id and data, which is the record as the caller's GET shows it. The id of the last one
that arrived begins where the connection broke; `reset` says that this cannot be done, and what is known must be listed anew.
"""

from dataclasses import replace

from msgspec import UNSET, UnsetType

from ringback.errors import Fault, Invalid
from ringback.identity import tickets
from ringback.record import Count, Id, Name, Patch, Record, WireTime, time_text
from ringback.resources import calls
from ringback.resources.history import cdrs, chatmsgs, chats, monitors, voicemessages
from ringback.rest import replies
from ringback.rest.access import Caller, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.outlets import BEAT_S
from ringback.store import schema
from ringback.store.listing import Listing
from ringback.streams.subjects import Subject
from ringback.streams.subscriptions import Event

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2_000
TOKENS = frozenset({"token", "user_token", "access_token", "auth_token", "x-auth-token", "api_key", "apikey"})
NOT_HERE = (
    "A token never stands in a URL, which others may see. POST /events/tickets with the token gives a ticket for it."
)


class Ticket(Record):
    """Opens one stream, once, until `expires_at`."""

    ticket: Name
    expires_at: WireTime


class Opening(Patch):
    """`last_event_id`: for those who cannot send the header `Last-Event-ID`."""

    ticket: Name | UnsetType = UNSET
    last_event_id: Name | UnsetType = UNSET


class Presence(Record):
    id: Id
    presence: Name | None
    nb_sip_locations: Count


PRESENCE = Listing("presence", Presence, schema.users)
_OWN_PRESENCE = Resource(PRESENCE, own=replace(PRESENCE, name="own presence", where="t.id = :me"), all_for=frozenset())


def _presence(caller: Caller) -> Resource:
    return _OWN_PRESENCE if Policy.PRESENCE_DISABLED in caller.policies else Resource(PRESENCE)


SUBJECTS = (
    Subject("call", calls.seen, calls.ended, calls.lasting),
    Subject("cdr", lambda _: cdrs.CDRS),
    Subject("user", _presence),
    Subject("voicemessage", lambda _: voicemessages.VOICEMESSAGES),
    Subject("monitor", lambda _: monitors.MONITORS),
    Subject("chat", lambda _: chats.CHATS, lambda _: chats.TAKEN),
    Subject("chatmsg", lambda _: chatmsgs.CHATMSGS),
)
"""What streams tell of. Another one is a line here, and `outbox.changed` where its records change."""


def _piece(event: Event) -> str:
    return f"event: {event.name}\nid: {event.id}\ndata: {event.data}\n\n"


def _message(event: Event) -> str:
    return f'{{"event": "{event.name}", "id": "{event.id}", "data": {event.data}}}'


def _issue(call: Call) -> replies.Reply:
    ticket, expires_at = tickets.issue(call.db, call.caller, call.now)
    return replies.item(Ticket(ticket, time_text(expires_at) or ""), 201)


def _last_id(call: Call) -> str:
    """What the client has got already, by the query or by the header."""
    faults = [Fault(name, NOT_HERE) for name, _ in call.params if name.lower() in TOKENS]
    if faults:
        raise Invalid(NOT_HERE, faults)
    given = call.parameters(Opening).last_event_id
    return call.headers.get("last-event-id", "") if given is UNSET else given


def _stream(call: Call) -> replies.Reply:
    seen = _last_id(call)
    outlet = call.services.streams.open(call.caller, seen, _piece, f"retry: {RETRY_MS}\n\n")
    # Reverse proxies that would keep pieces back until there are many, nginx above all, leave it alone.
    return replies.Reply(200, media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"}, outlet=outlet)


def _socket(call: Call) -> replies.Reply:
    return replies.Reply(101, outlet=call.services.streams.open(call.caller, _last_id(call), _message))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/events/tickets",
        f"A ticket that opens one stream in a browser, within {tickets.LIFE_S} seconds",
        _issue,
        Shape.ITEM,
        201,
        answer=Ticket,
        work=Work.WRITE,
    ),
    Endpoint(
        "GET",
        "/events",
        f"Live changes as server-sent events, with a heartbeat every {BEAT_S:.0f} seconds",
        _stream,
        Shape.FILE,
        answer=MEDIA_TYPE,
        parameters=Opening,
        ticketed=True,
        work=Work.OWN,
    ),
    Endpoint(
        "GET",
        "/events/socket",
        "The same through a WebSocket, each event as a JSON text",
        _socket,
        Shape.SOCKET,
        101,
        parameters=Opening,
        ticketed=True,
        work=Work.OWN,
    ),
)
