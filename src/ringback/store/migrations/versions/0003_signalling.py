"""Messages as capture agents report them: who saw a message, what ties it to others, and those that belong to no call."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT = sa.BigInteger()
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _sip_messages()
    _mediasessions()


def _sip_messages() -> None:
    op.add_column("sip_messages", sa.Column("capture_id", INT, nullable=True))
    op.add_column("sip_messages", sa.Column("correlation", TEXT, nullable=True))
    op.add_column("sip_messages", sa.Column("loose_at", INT, nullable=True))
    _index("sip_messages", "loose_at", "loose_at IS NOT NULL")


def _mediasessions() -> None:
    _index("mediasessions", "updated_at", "status <> 'ENDED'")


def _index(table: str, column: str, where: str) -> None:
    """By customer, of the rows that the condition names."""
    name = op.f(f"ix_{table}_customer_id_{column}_id")
    columns = ["customer_id", column, "id"]
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
