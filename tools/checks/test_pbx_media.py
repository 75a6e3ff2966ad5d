"""Recordings and voicemail of a real Asterisk: what the phones say is in the monitors, and what is done to a message on one side is
done on the other. Run by `tools/checks/pbx` within the lab."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pbx_place import Place, record  # type: ignore[attr-defined]
from tests.media.sounds import heard

SPOOL = Path("/mnt/asterisk/var/spool/asterisk")
CONNECTOR = f'recordings = "{SPOOL}/monitor"\nvoicemail = "{SPOOL}/voicemail"\n'
DIALPLAN = """
[internal](+)
exten = 901,1,MixMonitor(mono-${UNIQUEID}.wav,b)
 same = n,Dial(PJSIP/102,8,tT)
exten = 902,1,MixMonitor(2026/m-${UNIQUEID}.wav,r(2026/r-${UNIQUEID}.wav)t(2026/t-${UNIQUEID}.wav)n)
 same = n,Dial(PJSIP/102,8,tT)
exten = 903,1,MixMonitor(recordings/one.wav)
 same = n,Dial(PJSIP/102,8,tT)
exten = 907,1,Set(CALLERID(name)=Event: Newstate Event: CEL Variable: X Event: RTCPSent Event: TestEvent)
 same = n,MixMonitor(mono-${UNIQUEID}.wav,b)
 same = n,Dial(PJSIP/102,8,tT)
exten = 904,1,Dial(PJSIP/102,8,tTU(record))
exten = 905,1,Dial(PJSIP/103,8,tTU(record))
[record]
exten = s,1,MixMonitor(${UNIQUEID}.wav)
 same = n,Return()
"""
ONE_HZ, TWO_HZ, THREE_HZ = 600, 1_000, 1_400
TALK_S = 3.0
HEARD_S = 18.0
"""What Asterisk says before a message, and the message."""


@pytest.fixture(scope="module")
def media(place: Place) -> Place:
    """With extensions that record, and a lamp at phone 101."""
    etc = record.ROOT / "etc/asterisk"
    with (etc / "extensions.conf").open("a") as file:
        file.write(DIALPLAN)
    phones = (etc / "pjsip.conf").read_text()
    (etc / "pjsip.conf").write_text(phones.replace("[101](phone)\n", "[101](phone)\nmailboxes = 101@default\n", 1))
    record.cli("dialplan reload")
    record.cli("module reload res_pjsip.so")
    place.scene.phone("101").register()
    return place


def talk(place: Place, number: str, tones: Sequence[tuple[str, int]] = (("101", ONE_HZ), ("102", TWO_HZ))) -> Any:
    """101 calls; each phone makes its tone."""
    caller = place.scene.phone("101")
    before = {name: len(place.scene.phone(name).legs) for name, _ in tones}
    leg = caller.call(number)
    caller.talks(leg)
    for name, hz in tones:
        phone = place.scene.phone(name)
        own = phone.leg(before[name])
        phone.talks(own)
        phone.within("tone", own, hz=hz)
    return leg


def loudness(channel: Sequence[float], rate: int, hz: int) -> float:
    """Of one frequency in the middle of it, from 0 to about 1 (Goertzel)."""
    middle = channel[len(channel) // 4 : len(channel) * 3 // 4]
    factor, one, two = 2 * math.cos(2 * math.pi * hz / rate), 0.0, 0.0
    for sample in middle:
        one, two = sample + factor * one - two, one
    return 2 * math.sqrt(max(one * one + two * two - factor * one * two, 0.0)) / len(middle)


def tones(place: Place, monitor: Any, folder: Path, path: str = "monitors") -> list[set[int]]:
    """Which of the phones' tones are on each channel of the MP3."""
    (folder / "heard.mp3").write_bytes(place.client.get(f"/{path}/{monitor['id']}.mp3").content)
    channels, rate = heard(folder / "heard.mp3")
    return [{hz for hz in (ONE_HZ, TWO_HZ, THREE_HZ) if loudness(each, rate, hz) > 0.02} for each in channels]


def monitors_after(place: Place, known: set[int], n: int = 1) -> Any:
    """So many, the oldest first."""

    def fresh() -> Any:
        found = [each for each in place.rows("/monitors") if each["id"] not in known]
        return found if len(found) >= n else None

    return sorted(place.until(fresh), key=lambda each: each["timestamp"])


def monitor_after(place: Place, known: set[int]) -> Any:
    return monitors_after(place, known)[0]


def ids(place: Place, path: str) -> set[int]:
    return {each["id"] for each in place.rows(path)}


def recorded(place: Place, number: str) -> Any:
    """The monitor of a call that 101 makes and ends."""
    place.ready()
    known = ids(place, "/monitors")
    leg = talk(place, number)
    time.sleep(TALK_S)
    place.scene.phone("101").hang_up(leg)
    return monitor_after(place, known)


