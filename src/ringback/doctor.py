"""Looks for what is wrong with an installation, and says what to do. Changes nothing (the object store gets a probe)."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Table

from ringback import mail
from ringback.blobs import BlobsUnavailable
from ringback.errors import RingbackError, UsageError
from ringback.jobs.kept import Kept, kept
from ringback.services import Services
from ringback.settings import Settings, masked
from ringback.store import inbox, rates, schema
from ringback.store.database import Db
from ringback.store.engines import sqlite_path
from ringback.store.rows import DAY_S

SETTLED = timedelta(hours=1)
"""A blob is stored before its row, and deleted after it: only what is older than this can be left over."""
LITTLE_DISK, NO_DISK = 5 << 30, 500 << 20
LOT = 1_000


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Finding(NamedTuple):
    level: Level
    text: str
    """What was seen and, unless it is ok, what to do."""


def amount(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def of_settings(settings: Settings) -> Iterator[Finding]:
    loopback = _is_loopback(settings.host)
    if loopback:
        yield Finding(Level.OK, f"listens on {settings.host}, reached from this machine only")
    else:
        yield Finding(
            Level.WARNING, f"listens on {settings.host} without TLS: put a TLS proxy in front and listen on 127.0.0.1"
        )
    if not settings.public_url:
        yield Finding(Level.WARNING, "public_url is not set: links in mails and answers will not work outside")
    elif not settings.trusted_proxies:
        yield Finding(
            Level.WARNING, "trusted_proxies is not set: behind a proxy everybody has its address in the audit log"
        )
    else:
        yield Finding(Level.OK, f"reached as {settings.public_url}, through {settings.trusted_proxies}")
    closed = "" if settings.metrics_token else ": closed, set metrics_token to open it"
    yield Finding(Level.OK, f"/metrics{closed or ' is open to its token'}")


def of_database(settings: Settings) -> Iterator[Finding]:
    """Whether there is a database of this version's schema. With a fault here nothing else can be looked at."""
    url = settings.database_url()
    if settings.is_embedded() and not sqlite_path(url).exists():
        path = sqlite_path(url).absolute()
        yield Finding(Level.FAULT, f"there is no database at {path} yet: `ringback serve` makes it")
        return
    from ringback.store import migrate

    try:
        migrate.check(url)
    except (UsageError, RingbackError) as error:
        yield Finding(Level.FAULT, str(error) if isinstance(error, UsageError) else error.message)
    else:
        yield Finding(Level.OK, f"the database {_place(settings)} has this version's schema")


def of_disk(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.data_dir)
    if not folder.exists():
        return
    free = shutil.disk_usage(folder).free
    level = Level.FAULT if free < NO_DISK else Level.WARNING if free < LITTLE_DISK else Level.OK
    advice = "" if level is Level.OK else ": make room, or keep recordings for a shorter time"
    yield Finding(level, f"{free / (1 << 30):.1f} GiB free at {folder}{advice}")


def of_mail(settings: Settings) -> Iterator[Finding]:
    if not mail.is_configured(settings):
        yield Finding(Level.WARNING, "no mail: set smtp_url and mail_from, or nobody can reset a password by mail")
        return
    try:
        mail.check(settings)
    except mail.MailError as error:
        yield Finding(Level.FAULT, f"the mail server refuses: {error}; check smtp_url")
    else:
        yield Finding(Level.OK, "the mail server answers")


def of_jobs(services: Services) -> Iterator[Finding]:
    sql = "SELECT kind, count(*), max(error) FROM jobs WHERE state = 'dead' GROUP BY kind ORDER BY kind"
    dead = services.database.read(lambda db: db.all(sql))
    for kind, n, error in dead:
        yield Finding(Level.WARNING, f"{amount(n, 'job')} of kind {kind} given up; one of the errors: {error}")
    if not dead:
        yield Finding(Level.OK, "no job was given up")


def of_audio_inbox(services: Services) -> Iterator[Finding]:
    """Audio that came in and became nothing: only an administrator can say what shall be done with it."""
    n = services.database.read(inbox.counts)
    if n[inbox.BROKEN]:
        yield Finding(
            Level.WARNING, f"{amount(n[inbox.BROKEN], 'audio file')} broken: see GET /audioinbox; retry or delete them"
        )
    else:
        yield Finding(Level.OK, f"no broken audio; {amount(n[inbox.WAITING], 'file')} to be encoded")


