"""Requests to be called back: how they come in, what limits count, and how each goes on.

`number` is E.164 digits, `network` as `callback.rules.network` has it. A request is open as long as `open_number` is set; there is
one open request of a number, which a unique index sees to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ringback.store import rows, schema
from ringback.store.database import Db, first, value

DAY_S = 86_400
TABLE = schema.callmeback_requests


class Widget(NamedTuple):
    """A setting with what belongs to it: all that a page or a call of it needs. Texts of lists are JSON."""

    customer_id: int
    id: int
    key: str
    name: str
    culture: str
    position: str
    floating_icon: int
    title: str | None
    message: str | None
    privacy_url: str | None
    countries: str
    only_there: int
    max_call_rate: int
    domains: str
    dial_first: str
    zone: str | None
    hours: str | None
    holidays: str | None
    daily_spend: int | None
    max_duration: int | None
    has_chat: int
    ddi: str | None
    destination: str | None
    home: str | None
    online: str | None
    offline: str | None
    button_id: int | None


_COLUMNS = (
    "customer_id", "id", "public_key", "name", "culture", "position", "floating_icon", "title", "welcome_screen_msg",
    "privacy_policy_url", "allowed_countries", "show_to_allowed_countries_only", "max_call_rate", "allowed_domains",
    "dial_first", "time_zone", "hours", "holidays", "daily_spend", "max_duration", "chat_enabled",
)  # fmt: skip
"""Of a setting, in the order of Widget; behind them stands what belongs to it."""
_BELONGINGS = "d.e164, d.destination, c.cc, b.data_online, b.data_offline, b.id"
_WIDGET = f"""
    SELECT {", ".join(f"s.{each}" for each in _COLUMNS)}, {_BELONGINGS}
    FROM callmeback_settings s
    JOIN customers c ON c.id = s.customer_id AND c.deleted_at IS NULL
    LEFT JOIN ddis d ON d.customer_id = s.customer_id AND d.id = s.ddi_id
    LEFT JOIN callmeback_buttons b ON b.customer_id = s.customer_id AND b.id = s.button_id
"""


def widget(db: Db, key: str) -> Widget | None:
    """Whose it is, is what its key says."""
    row = first(db, f"{_WIDGET} WHERE s.public_key = :key", {"key": key})
    return None if row is None else Widget(*row)


def widget_of(db: Db, customer_id: int, setting_id: int) -> Widget | None:
    bound = {"customer": customer_id, "id": setting_id}
    row = first(db, f"{_WIDGET} WHERE s.customer_id = :customer AND s.id = :id", bound)
    return None if row is None else Widget(*row)


def draft(db: Db, customer_id: int, columns: Mapping[str, Any]) -> Widget:
    """Of a setting that is not stored: its id is 0, and it has no key."""
    sql = f"""
        SELECT {_BELONGINGS} FROM customers c
        LEFT JOIN ddis d ON d.customer_id = c.id AND d.id = :ddi
        LEFT JOIN callmeback_buttons b ON b.customer_id = c.id AND b.id = :button
        WHERE c.id = :customer
    """
    bound = {"customer": customer_id, "ddi": columns["ddi_id"], "button": columns.get("button_id")}
    given = {**columns, "customer_id": customer_id, "id": 0, "public_key": ""}
    return Widget._make([*map(given.get, _COLUMNS), *db.all(sql, bound)[0]])


class Request(NamedTuple):
    """One that is open. Instants are UTC seconds."""

    id: int
    setting_id: int
    visitor_id: int | None
    number: str
    stage: Any
    dial_first: Any
    live_id: int | None
    channel: str | None
    tries: int
    due_at: int | None
    changed_at: int
    created_at: int
    preferred_at: int | None
    price_micro: int
    most_s: int
    network: str | None


_REQUEST = f"SELECT {', '.join(Request._fields)} FROM callmeback_requests"


def open_requests(db: Db, customer_id: int) -> list[Request]:
    sql = f"{_REQUEST} WHERE customer_id = :customer AND open_number IS NOT NULL ORDER BY id"
    return [Request(*row) for row in db.all(sql, {"customer": customer_id})]


def open_request(db: Db, customer_id: int, request_id: int) -> Request | None:
    """Locked: until the end of the transaction it stays as it is."""
    rows.lock(db, TABLE, customer_id, [request_id])
    sql = f"{_REQUEST} WHERE customer_id = :customer AND id = :id AND open_number IS NOT NULL"
    row = first(db, sql, {"customer": customer_id, "id": request_id})
    return None if row is None else Request(*row)


class Shown(NamedTuple):
    id: int
    stage: Any
    dial_first: Any
    reason: str | None
    changed_at: int


def shown(db: Db, customer_id: int, setting_id: int, token: str) -> Shown | None:
    """What a page sees of its request: one look into one index. `token`: its hash."""
    sql = """
        SELECT id, stage, dial_first, reason, changed_at FROM callmeback_requests
        WHERE customer_id = :customer AND token = :token AND setting_id = :setting
    """
    found = db.alone(sql, {"customer": customer_id, "token": token, "setting": setting_id})
    return Shown(*found[0]) if found else None


def change(db: Db, customer_id: int, request: Request, changes: Mapping[str, Any], state: str) -> None:
    """`state`: as the API names it; the visitor has it too."""
    rows.update(db, TABLE, customer_id, request.id, {**changes, "state": state})
    if request.visitor_id is not None:
        told = {"state": state, **({"cdr_id": changes["cdr_id"]} if "cdr_id" in changes else {})}
        rows.update(db, schema.callmeback_visitors, customer_id, request.visitor_id, told)


# -- what limits count


def count_alone(db: Db, customer_id: int) -> None:
    """Until the end of the transaction nobody else asks at any of the customer's widgets: what is counted stays true."""
    sql = "SELECT id FROM callmeback_settings WHERE customer_id = :customer"
    ids = [row[0] for row in db.all(sql, {"customer": customer_id})]
    rows.lock(db, schema.callmeback_settings, customer_id, ids)


