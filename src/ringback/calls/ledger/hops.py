"""The hops of a call: one source reaching one destination each, as a tree whose root is the first.

Sources are channels that nobody called. What a source reaches is a hop: somebody dialled, a ring group or a queue with a hop below it
for each member, a menu, a mailbox, a conference. Where somebody was dialled through a pair of halves, the hop is the one to the
party at its far end. Who talked to whom without having dialled (transfer, parking, pickup) is a hop too, below the one that it came from.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ringback.calls.ledger import outcomes
from ringback.calls.ledger.applications import Kind
from ringback.calls.ledger.drafts import Draft, drafted
from ringback.calls.ledger.outcomes import Outcome
from ringback.calls.ledger.state import Call, Leg
from ringback.calls.ledger.talks import Talk


class Party(NamedTuple):
    """`number`: as the PBX has it, empty when unknown. `endpoint`: of the channel, empty where the PBX itself is the party."""

    number: str = ""
    name: str = ""
    endpoint: str = ""
    codec: str = ""
    user_agent: str = ""
    call_id: str = ""


class Hop(NamedTuple):
    """`key`: the same whenever the same call is read again; `parent`: the key of the hop that it came from, None for the root.
    `channel`, `linked_id`: ids of the channel that it is about, and of the call; `channels`: of its parties. Instants are
    microseconds.

    `talk_us`: the time that was talked; of the PBX itself, that it was up. `human`: somebody talked. `is_member`: it rang at one of
    a group, or was sent on; `payer`: the endpoint on whose account a hop goes that its source did not ask for. `others`: of the root,
    the call's channels that no hop is about.
    """

    key: str
    parent: str | None
    channel: str
    linked_id: str
    channels: tuple[str, ...]
    src: Party
    dst: Party
    started_us: int
    answered_us: int | None
    ended_us: int
    talk_us: int
    disposition: str
    cause: int
    context: str
    human: bool
    is_member: bool
    payer: str
    info: str
    others: tuple[str, ...] = ()


def hops(call: Call) -> list[Hop]:
    """The root first, a parent before those that came from it. Also of a call that is still up, as it is now."""
    drafts = drafted(call)
    keys: dict[Draft, str] = {}
    used: set[str] = set()
    for draft in drafts:
        keys[draft] = _key(call, draft, drafts[0], used)
    human = _human(drafts)
    found = [_hop(call, draft, keys, human=draft in human) for draft in drafts]
    return [hop._replace(others=_others(call, found)) for hop in found[:1]] + found[1:]


def _others(call: Call, found: Sequence[Hop]) -> tuple[str, ...]:
    """Where one channel called another and that was all, nothing is ever said of the second alone."""
    names = call.linked_ids.union(call.legs) if len(call.legs) > 2 else {call.linked_id}
    return tuple(sorted(names.difference(hop.channel for hop in found)))


def _human(drafts: Sequence[Draft]) -> set[Draft]:
    """Where somebody talked: there, or where it was sent on to, or, after the PBX itself, anywhere below. One who rang until
    another took the call has missed nothing."""
    found: set[Draft] = set()
    for draft in reversed(drafts):
        _, _, talked, outcome = _result(draft)
        if talked or draft in found:
            above = draft.parent
            if above is not None and (above.callee is None or draft in above.members):
                found.add(above)
        if talked or outcome.cause == outcomes.ELSEWHERE:
            found.add(draft)
    return found


def _key(call: Call, draft: Draft, root: Draft, used: set[str]) -> str:
    """Names the channel that was reached, or the channel and what it reached within the PBX."""
    if draft is root:
        return call.id
    about = draft.callee.id if draft.callee is not None else f"{draft.source.id}/{draft.context.lower()}"
    key, again = f"{call.id}/{about}", 1
    while key in used:
        again += 1
        key = f"{call.id}/{about}/{again}"
    used.add(key)
    return key


# -- a draft becomes a hop


def _hop(call: Call, draft: Draft, keys: dict[Draft, str], *, human: bool) -> Hop:
    is_root = draft.parent is None
    answered_us, talk_us, _, outcome = _result(draft)
    started_us = draft.started_us
    about = draft.callee if draft.callee is not None and not is_root else draft.source
    return Hop(
        key=keys[draft],
        parent=None if draft.parent is None else keys[draft.parent],
        channel=about.id,
        linked_id=call.linked_id,
        channels=tuple(leg.id for leg in (draft.source, draft.callee) if leg is not None),
        src=_of(draft.source, draft.source.number),
        dst=_of(draft.callee, _destination(draft))._replace(name="")
        if draft.callee is not None
        else Party(draft.number),
        started_us=started_us,
        answered_us=answered_us,
        ended_us=max(_ended_us(call, draft), started_us),
        talk_us=talk_us,
        disposition=outcome.disposition,
        cause=outcome.cause,
        context=draft.context,
        human=human,
        is_member=draft.is_member,
        payer=_endpoint(draft.payer),
        info=_info(call, draft, is_root=is_root),
    )


def _of(leg: Leg, number: str) -> Party:
    return Party(number, leg.caller_name, _endpoint(leg), leg.codec, leg.user_agent, leg.call_id)


def _endpoint(leg: Leg | None) -> str:
    return "" if leg is None or leg.is_half else leg.endpoint


def _destination(draft: Draft) -> str:
    """What was dialled, where it is a number; of one who was reached otherwise, that one's own."""
    above = draft.parent
    is_own = above is None or (len(draft.number) > 2 and draft.number not in (above.number, above.source.dialled))
    if draft.number.lstrip("+").isdecimal() and is_own:
        return draft.number
    return (draft.callee.number or draft.callee.endpoint) if draft.callee is not None else draft.number