def test_a_recorded_call_is_a_monitor_of_its_leg(media: Place, tmp_path: Path) -> None:
    monitor = recorded(media, "901")
    (cdr,) = [each for each in media.rows("/cdrs") if each["live_id"] == monitor["live_id"]]
    assert (monitor["src"], monitor["user_id"], cdr["src"]) == ("101", media.users["101"], "101")
    assert abs(monitor["duration"] - cdr["billsec"]) <= 1
    assert tones(media, monitor, tmp_path) == [{ONE_HZ, TWO_HZ}]


def test_no_name_of_a_caller_hides_a_call(media: Place) -> None:
    """Asterisk leaves out events that we do not need by expressions over their whole text, in which callers' names stand."""
    monitor = recorded(media, "907")
    (cdr,) = [each for each in media.rows("/cdrs") if each["live_id"] == monitor["live_id"]]
    assert (cdr["src"], cdr["disposition"], cdr["info"]) == ("101", "CONNECTED", None)
    assert cdr["billsec"] >= TALK_S - 1


def test_the_two_sides_of_a_call_are_two_channels(media: Place, tmp_path: Path) -> None:
    monitor = recorded(media, "902")
    assert tones(media, monitor, tmp_path) == [{ONE_HZ}, {TWO_HZ}]
    assert monitor["duration"] >= TALK_S - 0.5
    time.sleep(1)
    assert [each["id"] for each in media.rows("/monitors") if each["live_id"] == monitor["live_id"]] == [monitor["id"]]


def test_a_transferred_call_is_recorded_to_its_end(media: Place, tmp_path: Path) -> None:
    """102 sends 101 to 103: the recording of 101's channel goes on, and is of the leg that talked longest in it."""
    media.ready()
    known, before = ids(media, "/monitors"), len(media.scene.phone("103").legs)
    second = media.scene.phone("102")
    legs = len(second.legs)
    leg = talk(media, "901")
    time.sleep(1)
    second.within("refer", second.leg(legs), uri=second.uri("103"))
    third = media.scene.phone("103")
    third.talks(third.leg(before))
    time.sleep(4)
    media.scene.phone("101").hang_up(leg)
    monitor = monitor_after(media, known)
    assert monitor["duration"] >= 5
    assert ONE_HZ in tones(media, monitor, tmp_path)[0]
    (cdr,) = [each for each in media.rows("/cdrs") if each["live_id"] == monitor["live_id"]]
    assert (cdr["src"], cdr["dst"]) == ("101", "103")


def test_each_leg_has_a_recording_where_the_called_side_is_recorded(media: Place, tmp_path: Path) -> None:
    """102 sends 101 to 103. Here every party is heard; of what is recorded on the caller's side Asterisk itself may lose the third one."""
    media.ready()
    known, before = ids(media, "/monitors"), len(media.scene.phone("103").legs)
    second, third = media.scene.phone("102"), media.scene.phone("103")
    legs = len(second.legs)
    leg = talk(media, "904")
    time.sleep(TALK_S)
    second.within("refer", second.leg(legs), uri=second.uri("905"))
    last = third.leg(before)
    third.talks(last)
    third.within("tone", last, hz=THREE_HZ)
    time.sleep(TALK_S)
    media.scene.phone("101").hang_up(leg)
    one, two = monitors_after(media, known, 2)
    assert (tones(media, one, tmp_path), tones(media, two, tmp_path)) == ([{ONE_HZ, TWO_HZ}], [{ONE_HZ, THREE_HZ}])
    called = {cdr["live_id"]: cdr["dst_id"] for cdr in media.rows("/cdrs")}
    users = [str(media.users[each]) for each in ("102", "103")]
    assert [called[one["live_id"]], called[two["live_id"]]] == users


def test_a_recording_whose_server_was_killed_is_taken_once(media: Place, tmp_path: Path) -> None:
    """Its name says nothing; the call ends while no server runs."""
    media.ready()
    known = ids(media, "/monitors")
    leg = talk(media, "903")
    media.until(lambda: [row for row in media.rows("/calls") if row["state"] == "CONNECTED"])
    time.sleep(1)
    media.kill()
    time.sleep(1)
    media.scene.phone("101").hang_up(leg)
    media.scene.quiet()
    media.begin()
    monitor = monitor_after(media, known)
    assert monitor["src"] == "101"
    assert tones(media, monitor, tmp_path) == [{ONE_HZ, TWO_HZ}]
    media.kill()
    media.begin()
    time.sleep(3)
    assert len(ids(media, "/monitors") - known) == 1


# -- voicemail


def lamp(place: Place, since: int, word: str) -> Any:
    """The phone was told that messages wait, or that none do."""
    told = place.scene.phone("101").messages[since:]
    return [each for each in told if not each["sent"] and f"Messages-Waiting: {word}" in each["text"]]


