"""What streams of live changes need: the outbox, how far it is numbered, and the last state of calls that have ended."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts

INT = sa.BigInteger()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBERS = ("connected_at", "duration", "parent_id", "user_id", "peer_user_id", "src_rate", "dst_rate", "min_charge")
_TEXTS = (
    *("clid", "context", "destination", "dst", "dst_call_id", "dst_codec", "dst_connection", "dst_contact"),
    *("dst_id", "dst_name", "dst_ua", "monitor_state", "queue_state", "referred_by", "src", "src_call_id"),
    *("src_codec", "src_contact", "src_id", "src_name", "src_ua", "action_url", "action_text"),
)


def upgrade() -> None:
    _events()
    _ended_calls()
    engine_parts.add_sequences(op.get_bind(), {"events": 1, "ended_calls": 1})


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("object_id", INT, nullable=False),
        sa.Column("number", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_customer_id_number"), "events", ["customer_id", "number"])
    fresh = sa.text("number IS NULL")
    op.create_index("ix_events_unnumbered", "events", ["id"], sqlite_where=fresh, postgresql_where=fresh)
    op.create_table(
        "event_marks",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("last", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_event_marks")),
    )


def _ended_calls() -> None:
    op.create_table(
        "ended_calls",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("start_time", INT, nullable=False),
        *(sa.Column(name, INT, nullable=True) for name in _NUMBERS),
        *(sa.Column(name, TEXT, nullable=True) for name in _TEXTS),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("ended_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_calls")),
    )
    op.create_index(op.f("ix_ended_calls_customer_id_id"), "ended_calls", ["customer_id", "id"])
