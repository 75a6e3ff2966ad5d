"""The calls that are recorded, one function a scene; the dial plan is `etc/extensions.conf`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab import Leg, Phone
    from record import Scene

SCENES: dict[str, Callable[[Scene], None]] = {}
DDI, MOBILE = "442079460", "07700900456"


def scene(play: Callable[[Scene], None]) -> Callable[[Scene], None]:
    SCENES[play.__name__] = play
    return play


def talks(scene: Scene, name: str, number: str, seconds: float = 1.5) -> tuple[Phone, Leg]:
    phone = scene.phone(name)
    leg = phone.call(number)
    phone.talks(leg)
    scene.talk(seconds)
    return phone, leg


def until_up(scene: Scene, name: str) -> tuple[Phone, Leg]:
    """The newest call of the phone that rang, once it is talked in."""
    phone = scene.phone(name)

    def up() -> list[Leg]:
        return [leg for leg in phone.legs[phone.legs_before :] if leg.state == "CONFIRMED"]

    phone.until(lambda: bool(up()), "answers")
    return phone, up()[-1]


def until_rings(scene: Scene, name: str) -> None:
    scene.ami.until("Event: Newstate", f"Channel: PJSIP/{name}-", "ChannelStateDesc: Ringing")


# -- two parties


@scene
def answered_internal(s: Scene) -> None:
    """101 calls 102, who answers; 101 hangs up."""
    phone, leg = talks(s, "101", "102", 2.3)
    phone.hang_up(leg)


@scene
def answered_callee_hangs_up(s: Scene) -> None:
    """101 calls 102, who answers and hangs up."""
    talks(s, "101", "102")
    phone, leg = until_up(s, "102")
    phone.hang_up(leg)


@scene
def answered_inbound(s: Scene) -> None:
    """Outside calls the number of 101, who answers; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101")
    phone.hang_up(leg)


@scene
def answered_outbound(s: Scene) -> None:
    """101 calls a mobile, which answers."""
    phone, leg = talks(s, "101", MOBILE)
    phone.hang_up(leg)


@scene
def unanswered(s: Scene) -> None:
    """101 calls 102, who rings and does not answer: the dial plan gives up after 8 s."""
    s.meets("102", None)
    phone = s.phone("101")
    phone.ended(phone.call("102"))


@scene
def busy(s: Scene) -> None:
    """Outside calls 101, who is busy (486 without ringing for long)."""
    s.meets("101", 486, 0.0)
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "101"))


@scene
def rejected(s: Scene) -> None:
    """101 calls 102, who declines after ringing for a second (603)."""
    s.meets("102", 603, 1.0)
    phone = s.phone("101")
    phone.ended(phone.call("102"))


@scene
def failed_outbound(s: Scene) -> None:
    """101 calls a mobile; the network says 503."""
    s.meets("outside", 503, 0.3)
    phone = s.phone("101")
    phone.ended(phone.call(MOBILE))


@scene
def unallocated_outbound(s: Scene) -> None:
    """101 calls a mobile; the network says 404."""
    s.meets("outside", 404, 0.3)
    phone = s.phone("101")
    phone.ended(phone.call(MOBILE))


@scene
def unregistered(s: Scene) -> None:
    """101 calls 842: Dial of a phone that is not there, then Hangup(3)."""
    phone = s.phone("101")
    phone.ended(phone.call("842"))


@scene
def refused_by_dial_plan(s: Scene) -> None:
    """101 dials 870: Hangup(21) at once."""
    phone = s.phone("101")
    phone.ended(phone.call("870"))


@scene
def busy_tone(s: Scene) -> None:
    """101 dials 840: Busy(2)."""
    phone = s.phone("101")
    phone.ended(phone.call("840"))


@scene
def cancelled(s: Scene) -> None:
    """Outside calls 101 and hangs up while it rings."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "101")
    until_rings(s, "101")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def held(s: Scene) -> None:
    """101 calls 102 and puts the call on hold for a second, resumes and hangs up."""
    phone, leg = talks(s, "101", "102", 1)
    phone.within("hold", leg)
    s.talk(1)
    phone.within("resume", leg)
    s.talk(1)
    phone.hang_up(leg)


@scene
def hung_up_on_hold(s: Scene) -> None:
    """Outside calls 101, who puts the call on hold; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101", 1)
    callee, answered = until_up(s, "101")
    callee.within("hold", answered)
    s.talk(1)
    phone.hang_up(leg)


