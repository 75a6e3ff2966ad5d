"""Events of a PBX folded into calls, in the order in which they come, never by their times.

A call is what one channel began and all that was called for it, and whatever came to it by a transfer, a pickup or a bridge. Those who
meet in a conference or wait in one parking lot keep a call each. A call leaves at the moment when its last channel ends.
Whatever is torn, doubled or missing: each channel that was seen is in exactly one call, and each call leaves once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import changes
from ringback.calls.ledger.changes import Board
from ringback.calls.ledger.state import Call, Leg

SECOND_US = 1_000_000
UNENDED, UNBEGUN = "its end was not seen", "its beginning was not seen"
_CALL, _AGAIN = "call ", "/again"
"""Marks the id of a call among those of channels; and the call of a channel that came when the rest of it was over."""
RESTARTS = 100
"""So many are remembered."""
RESTARTED, CUT = "the PBX was restarted", "more happened than is kept"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is held. `silence_us`: how long after the PBX said that a call is over its channels may still be heard of.
    `idle_us`: after this long without any event a call is closed. `ended`: so many channels that ended are remembered at
    least, so that what comes late begins no call."""

    silence_us: int = 10 * SECOND_US
    idle_us: int = 86_400 * SECOND_US
    calls: int = 50_000
    legs: int = 2_000
    ended: int = 50_000


class Ledger:
    """`board.calls`: those that are up, by the id of the call, the longest silent first."""

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.board = Board()
        self._bounds = bounds
        self._silenced: dict[Call, int] = {}
        self._recent: set[str] = set()
        self._older: set[str] = set()
        self._restarts: deque[Event] = deque(maxlen=RESTARTS)
        self._clock_us = self._before_us = 0

    def take(self, event: Event) -> list[Call]:
        """The calls that have ended by this event."""
        kind = type(event.fact)
        if kind is events.Restarted:
            return self._restarted(event)
        self._clock_us = max(self._clock_us, min(self._before_us, event.at_us))  # one wrong time moves nothing
        self._before_us = event.at_us
        overdue = self._overdue()
        if kind is events.CallEnded:
            self._silence(event)
        elif event.channel:
            overdue += self._on_leg(event)
        return overdue

    def _restarted(self, event: Event) -> list[Call]:
        """Told again later, it says nothing of those that have begun since."""
        if event in self._restarts:
            return []
        self._restarts.append(event)
        return [self._closed(call, RESTARTED, self._clock_us) for call in list(self.board.calls.values())]

    def close(self, fault: str = UNENDED) -> list[Call]:
        """All that are up, marked."""
        return [self._closed(call, fault) for call in list(self.board.calls.values())]

    def closed_before(self, at_us: int) -> list[Call]:
        """Those of which nothing was heard since then, marked."""
        silent = [call for call in self.board.calls.values() if call.last_us < at_us]
        return [self._closed(call, UNENDED) for call in silent]

    def _on_leg(self, event: Event) -> list[Call]:
        board = self.board
        leg = board.legs.get(event.channel)
        if leg is None:
            if event.channel in self._recent or event.channel in self._older:
                return []
            leg = self._begun(event)
        call, is_over = leg.call, leg.ended_us is not None
        if (is_over and type(event.fact) not in changes.TOLD_AFTERWARDS) or not _is_new(call, event):
            return []
        if not is_over:
            _touch(board, leg, event)
        changes.CHANGES[type(event.fact)](board, leg, event.at_us, event.fact)
        return self._finished(leg.call)

    def _begun(self, event: Event) -> Leg:
        linked_id = event.linked_id or event.channel
        call = self.board.linked.get(linked_id) or self.board.linked.get(event.channel)
        if call is None:
            over = _CALL + linked_id
            is_over = over in self._recent or over in self._older
            call = self.board.begin(f"{event.channel}{_AGAIN}" if is_over else linked_id, linked_id, event.at_us)
        return self.board.add(call, event)

    def _finished(self, call: Call) -> list[Call]:
        if call.nb_open == 0:
            return [self._left(call)]
        if len(call.legs) > self._bounds.legs:
            return [self._closed(call, CUT)]
        return []

    def _closed(self, call: Call, fault: str, seen_us: int = 0) -> Call:
        """It ends when something was last heard of it, or of the PBX (`seen_us`)."""
        call.note(fault)
        call.last_us = max(call.last_us, seen_us)
        for leg in [each for each in call.legs.values() if each.ended_us is None]:
            changes.end(self.board, leg, call.last_us)
        return self._left(call)

    def _left(self, call: Call) -> Call:
        if not all(leg.is_begun for leg in call.legs.values()):
            call.note(UNBEGUN)
        self.board.remove(call)
        self._silenced.pop(call, None)
        self._remember(call)
        return call

    def _remember(self, call: Call) -> None:
        """What is of one call is forgotten together."""
        self._recent.update(call.legs)
        self._recent.update(_CALL + linked_id for linked_id in call.linked_ids)
        if len(self._recent) > self._bounds.ended:
            self._older, self._recent = self._recent, set()

    def _silence(self, event: Event) -> None:
        linked_id = event.linked_id or event.channel
        call = self.board.linked.get(linked_id)
        if call is None:
            return
        for leg in call.legs.values():
            leg.is_silent = leg.linked_id == linked_id
        self._silenced[call] = event.at_us

    def _overdue(self) -> list[Call]:
        """Calls that the PBX says are over, those that nothing was heard of for too long, and those that are too many."""
        if not self._silenced and not self.board.calls:
            return []
        found = [
            call for call in self._silent_long() if all(leg.is_silent or leg.ended_us for leg in call.legs.values())
        ]
        left = [self._closed(call, UNENDED) for call in found]
        oldest = next(iter(self.board.calls.values()), None)
        if oldest is not None and (
            oldest.last_us < self._clock_us - self._bounds.idle_us or len(self.board.calls) > self._bounds.calls
        ):
            left.append(self._closed(oldest, UNENDED))
        return left

    def _silent_long(self) -> Iterator[Call]:
        """Taken off the list, in the order in which they were put on it."""
        due_us = self._clock_us - self._bounds.silence_us
        while self._silenced:
            call, since_us = next(iter(self._silenced.items()))
            if since_us > due_us:
                return
            del self._silenced[call]
            if self.board.calls.get(call.id) is call:  # else it is a part of another one now
                yield call


def _is_new(call: Call, event: Event) -> bool:
    """What is stamped more finely than to the second and says the same again is the same; with whole seconds it may happen twice."""
    if event.at_us % SECOND_US == 0:
        return True
    digest = hash((event, type(event.fact)))  # facts without words are alike
    if digest in call.seen:
        return False
    if len(call.seen) < changes.MOST:
        call.seen.add(digest)
    return True


def _touch(board: Board, leg: Leg, event: Event) -> None:
    leg.is_silent = False
    leg.call.last_us = max(leg.call.last_us, event.at_us)
    if event.linked_id and event.linked_id != leg.linked_id:
        leg.linked_id = event.linked_id
    if event.name and event.name != leg.name:
        board.rename(leg, event.name)
    board.calls.move_to_end(leg.call.id)  # by its new name it may be a part of another call
