"""Tokens: 40 hexadecimal characters for the caller, a hash for us, a handle that names but opens nothing."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ringback.errors import BadCredentialsHeader, Unauthorized
from ringback.identity.idle import IdleTokens
from ringback.rest.access import Caller, policies_of, strongest
from ringback.store.accounts import full_name
from ringback.store.database import Db, first

SESSION_IDLE_S = 30 * 60
SWEEP_MARGIN_S = 60
SESSION, API, INGEST = "session", "api", "ingest"
"""Kinds of tokens. One of kind `ingest` opens only the endpoints that are made for it."""

_WHO = """
    u.id, u.customer_id, u.first_name, u.last_name, u.roles, u.is_root, u.email,
        (SELECT string_agg(p.policies, '\n')
         FROM usergroup_users g
         JOIN usergrouppolicy_usergroups l ON l.customer_id = g.customer_id AND l.usergroup_id = g.usergroup_id
         JOIN usergrouppolicies p ON p.customer_id = l.customer_id AND p.id = l.usergrouppolicy_id
         WHERE g.customer_id = u.customer_id AND g.user_id = u.id)
"""
_TOKEN = f"""
    k.kind, k.expiry_s, k.last_used_at, {_WHO} FROM tokens k
    JOIN users u ON u.customer_id = k.customer_id AND u.id = k.user_id
    JOIN customers c ON c.id = k.customer_id
    WHERE u.active = 1 AND c.deleted_at IS NULL
"""
_FIND = f"SELECT {_TOKEN} AND k.hash = :hash"
_USER = f"""
    SELECT {_WHO} FROM users u JOIN customers c ON c.id = u.customer_id
    WHERE u.customer_id = :customer AND u.id = :user AND u.active = 1 AND c.deleted_at IS NULL
"""


def new_token() -> str:
    return secrets.token_hex(20)


def hash_of(token: str) -> str:
    """Tokens are random, so a plain hash keeps them as well as a slow one would."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(
    db: Db, customer_id: int, user_id: int, *, kind: str, expiry_s: int | None, now: int, **columns: str | None
) -> tuple[str, str]:
    """Makes a token; returns it and its handle. `columns`: name, ip, user_agent."""
    token, handle = new_token(), new_token()
    row = {
        "hash": hash_of(token),
        "id": db.new_ids("tokens", 1)[0],
        "handle": handle,
        "customer_id": customer_id,
        "user_id": user_id,
        "kind": kind,
        "expiry_s": expiry_s,
        "created_at": now,
        "last_used_at": now,
        **columns,
    }
    db.load("tokens", list(row), [list(row.values())])
    return token, handle


def end(db: Db, customer_id: int, token_hash: str) -> None:
    sql = "DELETE FROM tokens WHERE customer_id = :customer AND hash = :hash"
    db.run(sql, {"customer": customer_id, "hash": token_hash})


def end_sessions(db: Db, customer_id: int, user_id: int, *, keep: str | None = None) -> None:
    """Ends the user's sessions but the one with the hash `keep`. API tokens stay."""
    sql = """
        DELETE FROM tokens WHERE customer_id = :customer AND user_id = :user AND kind = 'session' AND hash <> :keep
    """
    db.run(sql, {"customer": customer_id, "user": user_id, "keep": keep or ""})


def sweep(db: Db, now: int) -> None:
    """Removes expired tokens. The margin leaves alone what was used lately and is not written yet."""
    sql = "DELETE FROM tokens WHERE expiry_s IS NOT NULL AND :now - last_used_at > expiry_s"
    db.run(sql, {"now": now - SWEEP_MARGIN_S})


def identify(db: Db, token: str, named: str | None, idle: IdleTokens, now: int) -> Caller:
    """The caller of a token; resets its idle timer. `named` is the user (id or e-mail) that Basic gave beside it."""
    return identify_hash(db, hash_of(token), named, idle, now)


def identify_hash(db: Db, token_hash: str, named: str | None, idle: IdleTokens, now: int) -> Caller:
    rows = db.alone(_FIND, {"hash": token_hash})
    if not rows:
        raise Unauthorized
    kind, expiry_s, stored_at, *who = rows[0]
    caller = _caller(who, token_hash, brings_calls=kind == INGEST)
    if expiry_s and now - idle.last_used(token_hash, stored_at) > expiry_s:
        raise Unauthorized
    if named and named.lower() not in (str(caller.user_id), who[6].lower()):
        raise Unauthorized
    idle.touch(token_hash, now, stored_at)
    return caller


def callers(db: Db, hashes: Sequence[str], idle: IdleTokens, now: int) -> dict[str, Caller]:
    """The callers of those of these tokens that are good now, by hash. No idle timer begins anew."""
    found = db.all(f"SELECT k.hash, {_TOKEN} AND {db.among('k.hash', 'hashes')}", {"hashes": hashes})
    return {
        token_hash: _caller(who, token_hash, brings_calls=kind == INGEST)
        for token_hash, kind, expiry_s, stored_at, *who in found
        if not expiry_s or now - idle.last_used(token_hash, stored_at) <= expiry_s
    }


def user(db: Db, customer_id: int, user_id: int) -> Caller | None:
    """A user with the role and policies of now, for work that goes on without a token; None when there is no such active
    user."""
    row = first(db, _USER, {"customer": customer_id, "user": user_id})
    return None if row is None else _caller(row, "", brings_calls=False)


def _caller(row: Sequence[Any], token_hash: str, *, brings_calls: bool) -> Caller:
    user_id, customer_id, first_name, last_name, roles, is_root, email, policies = row
    return Caller(
        customer_id=customer_id,
        user_id=user_id,
        name=full_name(first_name, last_name) or email,
        role=strongest(json.loads(roles)),
        is_root=bool(is_root),
        policies=frozenset() if is_root or not policies else policies_of(policies.split("\n")),
        token_hash=token_hash,
        brings_calls=brings_calls,
    )


def credentials(headers: Mapping[str, str]) -> tuple[str, str | None]:
    """The token of a request, and the user that HTTP Basic names beside it. Unauthorized when there is none."""
    token = headers.get("x-auth-token")
    if token:
        return token, None
    return _basic(headers.get("authorization", ""))


def _basic(header: str) -> tuple[str, str | None]:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized
    try:
        user, separator, token = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise BadCredentialsHeader from None
    if not separator:
        raise BadCredentialsHeader
    return token, user or None