# -- several destinations


@scene
def ring_group(s: Scene) -> None:
    """Outside calls the group 300 of 101, 102, 103; 102 answers first."""
    for name in ("101", "103"):
        s.meets(name, None)
    s.meets("102", 200, 1)
    phone, leg = talks(s, "outside", DDI + "300")
    phone.hang_up(leg)


@scene
def ring_group_unanswered(s: Scene) -> None:
    """Outside calls the group 300; nobody answers for 6 s."""
    for name in ("101", "102", "103"):
        s.meets(name, None)
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "300"))


@scene
def ring_group_one_busy(s: Scene) -> None:
    """Outside calls the group 300: 101 busy, 103 declines, 102 answers."""
    s.meets("101", 486, 0.1)
    s.meets("103", 603, 0.3)
    s.meets("102", 200, 1.5)
    phone, leg = talks(s, "outside", DDI + "300")
    phone.hang_up(leg)


@scene
def ring_group_local(s: Scene) -> None:
    """104 calls 301: Local/101 and Local/102, not optimised; 102 answers."""
    s.meets("101", None)
    s.meets("102", 200, 1)
    phone, leg = talks(s, "104", "301")
    phone.hang_up(leg)


@scene
def hunt(s: Scene) -> None:
    """104 calls 302: 101 for 2 s, then 102, who answers."""
    s.meets("101", None)
    phone, leg = talks(s, "104", "302")
    phone.hang_up(leg)


@scene
def local_optimised(s: Scene) -> None:
    """104 calls 303: Local/102, which is optimised away."""
    phone, leg = talks(s, "104", "303", 2)
    phone.hang_up(leg)


@scene
def desk_and_mobile(s: Scene) -> None:
    """104 calls 304: the mobile by a Local channel and 101 at once; the mobile answers."""
    s.meets("101", None)
    s.meets("outside", 200, 1)
    phone, leg = talks(s, "104", "304", 2)
    phone.hang_up(leg)


@scene
def forward_to_mobile(s: Scene) -> None:
    """Outside calls 830, which the dial plan sends to a mobile by a Local channel."""
    phone, leg = talks(s, "outside", DDI + "830", 2)
    phone.hang_up(leg)


@scene
def forward_by_phone(s: Scene) -> None:
    """104 calls 110, a phone that answers with 302 to 102, who answers."""
    s.forwards_to("102")
    phone, leg = talks(s, "104", "110", 2)
    phone.hang_up(leg)


@scene
def forward_by_phone_to_mobile(s: Scene) -> None:
    """Outside calls the number of 110, a phone that answers with 302 to a mobile, which answers."""
    s.forwards_to(MOBILE)
    phone, leg = talks(s, "outside", DDI + "110", 2)
    phone.hang_up(leg)


@scene
def forward_unanswered(s: Scene) -> None:
    """104 calls 110, a phone that answers with 302 to 102, who does not answer."""
    s.forwards_to("102")
    s.meets("102", None)
    phone = s.phone("104")
    phone.ended(phone.call("110"))


@scene
def follow_me(s: Scene) -> None:
    """104 calls 820: FollowMe tries 102 for 3 s, then a mobile, which answers and accepts."""
    s.meets("102", None)
    s.meets("outside", 200, 0.5)
    phone = s.phone("104")
    leg = phone.call("820")
    s.ami.until("Event: Newstate", "Channel: PJSIP/provider-", "ChannelStateDesc: Up")
    s.talk(2)
    s.dtmf("PJSIP/provider-", "1")
    s.talk(2)
    phone.hang_up(leg)


# -- the PBX itself


