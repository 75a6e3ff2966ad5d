"""Calls as rows: what every source of call records becomes, and how such rows become CDRs.

A source is a parser that gives rows, and one call of `take`. Each 2,000 rows are one transaction: what is known by its key
is passed over, so that a run which was killed goes on where it stopped. Rows of one call make a tree: the row of the first
leg is the root, the others hang on it, whichever comes first.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

from ringback.calls import numbers
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Options, Refusal, Summary, uncollected
from ringback.services import Services
from ringback.store import billing, cdr_channels, cdrs, corrections, outbox, rates, rows, schema
from ringback.store.corrections import Known
from ringback.store.database import Db, persistently, value
from ringback.store.parties import Parties, parties

BATCH = 2_000
LONGEST_S = 2**31 - 1
_SECONDS = re.compile(r"(-?)(\d{1,16})(?:\.\d*)?", re.ASCII)


OTHERS = "/"
"""Before the name of an endpoint that is another customer's of the same PBX."""


class CallRow(NamedTuple):
    """One hop. Instants are UTC seconds, texts at most 255 characters without control characters, unknown is None.

    `key` is the same whenever the same row is read again, and differs between the rows of one forked call. `uniqueid` names
    the leg, `linked_id` the leg that this one hangs on, which may be the first of the whole call or one between. `src` and
    `dst` are E.164 digits where they are such a number, else the text. `billsec` and `answered_at` are the PBX's words
    also where `disposition` is RINGING: it answered itself (menu, queue) and nobody else did. `context` is the API's.
    `human`: somebody talked, not the PBX alone. `second_leg`: the far side of a call whose near side has a row of its own;
    `repeats`: and which went to the same number, so that it is not charged twice. `parent`: the key of the row that it came from,
    where that is known; else the root. `payer`: the endpoint on whose account it goes, where the source did not ask for it.
    `live_id`: under which it was shown while it was up. `destination`: where that is not told by the direction.
    `channels`: of a root, ids of the call's channels after which no row of it is named.
    """

    line_no: int
    key: str
    uniqueid: str | None
    linked_id: str | None
    started_at: int
    answered_at: int | None
    ended_at: int
    duration_s: int
    billsec: int
    src: str | None
    src_name: str | None
    dst: str | None
    clid: str | None
    src_endpoint: str | None
    dst_endpoint: str | None
    disposition: str
    t_cause: str
    context: str
    human: bool
    info: str | None
    warnings: tuple[str, ...]
    src_ua: str | None = None
    src_codec: str | None = None
    dst_ua: str | None = None
    dst_codec: str | None = None
    second_leg: bool = False
    repeats: bool = False
    parent: str | None = None
    payer: str | None = None
    live_id: int | None = None
    destination: str | None = None
    channels: tuple[str, ...] = ()


@lru_cache(maxsize=32_768)
def party(text: str, country: str | None, outside_prefix: str) -> str | None:
    """What stands in `src` and `dst` for what the PBX wrote; None for nothing."""
    return numbers.dialled(text, country, outside_prefix) or numbers.normal(text) or None


def seconds(text: str, name: str, warnings: list[str]) -> int:
    """Whole seconds, whatever fraction stands behind them. A negative duration is 0, and is warned of."""
    found = _SECONDS.fullmatch(text)
    if found is None or int(found[2]) > LONGEST_S:
        raise ValueError(f"{name} is no number of seconds")
    if found[1] and int(found[2]):
        warnings.append(f"negative {name} taken as 0")
        return 0
    return int(found[2])


class Direction(NamedTuple):
    """`user_id`: the caller on O, the called user on I and M, None when that is nobody of ours."""

    type: Literal["O", "I", "M"]
    destination: Literal["in", "out"]
    context: str
    user_id: int | None
    src_user_id: int | None
    dst_user_id: int | None


