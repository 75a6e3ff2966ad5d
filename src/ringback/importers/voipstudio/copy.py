"""What the parts of one run share, and how each of their rows is counted, stored or refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from ringback.errors import Invalid
from ringback.importers.importer import Progress, Summary, Unusable
from ringback.importers.voipstudio import ids
from ringback.importers.voipstudio.connection import Connection
from ringback.services import Services
from ringback.store import rows
from ringback.store.database import Db, persistently

Columns = dict[str, Any]
Read = Callable[[Mapping[str, Any]], Columns]
"""The columns of a row of the other server, with the `id` there. Unusable says why it has none."""
Adapt = Callable[[Db, Sequence[Columns]], Iterable[Columns]]
"""The rows with the ids of here in the columns that name other rows."""


@dataclass(frozen=True, slots=True)
class Copy:
    services: Services
    customer_id: int
    source: Connection
    summary: Summary
    progress: Progress
    country: str | None

    def each(self, what: str, page: Iterable[Mapping[str, Any]], store: Callable[[Mapping[str, Any]], bool]) -> None:
        """Row by row. `store` says whether the row was new; Unusable and Invalid refuse it."""
        for row in page:
            try:
                new = store(row)
            except Unusable as fault:
                self.refuse(what, row, str(fault))
            except Invalid as fault:
                self.refuse(what, row, "; ".join(f"{each.field}: {each.message}" for each in fault.faults))
            else:
                self.counted(1, int(new))
            self.progress.advance(1)

    def readable(self, what: str, page: Iterable[Mapping[str, Any]], read: Read) -> list[Columns]:
        """The rows of a page that are as the API promises; the others are refused."""
        found = {}
        for row in page:
            try:
                columns = read(row)
                found[columns["id"]] = columns
            except Unusable as fault:
                self.refuse(what, row, str(fault))
        return list(found.values())

    def all(self, what: str, table: Table, page: Sequence[Mapping[str, Any]], read: Read, adapt: Adapt) -> None:
        """A page in one transaction, for tables whose ids are claimed."""
        lot = self.readable(what, page, read)

        def work(db: Db) -> tuple[int, list[Columns]]:
            here = ids.claim(db, self.customer_id, table, (row["id"] for row in lot))
            there = ids.existing(db, self.customer_id, table, here.values())
            fresh = [row for row in lot if here[row["id"]] not in there]
            ready = {row["id"]: {**row, "id": here[row["id"]]} for row in adapt(db, fresh)} if fresh else {}
            rows.insert(db, table, self.customer_id, list(ready.values()))
            return len(ready), [row for row in fresh if row["id"] not in ready]

        new, left_out = persistently(self.services.database, work)
        self.counted(len(lot) - len(left_out), new)
        for row in left_out:
            self.refuse(what, row, "its owner is not here")
        self.progress.advance(len(page))

    def counted(self, read: int, new: int) -> None:
        self.summary.read += read
        self.summary.new += new
        self.summary.known += read - new

    def refuse(self, what: str, row: Mapping[str, Any], reason: str) -> None:
        self.summary.read += 1
        self.summary.refuse(f"{what} {str(row.get('id'))[:40]}", reason)
