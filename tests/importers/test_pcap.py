"""Captures into media sessions."""

from pathlib import Path

from ringback import demo
from ringback.importers import Options, Refusal
from ringback.importers.catalogue import IMPORTERS
from tests.api import Api
from tests.importers.master_csv import run

CAPTURE = demo.DATA / "calls.pcap"


class Watch:
    """Progress that adds up."""

    def __init__(self) -> None:
        self.total, self.unit, self.done = 0, "", 0

    def start(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit

    def advance(self, n: int) -> None:
        self.done += n


def test_each_call_of_a_capture_becomes_a_media_session_once(api: Api) -> None:
    watch = Watch()
    first = IMPORTERS["pcap"].run(api.services, api.acme, CAPTURE, Options(), watch)
    assert first.new == first.read > 24
    assert (watch.total, watch.unit, watch.done) == (CAPTURE.stat().st_size, "bytes", CAPTURE.stat().st_size)
    assert api.admin.get("/mediasessions", limit=1).json["total"] == first.new
    assert api.admin.get("/msdrs", limit=1).json["total"] == first.new
    again = run(api, "pcap", CAPTURE)
    assert (again.new, again.known) == (0, first.new)
    assert api.stranger.get("/mediasessions").json["total"] == 0


def test_a_damaged_capture_gives_what_came_before_the_damage(api: Api, tmp_path: Path) -> None:
    half = tmp_path / "half.pcap"
    half.write_bytes(CAPTURE.read_bytes()[: CAPTURE.stat().st_size // 2])
    summary = run(api, "pcap", half)
    assert 0 < summary.new < 53
    assert summary.warnings == ["1 × file ends inside a record"]
    nothing = tmp_path / "nothing.pcap"
    nothing.write_text("no capture " * 20)
    summary = run(api, "pcap", nothing)
    reason = "not a pcap or pcapng file (unpack a compressed one first), or damaged"
    assert (summary.warnings, summary.refused) == ([], [Refusal(str(nothing), reason)])
