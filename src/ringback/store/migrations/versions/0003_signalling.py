"""Messages as capture agents report them: who saw one, what ties it to others, those of no call; and links that show calls."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT = sa.BigInteger()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _sip_messages()
    _mediasessions()
    _shares()
    engine_parts.add_sequences(op.get_bind(), {"shares": 1})


def _sip_messages() -> None:
    op.add_column("sip_messages", sa.Column("capture_id", INT, nullable=True))
    op.add_column("sip_messages", sa.Column("correlation", TEXT, nullable=True))
    op.add_column("sip_messages", sa.Column("loose_at", INT, nullable=True))
    _index("sip_messages", "loose_at", "loose_at IS NOT NULL")


def _mediasessions() -> None:
    _index("mediasessions", "updated_at", "status <> 'ENDED'")


def _shares() -> None:
    numbers = ("cdr_id", "user_id", "created_at", "expires_at")
    op.create_table(
        "shares",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        *(sa.Column(name, INT, nullable=False) for name in numbers),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sa.UniqueConstraint("hash", name=op.f("uq_shares_hash")),
    )
    op.create_index(
        op.f("ix_shares_customer_id_created_at_id"), "shares", ["customer_id", "created_at", "id"], unique=False
    )


def _index(table: str, column: str, where: str) -> None:
    """By customer, of the rows that the condition names."""
    name = op.f(f"ix_{table}_customer_id_{column}_id")
    columns = ["customer_id", column, "id"]
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