class Before(NamedTuple):
    """An earlier request. `is_taken`: it was not refused."""

    created_at: int
    rang_at: int | None
    is_taken: bool


def of_number(db: Db, customer_id: int, number: str, since: int) -> list[Before]:
    return _before(db, customer_id, "number = :it", number, since)


def of_network(db: Db, customer_id: int, network: str, since: int) -> list[Before]:
    return _before(db, customer_id, "network = :it", network, since)


def of_setting(db: Db, customer_id: int, setting_id: int, since: int) -> list[Before]:
    return _before(db, customer_id, "setting_id = :it", setting_id, since)


def _before(db: Db, customer_id: int, where: str, it: str | int, since: int) -> list[Before]:
    sql = f"""
        SELECT created_at, rang_at, CASE WHEN state = 'REFUSED' THEN 0 ELSE 1 END FROM callmeback_requests
        WHERE customer_id = :customer AND {where} AND created_at > :since
    """
    found = db.all(sql, {"customer": customer_id, "it": it, "since": since})
    return [Before(created_at, rang_at, bool(is_taken)) for created_at, rang_at, is_taken in found]


def taken_since(db: Db, customer_id: int, since: int) -> int:
    """Of all the customer's settings."""
    sql = """
        SELECT count(*) FROM callmeback_requests
        WHERE customer_id = :customer AND created_at > :since AND state <> 'REFUSED'
    """
    return int(value(db, sql, {"customer": customer_id, "since": since}))


def waiting(db: Db, customer_id: int, setting_id: int) -> int:
    sql = """
        SELECT count(*) FROM callmeback_requests
        WHERE customer_id = :customer AND open_number IS NOT NULL AND setting_id = :setting AND stage = 'offline'
    """
    return int(value(db, sql, {"customer": customer_id, "setting": setting_id}))


def is_open(db: Db, customer_id: int, number: str) -> bool:
    sql = "SELECT 1 FROM callmeback_requests WHERE customer_id = :customer AND open_number = :number"
    return value(db, sql, {"customer": customer_id, "number": number}) is not None


def is_never_called(db: Db, customer_id: int, number: str) -> bool:
    sql = "SELECT 1 FROM callmeback_donotcall WHERE customer_id = :customer AND number = :number"
    return value(db, sql, {"customer": customer_id, "number": number}) is not None


def is_own(db: Db, customer_id: int, number: str) -> bool:
    sql = "SELECT 1 FROM ddis WHERE customer_id = :customer AND e164 = :number"
    return value(db, sql, {"customer": customer_id, "number": number}) is not None


class Spent(NamedTuple):
    """A call of today. `charge`: of its CDRs, None where nobody charged it; `talked_s`: None while there is no CDR."""

    charge: int | None
    talked_s: int | None
    price_micro: int
    most_s: int


