"""Many calls at once, between two sipps through Asterisk: `etc/extensions.conf`, [burst]. What each is called by, and when it ended."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import lab
import record
import sipp

CALLER, CALLEE = "192.0.2.170", "192.0.2.171"
LOG = "tmp/burst.log"
PATIENCE_S = 40
ANSWERED_S = 1.0
_ENTRY = re.compile(r"^-{20,} (\S+)Z\r?\n\w+ message (?:sent|received) \[\d+\] bytes:?\r?\n\r?\n(\w+) ", re.M)
_CALLER_NAME = re.compile(r'^(?:From|To): "(Caller \d+)"', re.M)
_ANSWERED = re.compile(r'^ACK .*\n(?:(?!\r?\n).*\n)*?From: "(Caller \d+)"', re.M)
_SDP = sipp.SDP.format(ip="[local_ip]", version=4)
_CALLER = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="burst-caller">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: "Caller [call_number]" <sip:447700900123@[local_ip]>;tag=[pid]caller[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:burst@[local_ip]:[local_port]>
{sdp}
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: "Caller [call_number]" <sip:447700900123@[local_ip]>;tag=[pid]caller[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

]]></send>
{end}</scenario>
"""
_HANGS_UP = """<pause milliseconds="{hold_ms}"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: "Caller [call_number]" <sip:447700900123@[local_ip]>;tag=[pid]caller[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
<recv response="200"/>
"""


def calls(root: Path, number: str, count: int, per_s: int, hold_s: float) -> dict[str, float]:
    """So many calls to `number`, so many more each second; each hangs up after so long. When each ended: seconds since 1970, by
    the caller's name."""
    return _placed(root, number, count, per_s, _HANGS_UP.replace("{hold_ms}", str(int(hold_s * 1000))), lambda: None)


def ended_together(root: Path, number: str, count: int, per_s: int) -> dict[str, float]:
    """The same, all hung up by the PBX at once when all are up."""

    def hang_up() -> None:
        log = root / LOG
        lab.until(
            lambda: log.exists() and _answered(log) == count, "all calls are answered", count / per_s + PATIENCE_S
        )
        time.sleep(ANSWERED_S)
        record.cli("channel request hangup all")

    return _placed(root, number, count, per_s, sipp.IS_HUNG_UP, hang_up)


def _answered(log: Path) -> int:
    """How many calls. An answer that came twice was acknowledged twice."""
    return len(set(_ANSWERED.findall(log.read_text())))


def _placed(
    root: Path, number: str, count: int, per_s: int, end: str, once_placed: Callable[[], None]
) -> dict[str, float]:
    caller = _CALLER.replace("{sdp}", _SDP).replace("{end}", end)
    for name, text in {"caller": caller, "callee": sipp.answering(_SDP)}.items():
        (root / f"tmp/burst-{name}.xml").write_text(text)
    (root / LOG).unlink(missing_ok=True)
    with ExitStack() as stack:
        stack.enter_context(lab.ended(_sipp(root, "callee", count, "-i", CALLEE)))
        lab.until(lambda: f"{CALLEE}:5060" in lab.listeners(), "sipp listens")
        rate = ("-r", str(per_s), "-l", str(count), "-s", number, "-trace_msg", "-message_file", f"/{LOG}")
        one = stack.enter_context(lab.ended(_sipp(root, "caller", count, "-i", CALLER, *rate, f"{lab.ASTERISK}:5060")))
        once_placed()
        code = one.wait(count / per_s + PATIENCE_S)
    assert code == 0, (code, (root / "tmp/burst-caller.out").read_text()[-2000:])
    return _ended(root / LOG)


def _sipp(root: Path, name: str, count: int, *options: str) -> subprocess.Popen[str]:
    out = (root / f"tmp/burst-{name}.out").open("w")
    common = ("-t", "u1", "-p", "5060", "-m", str(count), "-nostdin", "-sf", f"/tmp/burst-{name}.xml")
    return subprocess.Popen(["chroot", root, "sipp", *common, *options], stdout=out, stderr=out, text=True)


def _ended(log: Path) -> dict[str, float]:
    text = log.read_text()
    found: dict[str, float] = {}
    for entry in _ENTRY.finditer(text):
        if entry[2] == "BYE":
            caller = _CALLER_NAME.search(text, entry.end())
            assert caller
            found.setdefault(caller[1], datetime.fromisoformat(entry[1]).replace(tzinfo=UTC).timestamp())
    return found
