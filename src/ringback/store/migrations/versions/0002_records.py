"""Rates, legal holds, erasures, exports, audio that waits to be encoded, and contacts that were imported."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT = sa.BigInteger()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCES = {"rates": 1, "holds": 1, "erasures": 1, "exports": 1, "audio_inbox": 1}


def upgrade() -> None:
    _rates()
    _holds()
    _hold_objects()
    _erasures()
    _exports()
    _audio_inbox()
    _contacts()
    _copied()
    _monitors()
    _cdrs()
    engine_parts.add_sequences(op.get_bind(), SEQUENCES)


def _contacts() -> None:
    op.add_column("contacts", sa.Column("source_key", TEXT, nullable=True))
    op.create_index(op.f("ix_contacts_customer_id_source_key"), "contacts", ["customer_id", "source_key"], unique=True)


def _copied() -> None:
    op.create_table(
        "copied",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("object_id", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "resource", "source_id", name=op.f("pk_copied")),
        sqlite_with_rowid=False,
    )


def _monitors() -> None:
    op.add_column("monitors", sa.Column("uniqueid", TEXT, nullable=True))
    op.create_index(op.f("ix_monitors_customer_id_uniqueid"), "monitors", ["customer_id", "uniqueid"], unique=False)


def _cdrs() -> None:
    op.add_column("cdrs", sa.Column("linkedid", TEXT, nullable=True))
    linked = sa.text("linkedid IS NOT NULL")
    op.create_index(
        op.f("ix_cdrs_customer_id_linkedid"),
        "cdrs",
        ["customer_id", "linkedid"],
        unique=False,
        sqlite_where=linked,
        postgresql_where=linked,
    )


def _rates() -> None:
    op.create_table(
        "rates",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("prefix", TEXT, nullable=False),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("price_micro", INT, nullable=False),
        sa.Column("minimum_s", INT, nullable=False),
        sa.Column("increment_s", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
        sa.UniqueConstraint("customer_id", "prefix", name=op.f("uq_rates_customer_id_prefix")),
    )


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("filter", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_customer_id_resource"), "holds", ["customer_id", "resource"], unique=False)


def _hold_objects() -> None:
    op.create_table(
        "hold_objects",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("hold_id", INT, autoincrement=False, nullable=False),
        sa.Column("object_id", INT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "hold_id", "object_id", name=op.f("pk_hold_objects")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_hold_objects_customer_id_object_id"), "hold_objects", ["customer_id", "object_id"], unique=False
    )


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("certificate", TEXT, nullable=True),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("finished_at", INT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(
        op.f("ix_erasures_customer_id_created_at_id"), "erasures", ["customer_id", "created_at", "id"], unique=False
    )


def _exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("user_id", INT, nullable=False),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("filter", TEXT, nullable=True),
        sa.Column("sort", TEXT, nullable=True),
        sa.Column("blob_key", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("rights", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("progress", INT, nullable=False),
        sa.Column("rows", INT, nullable=True),
        sa.Column("size", INT, nullable=True),
        sa.Column("finished_at", INT, nullable=True),
        sa.Column("expires_at", INT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(
        op.f("ix_exports_customer_id_created_at_id"), "exports", ["customer_id", "created_at", "id"], unique=False
    )


def _audio_inbox() -> None:
    op.create_table(
        "audio_inbox",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("shelf", TEXT, nullable=False),
        sa.Column("source_key", TEXT, nullable=False),
        sa.Column("row", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("blob_key", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audio_inbox")),
        sa.UniqueConstraint(
            "customer_id", "shelf", "source_key", name=op.f("uq_audio_inbox_customer_id_shelf_source_key")
        ),
    )
    op.create_index(
        op.f("ix_audio_inbox_customer_id_created_at_id"),
        "audio_inbox",
        ["customer_id", "created_at", "id"],
        unique=False,
    )