def direction(row: CallRow, extensions: Mapping[str, int]) -> Direction:
    """What the hop was to us. `extensions`: user id by extension and by endpoint name.

    From a user it is outbound, and internal when it reaches a user too. From elsewhere it is inbound, and missed when
    no human answered: nobody did, the mailbox did, or the PBX did (a menu, a queue that was left). A second leg to a user
    is that user's inbound call, also from a colleague. What somebody sent on to the outside is that one's outbound call.
    """
    src_user_id = _user(extensions, row.src_endpoint, row.src)
    dst_user_id = _user(extensions, row.dst_endpoint, row.dst)
    payer_id = extensions.get(row.payer) if row.payer else None
    if payer_id is not None and dst_user_id is None and row.dst_endpoint is not None:
        return Direction("O", "out", row.context, payer_id, src_user_id, None)
    internal = src_user_id is not None and dst_user_id is not None and row.context == "PSTN_CALL"
    context = "USER_LOCAL" if internal else row.context
    if src_user_id is None or (row.second_leg and dst_user_id is not None):
        kind: Literal["I", "M"] = "I" if row.human else "M"
        return Direction(kind, "in", context, dst_user_id, src_user_id, dst_user_id)
    return Direction("O", "out", context, src_user_id, src_user_id, dst_user_id)


def _user(extensions: Mapping[str, int], endpoint: str | None, number: str | None) -> int | None:
    if endpoint is not None and endpoint.startswith(OTHERS):
        return None
    found = extensions.get(endpoint) if endpoint else None
    return extensions.get(number) if found is None and number else found


def own(row: CallRow, bare: Callable[[str], str]) -> CallRow:
    """Its endpoints without what stands before extensions there."""
    src, dst, payer = (bare(each or "") or None for each in (row.src_endpoint, row.dst_endpoint, row.payer))
    return row._replace(src_endpoint=src, dst_endpoint=dst, payer=payer)


def take(
    services: Services,
    customer_id: int,
    source: str,
    found: Iterable[CallRow | Refused | Refusal],
    options: Options,
    summary: Summary,
    told_also_by: str | None = None,
    *,
    told_to: Iterable[int] = (),
    is_live: bool = False,
) -> None:
    """Stores all rows. `source`: what tells keys of one system from those of another, such as `asterisk`.

    `told_also_by`: another source of the same calls. What that one has brought is known: none comes in twice.
    `told_to`: other customers, to whom it may have been told.
    `is_live`: the calls have just ended, and streams are told.
    """
    also = None if told_also_by is None else _Also(told_also_by, frozenset({customer_id, *told_to}))
    store = _Store(services, customer_id, options.country, also, is_live=is_live)
    left = iter(found)
    with uncollected():
        while lot := list(islice(left, BATCH)):
            put = store.put({f"{source}:{row.key}": row for row in _usable(lot, summary)})
            summary.new += put.new
            summary.changed += put.corrected
            summary.known -= put.new + put.corrected


def _usable(lot: Sequence[CallRow | Refused | Refusal], summary: Summary) -> Iterator[CallRow]:
    """A row that stands twice in a lot is known when it comes again."""
    for row in lot:
        summary.read += 1
        if isinstance(row, CallRow):
            summary.noted.update(row.warnings)
            summary.known += 1  # until it is stored
            yield row
        elif isinstance(row, Refused):
            summary.refuse(f"line {row.line_no}", row.reason, row.raw)
        else:
            summary.refuse(row.where, row.reason, row.raw)


class _Put(NamedTuple):
    new: int
    corrected: int


class _Also(NamedTuple):
    """Who else brings the same calls, and to which customers."""

    source: str
    customers: frozenset[int]


class _Store:
    """Who is who and what calls cost, read once for a run."""

    def __init__(
        self, services: Services, customer_id: int, country: str | None, also: _Also | None, *, is_live: bool
    ) -> None:
        self._services, self._customer_id, self._also = services, customer_id, also
        self._is_live = is_live
        self._who, self._deck = services.database.read(
            lambda db: (parties(db, customer_id, country), rates.deck(db, customer_id))
        )

    def put(self, calls: Mapping[str, CallRow]) -> _Put:
        """Stores in one transaction those that are not known, and puts right those that were not complete."""
        return persistently(self._services.database, lambda db: self._put(db, calls))

    def _put(self, db: Db, calls: Mapping[str, CallRow]) -> _Put:
        there = corrections.known(db, self._customer_id, calls)
        corrected = self._corrected(db, there, {key: calls[key] for key in there})
        fresh = {key: row for key, row in calls.items() if key not in there}
        if fresh and self._also is not None:
            fresh = _not_told_by(db, self._also, fresh)
        if fresh:
            placed = _placed(db, self._customer_id, fresh)
            full = [{**columns(row, self._who), **place} for row, place in zip(fresh.values(), placed, strict=True)]
            rated = billing.rated(self._deck, full)
            ids = cdrs.insert(db, self._customer_id, rated)
            _rehang(db, self._customer_id, {cdr["uniqueid"]: cdr["root_live_id"] for cdr in full})
            if self._is_live:
                outbox.changed(db, self._customer_id, "cdr.created", ids)
            channels = {cdr_id: row.channels for cdr_id, row in zip(ids, fresh.values(), strict=True)}
            cdr_channels.add(db, self._customer_id, channels)
            billing.bill(db, self._customer_id, ids, rated, self._services.clock())  # last: it locks the customer
        return _Put(len(fresh), corrected)

    def _corrected(self, db: Db, there: Mapping[str, Known], told: Mapping[str, CallRow]) -> int:
        """Of calls that are complete now."""
        cdr_channels.add(db, self._customer_id, {each.id: told[key].channels for key, each in there.items()})
        due = corrections.due(there, {key: row.info for key, row in told.items()})
        if due:
            found = [(there[key], columns(told[key], self._who)) for key in due]
            corrections.correct(db, self._customer_id, self._deck, found, self._services.clock())
        return len(due)


