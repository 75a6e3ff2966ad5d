"""What the channels of a call reached, one after the other: the hops in the making."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ringback.calls.ledger.applications import CONTEXTS, Kind
from ringback.calls.ledger.state import Call, Leg, Step
from ringback.calls.ledger.talks import Talk, talks

PLAIN, FOLLOWED, GROUP = "PSTN_CALL", "FOLLOW_ME", "RG-"
_DEEPEST = 20
_LONG = 7
"""Digits of the shortest number that is no extension."""


@dataclass(slots=True, eq=False)
class Draft:
    """A hop that is being made. `callee` is None where the PBX itself, or a group, is the destination; `until_us`: when the PBX was
    left for somebody who was not dialled; `was_sent_on`: it ended by a transfer."""

    source: Leg
    step: Step | None
    callee: Leg | None
    context: str
    number: str
    started_us: int
    parent: "Draft | None"
    talk: Talk | None = None
    members: list["Draft"] = field(default_factory=list)
    is_member: bool = False
    tries: int = 1
    until_us: int | None = None
    was_sent_on: bool = False
    payer: Leg | None = None
    told: list[str] = field(default_factory=list)


def drafted(call: Call) -> list[Draft]:
    """The root first, a parent before what hangs on it."""
    return _Drafts(call).drafts


class _Drafts:
    """Walks the channels of a call in the order in which they began."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._talks = talks(call)
        self._told: set[Talk] = set()
        self._walked: set[Leg] = set()
        self.drafts: list[Draft] = []
        sources = sorted((leg for leg in call.legs.values() if _is_source(leg)), key=lambda leg: leg.order)
        for leg in sources or list(call.legs.values())[:1]:
            self._source(leg)
        self._rest()
        self._finish()

    # -- from a source on

    def _source(self, leg: Leg) -> None:
        before = len(self.drafts)
        source = _party(leg, 0)
        self._walk(leg, source, self._consulted(leg), 0)
        if len(self.drafts) == before and not self._takes_part(source):
            self._alone(leg, source)

    def _takes_part(self, leg: Leg) -> bool:
        return bool(self.drafts) and any(leg.order in key for key in self._talks)

    def _consulted(self, leg: Leg) -> Draft | None:
        """The hop during which the same party called somebody else, to transfer the call."""
        return self._with(leg.consults_for) if leg.consults_for is not None else None

    def _with(self, leg: Leg) -> Draft | None:
        """The last one of which this leg is a party."""
        return next((each for each in reversed(self.drafts) if leg in (each.callee, each.source)), None)

    def _alone(self, leg: Leg, source: Leg) -> None:
        """Reached nothing but the PBX, or nothing at all."""
        step = next((each for each in leg.steps), None)
        context = CONTEXTS.get(step.kind if step is not None else Kind.SERVICE, CONTEXTS[Kind.SERVICE])
        if leg.answered_us is None:
            context = PLAIN
        number = leg.dialled or (step.number if step is not None and step.number != "s" else "")
        parent = self.drafts[0] if self.drafts else None
        self.drafts.append(Draft(source, step, None, context, number, leg.started_us, parent))

    def _walk(self, leg: Leg, source: Leg, parent: Draft | None, depth: int, number: str = "") -> Draft | None:
        """The drafts of all that the channel reached; returns the last. `number`: what stands for the first one's destination."""
        if leg in self._walked or depth > _DEEPEST:
            return parent
        self._walked.add(leg)
        for step in leg.steps:
            if leg.consults_for is not None and step.kind is Kind.DIAL and not step.callees:
                continue  # a transfer puts the other party's application here, and takes the channel away
            is_first = parent is None and not self.drafts
            dst = number or (leg.dialled if is_first and leg.dialled and leg.peer is None else step.number)
            started_us = leg.started_us if is_first else step.entered_us
            made = self._step(step, source, parent, depth, dst, started_us)
            if made is not None:
                parent, number = made, ""
        return parent

    def _step(
        self, step: Step, source: Leg, parent: Draft | None, depth: int, number: str, started_us: int
    ) -> Draft | None:
        if step.kind in {Kind.SERVICE, Kind.PARK, Kind.TAKE}:
            return None
        if step.kind is Kind.MENU and parent is not None and parent.context == "IVR" and parent.source is source:
            parent.step = Step(
                Kind.MENU, "", "", "", parent.step.entered_us if parent.step else step.entered_us, left_us=step.left_us
            )
            return parent
        draft = Draft(source, step, None, CONTEXTS.get(step.kind, PLAIN), number, started_us, parent)
        if step.transferred_by is not None:
            draft.payer = step.transferred_by
            draft.parent = self._with(step.transferred_by) or draft.parent
            draft.told.append(f"transferred by {_shown(step.transferred_by)}")
        if step.kind is Kind.QUEUE and (not number.isdecimal() or len(number) < 3):
            draft.number = step.data.partition(",")[0] or number
        if step.application == "followme":
            draft.context = FOLLOWED
        if step.kind not in {Kind.DIAL, Kind.QUEUE}:
            self.drafts.append(draft)
            return draft
        return self._dialled(draft, step, depth)

    def _dialled(self, draft: Draft, step: Step, depth: int) -> Draft:
        """The hop that stands for it, which is another draft where the first was only the way to it."""
        direct = [callee for callee in step.callees if callee.forwarded_from is None]
        if step.kind is Kind.QUEUE or len(direct) > 1:
            self._group(draft, step, direct, depth)
        elif direct:
            draft = self._one(draft, direct[0], depth)
        else:
            self.drafts.append(draft)
        for callee in step.callees:
            if callee.forwarded_from is not None:
                self._forwarded(draft, callee, depth)
        return draft

    def _one(self, draft: Draft, callee: Leg, depth: int) -> Draft:
        """A single destination takes the place of the draft. What is behind a pair of halves is that destination."""
        inner = callee.peer
        if inner is None or depth >= _DEEPEST or not inner.steps or inner in self._walked:
            self._reached(draft, callee, depth)
            return draft
        first = inner.steps[0]
        if _number_like(inner.dialled) and draft.number and inner.dialled != draft.number and first.kind is Kind.DIAL:
            draft.context = PLAIN
            self.drafts.append(draft)
            draft.members.append(self._member(draft, callee, inner.dialled, FOLLOWED, depth))
            return draft
        made = self._walk_inner(inner, draft, depth)
        if made is not draft:
            made.told = draft.told + made.told
            made.payer = made.payer or draft.payer
        return made

    def _walk_inner(self, inner: Leg, draft: Draft, depth: int) -> Draft:
        """The steps of the far half, as those of the source; the first of them stands for the draft."""
        self._walked.add(inner)
        before = len(self.drafts)
        parent: Draft | None = draft.parent
        for at, step in enumerate(inner.steps):
            number, began_us = (
                (draft.number or step.number, draft.started_us) if at == 0 else (step.number, step.entered_us)
            )
            made = self._step(step, draft.source, parent, depth + 1, number, began_us)
            parent = made or parent
        if len(self.drafts) == before:
            self.drafts.append(draft)
            return draft
        first = self.drafts[before]
        first.is_member, first.tries = draft.is_member, draft.tries
        if draft.context != PLAIN and first.context == PLAIN:
            first.context = draft.context
        return first

    def _reached(self, draft: Draft, callee: Leg, depth: int) -> None:
        draft.callee = callee
        draft.talk = self._talk(draft.source, callee)
        self.drafts.append(draft)
        if callee.steps:
            self._walk(callee, callee, draft, depth + 1)

    def _group(self, draft: Draft, step: Step, callees: Sequence[Leg], depth: int) -> None:
        if draft.context == PLAIN and draft.number.isdecimal():
            draft.context = GROUP + (step.number or draft.number)
        self.drafts.append(draft)
        for tries in _by_member(callees):
            last = tries[-1]
            number = last.peer.dialled if last.peer is not None else ""
            member = self._member(draft, last, number, PLAIN, depth)
            member.tries = len(tries)
            draft.members.append(member)

    def _member(self, group: Draft, callee: Leg, number: str, context: str, depth: int) -> Draft:
        member = Draft(group.source, None, None, context, number, callee.started_us, group, is_member=True)
        member.step = callee.caller_step
        return self._one(member, callee, depth + 1)

    def _forwarded(self, draft: Draft, callee: Leg, depth: int) -> None:
        number = callee.peer.dialled if callee.peer is not None else callee.endpoint
        made = self._member(draft, callee, number, FOLLOWED, depth)
        made.payer = callee.forwarded_from
        made.context = FOLLOWED
        if callee.forwarded_from is not None:
            made.told.append(f"forwarded by {_shown(callee.forwarded_from)}")
        draft.members.append(made)

    # -- who talked without having dialled

    def _talk(self, one: Leg, other: Leg) -> Talk | None:
        talk = self._talks.get((min(one.order, other.order), max(one.order, other.order)))
        if talk is not None:
            self._told.add(talk)
        return talk

    def _rest(self) -> None:
        for talk in [each for each in self._talks.values() if each not in self._told and not _in_one_group(each)]:
            parent = self._came_from(talk)
            first, second = talk.first, talk.second
            number = second.dialled if second.is_called and _number_like(second.dialled) else ""
            draft = Draft(first, None, second, PLAIN, number, self._began_us(talk), parent, talk=talk)
            draft.payer, told = self._why(talk)
            draft.told += told
            self._picked_up(draft)
            if parent is not None and parent.callee is None and not parent.members:
                parent.until_us = talk.started_us  # the PBX was left for it
            self.drafts.append(draft)

    def _picked_up(self, draft: Draft) -> None:
        """Belongs to the hop that it was taken from, or to the group that this was a member of."""
        taken = next((each for each in self.drafts if each.callee and each.callee.taken_by is draft.callee), None)
        if taken is not None:
            group = taken.parent if taken.is_member and taken.parent is not None else taken
            group.members.append(draft)
            draft.parent, draft.is_member = group, group is not taken

    def _began_us(self, talk: Talk) -> int:
        """Who fetched the call asked for it; who was transferred was not."""
        fetched = any(step.kind is Kind.TAKE for step in talk.second.steps)
        return talk.second.started_us if fetched else talk.started_us

    def _came_from(self, talk: Talk) -> Draft | None:
        ones = (
            draft
            for draft in reversed(self.drafts)
            if talk.first in (draft.source, draft.callee) and draft.started_us <= talk.started_us
        )
        return next(ones, None)

    def _why(self, talk: Talk) -> tuple[Leg | None, list[str]]:
        if any(leg.taken_by is talk.second for leg in self._call.legs.values()):
            return None, ["picked up"]
        if self._call.parked is not None and any(step.kind is Kind.TAKE for step in talk.second.steps):
            return None, ["parked before"]
        by = next(reversed(self._call.senders), None)
        return (by, [f"transferred by {_shown(by)}"]) if by is not None else (None, [])

    def _finish(self) -> None:
        for draft in self.drafts[1:]:
            draft.parent = draft.parent or self.drafts[0]
        senders = set(self._call.senders)
        for draft in self.drafts:
            draft.was_sent_on = draft.source in senders or draft.callee in senders


