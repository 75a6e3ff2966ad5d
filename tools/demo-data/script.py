"""The calls, each a short play for the phones of the lab; `SCRIPT` is their order."""

from __future__ import annotations

from collections.abc import Callable

from lab import Lab
from phones import Ringing

NEVER = Ringing(code=None)
BUSY = Ringing(ring_s=0.3, code=486)


def internal(lab: Lab) -> None:
    caller = lab.call("101", "102")
    callee = lab.party("102")
    lab.small_talk(caller, callee)
    lab.ends(callee)


def outbound_recorded(lab: Lab) -> None:
    caller = lab.call("101", "+493023125456")
    callee = lab.party("carrier")
    lab.says(caller, "alice-orders")
    lab.says(callee, "berlin-confirms")
    lab.ends(caller)


def outbound_with_hold(lab: Lab) -> None:
    caller = lab.call("102", "+12025550143")
    callee = lab.party("carrier")
    lab.says(callee, "small-talk-one")
    caller.hold()
    lab.exchange.wait(4)
    caller.resume()
    lab.exchange.wait(1)
    lab.says(caller, "small-talk-two")
    lab.ends(callee)


def inbound_recorded(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460102", "+12025550178")
    callee = lab.party("102")
    lab.says(caller, "customer-asks")
    lab.says(callee, "bob-answers")
    lab.ends(caller)


def inbound_not_answered(lab: Lab) -> None:
    lab.meets({"104": NEVER})
    lab.call("carrier", "+442079460104", "+447700900321")
    lab.over()


def inbound_given_up(lab: Lab) -> None:
    lab.meets({"103": NEVER})
    caller = lab.call("carrier", "+442079460103", "+447700900321")
    lab.rings("103")
    lab.exchange.wait(4)
    lab.ends(caller)


def inbound_anonymous(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460101", private=True)
    callee = lab.party("101")
    lab.small_talk(caller, callee)
    lab.ends(callee)


def inbound_unknown_number(lab: Lab) -> None:
    lab.call("carrier", "+442079460177", "+12025550199")
    lab.over()


def internal_busy(lab: Lab) -> None:
    lab.meets({"104": BUSY})
    lab.call("103", "104")
    lab.over()


def internal_unknown(lab: Lab) -> None:
    lab.call("104", "199")
    lab.over()


def outbound_busy(lab: Lab) -> None:
    lab.meets({"carrier": BUSY})
    lab.call("101", "+12025550111")
    lab.over()


def outbound_not_answered(lab: Lab) -> None:
    lab.meets({"carrier": NEVER})
    lab.call("103", "+33199001234")
    lab.over()


def outbound_cancelled(lab: Lab) -> None:
    lab.meets({"carrier": NEVER})
    caller = lab.call("102", "+447700900555")
    lab.rings("carrier")
    lab.exchange.wait(3)
    lab.ends(caller)


def outbound_unknown_number(lab: Lab) -> None:
    lab.meets({"carrier": Ringing(ring_s=0.3, code=404)})
    lab.call("101", "+442079460999")
    lab.over()


def outbound_failed(lab: Lab) -> None:
    lab.meets({"carrier": Ringing(ring_s=0.3, code=503)})
    lab.call("104", "+61255501234")
    lab.over()


def voicemail(lab: Lab) -> None:
    lab.meets({"105": NEVER})
    caller = lab.call("carrier", "+442079460105", "+493023125789")
    lab.talking(caller)
    lab.exchange.wait(6.5)  # the greeting and the tone
    lab.says(caller, "message-for-erin")
    lab.ends(caller)


def queue_answered(lab: Lab) -> None:
    lab.meets({"103": NEVER})
    caller = lab.call("carrier", "+442079460110", "+447700900118")
    lab.talking(caller)
    lab.hears("on-hold")
    callee = lab.party("104")
    lab.says(caller, "caller-collects")
    lab.says(callee, "dave-confirms")
    lab.ends(callee)


def queue_abandoned(lab: Lab) -> None:
    lab.meets({"103": NEVER, "104": NEVER})
    caller = lab.call("carrier", "+442079460110", "+12025550178")
    lab.talking(caller)
    lab.hears("on-hold")
    lab.exchange.wait(9)
    lab.ends(caller)


def ring_group(lab: Lab) -> None:
    lab.meets({"101": NEVER, "102": Ringing(ring_s=3), "103": BUSY})
    caller = lab.call("carrier", "+442079460120", "+353209100001")
    callee = lab.party("102")
    lab.small_talk(caller, callee)
    lab.ends(caller)


def menu(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460100", "+441314960222")
    lab.talking(caller)
    lab.exchange.wait(5)
    caller.dialDtmf("2")
    callee = lab.party("101")
    lab.says(caller, "dealer-offers")
    lab.says(callee, "alice-listens")
    lab.ends(callee)


def menu_left(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460100", "+12025550199")
    lab.talking(caller)
    lab.exchange.wait(3)
    lab.ends(caller)


def blind_transfer(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460101", "+12025550143")
    first = lab.party("101")
    lab.small_talk(caller, first)
    first.transfer("103")
    second = lab.party("103")
    lab.small_talk(second, caller)
    lab.ends(caller)


def attended_transfer(lab: Lab) -> None:
    caller = lab.call("carrier", "+442079460101", "+447700900118")
    first = lab.party("101")
    lab.says(caller, "small-talk-one")
    first.hold()
    lab.exchange.wait(1)
    asking = lab.call("101", "104")
    second = lab.party("104")
    lab.small_talk(asking, second)
    asking.transfer_to(first)
    lab.exchange.until(lambda: first.ended and asking.ended, "101 is out of it")
    lab.small_talk(second, caller)
    lab.ends(second)


def diverted(lab: Lab) -> None:
    """The phone sends the call on to a mobile (302)."""
    lab.meets({"101": Ringing(ring_s=1, code=302, divert_to="+447700900777")})
    caller = lab.call("102", "101")
    callee = lab.party("carrier")
    lab.small_talk(caller, callee)
    lab.ends(caller)


SCRIPT: tuple[tuple[str, Callable[[Lab], None]], ...] = (
    ("internal", internal),
    ("outbound answered", outbound_recorded),
    ("inbound answered", inbound_recorded),
    ("outbound answered, hold", outbound_with_hold),
    ("inbound not answered", inbound_not_answered),
    ("internal busy", internal_busy),
    ("outbound busy", outbound_busy),
    ("outbound not answered", outbound_not_answered),
    ("outbound cancelled", outbound_cancelled),
    ("outbound unknown number", outbound_unknown_number),
    ("internal unknown number", internal_unknown),
    ("outbound failed", outbound_failed),
    ("inbound unknown number", inbound_unknown_number),
    ("inbound given up", inbound_given_up),
    ("voicemail", voicemail),
    ("queue answered", queue_answered),
    ("queue abandoned", queue_abandoned),
    ("ring group", ring_group),
    ("menu", menu),
    ("menu left", menu_left),
    ("blind transfer", blind_transfer),
    ("attended transfer", attended_transfer),
    ("diverted to mobile", diverted),
    ("inbound anonymous", inbound_anonymous),
)
