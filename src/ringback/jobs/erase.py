"""Forgetting a person: every record that is the person's goes, every mention is taken out, and a certificate says what went.

The job is asked for with the person in its arguments, which go with the job; the erasure itself keeps a fingerprint only.
It looks through all tables until a whole look finds nothing, in short transactions that also count what they did, so that a
crash loses no count. What a legal hold keeps stays, and is counted as held.
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Table

from ringback.calls.persons import Person
from ringback.jobs import drop_blobs, encode, exports, queue, retain
from ringback.record import time_text
from ringback.services import Services
from ringback.store import audit, cdrs, rows, schema, server_secrets, slices, tombstones, traces
from ringback.store.database import Database, Db, first
from ringback.store.slices import Slice
from ringback.store.traces import TRACES, Trace

KIND = "erase"
LOOKS = 5
WAITING, RUNNING, DONE, HELD = "waiting", "running", "done", "held"

Take = Callable[[Db, int, Sequence[int]], None]


def fingerprint(database: Database, someone: Person) -> str:
    """What tells that somebody was forgotten without telling who: nobody without the server's secret can try numbers."""
    return fingerprint_by(server_secrets.secret(database, tombstones.SECRET), someone)


def fingerprint_by(key: bytes, someone: Person) -> str:
    return hmac.new(key, f"{someone.kind}:{someone.value}".encode(), hashlib.sha256).hexdigest()


def begin(db: Db, customer_id: int, someone: Person, mark: str, *, now: int, user_id: int, user_name: str) -> int:
    """Within the caller's transaction: the erasure with the fingerprint `mark`, and its job. Returns its id."""
    row = {
        "kind": someone.kind,
        "fingerprint": mark,
        "state": WAITING,
        "user_id": user_id,
        "user_name": user_name,
        "created_at": now,
    }
    (erasure_id,) = rows.insert(db, schema.erasures, customer_id, [row])
    who = {"kind": someone.kind, "value": someone.value, "country": someone.country}
    queue.enqueue(db, customer_id, KIND, {"erasure": erasure_id, "person": who}, now=now, key=str(erasure_id))
    return erasure_id


def run(services: Services, job: queue.Job) -> None:
    """At last nothing is left where the rows were either: in pages, in the index of parts of numbers, in the log."""
    args = dict(job.args)
    someone = args.pop("person", None)
    if someone is not None:
        erase(services, job.customer_id, args["erasure"], Person(**someone))
        services.database.write(lambda db: queue.keep(db, job.id, job.args, args, services.clock()))
    retain.give_back(services, thorough=True)


def erase(services: Services, customer_id: int, erasure_id: int, someone: Person) -> None:
    """Does an erasure from wherever a crash left it; repeating one that is done finds nothing more."""
    work = _Erasure(services, customer_id, erasure_id, someone)
    work.begin()
    looks = 0
    while work.look() and looks < LOOKS:
        looks += 1
    work.finish()


