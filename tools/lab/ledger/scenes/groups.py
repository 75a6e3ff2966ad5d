"""Several destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes.play import DDI, MOBILE, talks

if TYPE_CHECKING:
    from record import Scene


def ring_group(s: Scene) -> None:
    """Outside calls the group 300 of 101, 102, 103; 102 answers first."""
    for name in ("101", "103"):
        s.meets(name, None)
    s.meets("102", 200, 1)
    phone, leg = talks(s, "outside", DDI + "300")
    phone.hang_up(leg)


def ring_group_unanswered(s: Scene) -> None:
    """Outside calls the group 300; nobody answers for 6 s."""
    for name in ("101", "102", "103"):
        s.meets(name, None)
    phone = s.phone("outside")
    phone.ended(phone.call(DDI + "300"))


def ring_group_one_busy(s: Scene) -> None:
    """Outside calls the group 300: 101 busy, 103 declines, 102 answers."""
    s.meets("101", 486, 0.1)
    s.meets("103", 603, 0.3)
    s.meets("102", 200, 1.5)
    phone, leg = talks(s, "outside", DDI + "300")
    phone.hang_up(leg)


def ring_group_local(s: Scene) -> None:
    """104 calls 301: Local/101 and Local/102, not optimised; 102 answers."""
    s.meets("101", None)
    s.meets("102", 200, 1)
    phone, leg = talks(s, "104", "301")
    phone.hang_up(leg)


def hunt(s: Scene) -> None:
    """104 calls 302: 101 for 2 s, then 102, who answers."""
    s.meets("101", None)
    phone, leg = talks(s, "104", "302")
    phone.hang_up(leg)


def local_optimised(s: Scene) -> None:
    """104 calls 303: Local/102, which is optimised away."""
    phone, leg = talks(s, "104", "303", 2)
    phone.hang_up(leg)


def desk_and_mobile(s: Scene) -> None:
    """104 calls 304: the mobile by a Local channel and 101 at once; the mobile answers."""
    s.meets("101", None)
    s.meets("outside", 200, 1)
    phone, leg = talks(s, "104", "304", 2)
    phone.hang_up(leg)


def forward_to_mobile(s: Scene) -> None:
    """Outside calls 830, which the dial plan sends to a mobile by a Local channel."""
    phone, leg = talks(s, "outside", DDI + "830", 2)
    phone.hang_up(leg)


def forward_by_phone(s: Scene) -> None:
    """104 calls 110, a phone that answers with 302 to 102, who answers."""
    s.forwards_to("102")
    phone, leg = talks(s, "104", "110", 2)
    phone.hang_up(leg)


def forward_by_phone_to_mobile(s: Scene) -> None:
    """Outside calls the number of 110, a phone that answers with 302 to a mobile, which answers."""
    s.forwards_to(MOBILE)
    phone, leg = talks(s, "outside", DDI + "110", 2)
    phone.hang_up(leg)


def forward_unanswered(s: Scene) -> None:
    """104 calls 110, a phone that answers with 302 to 102, who does not answer."""
    s.forwards_to("102")
    s.meets("102", None)
    phone = s.phone("104")
    phone.ended(phone.call("110"))


def follow_me(s: Scene) -> None:
    """104 calls 820: FollowMe tries 102 for 3 s, then a mobile, which answers and accepts."""
    s.meets("102", None)
    s.meets("outside", 200, 0.5)
    phone = s.phone("104")
    leg = phone.call("820")
    s.ami.until("Event: Newstate", "Channel: PJSIP/provider-", "ChannelStateDesc: Up")
    s.talk(2.2)  # who calls is told for 1.8 s, and then may be accepted
    s.dtmf("PJSIP/provider-", "1")
    s.talk(2.3)
    phone.hang_up(leg)
