"""Who has called whom, where the PBX does not say it: CEL has no event for it."""

from collections.abc import Iterable
from itertools import islice

from ringback.calls.ledger.applications import Kind
from ringback.calls.ledger.state import Call, Leg, Step

_LOOKED_AT = 200


def guess(call: Call, leg: Leg, *, at_once: bool) -> Leg | None:
    """The channel of the call that is dialling this one: whose arguments name it, else the half of a pair that dialled its number,
    else who dials at all, the newest first; else who was sent on, else who has left a bridge, else the first.

    `at_once`: the PBX says when a channel begins to dial. Otherwise a half that has called nobody yet is thought to do it now.
    """
    ones = list(islice((one for one in reversed(call.legs.values()) if _may_call(one, leg)), _LOOKED_AT))
    halves = [one for one in ones if one.name.endswith(";2") and not one.steps]
    for sure, fits in (
        (True, (one for one in ones if _calls(one) and one.step and address(leg) in one.step.data)),
        (True, (one for one in halves if one.dialled == leg.endpoint)),
        (False, iter(() if at_once or leg.is_half else halves)),
        (True, (one for one in ones if _calls(one))),
        (True, (one for one in ones if one.sent_by is not None)),
        (True, (one for one in ones if _consults(one))),
        (False, reversed(ones)),
    ):
        found = next(fits, None)
        if found is not None:
            leg.is_doubtful = not sure
            return found
    return None


def claim(caller: Leg, step: Step) -> None:
    """Now it is known whom the step calls."""
    for leg in list(islice(reversed(caller.call.legs.values()), _LOOKED_AT)):
        if leg.is_doubtful and leg.caller is not caller and address(leg) in step.data:
            leg.is_doubtful = False
            attach(caller, leg)


def settle(leg: Leg, others: Iterable[Leg]) -> None:
    """A channel that some channel of its call must have had called meets one in a bridge: that one it was."""
    for callee, caller in [(leg, other) for other in others] + [(other, leg) for other in others]:
        if callee.is_doubtful and caller.order < callee.order:
            callee.is_doubtful = False
            attach(caller, callee)


def address(leg: Leg) -> str:
    """As Dial names it: `PJSIP/101`."""
    return f"{leg.name.partition('/')[0]}/{leg.endpoint}"


def _may_call(one: Leg, leg: Leg) -> bool:
    return one is not leg and one is not leg.peer and one.ended_us is None and one.order < leg.order


def _calls(one: Leg) -> bool:
    """Not any more when somebody has answered."""
    if one.step is None or one.step.kind not in {Kind.DIAL, Kind.QUEUE} or one.step.is_guess:
        return False
    return all(callee.answered_us is None or callee.ended_us is not None for callee in one.step.callees)


def _consults(one: Leg) -> bool:
    """It was in a bridge and has left it, to call somebody else in between."""
    return one.was_bridged and not one.bridge and one.peer is None


def attach(caller: Leg | None, callee: Leg) -> None:
    """The callee is one of those whom the caller's step has called, and of no other's."""
    if caller is None or callee.caller is caller or caller is callee:
        return
    detach(callee)
    _resume(caller, callee)
    step = caller.step
    if step is None or not _goes_on(step, callee):
        number = caller.sent_to or ("" if caller.steps else caller.dialled)
        step = Step(Kind.DIAL, "", "", number, callee.started_us, is_guess=True)
        if caller.step is not None and caller.step.kind is Kind.CONFERENCE:
            caller.steps.append(step)  # those in it have somebody called, and stay
        else:
            begin_step(caller, step, None)
    callee.caller, callee.caller_step, callee.is_called = caller, step, True
    step.callees.append(callee)


def _resume(caller: Leg, callee: Leg) -> None:
    """A dialling that has called nobody yet goes on, whatever the channel did in between: Dial runs a subroutine on it before
    (its option `B`)."""
    last = caller.steps[-1] if caller.steps else None
    if last is not None and caller.step is None and not last.callees and address(callee) in last.data:
        caller.step, last.left_us = last, None


def detach(callee: Leg) -> None:
    """Nobody is known to have called it."""
    if callee.caller_step is not None:
        callee.caller_step.callees.remove(callee)
        _drop_empty(callee.caller, callee.caller_step)
    callee.caller = callee.caller_step = None


def adopt(first: Leg) -> None:
    """The channel that the call is named after is told of after those that it has called."""
    for leg in list(first.call.legs.values()):
        if leg is not first and leg.is_called and leg.caller is None and leg.peer is None:
            leg.is_doubtful = True
            attach(first, leg)


def _drop_empty(caller: Leg | None, step: Step) -> None:
    """A step that was only guessed from a call that was another's."""
    if caller is not None and step.is_guess and not step.callees and step in caller.steps:
        caller.steps.remove(step)
        caller.step = None if caller.step is step else caller.step


def _goes_on(step: Step, callee: Leg) -> bool:
    """Not when everybody whom the step names has gone, and this one is another: the channel dials again."""
    if step.kind not in {Kind.DIAL, Kind.QUEUE}:
        return False
    if step.kind is Kind.QUEUE or not step.callees or address(callee) in step.data:
        return True
    return address(step.callees[0]) not in step.data or any(each.ended_us is None for each in step.callees)


def begin_step(leg: Leg, step: Step, most: int | None) -> None:
    """`most`: beyond so many steps no more are kept."""
    if leg.step is not None:
        leg.step.left_us = step.entered_us
    leg.step = step
    step.transferred_by, leg.sent_by, leg.sent_to = leg.sent_by, None, ""
    if most is None or len(leg.steps) < most:
        leg.steps.append(step)
