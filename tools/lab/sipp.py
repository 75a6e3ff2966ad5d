"""A call between two sipps through Kamailio, whose messages may be as large as one likes."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime

import facts
from facts import Message
from lab import KAMAILIO, KAMAILIO_6, ROOT, ended, listeners, until

NUMBER = "700"
IPV4 = ("192.0.2.170", "192.0.2.171", KAMAILIO)
IPV6 = ("2001:db8::170", "2001:db8::171", KAMAILIO_6)
TRANSPORTS = {"UDP": "u1", "TCP": "t1"}
PATIENCE_S = 20
_ENTRY = re.compile(r"^-{20,} (\S+)Z\r?\n\w+ message (sent|received) \[(\d+)\] bytes:?\r?\n\r?\n", re.M)

_HEAD = """From: <sip:170@[remote_ip]>;tag=[pid]caller[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
Max-Forwards: 70
"""
SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP{version} {ip}
s=-
c=IN IP{version} {ip}
t=0 0
m=audio 30000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
_CALLER = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{head}CSeq: 1 INVITE
Contact: <sip:170@[local_ip]:[local_port];transport=[transport]>
User-Agent: Lab sipp
X-Ballast: {ballast}
{sdp}
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
{head}CSeq: 1 ACK
Content-Length: 0

]]></send>
<pause milliseconds="1200"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
{head}CSeq: 2 BYE
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""
_ECHOED = """[last_Via:]
[last_From:]
[last_To:];tag=[pid]callee[call_number]
[last_Call-ID:]
[last_CSeq:]
"""
IS_HUNG_UP = """<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""
_CALLEE = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="callee">
<recv request="INVITE"/>
<send><![CDATA[
SIP/2.0 180 Ringing
{echoed}[last_Record-Route:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Length: 0

]]></send>
<pause milliseconds="300"/>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
{echoed}[last_Record-Route:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Server: Lab sipp
X-Ballast: {ballast}
{sdp}
]]></send>
<recv request="ACK"/>
{end}</scenario>
"""


def call(transport: str, ballast: int, ends: tuple[str, str, str] = IPV4) -> list[Message]:
    """Ended after a second, with a header of so many bytes in INVITE and answer. `ends`: caller, callee, proxy."""
    caller, callee, proxy = ends
    common = ("-t", TRANSPORTS[transport], "-p", "5060", "-m", "1", "-nostdin", "-trace_msg", "-buff_size", "262144")
    _write("callee", _CALLEE, callee, ballast)
    _write("caller", _CALLER, caller, ballast)
    with ended(_sipp("callee", *common, "-i", callee)) as two:
        until(lambda: f"{written(callee)}:5060" in listeners(), "sipp listens")
        with ended(_sipp("caller", *common, "-i", caller, "-s", NUMBER, f"{written(proxy)}:5060")) as one:
            codes = one.wait(PATIENCE_S), two.wait(PATIENCE_S)
    assert codes == (0, 0), (codes, [(ROOT / f"tmp/{name}.out").read_text()[-2000:] for name in ("caller", "callee")])
    peer = f"{transport} {written(proxy)}:5060"
    return [*_messages("caller", caller, peer), *_messages("callee", callee, peer)]


def written(ip: str) -> str:
    """As in a URI."""
    return f"[{ip}]" if ":" in ip else ip


def answering(sdp: str) -> str:
    """The scenario of who rings, answers and is hung up."""
    return _CALLEE.format(echoed=_ECHOED, sdp=sdp, ballast="", end=IS_HUNG_UP)


def _write(name: str, scenario: str, ip: str, ballast: int) -> None:
    sdp = SDP.format(ip=ip, version=6 if ":" in ip else 4)
    text = scenario.format(head=_HEAD, echoed=_ECHOED, sdp=sdp, ballast="x" * ballast, end=IS_HUNG_UP)
    (ROOT / f"tmp/{name}.xml").write_text(text)


def _sipp(name: str, *options: str) -> subprocess.Popen[str]:
    out = (ROOT / f"tmp/{name}.out").open("w")
    (ROOT / f"tmp/{name}.log").unlink(missing_ok=True)
    files = ("-sf", f"/tmp/{name}.xml", "-message_file", f"/tmp/{name}.log")
    return subprocess.Popen(["chroot", ROOT, "sipp", *files, *options], stdout=out, stderr=out, text=True)


def _messages(name: str, address: str, peer: str) -> list[Message]:
    log = (ROOT / f"tmp/{name}.log").read_bytes().decode()
    return [_message(name, address, peer, log, each) for each in _ENTRY.finditer(log)]


def _message(name: str, address: str, peer: str, log: str, entry: re.Match[str]) -> Message:
    moment, way, size = entry.groups()
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    text = log[entry.end() : entry.end() + int(size)]
    return facts.message(name, address, {"text": text, "at": at, "sent": way == "sent", "peer": peer})