@scene
def voicemail_after_no_answer(s: Scene) -> None:
    """Outside calls 201: 101 rings for 2 s, then its mailbox takes a message."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "201")
    s.ami.until("Application: VoiceMail")
    s.talk(4)
    phone.hang_up(leg)


@scene
def voicemail_abandoned(s: Scene) -> None:
    """Outside calls 201 and hangs up just as the mailbox has answered."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "201")
    s.ami.until("Application: VoiceMail")
    phone.hang_up(leg)


@scene
def mailbox_heard(s: Scene) -> None:
    """101 listens to the mailbox: *97."""
    phone, leg = talks(s, "101", "*97")
    phone.hang_up(leg)


@scene
def menu_to_phone(s: Scene) -> None:
    """Outside calls the menu 500 and presses 1: 101 answers."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    s.dtmf("PJSIP/trunk-", "1")
    until_up(s, "101")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def menu_abandoned(s: Scene) -> None:
    """Outside calls the menu 500 and hangs up."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    phone.hang_up(leg)


@scene
def menu_to_queue(s: Scene) -> None:
    """Outside calls the menu 500 and presses 2: the queue, where 102 answers."""
    phone, leg = talks(s, "outside", DDI + "500", 1)
    s.dtmf("PJSIP/trunk-", "2")
    until_up(s, "102")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def announcement_only(s: Scene) -> None:
    """Outside calls 501: a text, then the PBX hangs up."""
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "501"))


@scene
def announcement_then_phone(s: Scene) -> None:
    """104 calls 502: a text, then 101, who answers."""
    phone, leg = talks(s, "104", "502")
    until_up(s, "101")
    s.talk(1)
    phone.hang_up(leg)


@scene
def no_answer_then_announcement(s: Scene) -> None:
    """104 calls 503: 101 for 2 s, then a text."""
    s.meets("101", None)
    phone = s.phone("104")
    phone.ended(phone.call("503"))


@scene
def echo_test(s: Scene) -> None:
    """101 calls the echo test."""
    phone, leg = talks(s, "101", "601")
    phone.hang_up(leg)


@scene
def conference_of_three(s: Scene) -> None:
    """101, 102 and outside meet in the conference 600; they leave one by one."""
    legs = [talks(s, "101", "600", 1), talks(s, "102", "600", 1), talks(s, "outside", DDI + "600", 1)]
    for phone, leg in legs:
        phone.hang_up(leg)
        s.talk(0.7)


@scene
def conference_alone(s: Scene) -> None:
    """101 waits in the conference alone."""
    phone, leg = talks(s, "101", "600")
    phone.hang_up(leg)


@scene
def paging(s: Scene) -> None:
    """101 pages 102 and 103."""
    phone, leg = talks(s, "101", "602", 3)
    phone.hang_up(leg)


@scene
def two_in_a_lounge(s: Scene) -> None:
    """101 and 102 wait in one holding bridge, and hear nothing of each other."""
    legs = [talks(s, "101", "850", 1), talks(s, "102", "850", 1)]
    for phone, leg in legs:
        phone.hang_up(leg)


# -- queues


