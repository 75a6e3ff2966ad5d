"""Which media sessions are legs of one call. Kept is only what each says of others (`leg_keys`); what belongs together is found
when it is asked for, so it does not matter in which order sessions came in, and a tie that a later session makes doubtful
is none any more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ringback.calls.numbers import clean
from ringback.sip import legs
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.legs import CERTAIN, Leg, Times
from ringback.sip.packet import SECOND_US
from ringback.store.database import Db

MOST_LEGS = 128
"""A call that has more is shown without the rest."""
MOST_OF_KEY = 64
"""What more sessions share is no name of a call."""
MOST_TOLD = 256
"""Keys of a session that are kept: a call has a few."""
MOST_KEYS = 32
"""That one session is looked for by."""
_AT_ONCE = 100
_EVER = (-legs.NEVER_US, legs.NEVER_US)

Read = Callable[[Sequence[str]], Mapping[str, MediaSession]]
"""The sessions of Call-IDs as all their packets tell them; those without packets left out."""

Wanted = tuple[str, int, int]
"""Key, and from when to when the session began (s)."""


class Told:
    """What a session has said of others so far, so that it is read and written once."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._fresh: set[str] = set()

    def hear(self, payload: bytes) -> None:
        """A message for which `legs.tells` holds."""
        self._take(legs.keys(payload))

    def correlate(self, name: str) -> None:
        """A capture agent says that it belongs to what has this name."""
        self._take({f"{legs.CORRELATED}{name}"[: legs.LONGEST_KEY]})

    def _take(self, keys: set[str]) -> None:
        if not keys <= self._keys:
            found = sorted(keys - self._keys)[: max(MOST_TOLD - len(self._keys), 0)]
            self._keys.update(found)
            self._fresh.update(found)

    def fresh(self) -> set[str]:
        """Keys that came since this was asked last."""
        found, self._fresh = self._fresh, set()
        return found


def note(db: Db, customer_id: int, said: Iterable[tuple[str, int, Iterable[str]]]) -> None:
    """Stores keys: of which session, when that began (s), and which. What is there already stays."""
    rows = [
        {"customer": customer_id, "key": clean(key), "at": at, "call_id": call_id}
        for call_id, at, keys in said
        for key in keys
    ]
    if rows:
        sql = """
            INSERT INTO leg_keys (customer_id, key, at, call_id) VALUES (:customer, :key, :at, :call_id)
            ON CONFLICT (customer_id, key, at, call_id) DO NOTHING
        """
        db.many(sql, sorted(rows, key=lambda row: (row["key"], row["at"], row["call_id"])))


def forget(db: Db, customer_id: int, sessions: str, ids: Sequence[int]) -> None:
    """Of the sessions whose Call-IDs a query with `:customer` and `:ids` gives."""
    sql = f"DELETE FROM leg_keys WHERE customer_id = :customer AND call_id IN ({sessions})"
    db.run(sql, {"customer": customer_id, "ids": list(ids)})


def whole(db: Db, customer_id: int, call_ids: Iterable[str], read: Read) -> list[str]:
    """The Call-IDs of these sessions, and of all others that are legs of the same calls, as far as there are packets."""
    search = _Search(db, customer_id, read)
    group = search.load(list(call_ids))
    waiting = list(group)
    while waiting and len(group) < MOST_LEGS:
        near = [name for name in search.near(waiting) if name not in group]
        search.near(near)
        waiting = [name for name in near if any(search.is_tied(name, each) for each in waiting)]
        group += waiting
    return group[:MOST_LEGS]