def of_callbacks(services: Services) -> Iterator[Finding]:
    """Customers with a widget whose every callback, or every one to a country that it allows, is refused."""
    sql = """
        SELECT DISTINCT s.customer_id FROM callmeback_settings s JOIN customers c ON c.id = s.customer_id
        WHERE c.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM rates r WHERE r.customer_id = s.customer_id)
        ORDER BY s.customer_id
    """
    without = services.database.read(lambda db: db.all(sql))
    for (customer_id,) in without:
        text = "has Call Me Back and no rates, so every callback is refused: `ringback import rates` (docs/rates.md)"
        yield Finding(Level.WARNING, f"customer {customer_id} {text}")
    unpriced = services.database.read(lambda db: list(_unpriced(db, {customer_id for (customer_id,) in without})))
    for customer_id, setting_id, countries in unpriced:
        text = f"has no rate for {', '.join(countries)}, which setting {setting_id} of Call Me Back allows"
        advice = "callbacks there are refused: `ringback import rates` (docs/rates.md)"
        yield Finding(Level.WARNING, f"customer {customer_id} {text}, so {advice}")
    if not without and not unpriced:
        yield Finding(Level.OK, "every customer with Call Me Back has rates")


def _unpriced(db: Db, but: Set[int]) -> Iterator[tuple[int, int, list[str]]]:
    """(customer, setting, countries that it allows and no rate is for)"""
    sql = """
        SELECT s.customer_id, s.id, s.allowed_countries FROM callmeback_settings s JOIN customers c ON c.id = s.customer_id
        WHERE c.deleted_at IS NULL ORDER BY s.customer_id, s.id
    """
    for customer_id, setting_id, allowed in db.all(sql):
        countries = [] if customer_id in but else rates.unpriced(db, customer_id, json.loads(allowed))
        if countries:
            yield customer_id, setting_id, countries


def of_counters(services: Services) -> Iterator[Finding]:
    """Totals of lists come from counters; a counter that is wrong makes a client miss rows."""
    wrong = sorted({(table.name, who) for table in _counted() for who in _miscounted(services, table)})
    for name, customer_id in wrong:
        yield Finding(
            Level.FAULT, f"the totals of {name} of customer {customer_id} are wrong: restore a backup, and report it"
        )
    if not wrong:
        yield Finding(Level.OK, "all totals are right")


def of_kept(services: Services) -> Iterator[Finding]:
    """What each kind takes, how long it is kept, and what goes next."""
    size = services.database.size()
    free = "" if size.free is None else f", {_bytes(size.free)} of that free for new rows"
    tables = "".join(f"; {name} {_bytes(each)}" for name, each in size.tables.items())
    yield Finding(Level.OK, f"the database takes {_bytes(size.total)}{free}{tables}")
    kinds: dict[tuple[int, str], list[Kept]] = {}
    for each in kept(services, services.clock()):
        kinds.setdefault((each.customer_id, each.name), []).append(each)
    for rules in kinds.values():
        yield Finding(Level.OK, _held(rules))
        yield from (_overdue(each) for each in rules if each.overdue is not None)


def _held(rules: Sequence[Kept]) -> str:
    """What there is of one kind of one customer, and each rule that it has."""
    each = rules[0]
    unit, of_what = ("day", "") if each.is_by_day else ("row", " of audio")
    size = "" if each.bytes is None else f", {_bytes(each.bytes)}{of_what}"
    since = "" if each.oldest is None else f", the oldest of {_date(each.oldest)}"
    told = "; ".join(_rule(rule) for rule in rules if rule.limit is not None) or "kept for ever"
    return f"customer {each.customer_id}, {each.name}: {amount(each.rows, unit)}{size}{since}; {told}"


def _overdue(each: Kept) -> Finding:
    assert each.overdue is not None
    return Finding(
        Level.WARNING,
        f"customer {each.customer_id}, {each.name}: there are some of {_date(each.overdue)} that should have gone"
        " and that no hold keeps: does a server run at night? `ringback retain` deletes them now",
    )


