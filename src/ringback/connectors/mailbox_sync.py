"""A message that is in a spool of the PBX and in our database: what each side shall do so that both have it in one folder.

Each side may have moved or deleted it since they last agreed (`base`). An order that was given, in the API, goes before what a phone
does by itself: a message that is heard goes from INBOX to Old. Nothing that one side has moved is deleted because the other
side deleted it.
"""

from enum import Enum
from typing import NamedTuple

from ringback.calls.mailboxes import INBOX, OLD, URGENT

DELETED = "Deleted"


class Step(Enum):
    NOTHING = "nothing"
    AGREE = "agree"
    MOVE_THERE = "move it in the spool"
    MOVE_HERE = "move it in the database"
    REMOVE_THERE = "remove it from the spool"
    FORGET = "no side has it, or one that is on its own from now on"


class Do(NamedTuple):
    """`folder`: where it shall be."""

    step: Step
    folder: str = ""


def decide(base: str, there: str | None, here: str | None) -> Do:
    """`there`: its folder in the spool, `here`: in the database; None where it is gone."""
    if there is None:
        return Do(Step.MOVE_HERE, DELETED) if here == base != DELETED else Do(Step.FORGET)
    if here is None:
        was_only_heard = base in (INBOX, URGENT) and there == OLD
        return Do(Step.REMOVE_THERE) if there == base or was_only_heard else Do(Step.FORGET)
    if here == there:
        return Do(Step.NOTHING) if base == here else Do(Step.AGREE, here)
    return Do(Step.MOVE_HERE, there) if here == base else Do(Step.MOVE_THERE, here)
