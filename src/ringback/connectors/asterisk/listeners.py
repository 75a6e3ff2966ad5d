"""Which mailboxes phones listen to: channels that are in the application VoiceMailMain."""

import threading
from collections.abc import Iterable

from ringback.connectors.asterisk.ami import Message

ANY = ""
"""The caller says which mailbox when asked."""
MOST = 10_000
"""Channels: more than listen at a time."""


class Listeners:
    """Of any thread: the link's begins and ends, the reader hears, and another one asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, str] = {}
        self._left: set[str] | None = set()
        """Channels that may stand in a snapshot which is on its way; None when it has come."""

    def begin(self, channels: Iterable[Message]) -> None:
        """What CoreShowChannels says at the beginning; what was heard since is newer."""
        found = {
            each.get("Uniqueid", ""): mailbox(each.get("ApplicationData", ""))
            for each in channels
            if _is_main(each.get("Application", ""))
        }
        with self._lock:
            left = self._left or set()
            self._of = {channel: place for channel, place in found.items() if channel not in left} | self._of
            self._left = None

    def end(self) -> None:
        """Nothing is known any more."""
        with self._lock:
            self._of, self._left = {}, set()

    def heard(self, message: Message) -> bool:
        """Whether somebody has left a mailbox."""
        kind, channel = message.get("Event", ""), message.get("Uniqueid", "")
        if kind not in {"Newexten", "Hangup"}:
            return False
        with self._lock:
            if kind == "Newexten" and _is_main(message.get("Application", "")):
                self._of[channel] = mailbox(message.get("AppData", ""))
                if len(self._of) > MOST:
                    del self._of[next(iter(self._of))]
                return False
            if self._left is not None:
                self._left.add(channel)
            return self._of.pop(channel, None) is not None

    def any_at(self, place: str) -> bool:
        """`place`: CONTEXT/MAILBOX."""
        with self._lock:
            return any(each in (ANY, place) for each in self._of.values())


def mailbox(data: str) -> str:
    """The arguments `mailbox@context,options` as the spool names it, or ANY."""
    name, _, options = data.partition(",")
    number, _, context = name.partition("@")
    return f"{context or 'default'}/{number}" if number and "p" not in options else ANY


def _is_main(application: str) -> bool:
    return application.lower() == "voicemailmain"
