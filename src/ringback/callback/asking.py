"""Somebody asks to be called back: all that the rules want to know is looked up, and the answer stored, in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ringback.callback import proof, rules
from ringback.callback.course import STATES, Stage
from ringback.callback.hours import Hours
from ringback.callback.rules import Allowed, Facts, Limit, Refusal, Terms
from ringback.calls import numbers
from ringback.calls.rating import Rate, charge
from ringback.identity import tokens
from ringback.store import callback_requests as store
from ringback.store import rates, rows, schema
from ringback.store.callback_requests import Before, Spent, Widget
from ringback.store.database import Db

MOST_TRIES = 20
"""Requests of one address in an hour of which each has a row; of more only metrics know."""
MOST_TRIES_OF_SETTING = 1_000
LATE_S = 60
"""By so much a preferred time may be past when it comes in."""
NAME_LENGTH = 100


class Asked(NamedTuple):
    """`number`: E.164 digits, None for what is no number. `visitor`: its token. `fault`: what was wrong before anything was looked
    up (honeypot). `salt`: of the challenge that was solved."""

    number: str | None
    name: str | None
    visitor: str
    network: str
    salt: str
    preferred_at: int | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """`token`: by which the page asks how it goes on. `due_at`: when it is placed at the earliest, of one that is kept."""

    token: str
    stage: Stage
    due_at: int | None


def terms_of(widget: Widget) -> Terms:
    countries: list[str] = json.loads(widget.countries)
    return Terms(countries, widget.max_call_rate, widget.daily_spend, widget.max_duration)


def hours_of(widget: Widget) -> Hours:
    week = None if widget.hours is None else json.loads(widget.hours)
    return Hours(week, frozenset(json.loads(widget.holidays or "[]")), widget.zone or "UTC")


def ask(db: Db, widget: Widget, asked: Asked, now: int, *, is_available: bool) -> Accepted | Refusal:
    """Stored as a request that is to be placed, is kept for later, or was refused. Taken when the number is
    being asked for by somebody else at this moment."""
    store.count_alone(db, widget.customer_id)
    found = _refusal(db, widget, asked, now)
    when = None if found is not None else _when(db, widget, asked, now, is_available=is_available)
    verdict = found or when or judged(db, widget, asked.number, asked.network, now)
    if isinstance(verdict, Refusal):
        if _has_room(db, widget, asked.network, now):
            _store(db, widget, asked, now, stage="refused", reason=verdict.reason)
        return verdict
    if asked.number is not None and store.is_open(db, widget.customer_id, asked.number):
        return Refusal("later", "number_open")
    due_at = _due_at(widget, asked, now, is_available=is_available)
    stage: Stage = "requested" if due_at is None else "offline"
    more = {"due_at": due_at, "price_micro": verdict.price_micro, "most_s": verdict.most_s}
    return Accepted(_store(db, widget, asked, now, stage=stage, open_number=asked.number, **more), stage, due_at)


def _refusal(db: Db, widget: Widget, asked: Asked, now: int) -> Refusal | None:
    if not rows.exists(db, schema.callmeback_settings, widget.customer_id, widget.id):
        return Refusal("refused", "removed")
    if asked.fault is not None:
        return Refusal("refused", asked.fault)
    return None if is_fresh(db, widget.customer_id, asked.salt, now) else Refusal("challenge", "challenge: used")


def is_fresh(db: Db, customer_id: int, salt: str, now: int) -> bool:
    """Notes that a solution was used; False when it had been."""
    sql = """
        INSERT INTO challenges (hash, customer_id, user_id, kind, tries, expires_at)
        VALUES (:hash, :customer, 0, 'callback', 0, :until) ON CONFLICT (hash) DO NOTHING
    """
    digest = sha256(salt.encode()).hexdigest()
    until = max(proof.until_of(salt), now)
    return bool(db.run(sql, {"hash": digest, "customer": customer_id, "until": until}))


def _when(db: Db, widget: Widget, asked: Asked, now: int, *, is_available: bool) -> Refusal | None:
    """Why it can be placed neither now nor later."""
    preferred = asked.preferred_at
    if preferred is not None and not now - LATE_S <= preferred <= now + rules.MOST_AHEAD_S:
        return Refusal("closed", "preferred_at")
    if is_available and preferred is None:
        return None
    if hours_of(widget).opens_at(preferred or now) is None:
        return Refusal("closed", "closed")
    if store.waiting(db, widget.customer_id, widget.id) >= rules.MOST_WAITING:
        return Refusal("unavailable", "waiting")
    return None


def _due_at(widget: Widget, asked: Asked, now: int, *, is_available: bool) -> int | None:
    """When a request that is kept is looked at; None for one that is placed now."""
    if is_available and asked.preferred_at is None:
        return None
    opens_at = hours_of(widget).opens_at(max(asked.preferred_at or now, now))
    return max(opens_at or now, now)


def judged(
    db: Db, widget: Widget, number: str | None, network: str | None, now: int, *, again: int = 0
) -> Allowed | Refusal:
    """What the rules say of a number now. `again`: the id of the request where it is looked at once more: what it counted against
    when it came in does not count twice."""
    line = None if number is None else numbers.line_of(number)
    if number is None or line is None:
        return Refusal("number", "number")
    return rules.verdict(line, terms_of(widget), _facts(db, widget, number, network, now, again))


def _facts(db: Db, widget: Widget, number: str, network: str | None, now: int, again: int) -> Facts:
    customer_id = widget.customer_id
    earlier = store.of_number(db, customer_id, number, now - rules.DAY_S)
    rang = [each.rang_at for each in earlier if each.rang_at is not None]
    home = widget.home or ""
    return Facts(
        is_never_called=store.is_never_called(db, customer_id, number),
        is_own=store.is_own(db, customer_id, number),
        is_emergency=numbers.is_emergency(numbers.dialled_from(number, widget.home), home),
        rate=rates.deck_for(db, customer_id, [number]).find(number),
        counts={} if again else _counts(db, widget, network, earlier, now),
        spent=0 if widget.daily_spend is None else _spent(db, widget, now, again),
        rang_s=now - max(rang) if rang else None,
    )


def _counts(db: Db, widget: Widget, network: str | None, of_number: Sequence[Before], now: int) -> Mapping[str, int]:
    """Requests by the reason of the limit that counts them."""
    near = store.of_network(db, widget.customer_id, network, now - rules.DAY_S) if network else []
    here = store.of_setting(db, widget.customer_id, widget.id, now - rules.HOUR_S)
    counts = {limit.reason: _within(of_number, limit, now) for limit in rules.PER_NUMBER}
    counts |= {limit.reason: _within(near, limit, now) for limit in rules.PER_ADDRESS}
    counts |= {limit.reason: _within(here, limit, now) for limit in rules.PER_SETTING}
    for limit in rules.PER_CUSTOMER:
        counts[limit.reason] = store.taken_since(db, widget.customer_id, now - limit.within_s)
    return counts


def _within(found: Sequence[Before], limit: Limit, now: int) -> int:
    return sum(each.is_taken and each.created_at > now - limit.within_s for each in found)


def _spent(db: Db, widget: Widget, now: int, again: int) -> int:
    """Of today, by the setting's clock: what was charged or talked, and what calls without a CDR may cost at most."""
    found = store.spent_since(db, widget.customer_id, widget.id, midnights(widget, now)[0], again)
    return sum(map(_cost, found))