class _Search:
    """The legs that were looked at. Whether two are tied is asked when those near to both have been."""

    def __init__(self, db: Db, customer_id: int, read: Read) -> None:
        self._db, self._customer_id, self._read = db, customer_id, read
        self._looked_at: set[str] = set()
        self._legs: dict[str, Leg] = {}
        self._near: dict[str, set[str]] = {}
        self._worn: set[str] = set()
        self._crowded: set[str] = set()
        self._parents: dict[str, str | None] = {}

    def is_tied(self, one: str, other: str) -> bool:
        first, second = self._legs[one], self._legs[other]
        if legs.is_certain(self._without_worn(first), self._without_worn(second)):
            return True
        return self._parent(one) == other or self._parent(other) == one

    def _without_worn(self, leg: Leg) -> Leg:
        return leg._replace(certain=leg.certain - self._worn)

    def _parent(self, name: str) -> str | None:
        if name not in self._parents:
            near = {each: self._without_worn(self._legs[each]) for each in self._near[name] if each in self._legs}
            found = None if name in self._crowded else legs.parent(self._without_worn(self._legs[name]), near)
            self._parents[name] = None if found is None else found.call_id
        return self._parents[name]

    # -- looking ----------------------------------------------------------------------------------------------------------

    def load(self, names: Sequence[str]) -> list[str]:
        """Those of the sessions of which there are packets."""
        fresh = [name for name in dict.fromkeys(names) if name not in self._looked_at]
        self._looked_at.update(fresh)
        found = self._read(fresh) if fresh else {}
        keys = self._keys(list(found)) if found else {}
        self._legs |= {name: _leg(name, session, keys.get(name, ())) for name, session in found.items()}
        return [name for name in dict.fromkeys(names) if name in self._legs]

    def near(self, names: Sequence[str]) -> list[str]:
        """Loads whatever may be tied to these, and gives what fits one of them as far as the two tell."""
        for name in names:
            if name not in self._near:
                self._near[name] = set(self._by_keys(name)) | set(self._by_caller(name)) | set(self._by_transfer(name))
        self.load(sorted({each for name in names for each in self._near[name]}))
        fitting = {each: None for name in names for each in self._near[name] if self._may_fit(name, each)}
        return sorted(fitting)

    def _may_fit(self, name: str, other: str) -> bool:
        if name == other or other not in self._legs:
            return False
        one, two = self._legs[name], self._legs[other]
        return legs.is_certain(one, two) or legs.may_be_parent(one, two) or legs.may_be_parent(two, one)

    def _by_keys(self, name: str) -> Iterator[str]:
        leg = self._legs[name]
        first, last = _seconds(leg.began_us - legs.LONGEST_US), _seconds(leg.last_us + legs.REFERRED_US)
        certain = sorted(leg.certain)[:MOST_KEYS]
        wanted = [(key, *_EVER) for key in (*certain, legs.NAMED + name, legs.CORRELATED + name)]
        wanted += [(key, first, last) for key in sorted(leg.media)[:MOST_KEYS]]
        wanted += [(legs.referred_key(leg.dst), first, last)] if leg.dst else []
        for key, names in self._with(wanted).items():
            if len(names) > MOST_OF_KEY:
                self._worn |= {key} if key.startswith(CERTAIN) else set()
                self._crowded |= set() if key.startswith(CERTAIN) else {name}
            else:
                yield from names
        yield from (key[1:] for key in certain if key.startswith((legs.NAMED, legs.CORRELATED)))

    def _by_caller(self, name: str) -> Iterator[str]:
        """Those that may have led to it, and those that it may have led to."""
        leg = self._legs[name]
        if leg.src is None:
            return
        where = "src = :src"
        before = self._of(where, leg.began_us - legs.LONGEST_US, leg.began_us + legs.SLACK_US, {"src": leg.src})
        if len(before) > MOST_OF_KEY:
            self._crowded.add(name)
            late = self._of(where, leg.last_us - legs.LONGEST_US, leg.began_us + legs.SLACK_US, {"src": leg.src})
            if len(late) > MOST_OF_KEY:  # so is whatever it may have led to: none of them would be tied
                return
        after = self._of(where, leg.began_us - legs.SLACK_US, leg.last_us + legs.SLACK_US, {"src": leg.src})
        yield from (*before, *after)

    def _by_transfer(self, name: str) -> Iterator[str]:
        for each in self._legs[name].referred[:MOST_KEYS]:
            first_us, last_us = each.at_us - legs.SLACK_US, each.at_us + legs.REFERRED_US
            yield from self._of("dst = :dst", first_us, last_us, {"dst": each.user})

    def _of(self, where: str, first_us: int, last_us: int, bound: Mapping[str, str]) -> list[str]:
        sql = f"""
            SELECT call_id FROM mediasessions
            WHERE customer_id = :customer AND {where} AND created_at BETWEEN :first AND :last
            ORDER BY created_at, id LIMIT {MOST_OF_KEY + 1}
        """
        times = {"first": _seconds(first_us), "last": _seconds(last_us), "customer": self._customer_id}
        return [row[0] for row in self._db.all(sql, {**bound, **times})]

    def _with(self, wanted: Sequence[Wanted]) -> dict[str, list[str]]:
        """The sessions of keys, of each a few more than are used."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            parts: list[str] = []
            bound: dict[str, Any] = {"customer": self._customer_id}
            for n, (key, first, last) in enumerate(wanted[start : start + _AT_ONCE]):
                parts.append(_PART.format(n=n))
                bound |= {f"key{n}": clean(key), f"first{n}": first, f"last{n}": last}
            for key, call_id in self._db.all(" UNION ALL ".join(parts), bound):
                found.setdefault(key, []).append(call_id)
        return found

    def _keys(self, names: Sequence[str]) -> dict[str, list[str]]:
        sql = f"""
            SELECT call_id, key FROM leg_keys WHERE customer_id = :customer AND {self._db.among("call_id", "names")}
        """
        found: dict[str, list[str]] = {}
        for name, key in self._db.all(sql, {"customer": self._customer_id, "names": list(names)}):
            found.setdefault(name, []).append(key)
        return found


_PART = f"""
    SELECT * FROM (
        SELECT key, call_id FROM leg_keys
        WHERE customer_id = :customer AND key = :key{{n}} AND at BETWEEN :first{{n}} AND :last{{n}}
        ORDER BY at, call_id LIMIT {MOST_OF_KEY + 1}
    ) part{{n}}
"""


def _leg(name: str, session: MediaSession, keys: Iterable[str]) -> Leg:
    times = Times(session.created_at_us, session.answered_at_us, session.ended_at_us)
    return legs.leg(name, (session.src, session.dst), times, session.messages, keys)


def _seconds(at_us: int) -> int:
    return at_us // SECOND_US
