"""How a hop ended, in the API's words, and why, as a Q.850 cause."""

from typing import NamedTuple

from ringback.calls.ledger.state import Leg, Step

CLEARED, BUSY, NO_RESPONSE, NO_ANSWER, ABSENT, REJECTED, FORWARDED, ELSEWHERE = 16, 17, 18, 19, 20, 21, 23, 26
UNSPECIFIED, NO_CIRCUIT, INTERWORKING = 31, 34, 127

_BY_STATUS = {
    "BUSY": BUSY,
    "NOANSWER": NO_RESPONSE,
    "CANCEL": CLEARED,
    "CONGESTION": NO_CIRCUIT,
    "CHANUNAVAIL": ABSENT,
    "DONTCALL": REJECTED,
    "TORTURE": REJECTED,
}
_SAYS_NOTHING = {0, CLEARED, INTERWORKING}
_TOGETHER_US, _SKEW_US = 1_500_000, 50_000
_RANG = {CLEARED, NO_RESPONSE, NO_ANSWER, ELSEWHERE}


class Outcome(NamedTuple):
    disposition: str
    cause: int


def talked(caller: Leg, callee: Leg, *, ended_with_it: bool) -> Outcome:
    """`ended_with_it`: the talk ended because somebody hung up, not by a transfer."""
    on_hold = ended_with_it and (caller.was_on_hold or callee.was_on_hold)
    said = {caller.cause, callee.cause} - _SAYS_NOTHING
    return Outcome("ON_HOLD" if on_hold else "CONNECTED", min(said) if said and ended_with_it else CLEARED)


def untalked(caller: Leg, callee: Leg | None, step: Step | None) -> Outcome:
    """Nobody answered, or nobody was there."""
    if callee is None:
        cause = caller.cause if caller.cause not in _SAYS_NOTHING else _BY_STATUS.get(caller.dial_status, caller.cause)
        return Outcome("RINGING" if _its_own_phone_rang(caller, cause) else "INITIAL", cause or UNSPECIFIED)
    cause = callee.cause if callee.cause not in _SAYS_NOTHING else _unsaid(caller, callee, step)
    rang = callee.rang or callee.answered_us is not None or cause in _RANG
    return Outcome("RINGING" if rang else "INITIAL", cause)


def _its_own_phone_rang(leg: Leg, cause: int) -> bool:
    """The PBX had called it, to call somebody else after that."""
    return leg.rang or (leg.answered_us is None and cause in {NO_RESPONSE, NO_ANSWER})


def _unsaid(caller: Leg, callee: Leg, step: Step | None) -> int:
    """The cause where the callee's channel has none: another one answered, the caller hung up, or nobody had the time."""
    status = callee.dial_status or (caller.dial_status if step is not None and _is_last(caller, step) else "")
    if _was_forwarded(callee, step):
        return FORWARDED
    if _was_elsewhere(callee, step):
        return ELSEWHERE
    if status in {"BUSY", "CONGESTION", "CHANUNAVAIL", "DONTCALL", "TORTURE"}:
        return _BY_STATUS[status]
    return CLEARED if _gave_up(caller, callee, status) else NO_RESPONSE


def _gave_up(caller: Leg, callee: Leg, status: str) -> bool:
    """The caller hung up, or whoever called to transfer the call did so before the answer."""
    if caller.ended_us is None or callee.ended_us is None:
        return False
    together = abs(caller.ended_us - callee.ended_us) < _TOGETHER_US
    before = callee.answered_us is not None and caller.ended_us < callee.answered_us
    return before or (together and status != "NOANSWER" and (caller.hung_up or status == "CANCEL"))


def _was_elsewhere(callee: Leg, step: Step | None) -> bool:
    """The others are let go when one answers."""
    answers = [each.answered_us for each in step.callees if each is not callee] if step is not None else []
    ended_us = callee.ended_us
    return ended_us is not None and any(
        us is not None and 0 <= ended_us - us + _SKEW_US < _TOGETHER_US for us in answers
    )


def _was_forwarded(callee: Leg, step: Step | None) -> bool:
    """By its phone; Dial may hang it up before Asterisk has noted why it refused."""
    return step is not None and any(each.forwarded_from is callee for each in step.callees)


def _is_last(caller: Leg, step: Step) -> bool:
    """The caller's channel tells how its last dialling ended."""
    return step is [each for each in caller.steps if each.callees or each is step][-1] if step in caller.steps else True
