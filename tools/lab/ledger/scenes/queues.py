"""Queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, as_a_second_begins, attended, talks, talks_on, until_rings, until_up

if TYPE_CHECKING:
    from record import Scene


def queue_first_member(s: Scene) -> None:
    """Outside calls the queue 400; 102, the first member, answers."""
    phone, leg = talks(s, "outside", DDI + "400", 1)
    talks_on(s, "102", phone, leg)


def queue_second_member(s: Scene) -> None:
    """Outside calls the queue 400; 102 does not answer for 2 s, 103 does."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "400", 0.5)
    talks_on(s, "103", phone, leg)


def queue_agent_hangs_up(s: Scene) -> None:
    """101 calls the queue 400; 102 answers and hangs up."""
    phone, leg = talks(s, "101", "400", 0.5)
    member, answered = until_up(s, "102")
    s.talk(1.5)
    member.hang_up(answered)
    phone.ended(leg)


def queue_abandoned(s: Scene) -> None:
    """Outside calls the queue 400, 102 rings; outside hangs up."""
    s.meets("102", None)
    s.meets("103", None)
    phone, leg = talks(s, "outside", DDI + "400", 0)
    until_rings(s, "102")
    s.talk(0.5)
    phone.hang_up(leg)


def queue_retries(s: Scene) -> None:
    """101 calls the queue 400; 102 and 103 are tried in turn; 102 answers at the second time."""
    s.meets("102", None)
    s.meets("103", None)
    phone, leg = talks(s, "101", "400", 0.3)
    until_rings(s, "103")
    s.meets("102", 200, 0.3)
    until_up(s, "102")
    s.talk(1.5)
    phone.hang_up(leg)


def queue_busy_member(s: Scene) -> None:
    """Outside calls the queue 400; 102 declines, 103 answers."""
    s.meets("102", 486, 0.3)
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


def queue_local_members(s: Scene) -> None:
    """104 calls the queue 401 whose members are Local channels; 102 does not answer, 103 does."""
    s.meets("102", None)
    phone, leg = talks(s, "104", "401", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


def queue_ring_all(s: Scene) -> None:
    """104 calls the queue 402: 102 and 103 ring together; 103 answers."""
    s.meets("102", None)
    s.meets("103", 200, 1)
    phone, leg = talks(s, "104", "402", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


def queue_then_voicemail(s: Scene) -> None:
    """Outside calls the queue 403; nobody answers for 4 s; the mailbox takes it."""
    s.meets("102", None)
    s.meets("103", None)
    phone = s.phone("outside")
    as_a_second_begins()
    leg = phone.call(DDI + "403")
    s.ami.until("Application: VoiceMail")
    s.talk(3)
    phone.hang_up(leg)


def queue_empty_then_phone(s: Scene) -> None:
    """104 calls the queue 404, which nobody serves; then 101 answers."""
    phone, leg = talks(s, "104", "404", 0.3)
    until_up(s, "101")
    s.talk(1)
    phone.hang_up(leg)


def queue_agent_transfers_blind(s: Scene) -> None:
    """Outside calls the queue 400; 102 answers and sends the call on to 104, who answers."""
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    member, answered = until_up(s, "102")
    s.talk(1)
    member.within("refer", answered, uri=member.uri("104"))
    talks_on(s, "104", phone, leg)


def queue_agent_transfers_attended(s: Scene) -> None:
    """Outside calls the queue 400; 102 answers, asks 104 and connects them."""
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    member, answered = until_up(s, "102")
    s.talk(1)
    attended(s, member, answered, "104")
    s.talk(2)
    phone.hang_up(leg)
