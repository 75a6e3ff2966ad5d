"""FreeSWITCH's call records as rows. A leg comes as its channel variables by name, from JSON or from CSV.

Every channel is a leg of its own. What one calls is the leg that FreeSWITCH accepted or began (A); each channel that it
originated for it is another (B), which names the first in `originating_leg_uuid`. A leg knows the codec and the user agent of its own
end alone. Causes are those of `switch_types.h`, which are Q.850's and some of its own.

Nothing here knows users or the database.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b

from ringback.calls import numbers
from ringback.connectors.freeswitch.causes import Q850_OF
from ringback.importers.call_rows import CallRow, party, seconds
from ringback.importers.importer import Options
from ringback.importers.wall_clock import WallClock
from ringback.sip.causes import Q850

Leg = Mapping[str, str]
"""Channel variables, and what the caller profile says, as texts; what is not there is unknown.

Ours: `originator_uuid`, `originator_username`, `originator_destination` are of the first leg as the second one tells it."""

_ORIGINATOR = ("originating_leg_uuid", "originator_uuid", "originator")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_WHOLE = re.compile(r"(-?)(\d{1,16})(?:\.\d*)?", re.ASCII)

_RANG = {16, 18, 19, 26, 102}
"""Causes after which nobody answered a phone that rang, where the leg does not say whether it did."""
_UNSPECIFIED = 31

_CONTEXTS = {
    **dict.fromkeys(("callcenter", "fifo"), "QUEUE"),
    "voicemail": "VOICEMAIL",
    **dict.fromkeys(("conference", "conference_set_auto_outcall"), "CONFERENCE"),
    **dict.fromkeys(("ivr", "play_and_get_digits", "playback", "read", "phrase", "say", "directory"), "IVR"),
    **dict.fromkeys(("echo", "delay_echo", "gentones", "playback_tone"), "TEST_CALL"),
}


class Reader:
    """Makes rows of legs. ValueError when the time zone, that of `*_stamp` variables, is unknown."""

    def __init__(self, options: Options) -> None:
        self._clock = WallClock(options.time_zone)
        self._country, self._prefix = options.country, options.outside_prefix

    def row(self, line_no: int, leg: Leg, *, lossy: bool = False) -> CallRow | str:
        """The reason, when the leg cannot be used."""
        warnings = ["not UTF-8: unreadable bytes replaced"] if lossy else []
        try:
            return self._row(line_no, {name: numbers.clean(text) for name, text in leg.items()}, warnings)
        except ValueError as error:
            return str(error)

    def _row(self, line_no: int, leg: Leg, warnings: list[str]) -> CallRow:
        started_at, answered_at, ended_at = self._instants(leg, warnings)
        duration_s = _seconds(leg, "duration", ended_at - started_at, warnings)
        billsec = _seconds(leg, "billsec", 0 if answered_at is None else ended_at - answered_at, warnings)
        uuid, linked_id = leg.get("uuid") or None, _linked(leg)
        context = _context(leg)
        disposition = _disposition(leg, context, answered=answered_at is not None or billsec > 0)
        clid = _clid(leg)
        name, number = numbers.caller_id(clid or "")
        dst = self._party(leg.get("destination_number", ""))
        agent, codec = leg.get("sip_user_agent") or None, leg.get("read_codec") or leg.get("write_codec") or None
        second = linked_id is not None
        return CallRow(
            line_no=line_no,
            key=uuid[:200] if uuid else _digest(leg),
            uniqueid=uuid,
            linked_id=linked_id,
            started_at=started_at,
            answered_at=answered_at,
            ended_at=ended_at,
            duration_s=duration_s,
            billsec=billsec,
            src=self._party(leg.get("caller_id_number") or leg.get("ani") or number or ""),
            src_name=name,
            dst=dst,
            clid=clid,
            src_endpoint=_first(leg, "originator_username" if second else "user_name", "sip_auth_username"),
            dst_endpoint=_callee(leg, second=second),
            disposition=disposition,
            t_cause=Q850[_cause(leg, answered=disposition in {"CONNECTED", "VM"})],
            context=context,
            human=disposition == "CONNECTED" and _is_human(leg, context, second=second),
            info=leg.get("userfield") or None,
            warnings=tuple(warnings),
            src_ua=None if second else agent,
            src_codec=None if second else codec,
            dst_ua=agent if second else None,
            dst_codec=codec if second else None,
            second_leg=second,
            repeats=second and dst is not None and dst == self._dialled(leg, dst),
        )

    def _dialled(self, leg: Leg, otherwise: str) -> str | None:
        """What the first leg called. A second leg that names that one, and no more of it, went there too, so that no call is
        charged twice; a mere partner may be the second one."""
        told = leg.get("originator_destination", "")
        return otherwise if not told and _first(leg, *_ORIGINATOR) else self._party(told)

    def _party(self, text: str) -> str | None:
        return party(text, self._country, self._prefix)

    def _instants(self, leg: Leg, warnings: list[str]) -> tuple[int, int | None, int]:
        """start, answer, end. A file without the start begins with the answer, else with the end."""
        answered_at, ended_at = self._at(leg, "answer"), self._at(leg, "end")
        started_at = self._at(leg, "start")
        if started_at is None:
            started_at = answered_at if answered_at is not None else ended_at
        if started_at is None:
            raise ValueError("it has no time")
        if ended_at is None or ended_at < started_at:
            if ended_at is not None:
                warnings.append("end before start: taken from the duration")
            ended_at = started_at + _seconds(leg, "duration", 0, [])
        if answered_at is not None and not started_at <= answered_at <= ended_at:
            warnings.append("answer outside of the call: moved into it")
            answered_at = min(max(answered_at, started_at), ended_at)
        return started_at, answered_at, ended_at

    def _at(self, leg: Leg, name: str) -> int | None:
        for suffix, unit in (("_epoch", 1), ("_uepoch", 1_000_000)):
            if (text := leg.get(f"{name}{suffix}", "")) not in {"", "0"}:
                return _epoch(text, unit, name)
        text = leg.get(f"{name}_stamp", "")
        if not text:
            return None
        try:
            at = self._clock.at(text)
            return self._clock.nearest(text, None) if at is None else at
        except ValueError:
            raise ValueError(f"{name} is no possible time") from None


def _epoch(text: str, unit: int, name: str) -> int:
    found = _WHOLE.fullmatch(text)
    if found is None or found[1] or not 0 < int(found[2]) // unit <= _LAST_SECOND:
        raise ValueError(f"{name} is no possible time")
    return int(found[2]) // unit


def _seconds(leg: Leg, name: str, otherwise: int, warnings: list[str]) -> int:
    text = leg.get(name, "")
    return seconds(text, name, warnings) if text else max(otherwise, 0)


def _linked(leg: Leg) -> str | None:
    """The leg that this one was originated for. Where no variable says it, an outbound leg's partner is."""
    linked = _first(leg, *_ORIGINATOR)
    if linked is None and leg.get("direction") == "outbound":
        linked = leg.get("signal_bond") or None
    return None if linked == leg.get("uuid") else linked