def spent_since(db: Db, customer_id: int, setting_id: int, since: int, but: int) -> list[Spent]:
    """The calls of a setting that cost something from `since` on, without those of the request `but`."""
    sql = """
        SELECT (SELECT sum(c.charge) FROM cdrs c WHERE c.customer_id = r.customer_id AND c.root_live_id = r.live_id),
            (SELECT max(c.billsec) FROM cdrs c WHERE c.customer_id = r.customer_id AND c.root_live_id = r.live_id),
            r.price_micro, r.most_s
        FROM callmeback_requests r
        WHERE r.customer_id = :customer AND r.setting_id = :setting AND r.created_at > :created
            AND (r.changed_at >= :since OR r.open_number IS NOT NULL) AND r.price_micro IS NOT NULL AND r.id <> :but
            AND (r.rang_at IS NOT NULL OR r.stage IN ('requested', 'checked', 'first', 'second', 'connected'))
    """
    bound = {"customer": customer_id, "setting": setting_id, "since": since, "created": since - 30 * DAY_S, "but": but}
    found = db.all(sql, bound)
    return [Spent(None if charge is None else int(charge), *rest) for charge, *rest in found]


# -- visitors


def add_visitor(db: Db, customer_id: int, row: Mapping[str, Any]) -> None:
    rows.insert(db, schema.callmeback_visitors, customer_id, [row])


def visitor_id(db: Db, customer_id: int, setting_id: int, token: str) -> int | None:
    sql = """
        SELECT id FROM callmeback_visitors
        WHERE customer_id = :customer AND token = :token AND setting_id = :setting
    """
    found: int | None = value(db, sql, {"customer": customer_id, "token": token, "setting": setting_id})
    return found


def visitors_of(db: Db, customer_id: int, network: str, since: int) -> int:
    sql = """
        SELECT count(*) FROM callmeback_visitors
        WHERE customer_id = :customer AND network = :network AND created_at > :since
    """
    return int(value(db, sql, {"customer": customer_id, "network": network, "since": since}))


def traceable(db: Db, customer_id: int, before: int, n: int) -> list[tuple[int, str | None]]:
    """(id, address) of visitors from before an instant whose addresses are as they were."""
    sql = """
        SELECT id, ip FROM callmeback_visitors
        WHERE customer_id = :customer AND network IS NOT NULL AND created_at < :before ORDER BY created_at LIMIT :n
    """
    return [(row[0], row[1]) for row in db.all(sql, {"customer": customer_id, "before": before, "n": n})]


def shorten(db: Db, customer_id: int, addresses: Mapping[int, str | None]) -> None:
    sql = "UPDATE callmeback_visitors SET ip = :ip, network = NULL WHERE customer_id = :customer AND id = :id"
    db.many(sql, [{"ip": ip, "customer": customer_id, "id": row_id} for row_id, ip in sorted(addresses.items())])
    rows.changed(db, schema.callmeback_visitors, customer_id)


_OLD = "customer_id = :customer AND network IS NOT NULL AND created_at < :before"


def has_traceable_requests(db: Db, customer_id: int, before: int) -> bool:
    sql = f"SELECT 1 FROM callmeback_requests WHERE {_OLD} LIMIT 1"
    return value(db, sql, {"customer": customer_id, "before": before}) is not None


def forget_networks(db: Db, customer_id: int, before: int) -> None:
    db.run(f"UPDATE callmeback_requests SET network = NULL WHERE {_OLD}", {"customer": customer_id, "before": before})


# -- calls of requests


def untied(db: Db, customer_id: int, since: int) -> list[tuple[int, int | None, int]]:
    """(request, visitor, CDR) of calls whose CDR has come."""
    sql = """
        SELECT r.id, r.visitor_id, c.id FROM callmeback_requests r
        JOIN cdrs c ON c.customer_id = r.customer_id AND c.live_id = r.live_id
        WHERE r.customer_id = :customer AND r.live_id IS NOT NULL AND r.cdr_id IS NULL AND r.changed_at > :since
    """
    return [(row[0], row[1], row[2]) for row in db.all(sql, {"customer": customer_id, "since": since})]


def tie(db: Db, customer_id: int, found: Sequence[tuple[int, int | None, int]]) -> None:
    for request_id, visitor, cdr_id in found:
        rows.update(db, TABLE, customer_id, request_id, {"cdr_id": cdr_id})
        if visitor is not None:
            rows.update(db, schema.callmeback_visitors, customer_id, visitor, {"cdr_id": cdr_id})


def was_rung(db: Db, customer_id: int, live_id: int, now: int) -> None:
    """The visitor of a call whose request is over, after the agent."""
    sql = """
        UPDATE callmeback_requests SET rang_at = :now
        WHERE customer_id = :customer AND live_id = :live AND cdr_id IS NULL AND rang_at IS NULL AND dial_first = 'agent'
    """
    db.run(sql, {"customer": customer_id, "live": live_id, "now": now})


