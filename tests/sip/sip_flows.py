"""SIP calls for tests, written after the flows of RFC 3665 and RFC 5359: their people, addresses and header values.

A flow is a table: seconds, who > whom, request or status, CSeq, then words: ``to-tag`` (inside the dialog),
``sdp=<direction>``, ``<Header>=<value>`` (``_`` stands for a space); where a proxy forks, ``via=<branch>`` and ``tag=<tag of who
is called>``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.packet import Endpoint, Packet

START_US = 1_795_341_600_000_000  # 2026-11-22 10:00:00 UTC
CALL_ID = "3848276298220188511@atlanta.example.com"


class Person(NamedTuple):
    name: str
    uri: str
    host: str
    tag: str
    port: int

    @property
    def end(self) -> Endpoint:
        return Endpoint(self.host, 5060)


PEOPLE = {
    "alice": Person("Alice", "sip:alice@atlanta.example.com", "192.0.2.101", "9fxced76sl", 49172),
    "bob": Person("Bob", "sip:bob@biloxi.example.com", "192.0.2.201", "8321234356", 3456),
    "carol": Person("Carol", "sip:carol@chicago.example.com", "192.0.2.203", "76543", 5004),
    "proxy": Person("Proxy", "sip:atlanta.example.com", "192.0.2.10", "p", 9),
}
PHRASES = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 199: "Early Dialog Terminated",
    200: "OK", 202: "Accepted", 302: "Moved Temporarily", 401: "Unauthorized", 404: "Not Found",
    407: "Proxy Authorization Required", 408: "Request Timeout", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 503: "Service Unavailable", 603: "Decline", 699: "Gone Fishing",
}  # fmt: skip


def sdp(person: Person, direction: str) -> str:
    return (
        f"v=0\r\no={person.name} 2890844526 2890844526 IN IP4 {person.host}\r\ns=-\r\nc=IN IP4 {person.host}\r\n"
        f"t=0 0\r\nm=audio {person.port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={direction}\r\n"
    )


def flow(table: str, caller: str = "alice", call_id: str = CALL_ID) -> list[Packet]:
    return list(_packets(table, caller, call_id))


def _packets(table: str, caller: str, call_id: str) -> Iterator[Packet]:
    for line in filter(None, map(str.strip, table.splitlines())):
        at_s, sender, _, receiver, what, number, *words = line.split()
        src, dst = PEOPLE[sender], PEOPLE[receiver]
        payload = _message(src, dst, what, number, words, caller, call_id)
        yield Packet(START_US + round(float(at_s) * 1_000_000), "UDP", src.end, dst.end, payload.encode())


def _message(src: Person, dst: Person, what: str, number: str, words: list[str], caller: str, call_id: str) -> str:
    """``what``: a method, or status/method of the request that it answers. Requests come from who sends them."""
    status, _, method = what.rpartition("/")
    asker, asked = (dst, src) if status else (src, dst)
    body = next((sdp(src, word[4:]) for word in words if word.startswith("sdp=")), "")
    given = dict(word.split("=", 1) for word in words if "=" in word)
    branch = given.get("via", f"z9hG4bK{'INVITE' if method == 'CANCEL' else method}{number}{asker.tag}")
    start = f"SIP/2.0 {status} {PHRASES[int(status)]}" if status else f"{method} {asked.uri} SIP/2.0"
    tags = {each.name: each.tag if each is PEOPLE[caller] else given.get("tag", each.tag) for each in (asker, asked)}
    to_tag = f";tag={tags[asked.name]}" if "to-tag" in words or int(status or 0) > 100 else ""
    headers = [
        start,
        f"Via: SIP/2.0/UDP {asker.host}:5060;branch={branch}",
        f"From: {asker.name} <{asker.uri}>;tag={tags[asker.name]}",
        f"To: {asked.name} <{asked.uri}>{to_tag}",
        f"Call-ID: {call_id}",
        f"CSeq: {number} {method}",
        *(re.sub("_", " ", word).replace("=", ": ", 1) for word in words if re.match(r"[A-Z][\w-]*=", word)),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(headers) + "\r\n\r\n" + body