def _in_one_group(talk: Talk) -> bool:
    """Paged together."""
    return talk.first.caller_step is not None and talk.first.caller_step is talk.second.caller_step


def _is_source(leg: Leg) -> bool:
    return leg.caller is None and not (leg.peer is not None and leg.name.endswith(";2"))


def _party(leg: Leg, depth: int) -> Leg:
    """Of a half: who is at the end of its other half."""
    if leg.peer is None or depth >= _DEEPEST:
        return leg
    if leg.name.endswith(";2"):
        return _party(leg.peer.caller, depth + 1) if leg.peer.caller is not None else leg
    behind = [callee for step in leg.peer.steps for callee in step.callees]
    answered = [callee for callee in behind if callee.answered_us is not None]
    return _party((answered or behind)[0], depth + 1) if behind else leg


def _by_member(callees: Sequence[Leg]) -> Iterator[list[Leg]]:
    """The tries of each member, the one that counts last: that which was answered."""
    found: dict[str, list[Leg]] = {}
    for callee in callees:
        kind = callee.name.partition("/")[0]
        found.setdefault(f"{kind}/{callee.endpoint}", []).append(callee)
    for tries in found.values():
        yield sorted(tries, key=lambda leg: (leg.answered_us is not None, leg.order))


def _number_like(text: str) -> bool:
    return text.lstrip("+").isdecimal() and len(text) >= _LONG


def _shown(leg: Leg) -> str:
    return leg.number or leg.endpoint