def midnights(widget: Widget, now: int) -> tuple[int, int]:
    """Between which today is, by the setting's clock."""
    local = datetime.fromtimestamp(now, ZoneInfo(widget.zone or "UTC"))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp()), int((midnight + timedelta(days=1)).timestamp())


def _cost(call: Spent) -> int:
    if call.charge is not None:
        return call.charge
    return charge(Rate("", "", call.price_micro), call.most_s if call.talked_s is None else call.talked_s)


def _has_room(db: Db, widget: Widget, network: str, now: int) -> bool:
    """Whether a refusal gets a row."""
    since = now - rules.HOUR_S
    if len(store.of_network(db, widget.customer_id, network, since)) >= MOST_TRIES:
        return False
    return len(store.of_setting(db, widget.customer_id, widget.id, since)) < MOST_TRIES_OF_SETTING


def _store(db: Db, widget: Widget, asked: Asked, now: int, *, stage: Stage, **more: Any) -> str:
    token = tokens.new_token()
    visitor_id = store.visitor_id(db, widget.customer_id, widget.id, asked.visitor)
    name = numbers.clean(asked.name or "")[:NAME_LENGTH] or None
    row = {
        "setting_id": widget.id,
        "visitor_id": visitor_id,
        "number": asked.number,
        "state": STATES[stage],
        "stage": stage,
        "preferred_at": asked.preferred_at,
        "created_at": now,
        "changed_at": now,
        "token": tokens.hash_of(token),
        "network": asked.network,
        "dial_first": widget.dial_first,
        "tries": 0,
        **more,
    }
    rows.insert(db, store.TABLE, widget.customer_id, [row])
    if visitor_id is not None:
        told = {"state": STATES[stage], "number": asked.number, "name": name, "last_seen_at": now}
        rows.update(db, schema.callmeback_visitors, widget.customer_id, visitor_id, told)
    return token