def _not_told_by(db: Db, also: _Also, calls: Mapping[str, CallRow]) -> dict[str, CallRow]:
    """Without the calls of which another source has brought some leg."""
    legs = sorted({leg for row in calls.values() for leg in (row.uniqueid, row.linked_id) if leg is not None})
    told = {leg for whose in also.customers for leg in cdr_channels.told_by(db, whose, also.source, legs)}
    if not told:
        return dict(calls)
    gone = {_call(row) for row in calls.values() if row.uniqueid in told or row.linked_id in told}
    return {key: row for key, row in calls.items() if _call(row) not in gone}


# -- the tree of a call


class _Hop(NamedTuple):
    live_id: int
    row: CallRow


def _placed(db: Db, customer_id: int, fresh: Mapping[str, CallRow]) -> list[dict[str, Any]]:
    """The key of each row and its place in the tree of its call. `linkedid` is kept only where the leg that it names is
    not there yet."""
    ids = iter(db.new_ids("live", sum(row.live_id is None for row in fresh.values())))
    hops = [_Hop(next(ids) if row.live_id is None else row.live_id, row) for row in fresh.values()]
    firsts = _firsts(hops)
    calls = {call for row in fresh.values() if (call := _call(row)) is not None}
    roots = _stored(db, customer_id, "uniqueid", calls)
    headless = calls - roots.keys() - firsts.keys()
    parents = _parents(db, customer_id, dict(zip(fresh, hops, strict=True)))
    roots |= _stored(db, customer_id, "linkedid", headless)
    placed = []
    for key, hop in zip(fresh, hops, strict=True):
        root, linked_id = _root(hop, firsts, roots), hop.row.linked_id
        placed.append(
            {
                "source_key": key,
                "live_id": hop.live_id,
                "root_live_id": root,
                "parent_live_id": None if root == hop.live_id else parents.get(key, root),
                "linkedid": linked_id if linked_id in headless else None,
            }
        )
    return placed


def _parents(db: Db, customer_id: int, hops: Mapping[str, _Hop]) -> dict[str, int]:
    """The live ids of the rows that rows came from, of those that say so, by their own keys."""
    wanted = {
        key: key.removesuffix(hop.row.key) + hop.row.parent for key, hop in hops.items() if hop.row.parent is not None
    }
    if not wanted:
        return {}
    elsewhere = sorted(set(wanted.values()) - hops.keys())
    sql = f"SELECT source_key, live_id FROM cdrs WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    known: dict[str, int] = dict(db.all(sql, {"customer": customer_id, "keys": elsewhere})) if elsewhere else {}
    known |= {key: hop.live_id for key, hop in hops.items()}
    return {key: known[parent] for key, parent in wanted.items() if parent in known}


def _call(row: CallRow) -> str | None:
    return row.linked_id or row.uniqueid


def _firsts(hops: Iterable[_Hop]) -> dict[str | None, _Hop]:
    """The first row of each leg; a row that hangs on no other leg before those that do."""
    firsts: dict[str | None, _Hop] = {}
    for hop in sorted(hops, key=lambda hop: hop.row.uniqueid != _call(hop.row)):
        firsts.setdefault(hop.row.uniqueid, hop)
    return firsts