@scene
def queue_first_member(s: Scene) -> None:
    """Outside calls the queue 400; 102, the first member, answers."""
    s.meets("102", 200, 1)
    phone, leg = talks(s, "outside", DDI + "400", 1)
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def queue_second_member(s: Scene) -> None:
    """Outside calls the queue 400; 102 does not answer for 2 s, 103 does."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "400", 0.5)
    until_up(s, "103")
    s.talk(2)
    phone.hang_up(leg)


@scene
def queue_agent_hangs_up(s: Scene) -> None:
    """101 calls the queue 400; 102 answers and hangs up."""
    phone, leg = talks(s, "101", "400", 0.5)
    member, answered = until_up(s, "102")
    s.talk(1.5)
    member.hang_up(answered)
    phone.ended(leg)


@scene
def queue_abandoned(s: Scene) -> None:
    """Outside calls the queue 400, 102 rings; outside hangs up."""
    s.meets("102", None)
    s.meets("103", None)
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    until_rings(s, "102")
    s.talk(1)
    phone.hang_up(leg)


@scene
def queue_retries(s: Scene) -> None:
    """101 calls the queue 400; 102 and 103 are tried in turn; 102 answers at the second time."""
    s.meets("102", None)
    s.meets("103", None)
    phone, leg = talks(s, "101", "400", 0.3)
    s.talk(5.5)
    s.meets("102", 200, 0.3)
    until_up(s, "102")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def queue_busy_member(s: Scene) -> None:
    """Outside calls the queue 400; 102 declines, 103 answers."""
    s.meets("102", 486, 0.3)
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def queue_local_members(s: Scene) -> None:
    """104 calls the queue 401 whose members are Local channels; 102 does not answer, 103 does."""
    s.meets("102", None)
    phone, leg = talks(s, "104", "401", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def queue_ring_all(s: Scene) -> None:
    """104 calls the queue 402: 102 and 103 ring together; 103 answers."""
    s.meets("102", None)
    s.meets("103", 200, 1)
    phone, leg = talks(s, "104", "402", 0.3)
    until_up(s, "103")
    s.talk(1.5)
    phone.hang_up(leg)


@scene
def queue_then_voicemail(s: Scene) -> None:
    """Outside calls the queue 403; nobody answers for 4 s; the mailbox takes it."""
    s.meets("102", None)
    s.meets("103", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "403")
    s.ami.until("Application: VoiceMail")
    s.talk(3)
    phone.hang_up(leg)


@scene
def queue_empty_then_phone(s: Scene) -> None:
    """104 calls the queue 404, which nobody serves; then 101 answers."""
    phone, leg = talks(s, "104", "404", 0.3)
    until_up(s, "101")
    s.talk(1)
    phone.hang_up(leg)


@scene
def queue_agent_transfers_blind(s: Scene) -> None:
    """Outside calls the queue 400; 102 answers and sends the call on to 104, who answers."""
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    member, answered = until_up(s, "102")
    s.talk(1)
    member.within("refer", answered, uri=member.uri("104"))
    until_up(s, "104")
    s.talk(2)
    phone.hang_up(leg)


@scene
def queue_agent_transfers_attended(s: Scene) -> None:
    """Outside calls the queue 400; 102 answers, asks 104 and connects them."""
    phone, leg = talks(s, "outside", DDI + "400", 0.3)
    member, answered = until_up(s, "102")
    s.talk(1)
    attended(s, member, answered, "104")
    s.talk(2)
    phone.hang_up(leg)


# -- transfers


def attended(s: Scene, phone: Phone, leg: Leg, number: str) -> None:
    phone.within("hold", leg)
    other = phone.call(number)
    phone.talks(other)
    s.talk(1)
    phone.within("join", leg, other=phone.legs.index(other))
    phone.ended(other)


@scene
def blind_by_callee(s: Scene) -> None:
    """Outside calls 101, who sends the call on to 102, who answers."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("102"))
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def blind_by_caller(s: Scene) -> None:
    """101 calls a mobile and sends it on to 102, who answers."""
    caller, leg = talks(s, "101", MOBILE, 1)
    caller.within("refer", leg, uri=caller.uri("102"))
    phone, answered = until_up(s, "102")
    s.talk(2)
    phone.hang_up(answered)


@scene
def blind_unanswered(s: Scene) -> None:
    """Outside calls 101, who sends the call on to 102, who does not answer."""
    s.meets("102", None)
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("102"))
    phone.ended(leg)


@scene
def blind_to_mobile(s: Scene) -> None:
    """104 calls 101, who sends the call on to a mobile."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri(MOBILE))
    until_up(s, "outside")
    s.talk(2)
    phone.hang_up(leg)


@scene
def blind_to_queue(s: Scene) -> None:
    """Outside calls 101, who sends the call on to the queue 400, where 102 answers."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("400"))
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
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


@scene
def blind_by_digits(s: Scene) -> None:
    """Outside calls 101, who presses #1 102: 102 answers."""
    phone, leg = talks(s, "outside", DDI + "111", 0.5)
    until_up(s, "101")
    s.talk(1)
    s.dtmf("PJSIP/101-", "#1")
    s.talk(2)
    s.dtmf("PJSIP/101-", "102")
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
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


