"""Which files MixMonitor (`apps/app_mixmonitor.c`) writes, by what AMI tells of it.

No event names a file. The channel's variable MIXMONITOR_FILENAME does, which is set as a recording begins, whoever ordered it:
the dial plan, an action, a key of the phone. The files of one side alone (options `r` and `t`) stand in the arguments of the
application only. The end is told by MixMonitorStop where somebody ordered that, else it is the end of the channel.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ringback.connectors.asterisk.ami import Message

VARIABLE = "MIXMONITOR_FILENAME"
LONGEST_PATH = 1_024
MOST = 20_000
"""Channels whose arguments are remembered until the recording begins."""
_SIDE = re.compile(r"([rt])\(([^()]{1,1024})\)")
_LAST_PARENTHESIS = re.compile(r"\([^()]*\)")


@dataclass(slots=True, eq=False)
class Recording:
    """Paths are the PBX's own, or relative to the folder where it puts recordings; empty where there is no such file.
    `received`: what the channel's party says; `sent`: what it hears. `ended_us` is None while it lasts."""

    channel: str
    linked_id: str
    mixed: str
    received: str
    sent: str
    started_us: int
    ended_us: int | None = None

    @property
    def paths(self) -> tuple[str, str, str]:
        return self.mixed, self.received, self.sent


class Arguments:
    """Of applications MixMonitor that have been entered, by channel, until their recording begins."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, str, str]] = {}

    def heard(self, message: Message, now_us: int) -> Recording | None:
        """What has begun by this event."""
        kind, channel = message.get("Event", ""), message.get("Uniqueid", "")
        if kind == "Newexten" and message.get("Application", "").lower() == "mixmonitor":
            self._of[channel] = files(message.get("AppData", ""))
            if len(self._of) > MOST:
                del self._of[next(iter(self._of))]
        elif kind == "VarSet" and message.get("Variable") == VARIABLE:
            _, received, sent = self._of.pop(channel, ("", "", ""))
            return _begun(message, (message.get("Value", ""), received, sent), now_us)
        elif kind == "MixMonitorStart" and channel in self._of:  # there was no event VarSet
            return _begun(message, self._of.pop(channel), now_us)
        elif kind == "Hangup":
            self._of.pop(channel, None)
        return None


def _begun(message: Mapping[str, str], paths: tuple[str, str, str], now_us: int) -> Recording | None:
    if not any(paths) or any(len(path) > LONGEST_PATH or "\0" in path for path in paths):
        return None
    return Recording(message.get("Uniqueid", ""), message.get("Linkedid", ""), *paths, now_us)


def files(data: str) -> tuple[str, str, str]:
    """The arguments `file,options,command`: the mixed file, that of the party, that of what it hears."""
    name, _, rest = data.partition(",")
    sides = dict(_SIDE.findall(_options(rest)))
    return _named(name), _named(sides.get("r", "")), _named(sides.get("t", ""))


def _options(rest: str) -> str:
    """Without the command behind them: a comma within parentheses ends nothing."""
    blind = _LAST_PARENTHESIS.sub(lambda found: "x" * len(found[0]), rest)
    return rest[: len(blind.partition(",")[0])]


def _named(path: str) -> str:
    """As Asterisk writes it: `wav49` becomes `WAV`."""
    bare = path.strip().strip('"')
    return f"{bare.removesuffix('.wav49')}.WAV" if bare.endswith(".wav49") else bare
