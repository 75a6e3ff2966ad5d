"""Signed links: a URL that opens one file for a while, for players and downloads that cannot send a token."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from ringback.store import server_secrets
from ringback.store.database import Database

LINK_S = 600
_SECRET = "links"  # noqa: S105 -- the name of it


def query(database: Database, customer_id: int, path: str, now: int, lasting_s: int = LINK_S) -> tuple[str, int]:
    """The query that opens `path` (below the base path) without a token, and when it ends."""
    expires = now + lasting_s
    signature = _signature(database, customer_id, path, expires)
    return urlencode({"customer": customer_id, "expires": expires, "signature": signature}), expires


def customer_of(database: Database, path: str, params: Mapping[str, str], now: int) -> int | None:
    """Whose record the link opens; None when it was not made here, is for another path, or has ended."""
    customer, expires = params.get("customer", ""), params.get("expires", "")
    if not (_is_number(customer) and _is_number(expires)) or int(expires) <= now:
        return None
    expected = _signature(database, int(customer), path, int(expires))
    given = params.get("signature", "")
    return int(customer) if hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _signature(database: Database, customer_id: int, path: str, expires: int) -> str:
    text = f"{customer_id}\n{path}\n{expires}"
    return hmac.new(server_secrets.secret(database, _SECRET), text.encode(), hashlib.sha256).hexdigest()
