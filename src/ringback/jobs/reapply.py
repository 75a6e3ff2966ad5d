"""After a restore: who was forgotten since the snapshot is forgotten in it too, before anybody sees it.

A tombstone is a fingerprint, so everybody whom the restored records name is tried against the fingerprints; who is
recognised is erased as before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from ringback.calls.persons import Person, mentioned, person
from ringback.jobs import drop_blobs, erase, queue, retain
from ringback.services import Services
from ringback.store import accounts, rows, schema, server_secrets, tombstones, traces
from ringback.store.database import Database, Db
from ringback.store.tombstones import Tombstone
from ringback.store.traces import TRACES

Seen = Callable[[int], None]
"""Told of so many more rows that were looked at."""


def reapply(services: Services, kept: Iterable[Tombstone], seen: Seen = lambda _: None) -> int:
    """Erases everybody whom `kept` names and the database has not erased by itself; returns how many were found."""
    found = 0
    for customer_id, marks in _missing(services.database, kept).items():
        for someone, tombstone in _recognised(services.database, customer_id, marks, seen):
            _erase(services, customer_id, someone, tombstone)
            found += 1
    if found:
        retain.give_back(services, thorough=True)
    return found


def _missing(database: Database, kept: Iterable[Tombstone]) -> Mapping[int, list[Tombstone]]:
    """What the snapshot does not know of: it is from before."""
    known = {(each.customer_id, each.fingerprint): each.erased_at for each in tombstones.of(database)}
    missing: dict[int, list[Tombstone]] = {}
    for each in kept:
        if known.get((each.customer_id, each.fingerprint), -1) < each.erased_at:
            missing.setdefault(each.customer_id, []).append(each)
    return missing


def _recognised(
    database: Database, customer_id: int, marks: Sequence[Tombstone], seen: Seen
) -> Iterator[tuple[Person, Tombstone]]:
    """Everybody in the records whose fingerprint is among the marks, once."""
    wanted = {each.fingerprint: each for each in marks}
    keys = {bytes.fromhex(each.key) for each in marks}
    people: set[Person] = set()
    for someone in _named(database, customer_id, seen):
        if someone in people:
            continue
        people.add(someone)
        for key in keys:
            mark = erase.fingerprint_by(key, someone)
            if mark in wanted:
                yield someone, wanted.pop(mark)


def _named(database: Database, customer_id: int, seen: Seen) -> Iterator[Person]:
    country = database.read(lambda db: accounts.country_of(db, customer_id))
    for trace in TRACES:
        texts: set[str] = set()
        for row in traces.rows_of(database, customer_id, trace, None):
            texts.update(each for each in row[1:] if each)
            if len(texts) > traces.LOT:
                seen(len(texts))
                yield from _people(texts, country)
                texts.clear()
        yield from _people(texts, country)


def _people(texts: Iterable[str], country: str | None) -> Iterator[Person]:
    for text in texts:
        for kind in ("number", "email"):
            whole = person(kind, text, country) if len(text) < 255 else None
            if whole is not None:
                yield whole
        yield from mentioned(text, country)


def _erase(services: Services, customer_id: int, someone: Person, tombstone: Tombstone) -> None:
    erasure_id = services.database.write(lambda db: _noted(db, customer_id, tombstone, services.clock()))
    erase.erase(services, customer_id, erasure_id, someone)
    _drop_blobs_now(services, customer_id)


def _noted(db: Db, customer_id: int, tombstone: Tombstone, now: int) -> int:
    """The erasure as it was, under the key that made its fingerprint: without it nobody would be known again."""
    server_secrets.keep(db, tombstones.SECRET, tombstone.key)
    row = {"kind": tombstone.kind, "fingerprint": tombstone.fingerprint, "state": erase.WAITING}
    return rows.insert(db, schema.erasures, customer_id, [{**row, "user_name": tombstones.BY, "created_at": now}])[0]


def _drop_blobs_now(services: Services, customer_id: int) -> None:
    """The audio must be gone when the restore is done, not when a server has started."""
    for job in services.database.read(lambda db: queue.of_kind(db, customer_id, drop_blobs.KIND)):
        drop_blobs.run(services, job)
        services.database.write(partial(queue.finish, job_id=job.id))
