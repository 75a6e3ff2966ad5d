"""What the schema needs beyond tables: sequences, the `fold` function, the index of parts of numbers."""

from collections.abc import Mapping

import sqlalchemy as sa

from ringback.store.database import folding_table


def create(connection: sa.Connection, sequences: Mapping[str, int]) -> None:
    """`sequences`: name → first value."""
    add_sequences(connection, sequences)
    (_postgres if connection.dialect.name == "postgresql" else _sqlite)(connection)


def add_sequences(connection: sa.Connection, sequences: Mapping[str, int]) -> None:
    """`sequences`: name → first value."""
    for name, start in sequences.items():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"CREATE SEQUENCE {name}_ids START {start}"))
        else:
            connection.execute(sa.text("INSERT INTO sequences VALUES (:name, :start)"), {"name": name, "start": start})


def remove_sequence(connection: sa.Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"DROP SEQUENCE {name}_ids"))
    else:
        connection.execute(sa.text("DELETE FROM sequences WHERE name = :name"), {"name": name})


def _sqlite(connection: sa.Connection) -> None:
    connection.execute(sa.text("CREATE VIRTUAL TABLE cdr_numbers USING fts5(src, dst, content='', tokenize='trigram')"))


def _postgres(connection: sa.Connection) -> None:
    connection.execute(sa.text(_fold_function()))
    if connection.scalar(sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")):
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        for column in ("src", "dst"):
            index = f"CREATE INDEX ix_cdrs_{column}_parts ON cdrs USING gin ({column} gin_trgm_ops)"
            connection.execute(sa.text(index))


def _fold_function() -> str:
    """`fold(text)`: by the same table as in Python, so that letters compare alike on every database and locale."""
    pairs = {point: lower for point, lower in folding_table().items() if point > 127}
    upper = "".join(map(chr, pairs))
    lower = "".join(pairs.values())
    ascii_lower = 'lower($1 COLLATE "C")'
    return f"""
        CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN octet_length($1) = length($1) THEN {ascii_lower}
        ELSE translate({ascii_lower}, '{upper}', '{lower}') END $$
    """
