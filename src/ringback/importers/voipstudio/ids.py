"""Which id here belongs to which id there: the same one where nobody has it, else a new one that is remembered."""

import re
from collections.abc import Iterable, Mapping

from sqlalchemy import Table

from ringback.importers.voipstudio.rows import LARGEST_ID
from ringback.store import ids, rows, schema
from ringback.store.database import Db, value

KEY = "voipstudio:"
"""What the source key of a copied row begins with; the id there follows."""
LIVE = "live"
_PARTIES = {"": schema.users, "contact:": schema.contacts, "Queue": schema.queues}
_PARTY = re.compile(r"(contact:|Queue|)(\d{1,19})", re.ASCII)

Map = Mapping[int, int]


def leave_room(db: Db, sequence: str, largest: int) -> None:
    """New ids are larger than all of the other account, so that none takes the place of one that comes later."""
    ids.skip_to(db, sequence, min(largest, LARGEST_ID))


def known(db: Db, customer_id: int, resource: str, there: Iterable[int]) -> dict[int, int]:
    sql = f"""
        SELECT source_id, object_id FROM copied
        WHERE customer_id = :customer AND resource = :resource AND {db.among("source_id", "ids")}
    """
    bound = {"customer": customer_id, "resource": resource, "ids": sorted({str(each) for each in there})}
    return {int(source_id): object_id for source_id, object_id in db.all(sql, bound)} if bound["ids"] else {}


def claim(db: Db, customer_id: int, table: Table, there: Iterable[int]) -> dict[int, int]:
    """An id here for each id there, the same on every run. It need not have a row: the user may be gone."""
    wanted = set(there)
    found = known(db, customer_id, table.name, wanted)
    fresh = sorted(wanted - found.keys())
    if fresh:
        taken = _taken(db, customer_id, table, fresh)
        found |= remember(db, customer_id, table.name, kept(db, table.name, fresh, taken))
    return found


def kept(db: Db, sequence: str, there: Iterable[int], taken: set[int]) -> dict[int, int]:
    """The ids that can be kept, and new ones for the others."""
    wanted = sorted(there)
    own = [each for each in wanted if 0 < each <= LARGEST_ID and each not in taken]
    others = [each for each in wanted if each not in set(own)]
    if own:
        ids.skip_to(db, sequence, own[-1])
    new = db.new_ids(sequence, len(others)) if others else []
    return {each: each for each in own} | dict(zip(others, new, strict=True))


def remember(db: Db, customer_id: int, resource: str, pairs: Map) -> Map:
    links = [{"resource": resource, "source_id": str(there), "object_id": here} for there, here in pairs.items()]
    rows.insert(db, schema.copied, customer_id, links)
    return pairs


def existing(db: Db, customer_id: int, table: Table, here: Iterable[int]) -> set[int]:
    """Those that have a row of the customer."""
    sql = f'SELECT id FROM "{table.name}" WHERE {rows.by_ids(db)}'
    wanted = list(here)
    return {row[0] for row in db.all(sql, {"customer": customer_id, "ids": wanted})} if wanted else set()


def used(db: Db, table: Table, there: Iterable[int]) -> set[int]:
    """Those that some customer's row has."""
    sql = f'SELECT id FROM "{table.name}" WHERE {db.among("id", "ids")}'
    return {row[0] for row in db.all(sql, {"ids": list(there)})}


def _taken(db: Db, customer_id: int, table: Table, there: list[int]) -> set[int]:
    """Also what was given to another row of that account, and users who are gone but have calls."""
    taken = used(db, table, there) | _given(db, customer_id, table.name, there)
    return taken | ({each for each in there if _has_calls(db, customer_id, each)} if table is schema.users else set())


def _given(db: Db, customer_id: int, resource: str, here: list[int]) -> set[int]:
    """Those that rows of that account got here in place of their own."""
    sql = f"""
        SELECT object_id FROM copied
        WHERE customer_id = :customer AND resource = :resource AND {db.among("object_id", "ids")}
    """
    bound = {"customer": customer_id, "resource": resource, "ids": here}
    return {row[0] for row in db.all(sql, bound)} if here else set()


def _has_calls(db: Db, customer_id: int, user_id: int) -> bool:
    sql = "SELECT 1 FROM cdr_parties WHERE customer_id = :customer AND user_id = :user LIMIT 1"
    return value(db, sql, {"customer": customer_id, "user": user_id}) is not None


def lives(db: Db, customer_id: int, there: Iterable[int | None]) -> dict[int, int]:
    """Live ids: as they are, but for those that a call of another origin has here."""
    wanted = {each for each in there if each is not None}
    renamed = known(db, customer_id, LIVE, wanted)
    rest = sorted(wanted - renamed.keys())
    sql = f"""
        SELECT live_id FROM cdrs WHERE customer_id = :customer AND {db.among("live_id", "ids")}
        AND source_key NOT LIKE '{KEY}%'
    """
    clashing = {row[0] for row in db.all(sql, {"customer": customer_id, "ids": rest})} if rest else set()
    clashing |= _given(db, customer_id, LIVE, rest)
    fresh = kept(db, LIVE, rest, clashing)
    changed = {source: here for source, here in fresh.items() if source != here}
    remember(db, customer_id, LIVE, changed)
    return renamed | fresh


def number(given: object) -> int:
    """The id of a row as a number; 0, which no row has, for what is none."""
    text = str(given)
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else 0


class Parties:
    """Users, contacts and queues that rows of a page name, with their ids here."""

    def __init__(self, db: Db, customer_id: int, texts: Iterable[str | None], users: Iterable[int | None]) -> None:
        named: dict[str, set[int]] = {kind: set() for kind in _PARTIES}
        named[""] |= {each for each in users if each}
        for text in filter(None, texts):
            match = _PARTY.fullmatch(text)
            if match is not None and 0 < int(match[2]) < 2**63:
                named[match[1]].add(int(match[2]))
        self._ids = {kind: claim(db, customer_id, _PARTIES[kind], each) for kind, each in named.items()}

    def user(self, there: int | None) -> int | None:
        return self._ids[""][there] if there else there

    def party(self, there: str | None) -> str | None:
        """`100002`, `contact:7`, `Queue3` with the id here; `0`, `IVR3` and null as they are."""
        match = _PARTY.fullmatch(there or "")
        here = self._ids[match[1]].get(int(match[2])) if match else None
        return f"{match[1]}{here}" if match and here is not None else there
