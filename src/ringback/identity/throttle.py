"""How often one may try: counted in the database, so that it holds over several processes and restarts.

A try is counted before it is verified; so a hundred tries at the same moment are a hundred tries. A right one gives its
count back. Over the limit each try brings a block twice as long as the one before.

An attacker who knows an address could lock its owner out; so the low limit is on the account *from one network*, and the
account as a whole has a much higher one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from ringback.errors import LoginRefused
from ringback.store.database import Db, first, folded, value


@dataclass(frozen=True, slots=True)
class Rule:
    """`limit` tries are free; then blocks from `shortest_s`, doubling, to `longest_s`. Forgotten after `forget_s` of peace."""

    limit: int
    shortest_s: int = 30
    longest_s: int = 900
    forget_s: int = 3600

    def block_s(self, tries: int) -> int:
        over = tries - self.limit
        return 0 if over < 0 else min(self.shortest_s * 2 ** min(over, 20), self.longest_s)


PAIR = Rule(limit=5)
ACCOUNT = Rule(limit=100)
ADDRESS = Rule(limit=50)
SECOND_FACTOR = Rule(limit=10, longest_s=3600, forget_s=86_400)
MAILS = Rule(limit=5, shortest_s=300, longest_s=3600)
CODES = Rule(limit=20, shortest_s=300, longest_s=3600)
LONGEST_MEMORY_S = 86_400

Keys = Mapping[str, Rule]

_TRY = """
    INSERT INTO throttles (key, failures, blocked_until, updated_at) VALUES (:key, 1, 0, :now)
    ON CONFLICT (key) DO UPDATE SET
        failures = CASE WHEN throttles.updated_at < :forget THEN 1 ELSE throttles.failures + 1 END,
        updated_at = :now
    WHERE throttles.blocked_until <= :now
    RETURNING failures
"""


class Throttled(LoginRefused):
    """Too many tries. As `LoginRefused`, a 400 with `Retry-After`: clients take other statuses for maintenance."""

    def __init__(self, wait_s: int, field: str = "email") -> None:
        super().__init__(f"Too many tries. Try again in {wait_s} seconds.", field=field, retry_after_s=wait_s)


def login_keys(email: str, ip: str) -> Keys:
    """What a try at a password counts against. Unknown addresses count like known ones."""
    account, network = _digest(folded(email)), _network(ip)
    return {f"pair:{account}:{network}": PAIR, f"account:{account}": ACCOUNT, f"address:{network}": ADDRESS}


def mail_keys(email: str, ip: str) -> Keys:
    return {f"mail:{_digest(folded(email))}": MAILS, f"mails-from:{_network(ip)}": ADDRESS}


def user_keys(name: str, user_id: int, rule: Rule) -> Keys:
    return {f"{name}:{user_id}": rule}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _network(ip: str) -> str:
    """An IPv6 client has a whole /64 to try from."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip[:64]
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else ip


def reserve(db: Db, keys: Keys, now: int, *, field: str = "email") -> None:
    """Counts a try against every key; Throttled (and then nothing is counted) when one of them is blocked."""
    for key, rule in sorted(keys.items()):  # in one order, so that two transactions cannot wait for each other
        row = first(db, _TRY, {"key": key, "now": now, "forget": now - rule.forget_s})
        if row is None:
            until = value(db, "SELECT blocked_until FROM throttles WHERE key = :key", {"key": key})
            raise Throttled(max(until - now, 1), field)
        block_s = rule.block_s(row[0])
        if block_s:
            sql = "UPDATE throttles SET blocked_until = :until WHERE key = :key"
            db.run(sql, {"key": key, "until": now + block_s})


def touch(db: Db, keys: Keys, now: int) -> None:
    for key in sorted(keys):
        db.run("UPDATE throttles SET updated_at = :now WHERE key = :key", {"key": key, "now": now})


def forgive(db: Db, keys: Keys) -> None:
    """After a right try: what belongs to the account is forgotten, an address only gets this one try back."""
    for key, rule in sorted(keys.items()):
        if rule is ADDRESS:
            sql = """
                UPDATE throttles SET failures = failures - 1,
                    blocked_until = CASE WHEN failures <= :limit THEN 0 ELSE blocked_until END
                WHERE key = :key AND failures > 0
            """
            db.run(sql, {"key": key, "limit": rule.limit})
        else:
            db.run("DELETE FROM throttles WHERE key = :key", {"key": key})
