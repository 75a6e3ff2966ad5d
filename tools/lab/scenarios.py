"""The calls that are placed, each by what it is called in the fixtures. A scenario knows the truth of each of its legs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sipp
from facts import Message, Truth
from lab import ASTERISK, Lab, Leg, Phone

NORMAL, BUSY, REJECTED, UNKNOWN = "Normal Clearing", "User busy", "Call Rejected", "Unallocated number"
TIMER, NO_ANSWER, REPLACED = "Recovery on timer expiry", "No answer", "Replaced by another call"
ANSWERS = (200, 0.4)

Told = tuple[Sequence[Truth], Sequence[Message]]
"""The legs, and messages of others than the lab's phones."""


def meets(phone: Phone, code: int | None, after_s: float = 0.3) -> None:
    phone.do("meet", code=code, after_s=after_s)


def rung(phone: Phone, before: int) -> Leg:
    """The call that has come to a phone that had so many before."""
    return phone.leg(before)


def talk(caller: Phone, callee: Phone, number: str) -> tuple[Leg, Leg]:
    meets(callee, *ANSWERS)
    before = len(callee.legs)
    out = caller.call(number)
    into = rung(callee, before)
    callee.talks(into)
    caller.talks(out)
    return out, into


def end(phone: Phone, leg: Leg, *others: tuple[Phone, Leg]) -> None:
    phone.hang_up(leg)
    for each, its in ((phone, leg), *others):
        each.ended(its)


def truth(leg: Leg, src: str, dst: str, cause: str = NORMAL) -> Truth:
    return Truth(leg.call_id, src, dst, cause)


def proxied(lab: Lab) -> Told:
    """101 calls 102 through Kamailio, which answers; the caller hangs up."""
    ann, bob = lab.phone("101"), lab.phone("102")
    out, into = talk(ann, bob, "102")
    time.sleep(1.5)
    end(ann, out, (bob, into))
    return [truth(out, "101", "102")], []


def direct(lab: Lab) -> Told:
    """105, registered at Asterisk, calls its echo service; the caller hangs up."""
    desk = lab.phone("105", registrar=ASTERISK)
    out = desk.call("601")
    desk.talks(out)
    time.sleep(3.2)
    end(desk, out)
    return [truth(out, "105", "601")], []


def b2bua(lab: Lab) -> Told:
    """101 calls 6102: through Kamailio to Asterisk, which calls 102 through Kamailio; the callee hangs up."""
    ann, bob = lab.phone("101"), lab.phone("102")
    out, into = talk(ann, bob, "6102")
    time.sleep(3.2)
    end(bob, into, (ann, out))
    return [truth(out, "101", "6102"), truth(into, "101", "102")], []


def forked(lab: Lab) -> Told:
    """101 calls 103, who has two phones: both ring, the second one answers, the first is cancelled."""
    ann, first = lab.phone("101"), lab.phone("103")
    second = lab.phone("103b", address="192.0.2.113")
    meets(first, None)
    before = len(first.legs)
    out, into = talk(ann, second, "103")
    first.ended(rung(first, before))
    time.sleep(1)
    end(ann, out, (second, into))
    second.register("unregister")
    return [truth(out, "101", "103")], []


def blind_transfer(lab: Lab) -> Told:
    """101 talks to 102 through Asterisk; 102 sends the caller to 103 and is out; the caller hangs up."""
    ann, bob, carl = lab.phone("101"), lab.phone("102"), lab.phone("103")
    out, into = talk(ann, bob, "6102")
    time.sleep(1)
    meets(carl, *ANSWERS)
    before = len(carl.legs)
    bob.within("refer", into, uri=bob.uri("103"))
    last = rung(carl, before)
    carl.talks(last)
    _out_of(bob, into)
    time.sleep(1.2)
    end(ann, out, (carl, last))
    return [truth(out, "101", "6102"), truth(into, "101", "102"), truth(last, "101", "103")], []


