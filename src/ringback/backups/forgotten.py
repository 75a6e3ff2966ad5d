"""What a restore took away again, because people had been forgotten after the snapshot: it explains differences to that."""

import json
from collections import Counter
from collections.abc import Iterator

from ringback.backups.compare import standing
from ringback.backups.rows import rows_of, tables
from ringback.store import tombstones

_CERTIFICATES = f"SELECT certificate FROM erasures WHERE user_name = '{tombstones.BY}' AND certificate IS NOT NULL"


def again(url: str) -> str | None:
    """A sentence with the numbers of the certificates; None when the database at `url` knows of nobody."""
    with standing(url) as frozen:
        known = any(table.name == "erasures" for table in tables(frozen))
        found = [json.loads(row[0]) for row in rows_of(frozen, _CERTIFICATES)] if known else []
    if not found:
        return None
    who = "1 person was" if len(found) == 1 else f"{len(found)} people were"
    return f"{who} forgotten again by a restore: {', '.join(_counts(found)) or 'no record named them'}."


def _counts(certificates: list[dict[str, dict[str, int]]]) -> Iterator[str]:
    for what in ("removed", "redacted", "held"):
        total: Counter[str] = Counter()
        for each in certificates:
            total.update(each.get(what, {}))
        yield from (f"{n} {name} {what}" for name, n in sorted(total.items()) if n)
