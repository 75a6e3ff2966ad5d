"""The captured REGISTERs of a phone's last attempts, and what answered them."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from ringback.calls.numbers import clean
from ringback.sip.packet import SECOND_US
from ringback.sip.registrations.registers import RegisterAttempt, is_register, sighting
from ringback.store import captures, registrations, slices
from ringback.store.captures import Seen
from ringback.store.database import Db
from ringback.store.whole_calls import Capture

MOST_OF_A_DAY = 2_000
"""Packets of one Call-ID, which a phone may use as long as it runs. The last ones."""
ANSWERED_S = 32
"""64 × T1: so long an answer may come, perhaps after midnight."""

_Key = tuple[str, int, str]
"""Call-ID, CSeq number and branch of a REGISTER."""


def of_registration(db: Db, customer_id: int, registration_id: int, _: int | None) -> Capture:
    """Of its attempts since the last success, at most as many as are kept of a phone. Whoever may see the registration sees
    all of it: what has the same Call-ID, but is of another phone or address-of-record, is left out."""
    phone = registrations.kept(db, customer_id, registration_id)
    wanted = {_key(each): each for each in phone.attempts}
    found: list[Seen] = []
    there: set[_Key] = set()
    for seen in _near(db, customer_id, wanted.values()):
        told = sighting(seen.packet, seen.capture_id) if is_register(seen.packet.payload) else None
        if told is None or (clean(told.aor), clean(told.device)) != (phone.aor, phone.device):
            continue
        if _key(told.attempt) in wanted:
            found.append(seen)
            there.add(_key(told.attempt))
    return Capture(captures.once(found), there == wanted.keys())


def _key(attempt: RegisterAttempt) -> _Key:
    return attempt.call_id, attempt.cseq, attempt.branch


def _near(db: Db, customer_id: int, attempts: Iterable[RegisterAttempt]) -> Iterator[Seen]:
    """What was captured with these Call-IDs, on the days of these attempts."""
    asked = {
        (slices.day_of(each.at_us // SECOND_US + after_s), slices.call_hash(captures.key(each.call_id)))
        for each in attempts
        for after_s in (0, ANSWERED_S)
    }
    for day, calls in groupby(sorted(asked), key=lambda each: each[0]):
        for row in db.slices.read_last(customer_id, day, [call for _, call in calls], MOST_OF_A_DAY):
            yield captures.seen(row)
