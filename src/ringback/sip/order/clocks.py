"""How far the clocks of capture agents are apart, as cause and effect tell.

Only the order of messages is made from it: the time that is shown is the captured one.
"""

import heapq
from collections import defaultdict
from collections.abc import Hashable, Mapping

Clock = Hashable
"""A capture agent's number; where that is not known, the way (source, destination) that it saw."""
Least = Mapping[tuple[Clock, Clock], int]
"""(one, other) → at least so many µs more must be added to the other's times than to the one's."""

_ROUNDS = 32
_UNBOUNDED = 1 << 62


def offsets(least: Least) -> dict[Clock, int]:
    """What to add to the times of each clock, in µs; no clock is moved that need not be.

    Where both directions are bounded the middle is taken, as NTP does. Bounds that contradict each other are kept as far
    as a few rounds go.
    """
    clocks = {clock for pair in least for clock in pair}
    if all(gap <= 0 for gap in least.values()):
        return dict.fromkeys(clocks, 0)
    found = _estimated(least)
    for _ in range(_ROUNDS):
        late = [(other, found[one] + gap) for (one, other), gap in least.items() if found[other] < found[one] + gap]
        if not late:
            break
        for other, at_least in late:
            found[other] = max(found[other], at_least)
    return found


def _estimated(least: Least) -> dict[Clock, int]:
    """From clock to clock by the narrowest bounds first."""
    near: dict[Clock, set[Clock]] = defaultdict(set)
    for one, other in least:
        near[one].add(other)
        near[other].add(one)
    found: dict[Clock, int] = {}
    for start in sorted(near, key=lambda clock: -len(near[clock])):
        if start not in found:
            _spread(start, near, least, found)
    return found


def _spread(start: Clock, near: Mapping[Clock, set[Clock]], least: Least, found: dict[Clock, int]) -> None:
    turn = 0
    heap: list[tuple[int, int, Clock, int]] = [(0, turn, start, 0)]
    while heap:
        _, _, clock, offset = heapq.heappop(heap)
        if clock in found:
            continue
        found[clock] = offset
        for other in near[clock]:
            if other not in found:
                turn += 1
                width, apart = _apart(least.get((clock, other)), least.get((other, clock)))
                heapq.heappush(heap, (width, turn, other, offset + apart))


def _apart(lower: int | None, back: int | None) -> tuple[int, int]:
    """How certain (the width of what is possible), and how much more the other clock needs."""
    low = -_UNBOUNDED if lower is None else lower
    high = _UNBOUNDED if back is None else -back
    if low <= 0 <= high:
        apart = 0
    elif lower is None or back is None:
        apart = high if lower is None else low
    else:
        apart = (low + high) // 2
    return min(max(high - low, 0), _UNBOUNDED), apart
