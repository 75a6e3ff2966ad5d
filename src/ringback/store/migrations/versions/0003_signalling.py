"""Messages as capture agents report them, in slices; links that show calls; registrations; callbacks."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import callbacks, chats, engine_parts, packets, streams

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
    _leg_keys()
    _cdr_channels()
    _shares()
    _spooled()
    _registrations()
    op.add_column("customers", sa.Column("max_call_rate", INT, nullable=True))
    callbacks.upgrade()
    streams.upgrade()
    chats.upgrade()
    op.create_index(op.f("ix_jobs_kind_state_run_at"), "jobs", ["kind", "state", "run_at"])
    engine_parts.add_sequences(op.get_bind(), {"shares": 1, "registrations": 1})


def _sip_messages() -> None:
    """Packets move into slices."""
    op.add_column("mediasessions", sa.Column("slice_day", INT, nullable=True))
    op.create_index(
        op.f("ix_mediasessions_customer_id_slice_day_created_at_id"),
        "mediasessions",
        ["customer_id", "slice_day", "created_at", "id"],
    )
    engine_parts.add_sequences(op.get_bind(), {"packets": 1})
    packets.move(op.get_bind())
    op.drop_table("sip_messages")
    engine_parts.remove_sequence(op.get_bind(), "sip_messages")


def _mediasessions() -> None:
    _index("mediasessions", "updated_at", "status <> 'ENDED'")
    for table in ("mediasessions", "msdrs"):
        op.add_column(table, sa.Column("src_ip", TEXT, nullable=True))
        op.add_column(table, sa.Column("dst_ip", TEXT, nullable=True))
    op.add_column("msdrs", sa.Column("ended_by", TEXT, nullable=True))
    op.add_column("msdrs", sa.Column("is_told", INT, nullable=True))
    for end in ("src", "dst"):
        op.create_index(
            op.f(f"ix_msdrs_customer_id_{end}_created_at_id"), "msdrs", ["customer_id", end, "created_at", "id"]
        )


def _leg_keys() -> None:
    op.create_table(
        "leg_keys",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("at", INT, autoincrement=False, nullable=False),
        sa.Column("call_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "key", "at", "call_id", name=op.f("pk_leg_keys")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_leg_keys_customer_id_call_id"), "leg_keys", ["customer_id", "call_id"], unique=False)
    op.create_index(
        op.f("ix_mediasessions_customer_id_src_created_at"), "mediasessions", ["customer_id", "src", "created_at"]
    )


def _cdr_channels() -> None:
    op.create_table(
        "cdr_channels",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("cdr_id", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "channel", name=op.f("pk_cdr_channels")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_cdr_channels_customer_id_cdr_id"), "cdr_channels", ["customer_id", "cdr_id"])


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


def _spooled() -> None:
    op.create_table(
        "spooled",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("pbx", "source_key", "place", "folder")),
        sa.Column("was_here", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "pbx", "source_key", name=op.f("pk_spooled")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_spooled_customer_id_pbx_place"), "spooled", ["customer_id", "pbx", "place"])


def _registrations() -> None:
    texts, numbers = ("aor", "device", "src_ip", "transport", "state", "call_id", "attempts"), ("last_at", "failures")
    unsure_texts = ("contact", "user_agent", "last_cause")
    unsure_numbers = ("user_id", "src_port", "registered_at", "expires_at")
    op.create_table(
        "registrations",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in texts),
        *(sa.Column(name, INT, nullable=False) for name in numbers),
        *(sa.Column(name, TEXT, nullable=True) for name in unsure_texts),
        *(sa.Column(name, INT, nullable=True) for name in unsure_numbers),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registrations")),
        sa.UniqueConstraint("customer_id", "aor", "device", name=op.f("uq_registrations_customer_id_aor_device")),
    )
    op.create_index(op.f("ix_registrations_customer_id_last_at_id"), "registrations", ["customer_id", "last_at", "id"])
    op.create_index(op.f("ix_registrations_customer_id_user_id"), "registrations", ["customer_id", "user_id"])


def _index(table: str, column: str, where: str) -> None:
    """By customer, of the rows that the condition names."""
    name = op.f(f"ix_{table}_customer_id_{column}_id")
    columns = ["customer_id", column, "id"]
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
