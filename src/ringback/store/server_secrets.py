"""Secrets of the server itself: made at first use, shared by every process on the database."""

import secrets

from ringback.store.database import Database, Db, value

_BYTES = 32


def secret(database: Database, name: str) -> bytes:
    """The secret of this name; the first caller of all makes it."""
    found = database.read(lambda db: _kept(db, name))
    return bytes.fromhex(found or database.write(lambda db: _made(db, name)))


def keep(db: Db, name: str, secret: str) -> None:
    """A secret (hexadecimal) that another database had; one that is here already stays."""
    sql = "INSERT INTO server_secrets (name, secret) VALUES (:name, :secret) ON CONFLICT (name) DO NOTHING"
    db.run(sql, {"name": name, "secret": secret})


def _kept(db: Db, name: str) -> str | None:
    found: str | None = value(db, "SELECT secret FROM server_secrets WHERE name = :name", {"name": name})
    return found


def _made(db: Db, name: str) -> str:
    """The upsert that changes nothing answers with the row of whoever was first."""
    sql = """
        INSERT INTO server_secrets (name, secret) VALUES (:name, :secret)
        ON CONFLICT (name) DO UPDATE SET secret = server_secrets.secret RETURNING secret
    """
    return str(value(db, sql, {"name": name, "secret": secrets.token_hex(_BYTES)}))
