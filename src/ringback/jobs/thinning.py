"""One customer's retention, step by step: the stages, how far a run is, and a step.

Each step is a short transaction that also notes in the job's row how far the run is, so that a crash repeats nothing and
forgets nothing.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial

from sqlalchemy import Table

from ringback.jobs import drop_blobs, queue
from ringback.services import Services
from ringback.store import audit, holds, retention, schema
from ringback.store.database import Db, value
from ringback.store.retention import BEGIN, BYTES, Candidate, Stage, whole
from ringback.store.slices import KEPT

STEP_S = 0.1
PAUSE = 0.1  # of the time of a step, besides looking for the next rows: others write meanwhile
SETTLE_S = 5.0  # a page that many rows were deleted from is copied once
FIRST_LOT, LEAST_LOT, LARGEST_LOT = 1_000, 100, 10_000
MUCH = 0.1  # of the rows that are left


def _audio(table: Table) -> retention.Take:
    def take(db: Db, customer_id: int, ids: Sequence[int], _: int) -> bool:
        drop_blobs.delete(db, table, customer_id, ids)
        return True

    return take


def _kept(table: Table, at: str, rule: str = "") -> Stage:
    """Audio by its age, or with a rule of bytes by its size."""
    size = "size" if rule else "0"
    return Stage(table.name, rule or table.name, table, at, _audio(table), size=size)


def _plain(table: Table, rule: str = "", where: str = "") -> Stage:
    return Stage(table.name, rule or table.name, table, "created_at", whole(table), where)


@dataclass(frozen=True, slots=True)
class Days:
    """Slices of captured packets under one rule; these go whole."""

    name: str
    rule: str

    @property
    def by_size(self) -> bool:
        return self.rule in BYTES


STAGES: tuple[Stage | Days, ...] = (
    _kept(schema.monitors, "timestamp"),
    _kept(schema.voicemessages, "origtime"),
    _kept(schema.monitors, "timestamp", "monitors_bytes"),
    _kept(schema.voicemessages, "origtime", "voicemessages_bytes"),
    Days("sip", "sip"),
    Days("sip", "sip_bytes"),
    # What a hold had kept, after it was released.
    Stage("kept_sip", "sip", schema.mediasessions, "created_at", retention.take_messages, f"AND slice_day = {KEPT}"),
    Stage("registrations", "sip", schema.registrations, "last_at", whole(schema.registrations)),
    Stage("mediasessions", "msdrs", schema.mediasessions, "created_at", retention.take_sessions),
    _plain(schema.msdrs),
    Stage("cdrs", "cdrs", schema.cdrs, "calldate", retention.take_cdrs),
    Stage("chats", "chats", schema.chats, "created_at", retention.take_chats),
    _plain(schema.chatmsgs, "chats", "AND chat_id IS NULL"),
    _plain(schema.sms),
    _plain(schema.auditlog),
)
"""In this order: what hangs on others goes before them."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run is, as the job's row has it."""

    now: int
    stage: int = 0
    at: int = BEGIN[0]
    id: int = BEGIN[1]
    """The row that the run has come to in its stage."""
    excess: int | None = None
    """Bytes that have to go yet, where bytes are counted."""
    gone: Mapping[str, int] = field(default_factory=dict)
    """How many rows went, by stage."""
    told: bool = False
    """Whether the audit log knows."""
    much: bool = False
    """Whether so many of all rows went that their space is worth much work."""


_PLACE = frozenset(each.name for each in fields(Place))


