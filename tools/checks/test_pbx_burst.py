"""500 calls at once through a real Asterisk: each is one CDR, there within a second of its end. Run by `tools/checks/pbx` within
the lab, with nothing else beside it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from machine import Beside
from pbx_place import Place, record

import burst  # type: ignore[import-not-found] # isort: skip - stands in the lab's folder

CALLS, PER_S, HELD_S = 500, 50, 11.0
VISIBLE_S = 1.0
PATIENCE_S = 20.0


class Watch:
    """When the root CDR of each caller was seen first, by this machine's clock, as sipp's ends are."""

    def __init__(self, place: Place) -> None:
        self.seen: dict[str, list[float]] = {}
        self._place = place
        self._last = max((row["id"] for row in place.rows("/cdrs", sort=_NEWEST, limit=1)), default=0)
        self._changed = threading.Condition()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            found = self._place.rows("/cdrs", limit=1_000, filter=_filter("id", "gt", self._last))
            at = time.time()
            with self._changed:
                for row in found:
                    self._last = max(self._last, row["id"])
                    if row["parent_live_id"] is None:
                        self.seen.setdefault(row["src_name"], []).append(at)
                self._changed.notify_all()
            self._done.wait(0.05)

    def until(self, count: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self.seen) >= count, PATIENCE_S)

    def stop(self) -> None:
        self._done.set()


_NEWEST = json.dumps([{"property": "id", "direction": "DESC"}])


def _filter(name: str, operator: str, value: object) -> str:
    return json.dumps([{"property": name, "operator": operator, "value": value}])


@contextmanager
def watched(place: Place) -> Iterator[Watch]:
    watch = Watch(place)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


WAYS = {"one after the other": "9100", "all at once": "9100", "over Local channels, all at once": "8100"}
"""How they end, and what is called."""


@pytest.mark.parametrize("way", WAYS)
def test_500_calls_at_once_are_500_cdrs_each_within_a_second(place: Place, way: str) -> None:
    beside = Beside()
    with watched(place) as watch:
        if way.endswith("all at once"):
            ended = burst.ended_together(record.ROOT, WAYS[way], CALLS, PER_S)
        else:
            ended = burst.calls(record.ROOT, WAYS[way], CALLS, PER_S, HELD_S)
        afterwards = Beside()
        watch.until(CALLS)
        share = max(beside.share, afterwards.share)
        time.sleep(VISIBLE_S)  # one that is doubled has come by then
    assert len(ended) == CALLS
    assert {name: len(times) for name, times in watch.seen.items()} == dict.fromkeys(ended, 1)
    late = sorted(watch.seen[name][0] - at for name, at in ended.items())
    told = f"{way}: half of the CDRs within {late[CALLS // 2]:.2f} s, the last {late[-1]:.2f} s after its call"
    told += f"; {share:.0%} of the machine did something else"
    print(f"\n{told}")
    assert late[-1] * (1 - share) < VISIBLE_S, told
    assert place.rows("/calls") == []