def _rule(each: Kept) -> str:
    assert each.limit is not None
    if each.by_size:
        next_ = f"{_bytes(each.going)} too many go" if each.going else "nothing goes"
        return f"up to {_bytes(each.limit)} are kept, {next_} on {_date(each.at)}"
    return f"kept for {amount(each.limit, 'day')}, {each.going or 'none'} of them go on {_date(each.at)}"


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _bytes(n: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"


def of_blobs(services: Services) -> Iterator[Finding]:
    try:
        services.blobs.check()
        yield Finding(Level.OK, f"audio can be stored, read and deleted at {services.settings.blobs_url()}")
        for customer_id in _customers(services):
            yield from _compared(services, customer_id)
    except BlobsUnavailable as error:
        yield Finding(Level.FAULT, str(error))


def _compared(services: Services, customer_id: int) -> Iterator[Finding]:
    """Blobs first: a row that comes later has its blob already. What goes meanwhile is looked up again."""
    before = datetime.now(UTC) - SETTLED
    blobs = {each.key: each.modified_at < before for each in services.blobs.list(f"{customer_id}/")}
    named = set(_keys(services, customer_id))
    missing = [key for key in named - blobs.keys() if services.blobs.size(key) is None]
    lost = _still_named(services, customer_id, missing)
    unused = sorted(key for key, settled in blobs.items() if settled and key not in named)
    if lost:
        yield Finding(
            Level.FAULT,
            f"customer {customer_id}: audio is lost of {amount(len(lost), 'recording')}, {lost[0]} first: restore it",
        )
    if unused:
        yield Finding(
            Level.WARNING,
            f"customer {customer_id}: {amount(len(unused), 'audio file')} without a record, {unused[0]} first",
        )
    if not lost and not unused:
        yield Finding(Level.OK, f"customer {customer_id}: {amount(len(named), 'audio file')}, each with its record")


def _still_named(services: Services, customer_id: int, keys: list[str]) -> list[str]:
    return sorted(set(keys) & set(_keys(services, customer_id))) if keys else []


def _keys(services: Services, customer_id: int) -> Iterator[str]:
    """The keys of all audio that the customer's rows name."""
    for table in schema.metadata.sorted_tables:
        for column in sorted(schema.BLOB_COLUMNS):
            if column in table.c:
                sql = f'SELECT {column} FROM "{table.name}" WHERE customer_id = :customer AND {column} IS NOT NULL'
                yield from _column(services, sql, {"customer": customer_id})


def _customers(services: Services) -> list[int]:
    return [row[0] for row in services.database.read(lambda db: db.all("SELECT id FROM customers ORDER BY id"))]


def _counted() -> Iterable[Table]:
    return (table for table in schema.metadata.sorted_tables if schema.counted(table) is not None)


def _miscounted(services: Services, table: Table) -> Set[int]:
    """The customers whose counters of the table differ from its rows. One statement is one snapshot."""
    spec = schema.counted(table)
    assert spec is not None
    day, attributes = spec
    rows = [_tally("''", "''", day, table.name, "")]
    rows += [
        _tally(f"'{name}'", f'CAST("{name}" AS TEXT)', day, table.name, f'AND "{name}" IS NOT NULL')
        for name in attributes
    ]
    counters = """
        SELECT customer_id, attribute, value, day, -n AS n FROM counters
        WHERE customer_id = :customer AND resource = :resource AND attribute <> '#'
    """
    sql = f"""
        SELECT customer_id FROM ({" UNION ALL ".join([*rows, counters])}) t
        GROUP BY customer_id, attribute, value, day HAVING sum(n) <> 0 LIMIT 1
    """
    found = (_column(services, sql, {"customer": who, "resource": table.name}) for who in _customers(services))
    return {customer_id for each in found for customer_id in each}


def _tally(attribute: str, value: str, day: str, table: str, condition: str) -> str:
    return f"""
        SELECT customer_id, {attribute} AS attribute, {value} AS value, "{day}" / {DAY_S} AS day, count(*) AS n
        FROM "{table}" WHERE customer_id = :customer {condition} GROUP BY 1, 2, 3, 4
    """


def _column(services: Services, sql: str, bound: dict[str, int | str]) -> Iterator[Any]:
    """The first column of many rows, without the time limit of requests."""
    with services.database.stream(sql, bound, LOT) as lots:
        for lot in lots:
            yield from (row[0] for row in lot)


def _place(settings: Settings) -> str:
    url = settings.database_url()
    return str(sqlite_path(url).absolute()) if settings.is_embedded() else masked("database", url)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
