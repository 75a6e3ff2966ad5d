"""The first schema."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts
from ringback.store.schema import SEQUENCES, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        engine_parts.postgres(connection, SEQUENCES)
    else:
        connection.execute(sa.text("SELECT 1"))
        engine_parts.sqlite(connection, SEQUENCES)