def still_up(db: Db, customer_id: int, since: int) -> list[str]:
    """The channels of calls that are up though their requests are over."""
    sql = """
        SELECT r.channel FROM callmeback_requests r JOIN calls c ON c.customer_id = r.customer_id AND c.id = r.live_id
        WHERE r.customer_id = :customer AND r.live_id IS NOT NULL AND r.cdr_id IS NULL AND r.changed_at > :since
            AND r.open_number IS NULL AND r.stage <> 'ended'
    """
    return [row[0] for row in db.all(sql, {"customer": customer_id, "since": since})]


class Seen(NamedTuple):
    """Of a call that was placed. `is_up`: it is a live call; `is_connected`: to somebody, for the first one alone talks to nobody.
    `disposition`, `cause`: of its CDR, None without one."""

    is_up: bool
    is_connected: bool
    disposition: str | None
    cause: str | None


def seen(db: Db, customer_id: int, live_id: int) -> Seen:
    bound = {"customer": customer_id, "live": live_id}
    live = first(db, "SELECT connected_at, dst FROM calls WHERE customer_id = :customer AND id = :live", bound)
    sql = "SELECT disposition, t_cause FROM cdrs WHERE customer_id = :customer AND live_id = :live"
    cdr = first(db, sql, bound) or (None, None)
    return Seen(live is not None, live is not None and None not in live, cdr[0], cdr[1])


# -- who may answer


class Target(NamedTuple):
    """Where a DDI leads: `number` is dialled, at the phone of that extension where `is_phone`. `extensions`: of those who may
    answer and are not paused; None where only the PBX knows them."""

    number: str
    is_phone: bool
    extensions: tuple[str, ...] | None


_MEMBER = "u.active = 1 AND u.dnd = 0 AND u.ext IS NOT NULL"
LONGEST_EXTENSION = 6


def target(db: Db, customer_id: int, destination: str | None) -> Target | None:
    """`destination`: of a DDI: a user's id or extension, `Queue7`, a queue's name or number, or what else the dial plan has, in at
    most six digits; None for what cannot be dialled. A longer one might be anybody's number."""
    text = (destination or "").strip()
    return _user(db, customer_id, text) or _queue(db, customer_id, text) or _plain(text)


def _user(db: Db, customer_id: int, text: str) -> Target | None:
    user_id = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    sql = f"""
        SELECT u.ext, CASE WHEN {_MEMBER} THEN 1 ELSE 0 END FROM users u
        WHERE u.customer_id = :customer AND (u.id = :id OR u.ext = :ext) AND u.ext IS NOT NULL ORDER BY u.id = :id DESC
    """
    row = first(db, sql, {"customer": customer_id, "id": user_id, "ext": text})
    return None if row is None else Target(row[0], True, (row[0],) if row[1] else ())


def _queue(db: Db, customer_id: int, text: str) -> Target | None:
    named = text.removeprefix("Queue")
    queue_id = int(named) if named != text and named.isascii() and named.isdecimal() and len(named) < 19 else 0
    sql = """
        SELECT id, number FROM queues
        WHERE customer_id = :customer AND (id = :id OR name = :text OR number = :text) AND number IS NOT NULL
        ORDER BY id = :id DESC, id
    """
    row = first(db, sql, {"customer": customer_id, "id": queue_id, "text": text})
    if row is None or not text:
        return None
    members = f"""
        SELECT u.ext FROM queue_users q JOIN users u ON u.customer_id = q.customer_id AND u.id = q.user_id
        WHERE q.customer_id = :customer AND q.queue_id = :queue AND q.status = 1 AND {_MEMBER} ORDER BY u.ext
    """
    found = db.all(members, {"customer": customer_id, "queue": row[0]})
    return Target(row[1], False, tuple(ext for (ext,) in found))


def _plain(text: str) -> Target | None:
    dialled = text.isascii() and 0 < len(text) <= LONGEST_EXTENSION and not text.strip("0123456789*#")
    return Target(text, False, None) if dialled else None


def are_free(db: Db, customer_id: int, extensions: Sequence[str], presence: str) -> bool:
    """Whether the phone of one of them has that presence."""
    among = db.among("ext", "extensions")
    sql = f"SELECT 1 FROM users WHERE customer_id = :customer AND {among} AND presence = :presence LIMIT 1"
    bound = {"customer": customer_id, "extensions": list(extensions), "presence": presence}
    return bool(extensions) and value(db, sql, bound) is not None