class Thinning:
    def __init__(self, services: Services, job: queue.Job) -> None:
        self.services = services
        self.database = services.database
        self.job = job
        noted = {name: each for name, each in job.args.items() if name in _PLACE}
        self.place = Place(**{"now": services.clock(), **noted})
        self._noted = job.args
        self.rules = self.database.read(lambda db: retention.of_customer(db, job.customer_id))
        self.lot = FIRST_LOT
        self._settled_s = time.monotonic()

    @property
    def gone(self) -> dict[str, int]:
        return {name: n for name, n in self.place.gone.items() if n}

    def step(self) -> bool:
        """Does a little of what is left; False when all is done."""
        if self.place.stage == len(STAGES):
            return False
        stage = STAGES[self.place.stage]
        if isinstance(stage, Days):
            return self._drop(stage)
        found = self._next(stage)
        if not found:
            return self._next_stage()
        began = time.monotonic()
        self._moved(self.database.write(lambda db: self._take(db, stage, found), at_once=False))
        took_s = time.monotonic() - began
        self._fit_lot(took_s)
        self._settle()
        time.sleep(took_s * PAUSE)
        return True

    def _next_stage(self) -> bool:
        after = self.place.stage + 1
        self.place = Place(self.place.now, after, gone=self.place.gone, told=self.place.told, much=self.place.much)
        return True

    def _drop(self, stage: Days) -> bool:
        """Drops the next slice of a stage, after what a hold keeps has been taken out of it."""
        limit = self.rules.get(stage.rule)
        customer_id = self.job.customer_id
        if limit is None:
            return self._next_stage()
        going = self.database.read(lambda db: retention.days_going(db, customer_id, stage.rule, limit, self.place.now))
        if not going:
            return self._next_stage()
        day = going[0].day
        placed = self._keep_held(day)
        place = self.database.write(lambda db: self._dropped(db, stage, day, placed))
        if place is not None:
            self._moved(place)
        return True

    def _keep_held(self, day: int) -> list[int]:
        """Returns the holds that were asked."""
        customer_id, table = self.job.customer_id, schema.mediasessions.name
        placed = self.database.write(lambda db: holds.placed(db, customer_id, table))
        after: int | None = 0 if placed else None
        while after is not None:
            after = self.database.write(partial(self._kept, day=day, after=after))
        return placed

    def _kept(self, db: Db, day: int, after: int) -> int | None:
        return retention.keep_held(db, self.job.customer_id, day, after, self.lot)

    def _dropped(self, db: Db, stage: Days, day: int, placed: Sequence[int]) -> Place | None:
        """None when a hold was placed meanwhile: then it has to be asked too."""
        customer_id = self.job.customer_id
        if holds.placed(db, customer_id, schema.mediasessions.name) != placed:
            return None
        db.slices.begin(customer_id)
        db.slices.drop(customer_id, day)
        gone = {**self.place.gone, stage.name: self.place.gone.get(stage.name, 0) + 1}
        place = replace(self.place, gone=gone)
        self._note(db, place)
        return place

    def _settle(self) -> None:
        """Between two steps nothing is being written, so that the database can bring all to its place."""
        if time.monotonic() - self._settled_s > SETTLE_S:
            self.database.settle()
            self._settled_s = time.monotonic()

    def _fit_lot(self, took_s: float) -> None:
        """Little by little: one step that had to wait says nothing about the next."""
        factor = min(max(STEP_S / took_s, 0.8), 1.25)
        self.lot = min(max(int(self.lot * factor), LEAST_LOT), LARGEST_LOT)

    def _next(self, stage: Stage) -> list[Candidate]:
        """The rows that come next in a stage, as far as its rule lets any go."""
        limit = self.rules.get(stage.rule)
        if limit is None:
            return []
        if stage.by_size:
            if self.place.excess is None:
                stored = retention.bytes_of(self.database, self.job.customer_id, stage.table)
                self.place = replace(self.place, excess=stored - limit)
            if (self.place.excess or 0) <= 0:
                return []
        cut = retention.cut_of(stage.rule, limit, self.place.now)
        after = (self.place.at, self.place.id)
        return self.database.read(lambda db: stage.oldest(db, self.job.customer_id, cut, after, self.lot))

    def _take(self, db: Db, stage: Stage, found: Sequence[Candidate]) -> Place:
        """Deletes what no hold keeps, and notes it in the job's row."""
        place = self.place
        kept = holds.held(db, self.job.customer_id, stage.table.name, [each.id for each in found])
        going = [each for each in found if each.id not in kept]
        last = found[-1]
        if place.excess is not None:
            going = _enough(going, place.excess)
            last = going[-1] if going else last
        if stage.take(db, self.job.customer_id, [each.id for each in going], self.lot):
            place = replace(
                place,
                at=last.at,
                id=last.id,
                excess=None if place.excess is None else place.excess - sum(each.size for each in going),
                gone={**place.gone, stage.name: place.gone.get(stage.name, 0) + len(going)},
            )
        self._note(db, place)
        return place

    def _note(self, db: Db, place: Place) -> None:
        queue.keep(db, self.job.id, self._noted, asdict(place), self.services.clock())

    def _moved(self, place: Place) -> None:
        """After the transaction that noted it."""
        self.place = place
        self._noted = asdict(place)

    def note_place(self) -> None:
        """Also after a stage in which nothing had to go."""
        self.database.write(lambda db: self._note(db, self.place))
        self._moved(self.place)

    def tell(self) -> None:
        """Tells the audit log what went, once."""
        if self.gone and not self.place.told:
            self._moved(self.database.write(self._tell))

    def _tell(self, db: Db) -> Place:
        much = any(_is_much(db, self.job.customer_id, name, n) for name, n in self.gone.items())
        place = replace(self.place, told=True, much=much)
        self._note(db, place)
        audit.note(db, self.job.customer_id, at=self.services.clock(), action="retain", details=json.dumps(self.gone))
        return place


def _enough(going: Sequence[Candidate], excess: int) -> list[Candidate]:
    """As many of the oldest as have the bytes that are too many."""
    found = []
    for each in going:
        if excess <= 0:
            break
        found.append(each)
        excess -= each.size
    return found


def _is_much(db: Db, customer_id: int, name: str, n: int) -> bool:
    sql = "SELECT sum(n) FROM counters WHERE customer_id = :customer AND resource = :resource AND attribute = ''"
    left = value(db, sql, {"customer": customer_id, "resource": name})
    return left is not None and n > MUCH * int(left)
