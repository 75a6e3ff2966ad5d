"""What live chats of the widget need: who the visitor is, who is asked, what has arrived and was read."""

import sqlalchemy as sa
from alembic import op

INT = sa.BigInteger()
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TEXTS = {"chats": ("token", "open_token", "network", "asked", "visitor_page"), "chatmsgs": ("client_id",)}
_INTS = {
    "chats": ("accepted_at", "seen_at", "visitor_typing_at", "operator_typing_at", "revision", "transcripts"),
    "chatmsgs": ("delivered_at", "number"),
    "users": ("chat_until",),
}


def upgrade() -> None:
    for kind, columns in ((TEXT, _TEXTS), (INT, _INTS)):
        for table, names in columns.items():
            for name in names:
                op.add_column(table, sa.Column(name, kind, nullable=True))
    _index("token")
    _index("open_token", unique=True)
    _index("network", "created_at")
    _index("website_id", "created_at")
    _index("created_at", where="network IS NOT NULL")


def _index(*columns: str, unique: bool = False, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    name = op.f(f"ix_chats_customer_id_{'_'.join(columns)}")
    names = ["customer_id", *columns]
    op.create_index(name, "chats", names, unique=unique, sqlite_where=condition, postgresql_where=condition)
