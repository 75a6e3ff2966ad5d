"""Quality reports of phones (RFC 6035): ``application/vq-rtcpxr`` in PUBLISH and NOTIFY, or by itself as agents pass it on."""

import re
from typing import NamedTuple

from ringback.sip.packet import Endpoint
from ringback.sip.reports.rtcp import VoiceMetrics

_STARTS = (b"VQSessionReport", b"VQIntervalReport", b"VQAlertReport")
_CARRIERS = (b"PUBLISH ", b"NOTIFY ")
_BEARERS = _STARTS + _CARRIERS
_CALL_ID = re.compile(rb"(?:^|[\r\n])CallID[ \t]*:[ \t]*([^\s]+)", re.I)
_MOST_LINES = 200
_BEGINS = {"localmetrics": "local", "remotemetrics": "remote"}


class VoiceReport(NamedTuple):
    """``local``: what the reporter hears, ``remote``: what it was told of the other side; None where it is not said.

    ``by_caller``: whether the reporter made the call, None where that is not said. ``end``: where the reporter's media come
    to. ``codec``: as the report names it.
    """

    call_id: str
    by_caller: bool | None
    end: Endpoint | None
    codec: str
    local: VoiceMetrics | None
    remote: VoiceMetrics | None


def is_bare(payload: bytes) -> bool:
    return payload.startswith(_STARTS)


def is_in(payload: bytes) -> bool:
    if not payload.startswith(_BEARERS):
        return False
    return is_bare(payload) or (b"vq-rtcpxr" in payload and b"VQ" in payload)


def call_id(payload: bytes) -> str:
    """Of the call that it is about; empty for what is no quality report."""
    found = _CALL_ID.search(payload) if is_in(payload) else None
    return found[1].decode("utf-8", "replace") if found else ""


def report(payload: bytes) -> VoiceReport | None:
    """None for what is no quality report."""
    named = call_id(payload)
    if not named:
        return None
    parts = _parts(payload)
    common, local, remote = (parts[each] for each in ("", "local", "remote"))
    said = {**common, **local}
    address = _words(said.get("localaddr", ""))
    made, reporter = said.get("origid", ""), said.get("localid", "")
    return VoiceReport(
        named,
        made == reporter if made and reporter else None,
        _end(address),
        _words(said.get("sessiondesc", "")).get("pd", ""),
        _metrics(local),
        _metrics(remote),
    )


def _parts(payload: bytes) -> dict[str, dict[str, str]]:
    """The lines before the metrics, those of the local and of the remote end, by name; names in lower case."""
    found: dict[str, dict[str, str]] = {"": {}, "local": {}, "remote": {}}
    part = ""
    lines = payload[max(payload.find(b"VQ"), 0) :].decode("utf-8", "replace").splitlines()
    for line in lines[:_MOST_LINES]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        part = _BEGINS.get(name, part)
        found[part].setdefault(name, value.strip())
    return found


def _metrics(lines: dict[str, str]) -> VoiceMetrics | None:
    """Rates are in percent, times in ms."""
    loss, delay = _words(lines.get("packetloss", "")), _words(lines.get("delay", ""))
    quality = _words(lines.get("qualityest", ""))
    found = VoiceMetrics(
        loss=_rate(loss.get("nlr", "")),
        discarded=_rate(loss.get("jdr", "")),
        jitter_ms=_number(delay.get("iaj", "")),
        round_trip_ms=_number(delay.get("rtd", "")),
        delay_ms=_number(delay.get("esd", "")),
        r=_number(quality.get("rcq", ""), 120),
        mos_lq=_number(quality.get("moslq", ""), 5),
        mos_cq=_number(quality.get("moscq", ""), 5),
    )
    return found if any(each is not None for each in found[1:]) else None


def _words(text: str) -> dict[str, str]:
    """``NAME=value NAME=value``."""
    pairs = (word.partition("=") for word in text.split())
    return {name.lower(): value for name, _, value in pairs}


def _end(address: dict[str, str]) -> Endpoint | None:
    port = _number(address.get("port", ""), 65_535)
    return Endpoint(address["ip"], int(port)) if port is not None and address.get("ip") else None


def _rate(text: str) -> float | None:
    number = _number(text, 100)
    return None if number is None else number / 100


def _number(text: str, most: int = 65_535) -> float | None:
    """From 0 to ``most``; 127 is how some phones say that they do not know."""
    if not re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", text, re.A):
        return None
    number = float(text)
    return number if number <= most and number != 127 else None