@scene
def attended_by_callee(s: Scene) -> None:
    """Outside calls 101, who asks 102 and connects them."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def attended_by_caller(s: Scene) -> None:
    """101 calls a mobile, asks 102 and connects them."""
    caller, leg = talks(s, "101", MOBILE, 1)
    attended(s, caller, leg, "102")
    s.talk(2)
    phone, answered = until_up(s, "102")
    phone.hang_up(answered)


@scene
def attended_to_mobile(s: Scene) -> None:
    """104 calls 101, who asks a mobile and connects them."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, MOBILE)
    s.talk(2)
    phone.hang_up(leg)


@scene
def attended_to_conference(s: Scene) -> None:
    """Outside calls 101, who goes to the conference 600 and brings outside there."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, "600")
    s.talk(2)
    phone.hang_up(leg)


@scene
def attended_local(s: Scene) -> None:
    """104 calls 101, who asks 301 (Local channels, not optimised; 102 answers) and connects them."""
    phone, leg = talks(s, "104", "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    attended(s, callee, answered, "301")
    s.talk(2)
    phone.hang_up(leg)


@scene
def attended_abandoned(s: Scene) -> None:
    """Outside calls 101, who asks 102, ends that and goes on with outside."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("hold", answered)
    other = callee.call("102")
    callee.talks(other)
    s.talk(1)
    callee.hang_up(other)
    callee.within("resume", answered)
    s.talk(1)
    phone.hang_up(leg)


@scene
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


