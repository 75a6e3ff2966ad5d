"""What is kept, for `ringback doctor`: of each kind how much, since when, for how long, and what goes next."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ringback.jobs import retain
from ringback.jobs.thinning import STAGES, Days
from ringback.services import Services
from ringback.store import holds, retention
from ringback.store.database import Db
from ringback.store.retention import BEGIN, Stage, days_going
from ringback.store.rows import DAY_S
from ringback.store.slices import KEPT, begin_of

LATE_DAYS = 2
"""A night may be missed; what is older than its rule by more than that is a promise that was not kept."""
LOT = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of one customer. `limit`: days, or bytes where `by_size`; None: kept for ever."""

    customer_id: int
    name: str
    rows: int
    """Days of captured packets."""
    bytes: int | None
    """Of audio, of captured packets; None for what has none."""
    oldest: int | None
    limit: int | None
    by_size: bool
    going: int
    """Rows (bytes where `by_size`) that go at `at`."""
    at: int
    overdue: int | None
    """The date of the oldest record that should have gone days ago and that no hold keeps."""
    is_by_day: bool = False
    """Whether whole days go."""


def kept(services: Services, now: int) -> Iterator[Kept]:
    sql = "SELECT id, retention, time_zone FROM customers WHERE deleted_at IS NULL ORDER BY id"
    for customer_id, text, zone in services.database.read(lambda db: db.all(sql)):
        rules, at = retention.rules_of(text), retain.next_night(now, zone, customer_id)
        for stage in STAGES:
            if not stage.by_size or stage.rule in rules:
                limit = rules.get(stage.rule)
                if isinstance(stage, Days):
                    found = _slices(services, customer_id, stage, limit, now, at)
                else:
                    found = _kept(services, customer_id, stage, limit, now, at)
                if found.rows:
                    yield found


def _kept(services: Services, customer_id: int, stage: Stage, limit: int | None, now: int, at: int) -> Kept:
    rows, oldest = _totals(services, customer_id, stage)
    stored = None
    if "size" in stage.table.c:
        stored = retention.bytes_of(services.database, customer_id, stage.table)
    going = 0
    if limit is not None:
        going = max((stored or 0) - limit, 0) if stage.by_size else _older(services, customer_id, stage, at, limit)
    late = now - (LATE_DAYS + (limit or 0)) * DAY_S
    overdue = None if limit is None or stage.by_size else _overdue(services, customer_id, stage, late)
    return Kept(customer_id, stage.name, rows, stored, oldest, limit, stage.by_size, going, at, overdue)


def _slices(services: Services, customer_id: int, stage: Days, limit: int | None, now: int, at: int) -> Kept:
    """Of captured packets whole days go."""
    found = services.database.slices.listed(customer_id)
    stored = sum(each.size for each in found)
    days = [begin_of(each.day) for each in found if each.day != KEPT]
    oldest = min(days, default=None)
    going, overdue = 0, None
    if limit is not None:
        read = partial(days_going, customer_id=customer_id, rule=stage.rule, limit=limit)
        gone = services.database.read(partial(read, now=at))
        going = max(stored - limit, 0) if stage.by_size else len(gone)
        if not stage.by_size and services.database.read(partial(read, now=now - LATE_DAYS * DAY_S)):
            overdue = oldest
    return Kept(customer_id, stage.name, len(found), stored, oldest, limit, stage.by_size, going, at, overdue, True)


def _totals(services: Services, customer_id: int, stage: Stage) -> tuple[int, int | None]:
    """Without the time limit of requests."""
    sql = f"SELECT count(*), min({stage.at}) FROM {stage.table.name} t WHERE customer_id = :customer {stage.where}"
    with services.database.stream(sql, {"customer": customer_id}, 1) as lots:
        ((rows, oldest),) = next(lots)
    return rows, oldest


def _older(services: Services, customer_id: int, stage: Stage, at: int, days: int) -> int:
    sql = f"""
        SELECT count(*) FROM {stage.table.name} t
        WHERE customer_id = :customer AND {stage.at} < :cut {stage.where}
    """
    bound = {"customer": customer_id, "cut": retention.cut_of(stage.rule, days, at)}
    with services.database.stream(sql, bound, 1) as lots:
        return int(next(lots)[0][0])


def _overdue(services: Services, customer_id: int, stage: Stage, late: int) -> int | None:
    after: tuple[int, int] | None = BEGIN
    while after is not None:
        overdue, after = services.database.read(partial(_overdue_after, customer_id, stage, late, after))
        if overdue is not None:
            return overdue
    return None


def _overdue_after(
    customer_id: int, stage: Stage, late: int, after: tuple[int, int], db: Db
) -> tuple[int | None, tuple[int, int] | None]:
    """The date of the first that is not held among some, and where to go on."""
    found = stage.oldest(db, customer_id, late, after, LOT)
    held = holds.held(db, customer_id, stage.table.name, [each.id for each in found])
    free = next((each.at for each in found if each.id not in held), None)
    return free, (found[-1].at, found[-1].id) if found else None
