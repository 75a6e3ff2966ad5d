"""Transfers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, MOBILE, attended, talks, talks_on, until_rings, until_up

if TYPE_CHECKING:
    from record import Scene


def blind_by_callee(s: Scene) -> None:
    """Outside calls 101, who sends the call on to 102, who answers."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("102"))
    talks_on(s, "102", phone, leg)


def blind_by_caller(s: Scene) -> None:
    """101 calls a mobile and sends it on to 102, who answers."""
    caller, leg = talks(s, "101", MOBILE, 1)
    caller.within("refer", leg, uri=caller.uri("102"))
    phone, answered = until_up(s, "102")
    s.talk(2)
    phone.hang_up(answered)


def blind_unanswered(s: Scene) -> None:
    """Outside calls 101, who sends the call on to 102, who does not answer."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("102"))
    phone.ended(leg)


def blind_to_mobile(s: Scene) -> None:
    """104 calls 101, who sends the call on to a mobile."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri(MOBILE))
    talks_on(s, "outside", phone, leg)


def blind_to_queue(s: Scene) -> None:
    """Outside calls 101, who sends the call on to the queue 400, where 102 answers."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("400"))
    talks_on(s, "102", phone, leg)


def blind_to_voicemail(s: Scene) -> None:
    """Outside calls 101, who sends the call on to 202, which does not answer: its mailbox."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("202"))
    s.ami.until("Application: VoiceMail")
    s.talk(3)
    phone.hang_up(leg)


def blind_by_digits(s: Scene) -> None:
    """Outside calls 101, who presses #1 102: 102 answers."""
    phone, leg = talks(s, "outside", DDI + "111", 0.5)
    until_up(s, "101")
    s.talk(1)
    s.dtmf("PJSIP/101-", "#1")
    s.talk(2)
    s.dtmf("PJSIP/101-", "102")
    talks_on(s, "102", phone, leg)


def blind_twice(s: Scene) -> None:
    """Outside calls 101, who sends the call to 102, who sends it to 103."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("102"))
    second, answered = until_up(s, "102")
    s.talk(1.2)
    second.within("refer", answered, uri=second.uri("103"))
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


def attended_by_callee(s: Scene) -> None:
    """Outside calls 101, who asks 102 and connects them."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, "102")
    s.talk(2)
    phone.hang_up(leg)


def attended_by_caller(s: Scene) -> None:
    """101 calls a mobile, asks 102 and connects them."""
    caller, leg = talks(s, "101", MOBILE, 1)
    attended(s, caller, leg, "102")
    s.talk(2)
    phone, answered = until_up(s, "102")
    phone.hang_up(answered)


def attended_to_mobile(s: Scene) -> None:
    """104 calls 101, who asks a mobile and connects them."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, MOBILE)
    s.talk(2)
    phone.hang_up(leg)


def attended_to_conference(s: Scene) -> None:
    """Outside calls 101, who goes to the conference 600 and brings outside there."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, "600")
    s.talk(2)
    phone.hang_up(leg)


def attended_local(s: Scene) -> None:
    """104 calls 101, who asks 301 (Local channels, not optimised; 102 answers) and connects them."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    s.meets("101", None)  # it is rung too
    attended(s, callee, answered, "301")
    s.talk(2)
    phone.hang_up(leg)


def attended_abandoned(s: Scene) -> None:
    """Outside calls 101, who asks 102, ends that and goes on with outside."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.agree("hold", answered)
    other = callee.call("102")
    callee.talks(other)
    s.talk(1)
    callee.hang_up(other)
    callee.agree("resume", answered)
    s.talk(1)
    phone.hang_up(leg)


def attended_by_digits(s: Scene) -> None:
    """Outside calls 101, who presses *2 102, asks 102 and hangs up: they are connected."""
    phone, leg = talks(s, "outside", DDI + "111", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    s.dtmf("PJSIP/101-", "*2")
    s.talk(2)
    s.dtmf("PJSIP/101-", "102")
    until_up(s, "102")
    s.talk(1.5)
    callee.hang_up(answered)
    s.talk(2)
    phone.hang_up(leg)


def attended_before_answer(s: Scene) -> None:
    """Outside calls 101, who presses *2 102 and hangs up while 102 rings; then 102 answers."""
    s.meets("102", 200, 4)
    phone, leg = talks(s, "outside", DDI + "111", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    s.dtmf("PJSIP/101-", "*2")
    s.talk(2)
    s.dtmf("PJSIP/101-", "102")
    until_rings(s, "102")
    s.talk(0.5)
    callee.hang_up(answered)
    talks_on(s, "102", phone, leg)
