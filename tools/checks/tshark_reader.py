"""Capture files as tshark reads them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.dpkt_reader import Read, cut

_FIELDS = ("frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst")
_PORTS = ("udp.srcport", "tcp.srcport", "udp.dstport", "tcp.dstport", "udp.payload", "tcp.payload")


def complaints(*files: Path) -> str:
    """A line for each frame that something is wrong with."""
    return subprocess.run(
        [Path(__file__).with_name("tshark"), *files], capture_output=True, text=True, check=False
    ).stdout


def protocols(file: Path) -> list[str]:
    """Of all frames, one after the other."""
    tshark = shutil.which("tshark") or "tshark"
    fields = ("-T", "fields", "-e", "frame.protocols")
    said = subprocess.run([tshark, "-2", "-n", "-r", file, *fields], capture_output=True, text=True, check=True)
    return said.stdout.replace(":", "\n").split()


def messages(file: Path) -> list[Read]:
    """Datagrams as tshark puts their fragments together, and the SIP messages of the TCP streams."""
    return list(_messages(file))


def _messages(file: Path) -> Iterator[Read]:
    fields = [word for name in (*_FIELDS, *_PORTS) for word in ("-e", name)]
    tshark = shutil.which("tshark") or "tshark"
    said = subprocess.run(
        [tshark, "-2", "-n", "-r", file, "-T", "fields", *fields], capture_output=True, text=True, check=True
    )
    streams: dict[tuple[object, object], bytes] = {}
    for line in said.stdout.splitlines():
        time, src4, src6, dst4, dst6, sport, tcp_sport, dport, tcp_dport, datagram, segment = line.split("\t")
        seconds, _, fraction = time.partition(".")
        at_us = int(seconds) * 1_000_000 + int(fraction[:6])
        ends = (src4 or src6, int(sport or tcp_sport or 0)), (dst4 or dst6, int(dport or tcp_dport or 0))
        if datagram:
            yield Read(at_us, "UDP", *ends, bytes.fromhex(datagram))
        elif segment:
            found, streams[ends] = cut(streams.get(ends, b"") + bytes.fromhex(segment))
            yield from (Read(at_us, "TCP", *ends, each) for each in found)
    assert not any(streams.values()), "streams that end within a message"
