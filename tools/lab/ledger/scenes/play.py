"""What scenes are played with; the dial plan is `etc/extensions.conf`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab import Leg, Phone
    from record import Scene

Play = Callable[["Scene"], None]
DDI, MOBILE = "442079460", "07700900456"


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


def talks_on(scene: Scene, name: str, phone: Phone, leg: Leg) -> None:
    """The one of that name answers, they talk for 2 s, and `phone` hangs up."""
    until_up(scene, name)
    scene.talk(2)
    phone.hang_up(leg)


def until_rings(scene: Scene, name: str) -> None:
    scene.ami.until("Event: Newstate", f"Channel: PJSIP/{name}-", "ChannelStateDesc: Ringing")


def as_a_second_begins() -> None:
    """How long somebody has waited, a queue counts in whole seconds of its clock: later in a second it tries one member less."""
    time.sleep(1 - time.time() % 1)


def attended(s: Scene, phone: Phone, leg: Leg, number: str) -> None:
    phone.agree("hold", leg)
    other = phone.call(number)
    phone.talks(other)
    s.talk(1)
    phone.within("join", leg, other=phone.legs.index(other))
    phone.ended(other)


def originate(s: Scene, channel: str, exten: str, **more: str) -> None:
    s.ami.action(
        Action="Originate", Channel=channel, Exten=exten, Context="internal", Priority="1", Async="true", **more
    )


def redirect(s: Scene, channel: str, exten: str) -> None:
    """As a program sends a call on: the channel that begins so."""
    s.ami.action(Action="Redirect", Channel=s.ami.channel(channel), Exten=exten, Context="internal", Priority="1")
