"""The course of a callback, as a table: a stage and what happens give the next stage. Whatever is not in it changes nothing.

    requested → checked → first → second → connected → ended

`checked`: it is ours, its call has an id, nothing is rung yet. `first`: the first party is rung; `second`: that one has answered, the
other is rung. `offline`: kept until somebody is there. `refused` and `failed` have a reason.
"""

from typing import Literal, NamedTuple

Stage = Literal["requested", "checked", "first", "second", "connected", "ended", "refused", "failed", "offline"]
Event = Literal[
    "pass", "refuse", "postpone", "due", "ring", "answer", "talk", "busy", "no_answer", "fail", "hang_up", "cancel", "lose",
    "expire",
]  # fmt: skip
Side = Literal["agent", "visitor"]

TABLE: dict[Stage, dict[Event, Stage]] = {
    "requested": {"pass": "checked", "refuse": "refused", "postpone": "offline", "cancel": "failed"},
    "checked": {"ring": "first", "busy": "failed", "no_answer": "failed", "fail": "failed"},
    "first": {"answer": "second", "busy": "failed", "no_answer": "failed", "fail": "failed", "hang_up": "failed"},
    "second": {"talk": "connected", "busy": "failed", "no_answer": "failed", "fail": "failed", "hang_up": "failed"},
    "connected": {"hang_up": "ended", "cancel": "ended", "lose": "ended"},
    "offline": {"due": "requested", "refuse": "refused", "cancel": "failed", "expire": "failed"},
}
for _stage in ("checked", "first", "second"):
    TABLE[_stage] |= {"cancel": "failed", "lose": "failed", "postpone": "offline"}
TABLE["checked"] |= {"answer": "second", "hang_up": "failed"}
TABLE["first"] |= {"talk": "connected"}

OPEN: tuple[Stage, ...] = ("requested", "checked", "first", "second", "connected", "offline")
PLACED: tuple[Stage, ...] = ("checked", "first", "second", "connected")
"""There may be a call of it."""

STATES: dict[Stage, str] = {
    "requested": "REQUESTED",
    "checked": "CALLING",
    "first": "CALLING",
    "second": "CALLING",
    "connected": "CONNECTED",
    "ended": "ENDED",
    "refused": "REFUSED",
    "failed": "FAILED",
    "offline": "OFFLINE",
}
"""What the API calls them."""
_REASONS: dict[Event, str] = {
    "busy": "busy",
    "no_answer": "no_answer",
    "fail": "failed",
    "hang_up": "cancelled",
    "cancel": "cancelled",
    "lose": "failed",
    "expire": "no_answer",
}


class Step(NamedTuple):
    """`reason`: of what failed, such as `agent: busy`; None elsewhere."""

    stage: Stage
    reason: str | None = None


def step(stage: Stage, event: Event, dial_first: Side) -> Step | None:
    """What comes next; None when nothing does."""
    found = TABLE.get(stage, {}).get(event)
    if found is None:
        return None
    if found != "failed":
        return Step(found)
    reason = _REASONS[event]
    if event == "cancel" or stage in ("requested", "offline"):
        return Step(found, f"visitor: {reason}")
    rung = side(stage, dial_first)
    whose = _swapped(rung) if event == "hang_up" and stage == "second" else rung  # then it was the first
    return Step(found, f"{whose}: {reason}")


def side(stage: Stage, dial_first: Side) -> Side | None:
    """Who is being rung."""
    if stage in ("checked", "first"):
        return dial_first
    return _swapped(dial_first) if stage == "second" else None


def told(reason: str | None) -> tuple[str | None, str | None]:
    """(side, reason) for the visitor: of failed calls only. Why something was refused is not told."""
    whose, word, *_ = (*(reason or "").split(": "), "")
    return (whose, word) if whose in ("agent", "visitor") and word in set(_REASONS.values()) else (None, None)


_REHEARSED: tuple[tuple[int, str, Side | None], ...] = (
    (1, "REQUESTED", None),
    (4, "CALLING", "agent"),
    (7, "CALLING", "visitor"),
    (12, "CONNECTED", None),
)


def rehearsed(after_s: int, dial_first: Side) -> tuple[str, Side | None]:
    """The state and who is rung of a callback in test mode, so long after it was asked for."""
    for until_s, state, rung in _REHEARSED:
        if after_s < until_s:
            return state, _swapped(rung) if dial_first == "visitor" else rung
    return "ENDED", None


def _swapped(whose: Side | None) -> Side | None:
    if whose is None:
        return None
    return "visitor" if whose == "agent" else "agent"
