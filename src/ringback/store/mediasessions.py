"""Media sessions as captured messages make them, the MSDR of each that has ended, and its CDR."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from ringback.calls.numbers import clean, digits
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.packet import SECOND_US
from ringback.sip.quality import measured
from ringback.store import cdr_links, legs, replacements, rows, schema, slices
from ringback.store.database import Db

OUTSIDE = "0"
BEGINNING_GONE_S = 60
FOREVER = 1 << 62

_at_us = itemgetter(0)


class Kept:
    """The rows of a session and its MSDR as they are in the database, with their ids; empty where there are none.
    `day`: of the slice that has the packets."""

    def __init__(self, day: int) -> None:
        self.day = day
        self.session: dict[str, Any] = {}
        self.msdr: dict[str, Any] = {}
        self.told = legs.Told()
        self.measured: tuple[int, bool, str | None] = 0, False, None
        """Of how many reports, whether at the end, and what they told."""
        self.shown: tuple[Any, dict[str, Any]] = None, {}
        """What of a session seldom changes, and its columns."""


class Saved(NamedTuple):
    """How many rows are new."""

    mediasessions: int
    msdrs: int


def known(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, Kept]:
    """The rows of those among the Call-IDs that are sessions. The slice of one whose packets have all gone is new."""
    found: dict[str, Kept] = {}
    for row in _rows(db, customer_id, schema.mediasessions, call_ids):
        day = slices.day_of(row["created_at"]) if row["slice_day"] is None else row["slice_day"]
        kept = found[row["call_id"]] = Kept(day)
        kept.session = row
    for row in _rows(db, customer_id, schema.msdrs, list(found)) if found else ():
        found[row["call_id"]].msdr = row
    return found


def _rows(db: Db, customer_id: int, table: Table, call_ids: Sequence[str]) -> list[dict[str, Any]]:
    names = schema.columns(table)
    sql = f"""
        SELECT {", ".join(f'"{name}"' for name in names)} FROM {table.name}
        WHERE customer_id = :customer AND {db.among("call_id", "call_ids")}
    """
    found = db.all(sql, {"customer": customer_id, "call_ids": list(call_ids)})
    return [dict(zip(names, row, strict=True)) for row in found]


def save(
    db: Db,
    customer_id: int,
    sessions: Iterable[tuple[Kept, str, MediaSession]],
    users_by_extension: Mapping[str, int],
) -> Saved:
    """Stores sessions, by their keys, as they are now."""
    given = {name: (kept, session) for kept, name, session in sessions if not _is_rest(kept, session)}
    told = replacements.told(db, customer_id, {name: session for name, (_, session) in given.items()})
    made = [_made(given[name][0], name, session, users_by_extension) for name, session in told.items()]
    fresh = _saved(db, customer_id, schema.mediasessions, [(one.kept.session, one.of_session) for one in made])
    legs.note(db, customer_id, ((one.name, one.kept.session["created_at"], one.kept.told.fresh()) for one in made))
    ended = [
        (one.kept.msdr, {**one.of_msdr, "media_session_id": one.kept.session["id"]})
        for one in made
        if one.of_msdr is not None
    ]
    msdrs = _saved(db, customer_id, schema.msdrs, ended)
    cdr_links.link(db, customer_id, msdrs)
    return Saved(len(fresh), len(msdrs))


class Heard(NamedTuple):
    """A session that is stored and still says the same; when its last message was."""

    kept: Kept
    name: str
    last_us: int


def heard(db: Db, customer_id: int, calls: Sequence[Heard]) -> None:
    """Stores of sessions that there are more messages."""
    said = ((name, kept.session["created_at"], kept.told.fresh()) for kept, name, _ in calls)
    legs.note(db, customer_id, said)
    last = ((kept.session, {"updated_at": last_us // SECOND_US}) for kept, _, last_us in calls)
    _change(db, customer_id, schema.mediasessions, last)


def _is_rest(kept: Kept, session: MediaSession) -> bool:
    """Where the first packets of a call have gone, what is left says little of it."""
    return bool(session.created_at_us // SECOND_US > kept.session.get("created_at", FOREVER) + BEGINNING_GONE_S)


class _Made(NamedTuple):
    """The columns of rows that may have changed; `of_msdr` None where there is none yet."""

    kept: Kept
    name: str
    of_session: dict[str, Any]
    of_msdr: dict[str, Any] | None


def _made(kept: Kept, name: str, session: MediaSession, users: Mapping[str, int]) -> _Made:
    told = session.created_at_us, session.src, session.dst, session.src_ua, session.dst_ua
    is_same = kept.shown[0] == told
    if not is_same:
        kept.shown = told, _lasting(name, session, users)
    both = {"duration": session.duration_s or 0, "quality": _measured(kept, session)}
    before = {} if is_same else kept.shown[1]
    of_msdr = None
    if session.ended:
        of_msdr = {**(before if kept.msdr else kept.shown[1]), **both, **_ending(session)}
    return _Made(kept, name, {**before, **both, **_state(kept, session)}, of_msdr)


def _lasting(name: str, session: MediaSession, users: Mapping[str, int]) -> dict[str, Any]:
    """What seldom changes, and a media session and its MSDR have in common."""
    parties = _parties(session, users)
    first = session.messages[0]
    ends = (first.dst, first.src) if first.payload.lstrip(b"\r\n").startswith(b"SIP/") else (first.src, first.dst)
    return {
        "type": parties.type,
        "user_id": parties.user_id,
        "src_id": parties.src_id,
        "dst_id": parties.dst_id,
        "call_id": name,
        "created_at": session.created_at_us // SECOND_US,
        "src_ip": ends[0].ip,  # between which its first message went, or was answered
        "dst_ip": ends[1].ip,
        "src": _text(session.src),
        "src_ua": _text(session.src_ua),
        "dst": _text(session.dst),
        "dst_ua": _text(session.dst_ua),
    }


def _measured(kept: Kept, session: MediaSession) -> str | None:
    """Anew at the end, and when there are a tenth more reports than there were: long calls have thousands."""
    n, at_end, before = kept.measured
    is_same = len(session.rtcp) == n and session.ended == at_end
    if is_same or (not session.ended and len(session.rtcp) < n * 1.1):
        return before
    found = measured(session)
    text = None if found is None else msgspec.json.encode(found).decode()
    kept.measured = len(session.rtcp), session.ended, text
    return text


def _state(kept: Kept, session: MediaSession) -> dict[str, Any]:
    last_us: int = max(map(_at_us, session.messages))
    return {"status": session.status.value, "updated_at": last_us // SECOND_US, "slice_day": kept.day}


def _ending(session: MediaSession) -> dict[str, str | None]:
    return {"t_cause": _text(session.t_cause), "ended_by": session.ended_by}


def _text(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _saved(db: Db, customer_id: int, table: Table, found: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[int]:
    """Rows as they were, and as they are to be: those that are not there come in, of the others what is different changes.
    The ids of the new ones."""
    fresh = [pair for pair in found if not pair[0]]
    ids = rows.insert(db, table, customer_id, [after for _, after in fresh])
    _change(db, customer_id, table, [pair for pair in found if pair[0]])
    for (before, after), row_id in zip(fresh, ids, strict=True):
        before.update(after, id=row_id)
    return ids


def _change(db: Db, customer_id: int, table: Table, found: Iterable[tuple[dict[str, Any], Mapping[str, Any]]]) -> None:
    """Many rows with one statement for each set of columns."""
    counted = rows.counted_columns(table)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for before, after in found:
        changes = {name: value for name, value in after.items() if before[name] != value}
        if not changes:
            continue
        before.update(changes)
        if not counted.isdisjoint(changes):
            rows.update(db, table, customer_id, before["id"], changes)
        else:
            alike.setdefault(tuple(changes), []).append({**changes, "customer": customer_id, "id": before["id"]})
    for names, bound in alike.items():
        sets = ", ".join(f'"{name}" = :{name}' for name in names)
        db.many(f"UPDATE {table.name} SET {sets} WHERE customer_id = :customer AND id = :id", bound)
        rows.changed(db, table, customer_id)


# -- whose call it is -------------------------------------------------------------------------------------------------


class Parties(NamedTuple):
    """`type` as the customer sees the call: None when neither end is one of its extensions."""

    type: str | None
    user_id: int | None
    src_id: str | None
    dst_id: str | None


def _parties(session: MediaSession, users: Mapping[str, int]) -> Parties:
    src, dst = users.get(session.src or ""), users.get(session.dst or "")
    kind = None
    if src is not None:
        kind = "O" if dst is None else "INTERNAL"
    elif dst is not None:
        kind = "I"
    return Parties(kind, dst if src is None else src, _party_id(session.src, src), _party_id(session.dst, dst))


def _party_id(party: str | None, user_id: int | None) -> str | None:
    """A user's id; 0 for a number outside; None for a service, a queue, a name."""
    if user_id is not None:
        return str(user_id)
    return OUTSIDE if party is not None and digits(party, None) is not None else None
