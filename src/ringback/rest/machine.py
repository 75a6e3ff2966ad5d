"""One request through the machine: who calls, may they, in which transaction, what comes out.

Synchronous: it runs in a worker thread (`asgi.py` is the part that talks HTTP), so that no database call ever stops the
event loop.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ringback.blobs import BlobsUnavailable
from ringback.errors import Forbidden, Invalid, NotFound, RingbackError, Unavailable
from ringback.identity import tickets, tokens
from ringback.rest import replies
from ringback.rest.access import Caller
from ringback.rest.endpoint import Call, Endpoint, Work
from ringback.services import Services
from ringback.store.database import Db

log = structlog.get_logger()

NEEDS_INGEST = (
    "This takes the token of a program that brings calls in: `ringback token create --ingest` makes one, "
    'or POST /apitokens with "ingest": true.'
)
IS_INGEST = "This token brings calls in and opens /ingest only. Send a session's or an API token here."


@dataclass(frozen=True, slots=True)
class Request:
    """What of an HTTP request the machine needs. Header names are lower case."""

    method: str
    path: str
    params: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    ip: str
    file: Path | None = None
    """Where the body lies, of an upload."""


def authenticate(services: Services, request: Request) -> Caller:
    """The caller alone, for requests whose route does not exist (401 comes before 404)."""
    token, named = tokens.credentials(request.headers)
    now = services.clock()
    return services.database.read(lambda db: tokens.identify(db, token, named, services.idle, now))


Met = Callable[[Mapping[str, str], Caller], None]
"""Told of a request's headers and its caller once the token is checked."""


def answer(
    services: Services,
    endpoint: Endpoint,
    path: Mapping[str, Any],
    request: Request,
    met: Met = lambda _, __: None,
) -> replies.Reply:
    """The answer of an endpoint; errors come out as their replies, unknown ones as 500 with an id for the log."""
    try:
        return _answer(services, endpoint, path, request, met)
    except RingbackError as error:
        if error.status >= 500:
            log.warning("unavailable", path=endpoint.path, method=endpoint.method, cause=repr(error.__cause__))
        return replies.problem(error)
    except BlobsUnavailable as error:
        log.warning("object store unavailable", path=endpoint.path, cause=str(error))
        return replies.problem(Unavailable("The audio store cannot be used right now. Try again shortly."))
    except RecursionError:
        return replies.problem(Invalid("The request is nested too deeply."))
    except Exception:
        return failure(f"{endpoint.method} {endpoint.path}")


def failure(where: str) -> replies.Reply:
    """500 for the exception in flight, which the log gets with an id that the caller sees."""
    request_id = uuid.uuid4().hex
    log.exception("request failed", where=where, request_id=request_id)
    return replies.problem(RingbackError(f"{RingbackError.message} ({request_id})"))


def _answer(
    services: Services, endpoint: Endpoint, path: Mapping[str, Any], request: Request, met: Met
) -> replies.Reply:
    call = _call(services, endpoint, path, request)
    if endpoint.open:
        return _run(call)
    token_hash, named = _credentials(services, endpoint, request, call.now)

    def first_part(db: Db) -> replies.Reply | None:
        call.current = tokens.identify_hash(db, token_hash, named, services.idle, call.now)
        if not _ticket(endpoint, request):
            met(request.headers, call.current)
        call.transaction = db
        _refuse(call)
        return endpoint.handler(call) if endpoint.work is Work.READ else None

    reply = services.database.read(first_part)
    call.transaction = None
    return reply if reply is not None else _run(call)


def _credentials(services: Services, endpoint: Endpoint, request: Request, now: int) -> tuple[str, str | None]:
    """The hash of the token that is meant, and the user that is named beside it."""
    ticket = _ticket(endpoint, request)
    if ticket:
        return services.database.write(lambda db: tickets.redeem(db, ticket, now)), None
    token, named = tokens.credentials(request.headers)
    return tokens.hash_of(token), named


def _ticket(endpoint: Endpoint, request: Request) -> str:
    return dict(request.params).get("ticket", "") if endpoint.ticketed else ""


def admit(services: Services, endpoint: Endpoint, path: Mapping[str, Any], request: Request, met: Met) -> None:
    """Raises what stands against the caller (401, 403): for an upload, before its body is read."""
    call = _call(services, endpoint, path, request)
    token, named = tokens.credentials(request.headers)

    def work(db: Db) -> None:
        call.current = tokens.identify(db, token, named, services.idle, call.now)
        met(request.headers, call.current)
        call.transaction = db
        _refuse(call)

    services.database.read(work)


def _call(services: Services, endpoint: Endpoint, path: Mapping[str, Any], request: Request) -> Call:
    return Call(
        endpoint=endpoint,
        services=services,
        method=request.method,
        path=path,
        params=request.params,
        headers=request.headers,
        raw=request.body,
        ip=request.ip,
        now=services.clock(),
        file=request.file,
    )


def _run(call: Call) -> replies.Reply:
    """The handler in its own transaction, or in the one that its row asks for."""

    def within(db: Db) -> replies.Reply:
        call.transaction = db
        return call.endpoint.handler(call)

    match call.endpoint.work:
        case Work.OWN:
            return call.endpoint.handler(call)
        case Work.READ:
            return call.services.database.read(within)
        case Work.WRITE:
            return call.services.database.write(within)


def _refuse(call: Call) -> None:
    """Forbidden by role or policy; but a record that is not the customer's is not found, whoever asks."""
    endpoint, caller = call.endpoint, call.caller
    if endpoint.ingest is not caller.brings_calls:
        raise Forbidden(NEEDS_INGEST if endpoint.ingest else IS_INGEST)
    if caller.role in endpoint.roles and endpoint.closing.isdisjoint(caller.policies):
        return
    ids = call.path.get("ids") or ([call.path["id"]] if "id" in call.path else [])
    named = endpoint.parent or endpoint.resource
    if ids and named is not None:
        there = call.services.lists.some(call.db, named.listing, call.bound(), ids)
        if len(there) < len(ids):
            raise NotFound
    raise Forbidden