def _result(draft: Draft) -> tuple[int | None, int, bool, Outcome]:
    """When it was answered, how long it was talked, whether by somebody, and the outcome."""
    if draft.callee is None:
        is_group = draft.members or (draft.step is not None and draft.step.kind is Kind.QUEUE)
        return _of_group(draft) if is_group else _of_pbx(draft)
    talk, callee = draft.talk or _assumed(draft.source, draft.callee), draft.callee
    if talk is None:
        return None, 0, False, outcomes.untalked(draft.source, callee, draft.step)
    ends = {draft.source.ended_us, callee.ended_us} - {None}
    with_it = any(end is not None and abs(end - talk.ended_us) < 2_000_000 for end in ends)
    return (
        talk.started_us,
        talk.total_us,
        True,
        outcomes.talked(draft.source, callee, ended_with_it=with_it and not draft.was_sent_on),
    )


def _assumed(caller: Leg, callee: Leg) -> Talk | None:
    """Both were answered, and of no bridge was heard; or the one who was called talked to others, in a conference."""
    if callee.answered_us is None or callee.taken_by is not None:
        return None
    if callee.steps and callee.steps[0].kind is Kind.CONFERENCE:
        started_us, ends = callee.answered_us, [callee.ended_us]
    elif caller.answered_us is None or callee.steps or caller.was_bridged or callee.was_bridged:
        return None
    else:
        started_us, ends = max(callee.answered_us, caller.answered_us), [caller.ended_us, callee.ended_us]
    ended_us = max(min((us for us in ends if us is not None), default=started_us), started_us)
    return Talk(caller, callee, started_us, ended_us, ended_us - started_us)


def _of_group(draft: Draft) -> tuple[int | None, int, bool, Outcome]:
    results = [_result(member) for member in draft.members]
    for result in results:
        if result[2]:
            return result
    if any(result[3].disposition == "RINGING" for result in results):
        cause = next((each[3].cause for each in results if each[3].cause != outcomes.ELSEWHERE), outcomes.NO_RESPONSE)
        return None, 0, False, Outcome("RINGING", cause)
    if results:
        return None, 0, False, results[0][3]
    waited = draft.step is not None and draft.step.kind is Kind.QUEUE
    return None, 0, False, Outcome("RINGING" if waited else "INITIAL", outcomes.NO_RESPONSE)


def _of_pbx(draft: Draft) -> tuple[int | None, int, bool, Outcome]:
    source, step = draft.source, draft.step
    kind = step.kind if step is not None else None
    if source.answered_us is None or kind is Kind.DIAL:
        return None, 0, False, outcomes.untalked(source, None, step)
    from_us = max(source.answered_us, draft.started_us)
    left_us = step.left_us if step is not None and step.left_us is not None else source.ended_us
    until_us = left_us if draft.until_us is None else draft.until_us
    up_us = max((until_us if until_us is not None else from_us) - from_us, 0)
    word = "VM" if kind is Kind.VOICEMAIL else "CONNECTED"
    return from_us, up_us, kind is Kind.CONFERENCE, Outcome(word, outcomes.CLEARED)


def _ended_us(call: Call, draft: Draft) -> int:
    if draft.callee is None:
        talked = [member.talk.ended_us for member in draft.members if member.talk is not None]
        if talked:
            return max(talked)
    if draft.talk is not None or draft.until_us is not None:
        return draft.talk.ended_us if draft.talk is not None else draft.until_us or 0
    step_us = draft.step.left_us if draft.step is not None else None
    callee_us = draft.callee.ended_us if draft.callee is not None else None
    return min((us for us in (draft.source.ended_us, step_us, callee_us) if us is not None), default=call.last_us)


def _info(call: Call, draft: Draft, *, is_root: bool) -> str:
    told = list(draft.told)
    if draft.step is not None and draft.step.kind is Kind.QUEUE and draft.callee is None:
        told.append(f"waited {_waited_s(draft)} s")
    if draft.tries > 1:
        told.append(f"rang {draft.tries} times")
    if is_root:
        told += ["parked"] * (call.parked is not None) + [f"incomplete: {fault}" for fault in call.faults]
    return "; ".join(told)


def _waited_s(draft: Draft) -> int:
    talked = [member.talk.started_us for member in draft.members if member.talk is not None]
    left_us = draft.step.left_us if draft.step is not None else None
    until_us = min(talked) if talked else left_us or draft.source.ended_us or draft.started_us
    return max(until_us - (draft.step.entered_us if draft.step is not None else until_us), 0) // 1_000_000