def _first(leg: Leg, *names: str) -> str | None:
    return next(filter(None, map(leg.get, names)), None)


def _clid(leg: Leg) -> str | None:
    name, number = leg.get("caller_id_name", ""), leg.get("caller_id_number", "")
    if name and number:
        return numbers.clean(f'"{name}" <{number}>')
    return leg.get("caller_id") or name or number or None


def _callee(leg: Leg, *, second: bool) -> str | None:
    """Who was reached: a user's name, or that of the channel's far end."""
    channel = leg.get("channel_name" if second else "bridge_channel", "")
    return _first(leg, "dialed_user") or (endpoint_of(channel) if channel else None) or _first(leg, "sip_gateway_name")


def endpoint_of(channel: str) -> str | None:
    """`1003` of `sofia/internal/1003@10.30.40.77:5070`, `sofia/internal/sip:1003@host` and `verto.rtc/1003`."""
    name = channel.rpartition("/")[2] if "/" in channel else ""
    return name.removeprefix("sip:").removeprefix("sips:").partition("@")[0].partition(";")[0] or None


def _context(leg: Leg) -> str:
    if leg.get("cc_queue"):
        return "QUEUE"
    return _CONTEXTS.get(leg.get("last_app", "").lower(), "PSTN_CALL")


def _disposition(leg: Leg, context: str, *, answered: bool) -> str:
    if answered:
        leaves_message = context == "VOICEMAIL" and not leg.get("last_arg", "").startswith("check")
        return "VM" if leaves_message else "CONNECTED"
    cause = _cause(leg, answered=False)
    rang = any(leg.get(name, "0") not in {"", "0"} for name in ("progress_epoch", "progress_media_epoch"))
    knows = "progress_epoch" in leg
    return "RINGING" if (rang and cause != 17) or (not knows and cause in _RANG) else "INITIAL"


def _cause(leg: Leg, *, answered: bool) -> int:
    """As Q.850 numbers it. FreeSWITCH writes 16 beside causes of its own, so the name comes first. A file without causes
    tells only whether the call was answered."""
    found = Q850_OF.get(leg.get("hangup_cause", "").upper())
    number = leg.get("hangup_cause_q850", "")
    if found is None and number.isdecimal() and len(number) < 4 and int(number) in Q850:
        found = int(number)
    if found is None:
        found = 16 if answered and not leg.get("hangup_cause") else _UNSPECIFIED
    return found


def _is_human(leg: Leg, context: str, *, second: bool) -> bool:
    """Of an answered leg. A file that says neither whom the leg was bridged to nor what was done last leaves it open;
    then somebody answered."""
    if second or context in {"VOICEMAIL", "IVR", "TEST_CALL"}:
        return second
    bridged = _first(leg, "bridge_uuid", "bleg_uuid", "signal_bond", "bridge_channel") is not None
    return bridged or context == "CONFERENCE" or "last_app" not in leg


def _digest(leg: Leg) -> str:
    said = "\x1f".join(f"{name}={text}" for name, text in sorted(leg.items()))
    return blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()
