"""Streams of live changes while real phones talk through the real Asterisk: as soon as the phones know. Run by `tools/checks/pbx`."""

import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from pbx_place import VISIBLE_S, Place, record, talk  # type: ignore[attr-defined]
from tests.streaming import Listener, Told


class Heard:
    """What a stream says, and when it came."""

    def __init__(self, place: Place) -> None:
        self.told: list[tuple[float, Told]] = []
        self._listener = Listener(place.server, X_Auth_Token=place.acme.token)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(EOFError, ValueError, OSError):
            while True:
                told = self._listener.next()
                self.told.append((time.monotonic(), told))

    def names(self) -> list[str]:
        return [told.name for _, told in self.told]

    def presences(self) -> set[tuple[int, str]]:
        """By user ids; who had talked before may become free meanwhile."""
        return {(told.data["id"], told.data["presence"]) for _, told in self.told if told.name == "user.presence"}

    def call(self) -> Any:
        """As it was told last; what its signalling says is known a moment after it was answered."""
        return [told.data for _, told in self.told if told.name.startswith("call.")][-1]

    def at(self, name: str, state: str | None = None) -> float | None:
        """When it first said so."""
        found = (at for at, told in self.told if told.name == name and state in (None, told.data.get("state")))
        return next(found, None)


@pytest.fixture
def heard(place: Place) -> Heard:
    place.ready()
    made = Heard(place)
    place.until(made.names)
    assert made.names()[0] == "reset"
    return made


def test_a_call_is_told_of_as_it_rings_talks_and_ends(place: Place, heard: Heard) -> None:
    place.scene.meets("102", None)
    caller = place.scene.phone("101")
    called = place.scene.phone("102")
    legs = len(called.legs)
    leg = caller.call("102")
    called.until(lambda: len(called.legs) > legs, "is called")
    rang_at = time.monotonic()
    place.until(lambda: heard.at("call.created") or heard.at("call.updated", "RINGING"))
    place.until(lambda: heard.at("call.created", "RINGING") or heard.at("call.updated", "RINGING"))
    (call,) = place.rows("/calls")
    assert {told.data["id"] for _, told in heard.told if told.name.startswith("call.")} == {call["id"]}
    assert (call["src"], call["dst"], call["state"]) == ("101", "102", "RINGING")
    caller.hang_up(leg)
    hung_up_at = time.monotonic()
    ended_at = place.until(lambda: heard.at("call.ended"))
    stored_at = place.until(lambda: heard.at("cdr.created"))
    ringing_at = heard.at("call.created", "RINGING") or heard.at("call.updated", "RINGING")
    assert ringing_at is not None
    seconds = {"ringing": ringing_at - rang_at, "ended": ended_at - hung_up_at, "stored": stored_at - hung_up_at}
    assert all(each < VISIBLE_S for each in seconds.values()), seconds
    assert [told.data["live_id"] for _, told in heard.told if told.name == "cdr.created"] == [call["id"]]
    place.scene.quiet()


def test_a_talk_is_told_of_with_the_presence_of_who_talks(place: Place, heard: Heard) -> None:
    talk(place, "101", "102")
    talks_at = time.monotonic()
    connected_at = place.until(lambda: heard.at("call.updated", "CONNECTED") or heard.at("call.created", "CONNECTED"))
    assert connected_at - talks_at < VISIBLE_S
    place.until(lambda: heard.call() == {**place.rows("/calls")[0], "duration": heard.call()["duration"]})
    busy = {(place.users[ext], "busy") for ext in ("101", "102")}
    place.until(lambda: busy <= heard.presences())
    record.hang_up_all(place.scene)
    place.until(lambda: heard.at("cdr.created") and heard.at("call.ended"))
    assert heard.names().count("call.ended") == heard.names().count("cdr.created") == 1
