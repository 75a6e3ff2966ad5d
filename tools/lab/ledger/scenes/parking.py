"""Parking and pickup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, talks, until_rings, until_up

if TYPE_CHECKING:
    from record import Scene


def parked_and_taken(s: Scene) -> None:
    """Outside calls 101, who parks the call (AMI); 102 dials 701 and takes it."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    until_up(s, "101")
    s.talk(1)
    s.ami.action(Action="Park", Channel=s.ami.channel("PJSIP/trunk-"), TimeoutChannel=s.ami.channel("PJSIP/101-"))
    s.ami.until("Event: ParkedCall")
    s.talk(1)
    talks(s, "102", "701", 2)
    phone.hang_up(leg)


def parked_by_refer(s: Scene) -> None:
    """Outside calls 101, who sends the call to 700; 102 dials 701 and takes it."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("700"))
    s.ami.until("Event: ParkedCall")
    s.talk(1)
    talks(s, "102", "701", 2)
    phone.hang_up(leg)


def parked_timed_out(s: Scene) -> None:
    """Outside calls 101, who parks the call; nobody takes it for 4 s, and 101 rings again and answers."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("700"))
    s.ami.until("Event: ParkedCallTimeOut")
    s.ami.until("Event: ParkedCallTimeOut")
    phone_101 = s.phone("101")
    phone_101.until(lambda: phone_101.legs[-1] is not answered and phone_101.legs[-1].state == "CONFIRMED", "answers")
    s.talk(1.5)
    phone.hang_up(leg)


def parked_abandoned(s: Scene) -> None:
    """Outside calls 101, who parks the call; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("700"))
    s.ami.until("Event: ParkedCall")
    s.talk(1)
    phone.hang_up(leg)


def nothing_parked(s: Scene) -> None:
    """102 dials 701, where nobody is parked."""
    phone = s.phone("102")
    leg = phone.call("701")
    s.talk(2)
    phone.hang_up(leg)


def picked_up(s: Scene) -> None:
    """Outside calls 101, which rings; 102 dials *9101 (PickupChan) and takes the call."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "101")
    until_rings(s, "101")
    s.talk(1)
    talks(s, "102", "*9101", 2)
    phone.hang_up(leg)


def picked_up_from_group(s: Scene) -> None:
    """Outside calls the group 300; 104 dials *8300 (Pickup of the extension) and takes the call."""
    for name in ("101", "102", "103"):
        s.meets(name, None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "300")
    for name in ("101", "102", "103"):
        until_rings(s, name)
    s.talk(0.5)
    talks(s, "104", "*8300", 2)
    phone.hang_up(leg)


def nothing_to_pick_up(s: Scene) -> None:
    """104 dials *9103, which does not ring."""
    phone = s.phone("104")
    phone.ended(phone.call("*9103"))