@scene
def attended_before_answer(s: Scene) -> None:
    """Outside calls 101, who presses *2 102 and hangs up while 102 rings; then 102 answers."""
    s.meets("102", 200, 2.5)
    phone, leg = talks(s, "outside", DDI + "111", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    s.dtmf("PJSIP/101-", "*2")
    s.talk(2)
    s.dtmf("PJSIP/101-", "102")
    until_rings(s, "102")
    s.talk(0.5)
    callee.hang_up(answered)
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


# -- parking and pickup


@scene
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


@scene
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


@scene
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


@scene
def parked_abandoned(s: Scene) -> None:
    """Outside calls 101, who parks the call; outside hangs up."""
    phone, leg = talks(s, "outside", DDI + "101", 0.5)
    callee, answered = until_up(s, "101")
    s.talk(1)
    callee.within("refer", answered, uri=callee.uri("700"))
    s.ami.until("Event: ParkedCall")
    s.talk(1)
    phone.hang_up(leg)


@scene
def nothing_parked(s: Scene) -> None:
    """102 dials 701, where nobody is parked."""
    phone = s.phone("102")
    leg = phone.call("701")
    s.talk(2)
    phone.hang_up(leg)


@scene
def picked_up(s: Scene) -> None:
    """Outside calls 101, which rings; 102 dials *9101 (PickupChan) and takes the call."""
    s.meets("101", None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "101")
    until_rings(s, "101")
    s.talk(1)
    talks(s, "102", "*9101", 2)
    phone.hang_up(leg)


@scene
def picked_up_from_group(s: Scene) -> None:
    """Outside calls the group 300; 104 dials *8300 (Pickup of the extension) and takes the call."""
    for name in ("101", "102", "103"):
        s.meets(name, None)
    phone = s.phone("outside")
    leg = phone.call(DDI + "300")
    until_rings(s, "101")
    until_rings(s, "103")
    s.talk(0.5)
    talks(s, "104", "*8300", 2)
    phone.hang_up(leg)


@scene
def nothing_to_pick_up(s: Scene) -> None:
    """104 dials *9103, which does not ring."""
    phone = s.phone("104")
    phone.ended(phone.call("*9103"))


# -- calls that the PBX places


def originate(s: Scene, channel: str, exten: str, **more: str) -> None:
    s.ami.action(
        Action="Originate", Channel=channel, Exten=exten, Context="internal", Priority="1", Async="true", **more
    )


@scene
def originated_agent_first(s: Scene) -> None:
    """Originate: 101's phone answers, then 102 is called and answers."""
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>")
    phone, leg = until_up(s, "101")
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def originated_to_mobile(s: Scene) -> None:
    """Originate: 101's phone answers, then a mobile is called, shown the company's number, and answers."""
    originate(s, "PJSIP/101", MOBILE, CallerID="Company <442079460000>")
    phone, leg = until_up(s, "101")
    until_up(s, "outside")
    s.talk(2)
    phone.hang_up(leg)


@scene
def originated_agent_unanswered(s: Scene) -> None:
    """Originate: 101's phone rings for 3 s and is not answered."""
    s.meets("101", None)
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>", Timeout="3000")
    until_rings(s, "101")
    s.talk(4)


@scene
def originated_agent_busy(s: Scene) -> None:
    """Originate: 101's phone declines."""
    s.meets("101", 486, 0.3)
    originate(s, "PJSIP/101", "102", CallerID="Ann <101>")
    until_rings(s, "101")
    s.talk(2)


@scene
def originated_customer_first(s: Scene) -> None:
    """Originate: the mobile answers, then 101 is called and answers."""
    originate(s, f"PJSIP/{MOBILE}@provider", "101", CallerID=f"<{MOBILE}>")
    phone, leg = until_up(s, "outside")
    until_up(s, "101")
    s.talk(2)
    phone.hang_up(leg)


@scene
def originated_local(s: Scene) -> None:
    """Originate by Local/101@internal: 101 answers, then 102 is called and answers."""
    originate(s, "Local/101@internal", "102", CallerID="Ann <101>")
    phone, leg = until_up(s, "101")
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def originated_application(s: Scene) -> None:
    """Originate with an application: 101's phone answers and hears a text."""
    s.ami.action(Action="Originate", Channel="PJSIP/101", Application="Playback", Data="hello-world", Async="true")
    phone, leg = until_up(s, "101")
    phone.ended(leg)


@scene
def redirected(s: Scene) -> None:
    """Outside calls 101; a program sends the call to 102 (Redirect), who answers."""
    phone, leg = talks(s, "outside", DDI + "101", 1.5)
    s.ami.action(
        Action="Redirect", Channel=s.ami.channel("PJSIP/trunk-"), Exten="102", Context="internal", Priority="1"
    )
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def blind_by_program(s: Scene) -> None:
    """Outside calls 101; a program transfers blind (BlindTransfer) to 102."""
    phone, leg = talks(s, "outside", DDI + "101", 1.5)
    s.ami.action(Action="BlindTransfer", Channel=s.ami.channel("PJSIP/101-"), Exten="102", Context="internal")
    until_up(s, "102")
    s.talk(2)
    phone.hang_up(leg)


@scene
def bridged_by_program(s: Scene) -> None:
    """104 and 103 wait; a program connects them (Bridge)."""
    outside, leg = talks(s, "104", "860", 1)
    other, second = talks(s, "103", "860", 1)
    s.ami.action(Action="Bridge", Channel1=s.ami.channel("PJSIP/104-"), Channel2=s.ami.channel("PJSIP/103-"), Tone="no")
    s.talk(2)
    outside.hang_up(leg)
    s.talk(0.5)
    other.hang_up(second)


@scene
def listened_in(s: Scene) -> None:
    """Outside talks to 101; 104 listens in (ChanSpy)."""
    phone, leg = talks(s, "outside", DDI + "101", 1)
    spy, spying = talks(s, "104", "810", 1.5)
    spy.hang_up(spying)
    s.talk(0.5)
    phone.hang_up(leg)


@scene
def two_calls_at_once(s: Scene) -> None:
    """101 talks to 102 while 104 talks to 103."""
    first, one = talks(s, "101", "102", 1)
    second, two = talks(s, "104", "103", 1)
    first.hang_up(one)
    s.talk(0.5)
    second.hang_up(two)


@scene
def killed_in_the_middle(s: Scene) -> None:
    """101 talks to 102 when Asterisk is killed; after its start 101 calls 103, who answers."""
    talks(s, "101", "102", 1.5)
    s.kill_asterisk()
    phone = s.phone("101")
    leg = phone.call("103")
    phone.talks(leg)
    s.talk(1.5)
    phone.hang_up(leg)