def blind_transfer_by_phones(lab: Lab) -> Told:
    """101 talks to 102 through Kamailio; 102 sends the caller to 103, whose phone 101's phone then calls; 103 hangs up."""
    ann, bob, carl = lab.phone("101"), lab.phone("102"), lab.phone("103")
    out, into = talk(ann, bob, "102")
    time.sleep(1)
    meets(carl, *ANSWERS)
    anns, carls = len(ann.legs), len(carl.legs)
    bob.within("refer", into, uri=bob.uri("103"))
    again, last = ann.leg(anns), carl.leg(carls)
    carl.talks(last)
    ann.talks(again)
    _out_of(bob, into)
    ann.ended(out)
    time.sleep(1.2)
    end(carl, last, (ann, again))
    return [truth(out, "101", "102"), truth(again, "101", "103")], []


def attended_transfer(lab: Lab) -> Told:
    """101 talks to 102, 102 asks 103, all through Asterisk; 102 connects the two and is out; 103 hangs up."""
    ann, bob, carl = lab.phone("101"), lab.phone("102"), lab.phone("103")
    out, into = talk(ann, bob, "6102")
    bob.within("hold", into)
    asks, asked = talk(bob, carl, "6103")
    time.sleep(1)
    bob.within("join", into, other=bob.legs.index(asks))
    _out_of(bob, into)
    _out_of(bob, asks)
    time.sleep(1.2)
    end(carl, asked, (ann, out))
    return [
        truth(out, "101", "6102"),
        truth(into, "101", "102"),
        truth(asks, "102", "6103"),
        truth(asked, "102", "103"),
    ], []


def attended_transfer_by_phones(lab: Lab) -> Told:
    """The same through Kamailio alone: 101's phone calls 103 in place of 102 (Replaces)."""
    ann, bob, carl = lab.phone("101"), lab.phone("102"), lab.phone("103")
    out, into = talk(ann, bob, "102")
    bob.within("hold", into)
    asks, _ = talk(bob, carl, "103")
    time.sleep(1)
    anns, carls = len(ann.legs), len(carl.legs)
    bob.within("join", into, other=bob.legs.index(asks))
    again, last = ann.leg(anns), carl.leg(carls)
    ann.talks(again)
    _out_of(bob, into)
    _out_of(bob, asks)
    ann.ended(out)
    time.sleep(1.2)
    end(ann, again, (carl, last))
    return [truth(out, "101", "102"), truth(asks, "102", "103", REPLACED), truth(again, "101", "103")], []


def _out_of(phone: Phone, leg: Leg) -> None:
    """After a transfer its phone hangs up, unless the other side does."""
    phone.until(lambda: leg.transferred == 200 or leg.state == "DISCONNECTED", "transferred")
    if leg.state != "DISCONNECTED":
        phone.hang_up(leg)
    phone.ended(leg)


def held(lab: Lab) -> Told:
    """101 calls 102, puts the call on hold and resumes it; the callee hangs up."""
    ann, bob = lab.phone("101"), lab.phone("102")
    out, into = talk(ann, bob, "102")
    time.sleep(0.8)
    for command in ("hold", "resume"):
        ann.agree(command, out)
        time.sleep(1)
    end(bob, into, (ann, out))
    return [truth(out, "101", "102")], []


def codec_changed(lab: Lab) -> Told:
    """101 calls 102, and offers another codec in the middle of the call; the caller hangs up."""
    ann, bob = lab.phone("101"), lab.phone("102")
    out, into = talk(ann, bob, "102")
    time.sleep(0.8)
    ann.agree("codec", out, names=["PCMA"])
    time.sleep(1)
    ann.do("prefer", names=["PCMU", "PCMA"])
    end(ann, out, (bob, into))
    return [truth(out, "101", "102")], []


def cancelled(lab: Lab) -> Told:
    """101 calls 102, which rings; the caller gives up."""
    ann, bob = lab.phone("101"), lab.phone("102")
    meets(bob, None)
    before = len(bob.legs)
    out = ann.call("102")
    into = rung(bob, before)
    ann.until(lambda: out.state == "EARLY", "ringing")
    time.sleep(1)
    end(ann, out, (bob, into))
    return [truth(out, "101", "102")], []


def _refused(lab: Lab, code: int, cause: str) -> Told:
    ann, bob = lab.phone("101"), lab.phone("102")
    meets(bob, code)
    before = len(bob.legs)
    out = ann.call("102")
    bob.ended(rung(bob, before))
    ann.ended(out)
    assert out.code == code, out
    return [truth(out, "101", "102", cause)], []