def _stored(db: Db, customer_id: int, name: Literal["uniqueid", "linkedid"], calls: Iterable[str]) -> dict[str, int]:
    """The live id of the root by call, of those calls of which something is stored."""
    if not calls:
        return {}
    sql = f"""
        SELECT {name}, min(root_live_id) FROM cdrs
        WHERE customer_id = :customer AND {db.among(name, "calls")} GROUP BY {name}
    """
    return dict(db.all(sql, {"customer": customer_id, "calls": sorted(calls)}))


def _root(hop: _Hop, firsts: Mapping[str | None, _Hop], roots: dict[str, int]) -> int:
    """The live id of the root: from leg to leg up to one that is stored, or hangs on none, or whose next is not there."""
    found, call, path = hop.live_id, _call(hop.row), list[str]()
    while call is not None and call not in path:
        if call in roots:
            found = roots[call]
            break
        path.append(call)
        if call not in firsts:
            break
        found, row = firsts[call]
        call = _call(row)
    roots.update(dict.fromkeys(path, found))
    return found


def _rehang(db: Db, customer_id: int, roots: Mapping[str | None, int]) -> None:
    """What came before the leg that it hangs on hangs on it now. `roots`: by the legs that came."""
    bound = {"customer": customer_id, "legs": [leg for leg in roots if leg is not None]}
    waiting = "SELECT 1 FROM cdrs WHERE customer_id = :customer AND linkedid IS NOT NULL LIMIT 1"
    if value(db, waiting, {"customer": customer_id}) is None:
        return
    sql = f"""
        SELECT DISTINCT linkedid, root_live_id FROM cdrs
        WHERE customer_id = :customer AND linkedid IS NOT NULL AND {db.among("linkedid", "legs")}
    """
    for leg, old in db.all(sql, bound):
        if old != roots[leg]:
            _move(db, customer_id, old, roots[leg])


def _move(db: Db, customer_id: int, old: int, new: int) -> None:
    """All below one root, and that itself, to below another one."""
    sql = "SELECT id FROM cdrs WHERE customer_id = :customer AND root_live_id = :old ORDER BY id"
    changes = {"root_live_id": new, "parent_live_id": new, "is_root": 0}
    for (cdr_id,) in db.all(sql, {"customer": customer_id, "old": old}):
        rows.update(db, schema.cdrs, customer_id, cdr_id, changes)


# -- the columns of a CDR


def columns(row: CallRow, who: Parties) -> dict[str, Any]:
    """Without its place among others."""
    was = direction(row, who.extensions)
    src_id, src_name = _source(row, was, who)
    dst_id, dst_name = _destination(row, was, who)
    return {
        "calldate": row.started_at,
        "duration": row.duration_s,
        "billsec": row.billsec,
        "user_id": was.user_id,
        "type": was.type,
        "disposition": row.disposition,
        "destination": row.destination or was.destination,
        "context": was.context,
        "clid": row.clid,
        "src_id": src_id,
        "src_name": src_name,
        "src": row.src,
        "src_ua": row.src_ua,
        "src_codec": row.src_codec,
        "dst_id": dst_id,
        "dst_name": dst_name,
        "dst": row.dst,
        "dst_ua": row.dst_ua,
        "dst_codec": row.dst_codec,
        "t_cause": row.t_cause,
        "info": row.info,
        "uniqueid": row.uniqueid,
        "charge": 0 if row.repeats and was.type == "O" else None,
    }


def _source(row: CallRow, was: Direction, who: Parties) -> tuple[str, str | None]:
    if was.src_user_id is not None:
        return str(was.src_user_id), who.user_names.get(was.src_user_id, row.src_name)
    contact_id, name = who.contacts.get(row.src or "", ("0", None))
    return contact_id, name or row.src_name


def _destination(row: CallRow, was: Direction, who: Parties) -> tuple[str | None, str | None]:
    """A user, a queue, a contact, somebody outside; null for what the PBX itself answered or nobody has."""
    if was.dst_user_id is not None:
        return str(was.dst_user_id), who.user_names.get(was.dst_user_id)
    known = who.queues.get(row.dst or "") or who.contacts.get(row.dst or "")
    if known is not None:
        return known
    outside = was.type == "O" and (row.dst_endpoint is not None or numbers.digits(row.dst or "", None) is not None)
    return ("0" if outside else None), None
