"""One Asterisk tells of its calls by its manager interface and of their signalling by HEP, to one server: the trace of a CDR has all
messages of its call, and of no other one; its recording and its message hang on the same call. What must stand in a trace is what
the phones sent and got. Run by `tools/checks/pbx` within the lab."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tshark_reader
from pbx_place import Place, play, record  # type: ignore[attr-defined]
from tests import dpkt_reader, lab_calls

import facts  # type: ignore[import-not-found] # isort: skip - stands in the lab's folder

COLLECTOR = "192.0.2.5:9060"
SPOOL = Path("/mnt/asterisk/var/spool/asterisk")
SETTINGS = f'hep_listen = "{COLLECTOR}"\nhep_sources = "customer=1 key={lab_calls.KEY}"\n'
CONNECTOR = f'recordings = "{SPOOL}/monitor"\nvoicemail = "{SPOOL}/voicemail"\n'
HEP = f"""[general]
enabled = yes
capture_address = {COLLECTOR}
capture_password = {lab_calls.KEY}
capture_id = 2001
uuid_type = call-id
"""
DIALPLAN = """
[internal](+)
exten = 905,1,MixMonitor(whole-${UNIQUEID}.wav)
 same = n,Dial(PJSIP/102,2)
 same = n,VoiceMail(101@default,us)
