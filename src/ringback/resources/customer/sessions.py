"""Logging in and out, and the sessions that are open (not in the reference pages; what clients rely on)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ringback.errors import NotFound
from ringback.identity import login, tokens
from ringback.record import NAME_LENGTH, Column, Flag, Id, Name, Patch, Record, Text, WireTime
from ringback.resources.customer import revoking
from ringback.rest import bodies, replies
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import list_of
from ringback.store import schema
from ringback.store.listing import Listing


class LoginBody(Patch):
    email: Text
    password: Text


class CodeBody(Patch):
    code: Annotated[Text, Meta(description="six digits from the app or the mail, or a recovery code")]
    nonce: Annotated[Text, Meta(description="from the answer of POST /login")]


class LoginAnswer(msgspec.Struct):
    message: str
    user_token: str
    user_id: int


class Message(msgspec.Struct):
    message: str


class Session(Record):
    """`token` is a handle: it names the session for DELETE and opens nothing."""

    id: Id
    token: Annotated[Name, Column("t.handle")]
    user_id: Id
    created_at: WireTime
    last_used_at: WireTime
    ip: Name | None
    user_agent: Name | None
    current: Annotated[Flag, Column("CASE WHEN t.hash = :token_hash THEN 1 ELSE 0 END")]


_LIVE = f"t.kind = '{tokens.SESSION}' AND :now - t.last_used_at <= t.expiry_s"

SESSIONS = Resource(
    Listing("sessions", Session, schema.tokens, where=_LIVE),
    own=Listing("own sessions", Session, schema.tokens, where=f"{_LIVE} AND t.user_id = :me"),
)


def _ping(_: Call) -> replies.Reply:
    return replies.data({"data": {"response": "Pong"}})


def visitor(call: Call) -> login.Visitor:
    agent = call.headers.get("user-agent", "").replace("\0", "")[:NAME_LENGTH]
    return login.Visitor(call.ip, agent or None, call.now)


def _login(call: Call) -> replies.Reply:
    body = bodies.decode(call.raw, LoginBody, partial=False, ignored=_names(call.raw))
    made = login.with_password(call.services, body.email, body.password, visitor(call))
    if isinstance(made, login.Nonce):
        return replies.data({"message": "Enter your two-factor code", "nonce": made.nonce}, 202)
    return _welcome(made)


def _login2fa(call: Call) -> replies.Reply:
    body = bodies.decode(call.raw, CodeBody, partial=False, ignored=_names(call.raw))
    return _welcome(login.with_code(call.services, body.nonce, body.code, visitor(call)))


def _names(raw: bytes) -> list[str]:
    """Every attribute of a body: clients send more to /login than it needs, and that is ignored."""
    try:
        content: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []  # decoding properly says what is wrong
    return list(content) if isinstance(content, dict) else []


def _welcome(session: login.Session) -> replies.Reply:
    return replies.data(LoginAnswer("Login success", session.token, session.user_id))


def _logout(call: Call) -> replies.Reply:
    tokens.end(call.db, call.customer_id, call.caller.token_hash)
    call.audit("logout", "User", call.caller.user_id)
    return replies.data(Message("Logout success"))


def _list(call: Call) -> replies.Reply:
    listing = SESSIONS.seen_by(call.caller)
    return list_of(call, SESSIONS, listing, now=call.now, token_hash=call.caller.token_hash)


def _revoke(call: Call) -> replies.Reply:
    found = revoking.find(call, [tokens.SESSION], call.path["handle"])
    if found is None:
        raise NotFound
    revoking.revoke(call, found, "Session")
    return replies.empty()


ENDPOINTS = (
    Endpoint("GET", "/ping", "Is the server there?", _ping, Shape.PLAIN, open=True, work=Work.OWN),
    Endpoint(
        "POST",
        "/login",
        "A session for an e-mail and a password; 202 with a nonce when a second factor is needed",
        _login,
        Shape.PLAIN,
        answer=LoginAnswer,
        body=LoginBody,
        open=True,
        work=Work.OWN,
    ),
    Endpoint(
        "POST",
        "/login2fa",
        "The second step of a login: a code of the app, of the mail, or a recovery code",
        _login2fa,
        Shape.PLAIN,
        answer=LoginAnswer,
        body=CodeBody,
        open=True,
        work=Work.OWN,
    ),
    Endpoint("POST", "/logout", "End the token of this request", _logout, Shape.PLAIN, answer=Message, work=Work.WRITE),
    Endpoint(
        "GET",
        "/sessions",
        "Open sessions: the caller's, or all of the customer's for administrators",
        _list,
        Shape.COLLECTION,
        answer=Session,
        resource=SESSIONS,
    ),
    Endpoint("DELETE", "/sessions/{handle}", "End a session", _revoke, Shape.EMPTY, 204, work=Work.WRITE),
)
