"""Call Me Back: what the course of a callback, its limits and its visitors need."""

import secrets
import string

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts

INT = sa.BigInteger()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TEXTS = {
    "callmeback_settings": ("public_key", "missed_mail"),
    "callmeback_visitors": ("token", "network"),
    "callmeback_requests": ("token", "network", "dial_first", "channel", "stage", "open_number"),
}
_INTS = ("live_id", "tries", "due_at", "changed_at", "rang_at", "price_micro", "most_s")
_LETTERS = string.ascii_letters + string.digits


def upgrade() -> None:
    for table, names in _TEXTS.items():
        for name in names:
            op.add_column(table, sa.Column(name, TEXT, nullable=True))
    for name in _INTS:
        op.add_column("callmeback_requests", sa.Column(name, INT, nullable=True))
    _give_keys(op.get_bind())
    _index("callmeback_settings", "public_key", unique=True)
    op.drop_index(op.f("ix_callmeback_requests_customer_id_setting_id"), "callmeback_requests")
    for table in ("callmeback_visitors", "callmeback_requests"):
        _index(table, "customer_id", "token", unique=True)
        _index(table, "customer_id", "network", "created_at")
        _index(table, "customer_id", "created_at", where="network IS NOT NULL")
    _index("callmeback_requests", "customer_id", "setting_id", "created_at")
    _index("callmeback_requests", "customer_id", "open_number", unique=True)
    _index("callmeback_requests", "customer_id", "number", "created_at")
    _index("callmeback_requests", "customer_id", "live_id", where="live_id IS NOT NULL AND cdr_id IS NULL")
    _do_not_call()


def _give_keys(connection: sa.Connection) -> None:
    """Settings of before are shown on pages too."""
    for (row_id,) in connection.execute(sa.text("SELECT id FROM callmeback_settings")).all():
        key = "".join(secrets.choice(_LETTERS) for _ in range(16))
        sql = sa.text("UPDATE callmeback_settings SET public_key = :key WHERE id = :id")
        connection.execute(sql, {"key": key, "id": row_id})


def _index(table: str, *columns: str, unique: bool = False, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    name = op.f(f"ix_{table}_{'_'.join(columns)}")
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition, postgresql_where=condition)


def _do_not_call() -> None:
    table = "callmeback_donotcall"
    op.create_table(
        table,
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("number", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("customer_id", "number", name=op.f(f"uq_{table}_customer_id_number")),
    )
    _index(table, "customer_id", "created_at", "id")
    engine_parts.add_sequences(op.get_bind(), {table: 1})
