"""Calls as scenes: a table of who says what to whom, which becomes packets. Made for tests of the diagnosis.

A line is `seconds  who > whom [> whom …]  what  number  words…`:

    0.0   alice > p > bob   INVITE      1   sdp
    0.2   bob > p > alice   180/INVITE  1
    1.0   bob > p > alice   200/INVITE  1   sdp:PCMA,sendonly
    1.1   alice > p > bob   ACK         1
    5.0   alice ~ bob       RTCP            sent=250 lost=0.0

`what` is a method, or status/method of the request that is answered. Several hops: a proxy passes it on, 2 ms each. A side of a
dialog is whoever begins its first INVITE and whoever is last on its way; others are proxies. Words:

    leg=x           the Call-ID (default `one`)
    sdp             an offer or answer; `sdp:` with codecs, a direction, `@address`, `port0`, `image` after it
    x4              sent four times, as T1 has it (RFC 3261 section 17.1.1.2)
    to=bob          the called number, where it is not the one of the last on the way
    as=103          the caller's number, where it is not the side's own
    initial         an INVITE outside of the dialog though it is answered already
    branch=b        another branch of the same hop
    Name=value      a header; `_` is a space
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from ringback.sip.packet import Endpoint, Packet

START_US = 1_795_341_600_000_000
HOP_US = 2_000
ADDRESSES = {
    "alice": "198.51.100.11",
    "bob": "203.0.113.22",
    "carol": "203.0.113.33",
    "dave": "203.0.113.44",
    "p": "192.0.2.1",
    "q": "192.0.2.2",
    "pbx": "192.0.2.9",
    "gw": "192.0.2.30",
}
PROXIES = frozenset({"p", "q"})
NUMBERS = {
    "alice": "101",
    "bob": "102",
    "carol": "103",
    "dave": "104",
    "pbx": "500",
    "gw": "12025550123",
    "p": "102",
    "q": "102",
}
PHRASES = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required",
    408: "Request Timeout", 415: "Unsupported Media Type", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 433: "Anonymity Disallowed", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error", 503: "Service Unavailable", 504: "Server Time-out", 600: "Busy Everywhere",
    603: "Decline", 606: "Not Acceptable", 608: "Rejected",
}  # fmt: skip
_FORMATS = {"PCMU": 0, "PCMA": 8, "G722": 9, "G729": 18, "opus": 111, "telephone-event": 101}
_STREAMS = ("sendrecv", "sendonly", "recvonly", "inactive")
_T1_S = 0.5


class Spoken(NamedTuple):
    """A line. ``key``: which request it is, or answers."""

    at_us: int
    way: list[str]
    status: int
    method: str
    number: str
    words: list[str]

    @property
    def leg(self) -> str:
        return self.option("leg", "one")

    @property
    def key(self) -> tuple[str, str, str]:
        return self.leg, self.number, self.method

    def option(self, name: str, otherwise: str = "") -> str:
        return next((word[len(name) + 1 :] for word in self.words if word.startswith(f"{name}=")), otherwise)


class Scene:
    """What was said so far, as far as it bears on what is said next."""

    def __init__(self, addresses: Mapping[str, str], transport: str, suffix: str) -> None:
        self._addresses = {**ADDRESSES, **addresses}
        self._transport, self._suffix = transport, suffix
        self._caller: dict[str, str] = {}
        self._callee: dict[str, str] = {}
        self._answered: set[str] = set()
        self._asker: dict[tuple[str, str, str], str] = {}
        self._vias: dict[tuple[str, str, str, str], list[str]] = {}
        self._targets: dict[tuple[str, str, str], str] = {}
        self._finals: dict[tuple[str, str, str, str], str] = {}

    def packets(self, table: str) -> Iterator[Packet]:
        for line in filter(None, map(str.strip, table.splitlines())):
            if " ~ " in line:
                yield self._rtcp(line.split())
            else:
                yield from self._said(_spoken(line))

    # -- SIP ----------------------------------------------------------------------------------------------------------

    def _said(self, line: Spoken) -> Iterator[Packet]:
        self._learn(line)
        bodies = self._body(line)
        for hop, (sender, receiver) in enumerate(pairwise(line.way)):
            payload = (self._response if line.status else self._request)(line, sender, receiver, bodies)
            for offset_us in _offsets_us(line):
                at_us = START_US + line.at_us + hop * HOP_US + offset_us
                yield Packet(at_us, self._transport, self._end(sender), self._end(receiver), payload.encode())
        if line.status and 200 <= line.status < 300 and line.method == "INVITE":
            self._answered.add(line.leg)

    def _learn(self, line: Spoken) -> None:
        first, last = line.way[0], line.way[-1]
        if line.status:
            return
        self._caller.setdefault(line.leg, first)
        if line.method == "INVITE" and line.leg not in self._answered and last not in PROXIES:
            self._callee[line.leg] = last
        self._callee.setdefault(line.leg, last)
        if line.method == "ACK":
            self._asker.setdefault(line.key, self._asker.get((line.leg, line.number, "INVITE"), first))
        self._asker.setdefault(line.key, first)

    def _request(self, line: Spoken, sender: str, receiver: str, body: str) -> str:
        asker = self._asker[line.key]
        asked = self._asked(line, asker)
        before = self._vias.get((*line.key, sender), [])
        branch = f"z9hG4bK{line.leg}{line.method.replace('CANCEL', 'INVITE')}{line.number}{sender}{receiver}"
        via = f"SIP/2.0/{self._transport} {_uri_host(self._addresses[sender])}:5060;branch={branch}{line.option('branch')}"
        vias = [via, *before]
        self._vias[*line.key, receiver] = vias
        number = line.option("to") or NUMBERS.get(line.way[-1]) or NUMBERS.get(asked, asked)
        target = self._targets.setdefault((line.leg, line.number, line.method), f"sip:{number}@example.com")
        uri = f"sip:{number}@{_uri_host(self._addresses[receiver])}" if "retarget" in line.words else target
        outside = "initial" in line.words or (line.method in ("INVITE", "REGISTER") and line.leg not in self._answered)
        hops = 70 - len(before)
        return self._written(
            line,
            [f"{line.method} {uri} SIP/2.0", *(f"Via: {each}" for each in vias), f"Max-Forwards: {hops}"],
            asker,
            "" if outside or line.method == "CANCEL" else self._to_tag(line, sender, receiver, asked),
            body,
            line.way[0] if line.method in ("INVITE", "UPDATE") else "",
        )

    def _response(self, line: Spoken, sender: str, receiver: str, body: str) -> str:
        asker = self._asker[line.key]
        # Who answers: the last one on the way back, or a proxy of its own accord.
        answerer = line.way[0]
        vias = self._vias[*line.key, sender]
        received = line.option("received")
        self._finals[line.leg, line.number, receiver, sender] = self._tag(line.leg, answerer)
        top = vias[0] + (f";received={received};rport=40000" if received and receiver == line.way[-1] else "")
        phrase = PHRASES[line.status]
        return self._written(
            line,
            [f"SIP/2.0 {line.status} {phrase}", *(f"Via: {each}" for each in (top, *vias[1:]))],
            asker,
            "" if line.status == 100 else self._tag(line.leg, answerer),
            body,
            answerer if 100 < line.status < 300 else "",
        )

    def _written(self, line: Spoken, begin: list[str], asker: str, to_tag: str, body: str, contact: str) -> str:
        asked = self._asked(line, asker)
        called = self._targets.get((line.leg, line.number, line.method), f"sip:{NUMBERS.get(asked, asked)}@example.com")
        number = line.option("as") or NUMBERS.get(asker, asker)
        headers = [
            *begin,
            f"From: <sip:{number}@example.com>;tag={self._tag(line.leg, asker)}",
            f"To: <{called}>{f';tag={to_tag}' if to_tag else ''}",
            f"Call-ID: {line.leg}{self._suffix}",
            f"CSeq: {line.number} {line.method}",
            *([f"Contact: <sip:{contact}@{_uri_host(self._addresses[contact])}:5060>"] if contact else []),
            *(
                word.replace("=", ": ", 1).replace("_", " ")
                for word in line.words
                if word[:1].isupper() and "=" in word
            ),
            *(["Content-Type: application/sdp"] if body.startswith("v=0") else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(headers) + "\r\n\r\n" + body

    def _tag(self, leg: str, name: str) -> str:
        return f"{name}-{leg}"

    def _to_tag(self, line: Spoken, sender: str, receiver: str, asked: str) -> str:
        """An ACK has that of the response which it acknowledges."""
        acknowledged = self._finals.get((line.leg, line.number, sender, receiver)) if line.method == "ACK" else None
        return acknowledged or self._tag(line.leg, asked)

    def _asked(self, line: Spoken, asker: str) -> str:
        """The other side of the dialog; where the call forked, which of them."""
        end = line.way[0] if line.status else line.way[-1]
        if end not in PROXIES and end != asker:
            return end
        return self._callee[line.leg] if asker == self._caller[line.leg] else self._caller[line.leg]

    def _body(self, line: Spoken) -> str:
        fragment = line.option("sipfrag")
        if fragment:
            return f"SIP/2.0 {fragment.replace('_', ' ')}\r\n"
        word = next((each for each in line.words if each == "sdp" or each.startswith("sdp:")), "")
        if not word:
            return ""
        says = [each for each in word[4:].split(",") if each]
        address = next((each[1:] for each in says if each.startswith("@")), self._addresses[line.way[0]])
        return _sdp(line.way[0], address, says)

    def _end(self, name: str) -> Endpoint:
        return Endpoint(self._addresses[name], 5060)

    # -- RTCP ---------------------------------------------------------------------------------------------------------

    def _rtcp(self, words: list[str]) -> Packet:
        """`sent=` packets so far (none: a receiver report), `lost=` fraction of what is heard (none: nothing heard)."""
        at_s, sender, _, receiver, _, *rest = words
        told = dict(word.split("=", 1) for word in rest)
        blocks = [float(told["lost"])] if "lost" in told else []
        src, dst = (Endpoint(self._addresses[name], 4001) for name in (sender, receiver))
        ssrc, other = (sum(name.encode()) for name in (sender, receiver))
        body = struct.pack("!I", ssrc)
        if "sent" in told:
            body += struct.pack("!5I", 1, 1, 1, int(told["sent"]), int(told["sent"]) * 160)
        for lost in blocks:
            body += struct.pack("!6I", other, min(int(lost * 256), 255) << 24, 0, 10, 0, 0)
        kind = 200 if "sent" in told else 201
        payload = struct.pack("!BBH", 0x80 | len(blocks), kind, len(body) // 4) + body
        return Packet(START_US + round(float(at_s) * 1_000_000), "UDP", src, dst, payload)


def scene(table: str, transport: str = "UDP", suffix: str = "@example.com", **addresses: str) -> list[Packet]:
    """The packets by time. ``addresses``: of who is elsewhere than `ADDRESSES` says."""
    return sorted(Scene(addresses, transport, suffix).packets(table), key=lambda packet: packet.at_us)


def _spoken(line: str) -> Spoken:
    at_s, *rest = line.split()
    way = [rest.pop(0)]
    while rest[0] == ">":
        way.append(rest[1])
        del rest[:2]
    what, number, *words = rest
    status, _, method = what.rpartition("/")
    return Spoken(round(float(at_s) * 1_000_000), way, int(status or 0), method, number, words)


def _offsets_us(line: Spoken) -> Iterator[int]:
    """Doubling from T1; up to T2, 4 s, for all but INVITE."""
    times = next((int(word[1:]) for word in line.words if word[:1] == "x" and word[1:].isdecimal()), 1)
    at_s, step_s = 0.0, _T1_S
    for _ in range(times):
        yield round(at_s * 1_000_000)
        at_s += step_s
        step_s = step_s * 2 if line.method == "INVITE" and not line.status else min(step_s * 2, 4.0)


def _sdp(owner: str, address: str, says: list[str]) -> str:
    codecs = [each for each in says if each in _FORMATS] or ["PCMU", "telephone-event"]
    direction = next((each for each in says if each in _STREAMS), "sendrecv")
    port = 0 if "port0" in says else 4000
    family = 6 if ":" in address else 4
    lines = [
        "v=0",
        f"o={owner} 1 1 IN IP{family} {address}",
        "s=-",
        f"c=IN IP{family} {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(str(_FORMATS[each]) for each in codecs)}",
        *(f"a=rtpmap:{_FORMATS[each]} {each}/8000" for each in codecs),
        f"a={direction}",
        *(["a=candidate:1 1 UDP 1 203.0.113.99 4000 typ srflx"] if "ice" in says else []),
        *(["m=image 4400 udptl t38"] if "image" in says else []),
    ]
    return "\r\n".join(lines) + "\r\n"


def _uri_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
