"""REGISTER transactions for tests, after RFC 3665 section 2.

A table like that of `sip_flows`: seconds, then `R` (a request) or a status with its phrase, CSeq, then words: `auth`, `stale`,
`contact=…`, `expires=…` (the header); a `_` stands for a space.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.sip.packet import Endpoint, Packet

START_US = 1_795_341_600_000_000  # 2026-11-22 10:00:00 UTC
REGISTRAR = Endpoint("192.0.2.201", 5060)
PHRASES = {
    100: "Trying", 200: "OK", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required",
    423: "Interval Too Brief", 500: "Server Internal Error", 503: "Service Unavailable",
}  # fmt: skip
DIGEST = 'Digest username="101", realm="pbx", nonce="84a4", uri="sip:pbx.example", response="dfe5"'


@dataclass(frozen=True)
class Line:
    """A phone: `shown` is the address that it believes to have, where a router changes it."""

    ip: str = "192.0.2.101"
    port: int = 5060
    user: str = "101"
    host: str = "pbx.example"
    call_id: str = "reg-1@phone"
    shown: str = ""
    user_agent: str = "Yealink T46"
    transport: str = "UDP"

    @property
    def end(self) -> Endpoint:
        return Endpoint(self.ip, self.port)

    @property
    def contact(self) -> str:
        return f"<sip:{self.user}@{self.shown or self.ip}:{self.port}>"

    def flow(self, table: str) -> list[Packet]:
        return list(self._packets(table))

    def _packets(self, table: str) -> Iterator[Packet]:
        for line in filter(None, map(str.strip, table.splitlines())):
            at_s, what, cseq, *words = line.split()
            at_us = START_US + round(float(at_s) * 1_000_000)
            if what == "R":
                yield Packet(at_us, self.transport, self.end, REGISTRAR, self.request(cseq, words))
            else:
                yield Packet(at_us, self.transport, REGISTRAR, self.end, self.response(int(what), cseq, words))

    def request(self, cseq: str, words: list[str]) -> bytes:
        given = _given(words)
        contact = given.get("contact", self.contact)
        return _message(
            f"REGISTER sip:{self.host} SIP/2.0",
            *self._common(cseq, received=""),
            *([f"Contact: {contact}"] if contact else []),
            *([f"Expires: {given['expires']}"] if "expires" in given else []),
            *([f"Authorization: {DIGEST}"] if "auth" in words else []),
            *([f"Proxy-Authorization: {DIGEST}"] if "proxy-auth" in words else []),
            f"User-Agent: {self.user_agent}",
        )

    def response(self, status: int, cseq: str, words: list[str]) -> bytes:
        given = _given(words)
        contact = given.get("contact", f"{self.contact};expires=300" if status == 200 else "")
        stale = ", stale=TRUE" if "stale" in words else ""
        name = "WWW" if status == 401 else "Proxy"
        received = f";received={self.ip};rport={self.port}" if self.shown else ""
        return _message(
            f"SIP/2.0 {status} {PHRASES[status]}",
            *self._common(cseq, received, to_tag=";tag=37GkEhwl6"),
            *([f"Contact: {contact}"] if contact else []),
            *([f"Expires: {given['expires']}"] if "expires" in given else []),
            *([f'{name}-Authenticate: Digest realm="pbx", nonce="84a4"{stale}'] if status in (401, 407) else []),
            *([f"Min-Expires: {given['min']}"] if "min" in given else []),
        )

    def _common(self, cseq: str, received: str, to_tag: str = "") -> list[str]:
        shown = self.shown or self.ip
        where = f"[{shown}]" if ":" in shown else shown
        branch = f"z9hG4bK{self.call_id}{cseq}"
        return [
            f"Via: SIP/2.0/{self.transport} {where}:{self.port};branch={branch}{received}",
            f"From: <sip:{self.user}@{self.host}>;tag=a73k",
            f"To: <sip:{self.user}@{self.host}>{to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} REGISTER",
        ]


def forwarded(packet: Packet, proxy: Endpoint, registrar: Endpoint, after_us: int = 2_000) -> Packet:
    """The next hop's copy: the proxy puts its Via on top and notes where the request came from (section 18.2.1)."""
    is_request = packet.payload.startswith(b"REGISTER")
    phone = packet.src if is_request else packet.dst
    first, _, rest = packet.payload.partition(b"\r\n")
    via, _, rest = rest.partition(b"\r\n")
    if b";received=" not in via:
        via += f";received={phone.ip};rport={phone.port}".encode()
    own = f"Via: SIP/2.0/UDP {proxy};branch=z9hG4bKproxy".encode()
    ends = (proxy, registrar) if is_request else (registrar, proxy)
    payload = b"\r\n".join((first, own, via, rest))
    return Packet(packet.at_us + (after_us if is_request else -after_us), "UDP", *ends, payload)


def _given(words: list[str]) -> dict[str, str]:
    return {name: value.replace("_", " ") for name, _, value in (word.partition("=") for word in words)}


def _message(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode()
