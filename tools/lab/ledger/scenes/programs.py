"""Calls that a program places, sends on or listens in to; and a PBX that is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, MOBILE, originate, redirect, talks, talks_on, until_rings, until_up

if TYPE_CHECKING:
    from record import Scene


def originated_agent_first(s: Scene) -> None:
    """Originate: 101's phone answers, then 102 is called and answers."""
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>")
    phone, leg = until_up(s, "101")
    talks_on(s, "102", phone, leg)


def originated_to_mobile(s: Scene) -> None:
    """Originate: 101's phone answers, then a mobile is called, shown the company's number, and answers."""
    originate(s, "PJSIP/101", MOBILE, CallerID="Company <442079460000>")
    phone, leg = until_up(s, "101")
    talks_on(s, "outside", phone, leg)


def originated_agent_unanswered(s: Scene) -> None:
    """Originate: 101's phone rings for 3 s and is not answered."""
    s.meets("101", None)
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>", Timeout="3000")
    until_rings(s, "101")
    s.talk(4)


def originated_agent_busy(s: Scene) -> None:
    """Originate: 101's phone declines."""
    s.meets("101", 486, 0.3)
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>")
    until_rings(s, "101")
    s.talk(2)


def originated_customer_first(s: Scene) -> None:
    """Originate: the mobile answers, then 101 is called and answers."""
    originate(s, f"PJSIP/{MOBILE}@provider", "101", CallerID=f"<{MOBILE}>")
    phone, leg = until_up(s, "outside")
    talks_on(s, "101", phone, leg)


def originated_local(s: Scene) -> None:
    """Originate by Local/101@internal: 101 answers, then 102 is called and answers."""
    originate(s, "Local/101@internal", "102", CallerID="Ann <101>")
    phone, leg = until_up(s, "101")
    talks_on(s, "102", phone, leg)


def originated_application(s: Scene) -> None:
    """Originate with an application: 101's phone answers and hears a text."""
    s.ami.action(Action="Originate", Channel="PJSIP/101", Application="Playback", Data="hello-world", Async="true")
    phone, leg = until_up(s, "101")
    phone.ended(leg)


def redirected(s: Scene) -> None:
    """Outside calls 101; a program sends the call to 102 (Redirect), who answers."""
    phone, leg = talks(s, "outside", DDI + "101", 1.5)
    redirect(s, "PJSIP/trunk-", "102")
    talks_on(s, "102", phone, leg)


def redirected_ringing(s: Scene) -> None:
    """Outside calls 101, whose phone rings; a program sends the call to 102 (Redirect), who answers."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "101")
    until_rings(s, "101")
    s.talk(1)
    redirect(s, "PJSIP/trunk-", "102")
    talks_on(s, "102", phone, leg)


def redirected_from_queue(s: Scene) -> None:
    """Outside calls the queue 400, 102 answers; a program sends the call to 104 (Redirect), who answers."""
    phone, leg = talks(s, "outside", DDI + "400", 1)
    until_up(s, "102")
    s.talk(1.5)
    redirect(s, "PJSIP/trunk-", "104")
    talks_on(s, "104", phone, leg)


def redirected_waiting(s: Scene) -> None:
    """Outside calls the queue 400, 102 rings; a program sends the call to 104 (Redirect), who answers."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "400", 0)
    until_rings(s, "102")
    s.talk(0.5)
    redirect(s, "PJSIP/trunk-", "104")
    talks_on(s, "104", phone, leg)


def blind_by_program(s: Scene) -> None:
    """Outside calls 101; a program transfers blind (BlindTransfer) to 102."""
    phone, leg = talks(s, "outside", DDI + "101", 1.5)
    s.ami.action(Action="BlindTransfer", Channel=s.ami.channel("PJSIP/101-"), Exten="102", Context="internal")
    talks_on(s, "102", phone, leg)


def bridged_by_program(s: Scene) -> None:
    """104 and 103 wait; a program connects them (Bridge)."""
    outside, leg = talks(s, "104", "860", 1)
    other, second = talks(s, "103", "860", 1)
    s.ami.action(Action="Bridge", Channel1=s.ami.channel("PJSIP/104-"), Channel2=s.ami.channel("PJSIP/103-"), Tone="no")
    s.talk(2)
    outside.hang_up(leg)
    s.talk(0.5)
    other.hang_up(second)


def listened_in(s: Scene) -> None:
    """Outside talks to 101; 104 listens in (ChanSpy)."""
    phone, leg = talks(s, "outside", DDI + "101", 1)
    spy, spying = talks(s, "104", "810", 1.5)
    spy.hang_up(spying)
    s.talk(0.5)
    phone.hang_up(leg)


def two_calls_at_once(s: Scene) -> None:
    """101 talks to 102 while 104 talks to 103."""
    first, one = talks(s, "101", "102", 1)
    second, two = talks(s, "104", "103", 1)
    first.hang_up(one)
    s.talk(0.5)
    second.hang_up(two)


def killed_in_the_middle(s: Scene) -> None:
    """101 talks to 102 when Asterisk is killed; after its start 101 calls 103, who answers."""
    talks(s, "101", "102", 1.5)
    s.kill_asterisk()
    phone = s.phone("101")
    leg = phone.call("103")
    phone.talks(leg)
    s.talk(1.5)
    phone.hang_up(leg)
