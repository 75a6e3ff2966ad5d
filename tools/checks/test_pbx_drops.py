"""The connection is cut, and the server killed, while calls go on. Run by `tools/checks/pbx` within the lab."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pbx_place import VISIBLE_S, Place, record, talk
from tests.process import ringback

import burst  # type: ignore[import-not-found] # isort: skip - stands in the lab's folder

CALLS, PER_S, HELD_S = 240, 8, 4.0
KILLED_AFTER = 3, 7, 11
"""So many cuts."""


def test_a_wire_that_is_cut_and_a_server_that_is_killed_lose_and_double_nothing(place: Place) -> None:
    """Calls begin, go on and end while the wire is cut, and while no server runs."""
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    one, first = talk(place, "101", "102")
    two, second = talk(place, "103", "07700900456")
    place.until(lambda: len(place.rows("/calls")) == 2)
    place.relay.cut()
    time.sleep(0.5)
    place.kill()
    one.hang_up(first)
    time.sleep(1)
    place.begin()
    place.relay.cut()
    three, third = talk(place, "104", "105")
    place.until(lambda: {row["src"] for row in place.rows("/calls")} == {"103", "104"})
    place.kill()
    place.begin()
    two.hang_up(second)
    three.hang_up(third)
    place.scene.quiet()
    fresh = place.until(lambda: [found for found in [place.fresh(known)] if len(found) == 3])[0]
    assert sorted((cdr["src"], cdr["dst"]) for cdr in fresh) == [
        ("101", "102"),
        ("103", "447700900456"),
        ("104", "105"),
    ]
    by = {cdr["src"]: cdr for cdr in fresh}
    assert "its end was not seen" in by["101"]["info"]
    assert by["103"]["info"] is None
    time.sleep(VISIBLE_S)
    assert (len(place.fresh(known)), place.rows("/calls")) == (3, [])


class Traffic:
    """Calls that come and go, of both kinds. `ended`: when each ended, by the caller's name."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.ended = burst.calls(record.ROOT, "8100", CALLS, PER_S, HELD_S)

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()


@contextmanager
def traffic() -> Iterator[Traffic]:
    made = Traffic()
    made.start()
    yield made
    made.join()


def test_of_live_traffic_every_call_is_there_once(place: Place) -> None:
    """The wire is cut at random moments, also within a message, and the server is killed, while 8 calls a second begin and end. Of
    those that nobody heard of Asterisk's own file tells, and of no other ones; its call records then tell nothing more."""
    place.ready()
    chance = random.Random()
    began, away_s, cuts = time.monotonic(), 0.0, 0
    with traffic() as going:
        while not going.is_over:
            place.relay.cut_after(chance.randrange(1, 60_000))
            cuts += 1
            time.sleep(chance.uniform(0.5, 2.0))
            if cuts in KILLED_AFTER:
                away_s += killed_for(place, chance.uniform(0, 0.5))
        place.relay.cut_after(None)
    took_s = time.monotonic() - began
    assert cuts > KILLED_AFTER[0]
    place.scene.quiet()
    place.until(lambda: '"pbx connected"' in place.server.log.read_text() and not place.rows("/calls"), 90)
    heard = roots(place)
    told = ringback(
        place.settings, "import", "asterisk-cel", str(record.CEL), "--customer", str(place.acme.customer_id)
    )
    assert told.returncode == 0, told.stderr
    found = roots(place)
    records = ringback(
        place.settings, "import", "asterisk-cdr", str(record.CDR), "--customer", str(place.acme.customer_id)
    )
    assert " 0 new" in records.stdout, records.stdout + records.stderr
    print(f"\n{len(going.ended)} calls, {cuts} cuts, {len(going.ended) - len(heard)} calls out of the file")
    assert found == Counter(list(going.ended))
    assert heard <= found
    assert len(heard) > CALLS * (1 - away_s / took_s) / 2, f"{away_s:.0f} s of {took_s:.0f} without a server"


def killed_for(place: Place, seconds: float) -> float:
    """How long no server was there: it takes a while to start."""
    began = time.monotonic()
    place.kill()
    time.sleep(seconds)
    place.begin()
    return time.monotonic() - began


def roots(place: Place) -> Counter[str]:
    """How many root CDRs each caller's name has."""
    rows = place.rows("/cdrs", limit=5_000)
    return Counter(
        row["src_name"]
        for row in rows
        if row["parent_live_id"] is None and (row["src_name"] or "").startswith("Caller")
    )