def leave(place: Place, hz: int) -> Any:
    """102 leaves a message for 101, who does not answer; returns it as soon as it is there, and how long that took."""
    place.ready()
    place.scene.meets("101", None)
    known = ids(place, "/voicemessages")
    caller = place.scene.phone("102")
    leg = caller.call("201")
    caller.talks(leg)
    place.scene.ami.until("Event: Newexten", "Application: VoiceMail")
    time.sleep(6)  # what Asterisk says before the beep
    caller.within("tone", leg, hz=hz)
    time.sleep(3)
    caller.hang_up(leg)
    ended = time.monotonic()
    found = place.until(lambda: [each for each in place.rows("/voicemessages") if each["id"] not in known])[0]
    return found, time.monotonic() - ended


def spool(folder: str) -> list[str]:
    place = SPOOL / "voicemail/default/101" / folder
    return sorted(each.name for each in place.glob("msg*.txt")) if place.is_dir() else []


def shown(place: Place, message_id: int) -> Any:
    return place.client.get(f"/voicemessages/{message_id}").json().get("data")


def test_a_message_that_a_phone_leaves_is_there_and_moves_both_ways(media: Place, tmp_path: Path) -> None:
    since = len(media.scene.phone("101").messages)
    message, took_s = leave(media, ONE_HZ)
    print(f"a message was there {took_s:.1f} s after its end")
    assert took_s < 3
    assert (message["folder"], message["is_new"], message["extension_id"]) == ("INBOX", True, media.users["101"])
    assert tones(media, message, tmp_path, "voicemessages") == [{ONE_HZ}]
    media.until(lambda: lamp(media, since, "yes"))
    media.until(lambda: shown(media, message["id"])["live_id"])

    since = len(media.scene.phone("101").messages)
    moved = [{"id": message["id"], "folder": "Work"}]
    assert media.client.patch("/voicemessages", json=moved).status_code == 200
    media.until(lambda: (spool("INBOX"), spool("Work")) == ([], ["msg0000.txt"]))
    media.until(lambda: lamp(media, since, "no"))

    since = len(media.scene.phone("101").messages)
    media.client.patch("/voicemessages", json=[{"id": message["id"], "folder": "INBOX"}])
    media.until(lambda: lamp(media, since, "yes"))
    assert (spool("INBOX"), spool("Work")) == (["msg0000.txt"], [])


def listen(place: Place, *pressed: tuple[str, float]) -> None:
    """101 calls its mailbox, and presses each digit, and waits so many seconds."""
    place.ready()
    phone = place.scene.phone("101")
    leg = phone.call("*97")
    phone.talks(leg)
    time.sleep(1)
    for digit, seconds in pressed:
        place.scene.dtmf("PJSIP/101", digit)
        time.sleep(seconds)
    phone.hang_up(leg)
    place.scene.quiet()


def test_what_the_phone_has_heard_is_old_and_what_it_deletes_is_in_deleted(media: Place) -> None:
    first = next(each["id"] for each in media.rows("/voicemessages") if each["folder"] == "INBOX")
    second = leave(media, TWO_HZ)[0]["id"]
    assert spool("INBOX") == ["msg0000.txt", "msg0001.txt"]
    since = len(media.scene.phone("101").messages)
    listen(media, ("1", HEARD_S))
    media.until(lambda: shown(media, first)["folder"] == "Old")
    assert (shown(media, first)["is_new"], shown(media, second)["folder"]) == (False, "INBOX")
    media.until(lambda: (spool("INBOX"), spool("Old")) == (["msg0000.txt"], ["msg0000.txt"]))
    media.until(lambda: lamp(media, since, "yes"))
    assert media.client.delete(f"/voicemessages/{first}").status_code == 204
    media.until(lambda: spool("Old") == [])

    since = len(media.scene.phone("101").messages)
    listen(media, ("1", HEARD_S), ("7", 2))
    media.until(lambda: shown(media, second)["folder"] == "Deleted")
    media.until(lambda: spool("INBOX") == [])
    media.until(lambda: lamp(media, since, "no"))


def test_an_order_waits_until_the_phone_has_hung_up(media: Place) -> None:
    message, _ = leave(media, THREE_HZ)
    before = spool("INBOX")
    media.ready()
    phone = media.scene.phone("101")
    leg = phone.call("*97")
    phone.talks(leg)
    time.sleep(1)
    media.client.patch("/voicemessages", json=[{"id": message["id"], "folder": "Friends"}])
    time.sleep(2)
    assert (spool("INBOX"), spool("Friends")) == (before, [])
    phone.hang_up(leg)
    media.until(lambda: spool("Friends") == ["msg0000.txt"])
    assert shown(media, message["id"])["folder"] == "Friends"


def test_a_message_of_a_time_without_a_server_is_there_afterwards(media: Place) -> None:
    media.ready()
    media.scene.meets("101", None)
    known = ids(media, "/voicemessages")
    caller = media.scene.phone("102")
    media.kill()
    leg = caller.call("201")
    caller.talks(leg)
    time.sleep(7)
    caller.within("tone", leg, hz=ONE_HZ)
    time.sleep(2)
    caller.hang_up(leg)
    media.scene.quiet()
    media.begin()
    media.until(lambda: len(ids(media, "/voicemessages") - known) == 1)
    time.sleep(2)
    assert len(ids(media, "/voicemessages") - known) == 1
