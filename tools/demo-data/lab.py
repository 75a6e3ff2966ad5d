"""What a call of the script may ask for: who calls whom, who says what, and to wait for what the phones see."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from phones import Exchange, Leg, Phone, Ringing


@dataclass
class Lab:
    exchange: Exchange
    phones: dict[str, Phone]
    speech: Path
    said: list[dict[str, str]] = field(default_factory=list)

    def call(self, phone: str, number: str, caller: str | None = None, private: bool = False) -> Leg:
        return self.phones[phone].call(number, caller, private)

    def meets(self, ringing: dict[str, Ringing]) -> None:
        """How these phones meet the calls of this play; all others ring for 1.5 s and answer."""
        for name, phone in self.phones.items():
            phone.meets = ringing.get(name, Ringing())

    def talking(self, leg: Leg) -> None:
        self.exchange.until(lambda: leg.talking, f"{leg.phone.name} talks")

    def party(self, name: str) -> Leg:
        """The call at that phone, as soon as it talks."""
        self.exchange.until(lambda: any(leg.talking for leg in self._at(name)), f"{name} talks")
        return next(leg for leg in reversed(self._at(name)) if leg.talking)

    def rings(self, name: str) -> None:
        self.exchange.until(lambda: bool(self._at(name)), f"{name} rings")

    def says(self, leg: Leg, sentence: str) -> None:
        self.exchange.breathe(leg)
        self.hears(sentence, leg.phone.name)
        self.exchange.play(leg, self.speech / f"{sentence}.wav")

    def hears(self, sentence: str, speaker: str = "pbx") -> None:
        """Write down that this sentence begins now."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.said.append({"phone": speaker, "speech": f"{sentence}.wav", "at": at})

    def small_talk(self, one: Leg, two: Leg) -> None:
        self.says(one, "small-talk-one")
        self.says(two, "small-talk-two")

    def over(self) -> None:
        """Wait until no phone is in a call."""
        self.exchange.until(lambda: all(leg.ended for leg in self.exchange.legs), "all calls ended")

    def ends(self, leg: Leg) -> None:
        leg.hang_up()
        self.over()

    def _at(self, name: str) -> list[Leg]:
        return [leg for leg in self.exchange.legs if leg.phone.name == name]
