"""Who was forgotten, as fingerprints that travel with backups: a restored older snapshot must not bring anybody back."""

from collections.abc import Iterable

import msgspec

from ringback.store import server_secrets
from ringback.store.database import Database

SECRET = "erasures"  # noqa: S105 -- the name of it
BY = "restore"
"""Who asked for an erasure that a restore did again."""


class Tombstone(msgspec.Struct, frozen=True):
    """`key`: the secret of the server that made the fingerprint, in hexadecimal. `erased_at`: UTC seconds."""

    customer_id: int
    kind: str
    fingerprint: str
    key: str
    erased_at: int


def of(database: Database) -> list[Tombstone]:
    """The erasures that are done."""
    sql = "SELECT customer_id, kind, fingerprint, finished_at FROM erasures WHERE finished_at IS NOT NULL ORDER BY id"
    found = database.read(lambda db: db.all(sql))
    if not found:
        return []
    key = server_secrets.secret(database, SECRET).hex()
    return [Tombstone(customer_id, kind, mark, key, at) for customer_id, kind, mark, at in found]


def merged(kept: Iterable[Tombstone], more: Iterable[Tombstone]) -> list[Tombstone]:
    """Both, each fingerprint once with its latest time."""
    latest: dict[tuple[int, str], Tombstone] = {}
    for each in (*kept, *more):
        name = (each.customer_id, each.fingerprint)
        if name not in latest or latest[name].erased_at < each.erased_at:
            latest[name] = each
    return list(latest.values())


def encoded(tombstones: Iterable[Tombstone]) -> bytes:
    return msgspec.json.Encoder().encode_lines(tombstones)


def decoded(data: bytes) -> list[Tombstone]:
    """msgspec.DecodeError or ValidationError for what is damaged."""
    return msgspec.json.Decoder(Tombstone).decode_lines(data)