"""
HANGS_UP_S = 3
_CALL_ID = re.compile(r"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.M | re.I)
SCENES = (
    "answered_inbound",
    "cancelled",
    "ring_group",
    "ring_group_local",
    "forward_to_mobile",
    "queue_second_member",
    "blind_by_callee",
    "attended_by_callee",
    "attended_local",
    "parked_by_refer",
    "picked_up",
    "originated_agent_first",
)


class Said(NamedTuple):
    """A message of a call, as a phone sent or got it."""

    call_id: str
    sha256: str


@pytest.fixture(scope="module")
def traced(place: Place) -> Place:
    etc = record.ROOT / "etc/asterisk"
    (etc / "hep.conf").write_text(HEP)
    with (etc / "extensions.conf").open("a") as file:
        file.write(DIALPLAN)
    record.cli("module reload res_hep.so")
    for name in ("res_hep_pjsip.so", "res_hep_rtcp.so"):
        record.cli(f"module load {name}")
    record.cli("dialplan reload")
    return place


class Ear:
    """What phones say from now on."""

    def __init__(self, place: Place) -> None:
        self._phones = place.scene.place.phones
        self._before = {name: len(phone.messages) for name, phone in self._phones.items()}

    def calls(self, *names: str) -> set[Said]:
        """Of their calls, without registrations and lamps; without names of all phones."""
        messages = [
            facts.message(name, phone.address, told)
            for name, phone in self._phones.items()
            if not names or name in names
            for told in phone.messages[self._before[name] :]
        ]
        invited = {each.call_id for each in messages if each.line == "INVITE"}
        return {Said(each.call_id, each.sha256) for each in messages if each.call_id in invited}


def trace(place: Place, cdr: Any) -> str:
    """Empty before anything of it was captured."""
    answer = place.client.get(f"/cdrs/{cdr['id']}.trace")
    return answer.text if answer.is_success else ""


def is_whole(place: Place, cdr: Any, said: Iterable[Said]) -> bool:
    """The trace of the CDR has what the phones said, and what has no Call-ID of theirs is not in it."""
    said, text = set(said), trace(place, cdr)
    shown = {each.sha256 for each in lab_calls._shown(text)} if text else set()
    return {each.sha256 for each in said} <= shown and set(_CALL_ID.findall(text)) == {each.call_id for each in said}


def check_files(place: Place, cdr: Any, folder: Path) -> None:
    """The capture file has the messages of the trace; so tshark reads it, and complains of nothing."""
    body = place.client.get(f"/cdrs/{cdr['id']}.pcap").raise_for_status().content
    read = [each for each in dpkt_reader.messages(body) if each.payload[:1] != b"{" and each.payload[:1] < b"\x80"]
    shown = Counter(each.sha256 for each in lab_calls._shown(trace(place, cdr)))
    assert Counter(lab_calls._digest(each.payload) for each in read) == shown
    file = folder / f"{cdr['id']}.pcap"
    file.write_bytes(body)
    if shutil.which("tshark"):
        assert Counter(tshark_reader.messages(file)) == Counter(dpkt_reader.messages(body))
        assert tshark_reader.complaints(file) == ""


def check(place: Place, cdrs: Sequence[Any], said: Iterable[Said], folder: Path) -> None:
    """Each CDR of the call shows the whole call."""
    assert cdrs
    assert said
    for cdr in cdrs:
        place.until(lambda cdr=cdr: is_whole(place, cdr, said))  # type: ignore[misc]
    check_files(place, cdrs[0], folder)


@pytest.mark.parametrize("name", SCENES)
def test_each_cdr_of_a_call_shows_all_its_legs(traced: Place, name: str, tmp_path: Path) -> None:
    ear = Ear(traced)
    played = play(traced, name)
    assert len({cdr["root_live_id"] for cdr in played.cdrs}) == 1
    check(traced, played.cdrs, ear.calls(), tmp_path)


def test_calls_at_the_same_time_have_traces_of_their_own(traced: Place, tmp_path: Path) -> None:
    ear = Ear(traced)
    played = play(traced, "two_calls_at_once")
    for one, other in (("101", "102"), ("104", "103")):
        own = [cdr for cdr in played.cdrs if cdr["src"] == one]
        check(traced, own, ear.calls(one, other), tmp_path)


def test_recording_message_and_trace_are_of_one_call(traced: Place, tmp_path: Path) -> None:
    """103 is recorded, 102 does not answer, a mailbox does."""
    traced.ready()
    ear = Ear(traced)
    traced.scene.meets("102", None)
    known = {path: {row["id"] for row in traced.rows(path)} for path in ("/monitors", "/voicemessages")}

    def fresh(path: str) -> list[Any]:
        return [row for row in traced.rows(path) if row["id"] not in known[path]]

    caller = traced.scene.phone("103")
    leg = caller.call("905")
    (live,) = traced.until(lambda: [row for row in traced.rows("/calls") if row["state"] == "RINGING"])
    assert (live["src"], live["dst"]) == ("103", "905")
    caller.talks(leg)
    traced.scene.ami.until("Event: Newexten", "Application: VoiceMail")
    traced.until(lambda: list(spool()))
    time.sleep(HANGS_UP_S)
    assert ("VOICEMAIL", "CONNECTED") in {(row["context"], row["state"]) for row in traced.rows("/calls")}
    caller.hang_up(leg)
    (monitor,) = traced.until(lambda: fresh("/monitors"))
    (message,) = traced.until(lambda: [row for row in fresh("/voicemessages") if row["live_id"]])
    cdrs = [row for row in traced.rows("/cdrs") if row["root_live_id"] == live["id"]]
    assert sorted((cdr["src"], cdr["context"], cdr["disposition"]) for cdr in cdrs) == [
        ("103", "USER_LOCAL", "RINGING"),
        ("103", "VOICEMAIL", "VM"),
    ]
    (box,) = [cdr for cdr in cdrs if cdr["context"] == "VOICEMAIL"]
    assert monitor["live_id"] in {cdr["live_id"] for cdr in cdrs}
    assert message["live_id"] == box["live_id"]
    assert message["extension_id"] == traced.users["101"]
    assert abs(monitor["duration"] - sum(cdr["duration"] for cdr in cdrs)) <= 2 + HANGS_UP_S
    check(traced, cdrs, ear.calls(), tmp_path)
    assert traced.rows("/calls") == []


def spool() -> Iterable[Path]:
    """What a mailbox writes just now."""
    return (SPOOL / "voicemail/default/101/tmp").glob("*")