def busy(lab: Lab) -> Told:
    """102 answers 486."""
    return _refused(lab, 486, BUSY)


def declined(lab: Lab) -> Told:
    """102 answers 603."""
    return _refused(lab, 603, REJECTED)


def unanswered(lab: Lab) -> Told:
    """104 rings until Kamailio's timer ends the call."""
    ann, dora = lab.phone("101"), lab.phone("104")
    meets(dora, None)
    before = len(dora.legs)
    out = ann.call("104")
    dora.ended(rung(dora, before))
    ann.ended(out)
    assert out.code == 408, out
    return [truth(out, "101", "104", TIMER)], []


def unanswered_at_asterisk(lab: Lab) -> Told:
    """102 rings until Asterisk's Dial gives up, which then ends the caller's leg too."""
    ann, bob = lab.phone("101"), lab.phone("102")
    meets(bob, None)
    before = len(bob.legs)
    out = ann.call("6102")
    into = rung(bob, before)
    bob.ended(into)
    ann.ended(out)
    return [truth(out, "101", "6102", NO_ANSWER), truth(into, "101", "102")], []


def unknown_number(lab: Lab) -> Told:
    """Nobody is registered as 199."""
    ann = lab.phone("101")
    out = ann.call("199")
    ann.ended(out)
    assert out.code == 404, out
    return [truth(out, "101", "199", UNKNOWN)], []


def wrong_password(lab: Lab) -> Told:
    """A phone with a wrong password cannot register as 105, and cannot call."""
    thief = lab.phone("105x", address="192.0.2.115", registrar=ASTERISK, password="guessed", registers="")
    assert thief.register() != 200
    out = thief.call("601")
    thief.ended(out)
    return [truth(out, "105", "601", REJECTED)], []


def queue(lab: Lab) -> Told:
    """101 calls Asterisk's queue: 102 rings and does not answer, then 103 does; the caller hangs up."""
    ann, bob, carl = lab.phone("101"), lab.phone("102"), lab.phone("103")
    meets(bob, None)
    meets(carl, *ANSWERS)
    bobs, carls = len(bob.legs), len(carl.legs)
    out = ann.call("600")
    into = bob.leg(bobs)
    bob.ended(into)
    last = carl.leg(carls)
    carl.talks(last)
    time.sleep(1.2)
    end(ann, out, (carl, last))
    return [truth(out, "101", "600"), truth(into, "101", "102"), truth(last, "101", "103")], []


def ipv6(_lab: Lab) -> Told:
    """170 calls 700 through Kamailio, all by IPv6, which the phones' library cannot; the caller hangs up."""
    return _by_sipp("UDP", ballast=10, ends=sipp.IPV6)


def tcp(lab: Lab) -> Told:
    """108 calls 110 through Kamailio, all by TCP; the callee hangs up."""
    one, two = lab.phone("108", transport="TCP"), lab.phone("110", transport="TCP")
    out, into = talk(one, two, "110")
    time.sleep(1)
    end(two, into, (one, out))
    return [truth(out, "108", "110")], []


def _by_sipp(transport: str, ballast: int, ends: tuple[str, str, str] = sipp.IPV4) -> Told:
    messages = sipp.call(transport, ballast, ends)
    return [Truth(messages[0].call_id, "170", "700", NORMAL)], messages


def large_tcp(_lab: Lab) -> Told:
    """INVITE and 200 of more than 9,000 bytes by TCP."""
    return _by_sipp("TCP", ballast=9_000)


def large_udp(_lab: Lab) -> Told:
    """INVITE and 200 of more than 9,000 bytes by UDP, in seven fragments each."""
    return _by_sipp("UDP", ballast=9_000)


SCENARIOS: Sequence[Callable[[Lab], Told]] = (
    proxied,
    direct,
    b2bua,
    forked,
    blind_transfer,
    blind_transfer_by_phones,
    attended_transfer,
    attended_transfer_by_phones,
    held,
    codec_changed,
    cancelled,
    busy,
    declined,
    unanswered,
    unanswered_at_asterisk,
    unknown_number,
    wrong_password,
    queue,
    ipv6,
    tcp,
    large_tcp,
    large_udp,
)
