"""Lines of Master.csv for the tests of imports."""

from pathlib import Path
from typing import Any

from ringback.importers import Options, Summary
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from tests.api import Api

CALL = {
    "accountcode": "",
    "src": "101",
    "dst": "02079460000",
    "dcontext": "from-internal",
    "clid": "101",
    "channel": "PJSIP/101-0000001a",
    "dstchannel": "PJSIP/trunk-0000001b",
    "lastapp": "Dial",
    "lastdata": "PJSIP/02079460000@trunk",
    "start": "2026-11-20 10:00:00",
    "answer": "2026-11-20 10:00:05",
    "end": "2026-11-20 10:01:00",
    "duration": "60",
    "billsec": "55",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "uniqueid": "1795341600.26",
    "userfield": "",
}


def line(*more: str, **changes: str) -> str:
    """One call; `more` are the columns after userfield."""
    return ",".join(f'"{cell}"' if cell else "" for cell in [*(CALL | changes).values(), *more]) + "\n"


def inbound(**changes: str) -> str:
    trunk = {"src": "442079461111", "dst": "442079460100", "channel": "PJSIP/trunk-00000001"}
    return line(**{**trunk, "dstchannel": "PJSIP/103-00000002", **changes})


def many(n: int) -> str:
    """Calls from outside, every third followed by a second hop of the same call."""
    return "".join(
        inbound(uniqueid=f"17953416{i // 3:05}.{i // 3}", src=f"4420794{i % 3:02}{i // 3:04}", duration=str(i % 500))
        for i in range(n)
    )


def run(api: Api, kind: str, path: Path, *, customer: int | None = None, **options: Any) -> Summary:
    given = Options(**{"country": "GB", **options})
    return IMPORTERS[kind].run(api.services, customer or api.acme, path, given, Unwatched())


def written(folder: Path, *lines: str, name: str = "Master.csv") -> Path:
    path = folder / name
    path.write_text("".join(lines))
    return path


def shape(api: Api, customer: int) -> list[tuple[Any, ...]]:
    """Every CDR with its key, and the key of the one that it hangs on."""
    sql = """
        SELECT t.source_key, p.source_key, t.calldate, t.duration, t.src FROM cdrs t
        LEFT JOIN cdrs p ON p.customer_id = t.customer_id AND p.live_id = t.parent_live_id
        WHERE t.customer_id = :customer ORDER BY t.source_key
    """
    return api.services.database.read(lambda db: db.all(sql, {"customer": customer}))


def stored(api: Api, columns: str) -> list[tuple[Any, ...]]:
    """Some columns of every CDR of the customer."""
    sql = f"SELECT {columns} FROM cdrs WHERE customer_id = :customer ORDER BY id"
    return api.services.database.read(lambda db: db.all(sql, {"customer": api.acme}))
