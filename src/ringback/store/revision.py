"""Whether an SQLite file has this version's schema already, told without the libraries that migrate."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_VERSIONS = Path(__file__).with_name("migrations") / "versions"


def newest() -> str:
    """The revision that the last migration makes: its file begins with it."""
    return max(each.name for each in _VERSIONS.glob("[0-9]*.py")).partition("_")[0]


def is_newest(path: Path) -> bool:
    """False for what cannot be read, and for no database: `migrate` knows what to say."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest(),)]
    except sqlite3.Error:
        return False
