"""What the PBX itself answers: mailboxes, menus, announcements, conferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, talks, until_up

if TYPE_CHECKING:
    from record import Scene


def voicemail_after_no_answer(s: Scene) -> None:
    """Outside calls 201: 101 rings for 2 s, then its mailbox takes a message."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "201")
    s.ami.until("Application: VoiceMail")
    s.talk(4)
    phone.hang_up(leg)


def voicemail_abandoned(s: Scene) -> None:
    """Outside calls 201 and hangs up just as the mailbox has answered."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "201")
    s.ami.until("Application: VoiceMail")
    phone.talks(leg)
    phone.hang_up(leg)


def mailbox_heard(s: Scene) -> None:
    """101 listens to the mailbox: *97."""
    phone, leg = talks(s, "101", "*97")
    phone.hang_up(leg)


def menu_to_phone(s: Scene) -> None:
    """Outside calls the menu 500 and presses 1: 101 answers."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    s.dtmf("PJSIP/trunk-", "1")
    until_up(s, "101")
    s.talk(1.5)
    phone.hang_up(leg)


def menu_abandoned(s: Scene) -> None:
    """Outside calls the menu 500 and hangs up."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    phone.hang_up(leg)


def menu_to_queue(s: Scene) -> None:
    """Outside calls the menu 500 and presses 2: the queue, where 102 answers."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    s.dtmf("PJSIP/trunk-", "2")
    until_up(s, "102")
    s.talk(1.5)
    phone.hang_up(leg)


def announcement_only(s: Scene) -> None:
    """Outside calls 501: a text, then the PBX hangs up."""
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "501"))


def announcement_then_phone(s: Scene) -> None:
    """104 calls 502: a text, then 101, who answers."""
    phone, leg = talks(s, "104", "502")
    until_up(s, "101")
    s.talk(1)
    phone.hang_up(leg)


def no_answer_then_announcement(s: Scene) -> None:
    """104 calls 503: 101 for 2 s, then a text."""
    s.meets("101", None)
    phone = s.phone("104")
    phone.ended(phone.call("503"))


def echo_test(s: Scene) -> None:
    """101 calls the echo test."""
    phone, leg = talks(s, "101", "601")
    phone.hang_up(leg)


def conference_of_three(s: Scene) -> None:
    """101, 102 and outside meet in the conference 600; they leave one by one."""
    legs = [talks(s, "101", "600", 1), talks(s, "102", "600", 1), talks(s, "outside", DDI + "600", 1)]
    for phone, leg in legs:
        phone.hang_up(leg)
        s.talk(0.7)


def conference_alone(s: Scene) -> None:
    """101 waits in the conference alone."""
    phone, leg = talks(s, "101", "600")
    phone.hang_up(leg)


def paging(s: Scene) -> None:
    """101 pages 102 and 103."""
    phone, leg = talks(s, "101", "602", 3)
    phone.hang_up(leg)


def two_in_a_lounge(s: Scene) -> None:
    """101 and 102 wait in one holding bridge, and hear nothing of each other."""
    legs = [talks(s, "101", "850", 1), talks(s, "102", "850", 1)]
    for phone, leg in legs:
        phone.hang_up(leg)