class _Erasure:
    def __init__(self, services: Services, customer_id: int, erasure_id: int, someone: Person) -> None:
        self._services, self._database = services, services.database
        self._customer_id, self._erasure_id = customer_id, erasure_id
        self._someone = someone
        self._held: Counter[str] = Counter()

    def begin(self) -> None:
        """Exports may hold the person and are files that nobody looks into: all of them go."""

        def work(db: Db) -> None:
            self._remove_exports(db)
            rows.update(db, schema.erasures, self._customer_id, self._erasure_id, {"state": RUNNING})

        self._database.write(work)

    def _remove_exports(self, db: Db) -> None:
        self._count(db, "removed", {"exports": exports.remove_all(db, self._customer_id)})

    def look(self) -> bool:
        """One look through all tables; whether anything was there that could go."""
        self._held.clear()
        rows_ = sum(map(self._through, TRACES))
        return rows_ + sum(map(self._through_slice, self._database.slices.listed(self._customer_id))) > 0

    def _through_slice(self, one: Slice) -> int:
        """How many packets went."""
        lots = traces.packets_with(self._database, one, self._someone)
        return sum(self._written(partial(self._packets, day=one.day, found=lot)) for lot in lots)

    def _packets(self, db: Db, held: Counter[str], day: int, found: Sequence[slices.Row]) -> int:
        db.slices.begin(self._customer_id)
        free = traces.packets_free_of_holds(db, self._customer_id, day, found)
        db.slices.remove_packets(self._customer_id, day, [(row.call, row.digest) for row in free])
        held["packets"] += len(found) - len(free)
        self._count(db, "removed", {"packets": len(free)})
        return len(free)

    def _through(self, trace: Trace) -> int:
        """How many rows went or changed."""
        done = 0
        for owned, mentioned in traces.lots_with(self._database, self._customer_id, trace, self._someone):
            done += self._written(partial(self._lot, trace=trace, owned=owned, mentioned=mentioned))
        return done

    def _written(self, work: Callable[[Db, Counter[str]], int]) -> int:
        """What `work` does in a transaction. What it counts as held is counted once, however often it is run."""

        def counted(db: Db) -> tuple[int, Counter[str]]:
            held: Counter[str] = Counter()
            return work(db, held), held

        done, held = self._database.write(counted)
        self._held.update(held)
        return done

    def _lot(self, db: Db, held: Counter[str], trace: Trace, owned: Sequence[int], mentioned: Sequence[int]) -> int:
        removed = self._remove(db, held, trace.table, owned)
        free = self._free(db, held, trace.table, mentioned)
        redacted = traces.redact(db, self._customer_id, trace, free, self._someone) if free else 0
        self._count(db, "redacted", {trace.table.name: redacted})
        return removed + redacted

    def _remove(self, db: Db, held: Counter[str], table: Table, ids: Sequence[int]) -> int:
        """Takes rows away with what hangs on them, but for what is held."""
        free = self._free(db, held, table, ids)
        if not free:
            return 0
        if table is schema.cdrs:
            for name, hanging in traces.hanging_on_cdrs(db, self._customer_id, free).items():
                self._remove(db, held, schema.metadata.tables[name], hanging)
        _TAKE.get(table.name, partial(_plainly, table))(db, self._customer_id, free)
        self._count(db, "removed", {table.name: len(free)})
        return len(free)

    def _free(self, db: Db, held: Counter[str], table: Table, ids: Sequence[int]) -> list[int]:
        """Those of the rows that no hold keeps; the others are counted as held."""
        free = traces.free_of_holds(db, self._customer_id, table, ids)
        held[table.name] += len(ids) - len(free)
        return free

    def _count(self, db: Db, what: str, numbers: Mapping[str, int]) -> None:
        """Adds to the certificate, within the transaction that did it."""
        fresh = {name: n for name, n in numbers.items() if n}
        if not fresh:
            return
        certificate = self._certificate(db)
        counted: dict[str, int] = certificate.setdefault(what, {})
        for name, n in fresh.items():
            counted[name] = counted.get(name, 0) + n
        self._keep(db, certificate)

    def _certificate(self, db: Db) -> dict[str, Any]:
        sql = "SELECT certificate FROM erasures WHERE customer_id = :customer AND id = :id"
        row = first(db, sql, {"customer": self._customer_id, "id": self._erasure_id})
        found: dict[str, Any] = json.loads(row[0]) if row is not None and row[0] else {}
        return found

    def _keep(self, db: Db, certificate: Mapping[str, Any], **columns: Any) -> None:
        changes = {"certificate": json.dumps(certificate), **columns}
        rows.update(db, schema.erasures, self._customer_id, self._erasure_id, changes)

    def finish(self) -> None:
        """Exports go once more: those that were made meanwhile."""
        now = self._services.clock()
        kept = {name: n for name, n in sorted(self._held.items()) if n}

        def work(db: Db) -> None:
            self._remove_exports(db)
            certificate = {"removed": {}, "redacted": {}, **self._certificate(db)}
            whole = {**certificate, "held": kept, "finished_at": time_text(now)}
            self._keep(db, whole, state=HELD if kept else DONE, finished_at=now)
            told = {"object_class": "Erasure", "object_id": self._erasure_id, "details": json.dumps(whole)}
            audit.note(db, self._customer_id, at=now, action="erase", **told)

        self._database.write(work)


def _plainly(table: Table, db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, table, customer_id, ids)


def _audio(table: Table) -> Take:
    return lambda db, customer_id, ids: drop_blobs.delete(db, table, customer_id, ids)


_TAKE: Mapping[str, Take] = {
    "cdrs": cdrs.delete,
    "monitors": _audio(schema.monitors),
    "voicemessages": _audio(schema.voicemessages),
    "audio_inbox": encode.remove,
    "mediasessions": traces.take_sessions,
    "chats": traces.take_chats,
}
