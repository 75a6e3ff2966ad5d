"""What each fact changes in the calls that are up."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import callers
from ringback.calls.ledger.applications import CALLED, KINDS, Kind
from ringback.calls.ledger.state import Call, Leg, Move, Step

MOST = 20_000
"""Moves, and other things that a call keeps of which a hostile log has no end."""
MOST_STEPS = 500
UNHEARD = "a part of it was not seen"
_CALLING = {Kind.DIAL, Kind.QUEUE}


class Bridge:
    """`is_meeting`: a conference; who is in it has not called the others. `is_holding`: who is in it waits for somebody."""

    __slots__ = ("is_holding", "is_meeting", "legs")

    def __init__(self) -> None:
        self.legs: dict[str, Leg] = {}
        self.is_meeting = self.is_holding = False


class Board:
    """Everything that is up, found by every name it has. `expected`: channels that are dialled and not there yet.
    `tells_applications`: the PBX says when a channel enters one."""

    def __init__(self) -> None:
        self.calls: OrderedDict[str, Call] = OrderedDict()
        self.linked: dict[str, Call] = {}
        self.legs: dict[str, Leg] = {}
        self.names: dict[str, Leg] = {}
        self.bridges: dict[str, Bridge] = {}
        self.expected: dict[str, str] = {}
        self.tells_applications = False
        self._order = 0

    def begin(self, call_id: str, linked_id: str, at_us: int) -> Call:
        self._order += 1
        call = Call(call_id, linked_id, self._order, linked_ids={linked_id}, last_us=at_us)
        self.calls[call_id] = self.linked[linked_id] = call
        return call

    def add(self, call: Call, event: Event) -> Leg:
        self._order += 1
        leg = Leg(event.channel, event.name, event.linked_id, event.at_us, self._order, call)
        leg.is_called = bool(event.linked_id) and event.linked_id != event.channel
        call.legs[leg.id] = self.legs[leg.id] = leg
        call.nb_open += 1
        self.linked.setdefault(leg.id, call)
        call.linked_ids.add(leg.id)
        self._name(leg)
        if leg.is_called and not leg.name.endswith(";2"):
            by = self.legs.get(self.expected.pop(leg.id, ""))
            callers.attach(by or callers.guess(call, leg, at_once=self.tells_applications), leg)
        elif leg.id == call.linked_id and len(call.legs) > 1:
            callers.adopt(leg)
        return leg

    def rename(self, leg: Leg, name: str) -> None:
        if self.names.get(leg.name) is leg:
            del self.names[leg.name]
        leg.name = name
        self._name(leg)

    def _name(self, leg: Leg) -> None:
        self.names[leg.name] = leg
        if leg.peer is None and leg.is_half:
            other = self.names.get(leg.name[:-1] + ("2" if leg.name.endswith("1") else "1"))
            if other is not None:
                leg.peer, other.peer = other, leg
                self.merge(leg.call, other.call)

    def merge(self, one: Call, other: Call) -> None:
        """The later call becomes a part of the earlier one."""
        if one is other:
            return
        first, second = sorted((one, other), key=lambda call: call.order)
        for leg in second.legs.values():
            leg.call = first
        for linked_id in second.linked_ids:
            self.linked[linked_id] = first
        first.legs |= second.legs
        first.linked_ids |= second.linked_ids
        first.moves += second.moves
        first.senders += second.senders
        first.nb_open += second.nb_open
        first.seen |= second.seen
        first.last_us = max(first.last_us, second.last_us)
        first.parked = second.parked if first.parked is None else first.parked
        for fault in second.faults:
            first.note(fault)
        del self.calls[second.id]

    def remove(self, call: Call) -> None:
        del self.calls[call.id]
        for linked_id in call.linked_ids:
            if self.linked.get(linked_id) is call:
                del self.linked[linked_id]
        for leg_id in call.legs:
            del self.legs[leg_id]


def end(board: Board, leg: Leg, at_us: int) -> None:
    leave(board, leg, at_us)
    close_step(leg, at_us)
    leg.ended_us = max(at_us, leg.started_us)
    leg.was_on_hold = leg.is_held
    leg.call.nb_open -= 1
    if board.names.get(leg.name) is leg:
        del board.names[leg.name]


def leave(board: Board, leg: Leg, at_us: int) -> None:
    if not leg.bridge:
        return
    bridge = board.bridges.get(leg.bridge)
    if bridge is not None:
        bridge.legs.pop(leg.id, None)
        if not bridge.legs:
            del board.bridges[leg.bridge]
    leg.bridge = ""
    _move(leg, at_us, "")


def _move(leg: Leg, at_us: int, bridge: str) -> None:
    if len(leg.call.moves) < MOST:
        leg.call.moves.append(Move(at_us, leg, bridge))


def close_step(leg: Leg, at_us: int) -> None:
    if leg.step is not None:
        leg.step.left_us = max(at_us, leg.step.entered_us)
        leg.step = None


# -- one function a fact


def _started(_board: Board, leg: Leg, _at_us: int, fact: events.Started) -> None:
    leg.is_begun = True
    leg.dialled = leg.dialled or ("" if fact.dialled == "s" else fact.dialled)
    _named(leg, fact.number, fact.caller_name)


def _named(leg: Leg, number: str, name: str) -> None:
    """The first number counts: later ones were set by the dial plan for somebody else to see."""
    if number and not leg.number:
        leg.number = number
        leg.caller_name = name


def _identified(_board: Board, leg: Leg, _at_us: int, fact: events.Identified) -> None:
    _named(leg, fact.number, fact.caller_name)


def _rings(_board: Board, leg: Leg, _at_us: int, _fact: events.Ringing) -> None:
    leg.rang = True


def _answered(_board: Board, leg: Leg, at_us: int, _fact: events.Answered) -> None:
    if leg.answered_us is None:
        leg.answered_us = at_us


def _entered(board: Board, leg: Leg, at_us: int, fact: events.ApplicationEntered) -> None:
    board.tells_applications |= not fact.is_late
    name = fact.application.lower()
    if name in CALLED:
        _is_called(leg, name)
        return
    kind, step = KINDS.get(name), leg.step
    if step is not None and kind is step.kind and (step.data == fact.data or kind is Kind.MENU):
        if not fact.is_late and _is_redirected(step, fact.number):
            close_step(leg, at_us)
            leg.sent_to = fact.number
        return
    if _is_past(leg, name, fact.data) or (kind is Kind.CONFERENCE and _is_paged(leg)):
        _page_on(leg)
        return
    if step is not None and step.is_guess and kind in _CALLING:
        step.kind, step.application, step.data, step.is_guess = kind, name, fact.data, False
        step.number = step.number or fact.number
        callers.claim(leg, step)
        return
    if step is not None and step.is_guess and kind is None:
        return  # told late: the dialling that was guessed came after it
    close_step(leg, at_us)
    if kind is not None:
        callers.begin_step(leg, Step(kind, name, fact.data, fact.number, at_us), MOST_STEPS)


def _is_redirected(step: Step, number: str) -> bool:
    """To another number: that is told before what the channel enters there, which is not told if it is the same application."""
    return step.kind in _CALLING and bool(step.number and number) and step.number != number


def _is_past(leg: Leg, name: str, data: str) -> bool:
    """Between a transfer and the next application a channel still seems to be in the one before."""
    before = leg.steps[-1] if leg.steps and leg.sent_by is not None else None
    return before is not None and (before.application, before.data) == (name, data)


def _is_paged(leg: Leg) -> bool:
    """Page joins those it has dialled by a conference that nobody else can enter."""
    last = leg.steps[-1] if leg.steps else None
    return any(step is not None and step.application == "page" for step in (last, leg.caller_step))


def _page_on(leg: Leg) -> None:
    if leg.step is None and leg.steps and leg.steps[-1].application == "page":
        leg.step = leg.steps[-1]
        leg.step.left_us = None


def _is_called(leg: Leg, name: str) -> None:
    leg.is_called = True
    if name == "appqueue" and leg.caller_step is not None and leg.caller_step.is_guess:
        leg.caller_step.kind = Kind.QUEUE


def _left(_board: Board, leg: Leg, at_us: int, fact: events.ApplicationLeft) -> None:
    if leg.step is not None and leg.step.kind is KINDS.get(fact.application.lower()):
        close_step(leg, at_us)


def _dialled(board: Board, leg: Leg, _at_us: int, fact: events.Dialled) -> None:
    callee = board.legs.get(fact.callee)
    if callee is not None:
        callee.is_doubtful = False
        board.merge(leg.call, callee.call)
        callers.attach(leg, callee)
    elif fact.callee:
        board.expected[fact.callee] = leg.id
        if len(board.expected) > MOST:
            del board.expected[next(iter(board.expected))]


def _dial_ended(board: Board, _leg: Leg, _at_us: int, fact: events.DialEnded) -> None:
    callee = board.legs.get(fact.callee)
    if callee is not None:
        callee.dial_status = fact.status


def _bridged(board: Board, leg: Leg, at_us: int, fact: events.BridgeEntered) -> None:
    name = fact.bridge or _bridge_of(board, leg, fact.peers)
    if leg.bridge == name:
        return
    leave(board, leg, at_us)
    bridge = board.bridges.setdefault(name, Bridge())
    bridge.is_holding |= fact.is_holding
    bridge.is_meeting |= leg.step is not None and leg.step.kind is Kind.CONFERENCE
    if not fact.is_holding and not bridge.is_meeting:
        for other in list(bridge.legs.values()):
            board.merge(leg.call, other.call)
        callers.settle(leg, list(bridge.legs.values()))
    if fact.is_holding:
        leg.sent_to = ""  # whoever was sent here has arrived
    bridge.legs[leg.id] = leg
    leg.bridge, leg.was_bridged = name, True
    _move(leg, at_us, "" if fact.is_holding or bridge.is_meeting else name)


def _bridge_of(board: Board, leg: Leg, peers: tuple[str, ...]) -> str:
    known = (board.names[peer].bridge for peer in peers if peer in board.names)
    return next(filter(None, known), f"?{leg.id}")


def _unbridged(board: Board, leg: Leg, at_us: int, fact: events.BridgeLeft) -> None:
    if not fact.bridge or leg.bridge == fact.bridge:
        leave(board, leg, at_us)


def _held(_board: Board, leg: Leg, _at_us: int, _fact: events.Held) -> None:
    leg.is_held = True


def _resumed(_board: Board, leg: Leg, _at_us: int, _fact: events.Resumed) -> None:
    leg.is_held = False


def _transferred(by: Leg) -> None:
    if len(by.call.senders) < MOST:
        by.call.senders.append(by)


def _sent(board: Board, leg: Leg, at_us: int, fact: events.BlindTransferred) -> None:
    _transferred(leg)
    for other in islice(_sent_ones(board, leg, fact.transferee), 1):
        if other.step is not None and fact.number and _is_there(other.step, leg, fact.number):
            other.step.number, other.step.transferred_by = fact.number, leg
            return
        since = _dialled_since(other.step, leg)
        close_step(other, since[0].started_us if since else at_us)
        other.sent_by, other.sent_to = leg, "" if _waits(board, other) else fact.number
        for callee in since:
            callers.detach(callee)
            callers.attach(other, callee)


def _is_there(step: Step, by: Leg, number: str) -> bool:
    """Already: a transfer is told when it has been carried out."""
    return step.number == number or (step.is_guess and not step.number and by not in step.callees)


def _dialled_since(step: Step | None, by: Leg) -> list[Leg]:
    """By the one that `by` had answered and sends on: whom its dialling did not name."""
    if step is None or by not in step.callees or by.answered_us is None:
        return []
    return [each for each in step.callees if each.order > by.order and callers.address(each) not in step.data]


def _waits(board: Board, leg: Leg) -> bool:
    """It has arrived where it was sent: it is parked."""
    bridge = board.bridges.get(leg.bridge)
    return bridge is not None and bridge.is_holding


def _sent_ones(board: Board, leg: Leg, transferee: str) -> list[Leg]:
    named = board.legs.get(transferee)
    if named is not None:
        return [named]
    bridge = board.bridges.get(leg.bridge)
    return [other for other in bridge.legs.values() if other is not leg] if bridge is not None else []


def _joined(board: Board, leg: Leg, _at_us: int, fact: events.AttendedTransferred) -> None:
    _transferred(leg)
    second = board.legs.get(fact.second)
    if second is not None and second is not leg:
        first, later = sorted((leg, second), key=lambda each: each.order)
        later.consults_for = first
        _transferred(later)
    for other in (second, board.legs.get(fact.transferee), board.legs.get(fact.target)):
        if other is not None and not _meets(board, other):
            board.merge(leg.call, other.call)


def _meets(board: Board, leg: Leg) -> bool:
    bridge = board.bridges.get(leg.bridge)
    return bridge is not None and bridge.is_meeting and leg.step is not None and len(bridge.legs) > 1


def _parked(_board: Board, leg: Leg, _at_us: int, fact: events.Parked) -> None:
    leg.call.parked = fact.space or leg.call.parked or ""


def _picked_up(board: Board, leg: Leg, _at_us: int, fact: events.PickedUp) -> None:
    taker = board.legs.get(fact.by)
    if taker is not None and taker is not leg:
        board.merge(leg.call, taker.call)
        leg.taken_by = taker


def _forwarded(_board: Board, leg: Leg, _at_us: int, fact: events.Forwarded) -> None:
    callees = leg.step.callees if leg.step is not None else []
    target = next((each for each in reversed(callees) if each.endpoint == fact.number), None)
    if target is not None:
        before = [each for each in callees if each.order < target.order and each.answered_us is None]
        named = (each for each in reversed(before) if fact.by and fact.by in {each.number, each.endpoint})
        target.forwarded_from = next(named, before[-1] if before else None)


def _described(_board: Board, leg: Leg, _at_us: int, fact: events.Described) -> None:
    leg.codec = fact.codec or leg.codec
    leg.user_agent = fact.user_agent or leg.user_agent
    leg.call_id = fact.call_id or leg.call_id


def _party_hung_up(_board: Board, leg: Leg, _at_us: int, _fact: events.PartyHungUp) -> None:
    leg.hung_up = True


def _hung_up(board: Board, leg: Leg, at_us: int, fact: events.HungUp) -> None:
    leg.cause = fact.cause or leg.cause
    leg.dial_status = leg.dial_status or fact.dial_status
    leg.hung_up |= fact.by_party
    end(board, leg, at_us)


def _ended(board: Board, leg: Leg, at_us: int, _fact: events.Ended) -> None:
    end(board, leg, at_us)


def _unheard(_board: Board, leg: Leg, _at_us: int, _fact: events.Unheard) -> None:
    leg.call.note(UNHEARD)


TOLD_AFTERWARDS = {events.BlindTransferred, events.AttendedTransferred}
"""When it has been carried out: maybe after the one who did it has hung up."""
CHANGES: Mapping[type, Callable[[Board, Leg, int, Any], None]] = {
    events.Started: _started,
    events.Ringing: _rings,
    events.Answered: _answered,
    events.Identified: _identified,
    events.ApplicationEntered: _entered,
    events.ApplicationLeft: _left,
    events.Dialled: _dialled,
    events.DialEnded: _dial_ended,
    events.BridgeEntered: _bridged,
    events.BridgeLeft: _unbridged,
    events.Held: _held,
    events.Resumed: _resumed,
    events.BlindTransferred: _sent,
    events.AttendedTransferred: _joined,
    events.Parked: _parked,
    events.PickedUp: _picked_up,
    events.Forwarded: _forwarded,
    events.Described: _described,
    events.PartyHungUp: _party_hung_up,
    events.HungUp: _hung_up,
    events.Ended: _ended,
    events.Unheard: _unheard,
}
