"""Registrations as captured REGISTERs tell them: one row for an address-of-record at one device, kept as messages come in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from ringback.calls.numbers import clean
from ringback.sip.message import user_of
from ringback.sip.packet import SECOND_US, Packet
from ringback.sip.registrations import Past, Phone, State, added, state
from ringback.sip.registrations.registers import RegisterAttempt, is_register, sighting
from ringback.store import captures, rows, schema
from ringback.store.database import Db

MOST_OF_AOR = 20
MOST = 20_000
MOST_UNREGISTERED = 1_000
"""Rows of a customer: of one address-of-record, of devices that registered once, of those that never did. A scan of any
number of names pushes out what never registered, first what is no user's, and nothing else."""
AHEAD_S = rows.DAY_S

_PHONE = msgspec.json.Decoder(Phone)
_TABLE = schema.registrations
_COLUMNS = tuple(schema.columns(_TABLE)[2:])


Seen = tuple[Packet, int | None]
"""A packet and the number of the capture agent that saw it."""


class _Row(NamedTuple):
    """What is stored of a device; `id` is None for one that is new."""

    id: int | None
    phone: Phone
    columns: Mapping[str, Any]


def take(
    db: Db, customer_id: int, messages: Iterable[Seen], users_by_extension: Mapping[str, int], *, now: int
) -> None:
    """Notes what captured messages tell, of which others than REGISTERs say nothing. Told again, they change nothing. What a
    clock that is wrong puts far ahead of `now` is passed over: everything to come would be older.

    Raises Taken when another process stores the same phone for the first time just now.
    """
    given: dict[str, dict[str, list[RegisterAttempt]]] = {}
    until_us = (now + AHEAD_S) * SECOND_US
    for packet, capture_id in messages:
        found = sighting(packet, capture_id) if is_register(packet.payload) and packet.at_us < until_us else None
        if found is not None:
            given.setdefault(clean(found.aor), {}).setdefault(clean(found.device), []).append(found.attempt)
    if given:
        captures.begin(db, customer_id)
        _keep(db, customer_id, given, users_by_extension)


class Kept(NamedTuple):
    """What is kept of a phone: its address-of-record and device, as stored, and its last attempts."""

    aor: str
    device: str
    attempts: tuple[RegisterAttempt, ...]


def kept(db: Db, customer_id: int, registration_id: int) -> Kept:
    """Of a registration that is there."""
    sql = "SELECT aor, device, attempts FROM registrations WHERE customer_id = :customer AND id = :id"
    ((aor, device, phone),) = db.all(sql, {"customer": customer_id, "id": registration_id})
    return Kept(aor, device, _PHONE.decode(phone).attempts)


def _keep(
    db: Db, customer_id: int, given: Mapping[str, Mapping[str, list[RegisterAttempt]]], users: Mapping[str, int]
) -> None:
    known = _known(db, customer_id, list(given))
    after: list[_Row] = []
    for aor, devices in given.items():
        before = known.get(aor, {})
        after += _changed(aor, before, devices, users.get(user_of(aor)))
    _update(db, customer_id, [each for each in after if each.id is not None])
    fresh = [each.columns for each in after if each.id is None]
    rows.insert(db, _TABLE, customer_id, fresh)
    if fresh:
        _bound(db, customer_id, list(given))


def _known(db: Db, customer_id: int, aors: Sequence[str]) -> dict[str, dict[str, _Row]]:
    """Rows by address-of-record and device, kept from other transactions where there may be any."""
    locked = "ORDER BY id FOR UPDATE" if db.engine == "postgres" else ""
    sql = f"""
        SELECT id, {", ".join(_COLUMNS)} FROM registrations
        WHERE customer_id = :customer AND {db.among("aor", "aors")} {locked}
    """
    found: dict[str, dict[str, _Row]] = {}
    for row_id, *cells in db.all(sql, {"customer": customer_id, "aors": list(aors)}):
        columns = dict(zip(_COLUMNS, cells, strict=True))
        row = _Row(row_id, _PHONE.decode(columns["attempts"]), columns)
        found.setdefault(columns["aor"], {})[columns["device"]] = row
    return found


def _changed(
    aor: str, before: Mapping[str, _Row], devices: Mapping[str, list[RegisterAttempt]], user_id: int | None
) -> Iterator[_Row]:
    """The rows of an address-of-record that are not as they were. A device may have removed the contacts of all."""
    blank = _Row(None, Phone(), {})
    phones = {name: each.phone for name, each in before.items()}
    for device, attempts in devices.items():
        phones[device] = added(before.get(device, blank).phone, attempts)
    nows = {device: phone.now for device, phone in phones.items()}
    cleared_us = max(each.cleared_us for each in nows.values())
    for device, phone in phones.items():
        row, now = before.get(device, blank), nows[device]
        columns = {"aor": aor, "device": device, "user_id": user_id, **_columns(now, cleared_us)}
        columns["attempts"] = msgspec.json.encode(phone).decode()
        if columns != row.columns:
            yield _Row(row.id, phone, columns)


def _columns(now: Past, cleared_us: int) -> dict[str, Any]:
    found = state(now, cleared_us)
    return {
        "contact": clean(now.contact) or None,
        "src_ip": clean(now.ip),
        "src_port": now.port or None,
        "transport": clean(now.transport),
        "user_agent": clean(now.user_agent) or None,
        "state": found.value,
        "registered_at": now.registered_us // SECOND_US or None,
        "expires_at": None if found is State.UNREGISTERED else now.expires_us // SECOND_US or None,
        "last_at": now.at_us // SECOND_US,
        "failures": now.failures,
        "last_cause": clean(now.cause) or None,
        "call_id": clean(now.call_id),
    }


def _update(db: Db, customer_id: int, changed: Sequence[_Row]) -> None:
    sets = ", ".join(f"{name} = :{name}" for name in _COLUMNS if name not in ("aor", "device"))
    sql = f"UPDATE registrations SET {sets} WHERE customer_id = :customer AND id = :id"
    bound = [{**each.columns, "id": each.id, "customer": customer_id} for each in changed]
    if bound:
        db.many(sql, bound)


def _bound(db: Db, customer_id: int, aors: Sequence[str]) -> None:
    rows.delete(db, _TABLE, customer_id, _beyond(db, customer_id, aors))
    for where, most in (("registered_at IS NULL", MOST_UNREGISTERED), ("registered_at IS NOT NULL", MOST)):
        sql = f"""
            SELECT id FROM registrations WHERE customer_id = :customer AND {where}
            ORDER BY CASE WHEN user_id IS NULL THEN 1 ELSE 0 END, last_at DESC, id DESC LIMIT :all OFFSET :most
        """
        found = db.all(sql, {"customer": customer_id, "most": most, "all": 10 * MOST})
        rows.delete(db, _TABLE, customer_id, [row[0] for row in found])


def _beyond(db: Db, customer_id: int, aors: Sequence[str]) -> list[int]:
    """Of each address-of-record what is more than it may have: the oldest, first those that never registered."""
    sql = f"""
        SELECT id, aor FROM registrations WHERE customer_id = :customer AND {db.among("aor", "aors")}
        ORDER BY aor, CASE WHEN registered_at IS NULL THEN 1 ELSE 0 END, last_at DESC, id DESC
    """
    found = db.all(sql, {"customer": customer_id, "aors": list(aors)})
    return [row[0] for _, each in groupby(found, key=lambda row: row[1]) for row in list(each)[MOST_OF_AOR:]]
