"""Two parties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, MOBILE, talks, until_rings, until_up

if TYPE_CHECKING:
    from record import Scene


def answered_internal(s: Scene) -> None:
    """101 calls 102, who answers; 101 hangs up."""
    phone, leg = talks(s, "101", "102", 2.3)
    phone.hang_up(leg)


def answered_callee_hangs_up(s: Scene) -> None:
    """101 calls 102, who answers and hangs up."""
    talks(s, "101", "102")
    phone, leg = until_up(s, "102")
    phone.hang_up(leg)


def answered_inbound(s: Scene) -> None:
    """Outside calls the number of 101, who answers; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101")
    phone.hang_up(leg)


def answered_after_subroutine(s: Scene) -> None:
    """101 calls 305, whose Dial runs a subroutine (B) before it calls 102, who answers."""
    phone, leg = talks(s, "101", "305")
    phone.hang_up(leg)


def answered_outbound(s: Scene) -> None:
    """101 calls a mobile, which answers."""
    phone, leg = talks(s, "101", MOBILE)
    phone.hang_up(leg)


def unanswered(s: Scene) -> None:
    """101 calls 102, who rings and does not answer: the dial plan gives up after 8 s."""
    s.meets("102", None)
    phone = s.phone("101")
    phone.ended(phone.call("102"))


def busy(s: Scene) -> None:
    """Outside calls 101, who is busy (486 without ringing for long)."""
    s.meets("101", 486, 0.3)
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "101"))


def rejected(s: Scene) -> None:
    """101 calls 102, who declines after ringing for a second (603)."""
    s.meets("102", 603, 1.0)
    phone = s.phone("101")
    phone.ended(phone.call("102"))


def failed_outbound(s: Scene) -> None:
    """101 calls a mobile; the network says 503."""
    s.meets("outside", 503, 0.3)
    phone = s.phone("101")
    phone.ended(phone.call(MOBILE))


def unallocated_outbound(s: Scene) -> None:
    """101 calls a mobile; the network says 404."""
    s.meets("outside", 404, 0.3)
    phone = s.phone("101")
    phone.ended(phone.call(MOBILE))


def unregistered(s: Scene) -> None:
    """101 calls 842: Dial of a phone that is not there, then Hangup(3)."""
    phone = s.phone("101")
    phone.ended(phone.call("842"))


def refused_by_dial_plan(s: Scene) -> None:
    """101 dials 870: Hangup(21) at once."""
    phone = s.phone("101")
    phone.ended(phone.call("870"))


def busy_tone(s: Scene) -> None:
    """101 dials 840: Busy(2)."""
    phone = s.phone("101")
    phone.ended(phone.call("840"))


def cancelled(s: Scene) -> None:
    """Outside calls 101 and hangs up while it rings."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "101")
    until_rings(s, "101")
    s.talk(1.5)
    phone.hang_up(leg)


def held(s: Scene) -> None:
    """101 calls 102 and puts the call on hold for a second, resumes and hangs up."""
    phone, leg = talks(s, "101", "102", 1)
    phone.agree("hold", leg)
    s.talk(1)
    phone.agree("resume", leg)
    s.talk(1)
    phone.hang_up(leg)


def hung_up_on_hold(s: Scene) -> None:
    """Outside calls 101, who puts the call on hold; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101", 1)
    callee, answered = until_up(s, "101")
    callee.agree("hold", answered)
    s.talk(1)
    phone.hang_up(leg)
