"""The demo: calls of a real Asterisk come out of the API as they were, and no collection is empty."""

import csv
import io
import json
import math
import wave
from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import mul
from pathlib import Path
from typing import Any

import pytest

from ringback import app as composition
from ringback import demo, first_login
from ringback.app import App
from ringback.importers.importer import Unwatched
from ringback.opening import open_services
from ringback.record import time_value
from ringback.resources import ENDPOINTS
from ringback.rest.endpoint import Shape
from ringback.settings import Settings
from tests.api import Client
from tests.media.sounds import heard

EMAIL, PASSWORD = "admin@demo.example", "correct horse battery staple"
NOT_OF_A_DEMO = {"/audioinbox", "/calls", "/users/{id}/calls", "/faxes", "/transactions"}
CALLS: list[dict[str, Any]] = json.loads((demo.DATA / "lab.json").read_text())["calls"]
RECORDED = [call for call in CALLS if call["recording"] and any(line["phone"] != "pbx" for line in call["said"])]


@pytest.fixture
def app(settings: Settings, clock: Callable[[], int]) -> Iterator[App]:
    services = open_services(settings, clock)
    administrator = first_login.create(
        services, customer="Demo Ltd", cc="GB", currency_iso="GBP", email=EMAIL, password=PASSWORD
    )
    assert administrator is not None
    demo.fill(services, administrator.customer_id, administrator.user_id, Unwatched())
    yield composition.build(services)
    services.database.close()


@pytest.fixture
def admin(app: App) -> Client:
    answer = Client(app).post("/login", {"email": EMAIL, "password": PASSWORD})
    return Client(app, answer.json["user_token"], user_id=answer.json["user_id"])


def test_every_call_that_the_phones_made_is_there(admin: Client) -> None:
    roots = admin.listed("/cdrs", ("is_root", "eq", True))
    for call in CALLS:
        at = time_value(call["started_at"][:19])
        assert at is not None
        near = [cdr for cdr in roots if abs((time_value(cdr["calldate"]) or 0) - at) <= 2]
        assert near, call["kind"]


def test_a_recorded_call_is_in_every_list_and_sounds_as_it_was_said(admin: Client, tmp_path: Path) -> None:
    assert len(RECORDED) >= 3
    monitors = admin.listed("/monitors")
    lines = {row["live_id"]: row for row in csv.DictReader(io.StringIO(admin.get("/cdrs.csv").body.decode()))}
    cdrs = {cdr["live_id"]: cdr for cdr in admin.listed("/cdrs")}
    for call in RECORDED:
        wav = demo.DATA / call["recording"]
        monitor = next(each for each in monitors if near(each["timestamp"], call))
        cdr = cdrs[monitor["live_id"]]
        assert cdr["disposition"] == "CONNECTED"
        assert lines[str(cdr["live_id"])]["src"] == cdr["src"]
        sound, rate = played(admin, monitor, tmp_path)
        source, source_rate = read_wav(wav)
        assert abs(len(sound) / rate - len(source) / source_rate) < 0.1
        for line in call["said"]:
            if line["phone"] != "pbx":
                speech, _ = read_wav(demo.DATA / line["speech"])
                assert likeness(sound, speech) > 0.5, (call["kind"], line["speech"])  # other speech: below 0.25
        assert monitor["transcript"]


def near(timestamp: str, call: dict[str, Any]) -> bool:
    """Within the call: a hop of a queue may begin seconds after the call."""
    return 0 <= (time_value(timestamp) or 0) - (time_value(call["started_at"][:19]) or 0) <= 10


def played(admin: Client, monitor: dict[str, Any], folder: Path) -> tuple[Sequence[float], int]:
    mp3 = folder / "got.mp3"
    mp3.write_bytes(admin.get(f"/monitors/{monitor['id']}.mp3").body)
    channels, rate = heard(mp3)
    return channels[0], rate


def read_wav(path: Path) -> tuple[Sequence[float], int]:
    with wave.open(str(path)) as file:
        pcm = array("h", file.readframes(file.getnframes()))
        return array("f", (sample / 32768 for sample in pcm)), file.getframerate()


def likeness(sound: Sequence[float], speech: Sequence[float], step: int = 80) -> float:
    """The correlation, from -1 to 1, of the loudest second of the speech with where it is found in the sound: coarsely by
    loudness every 10 ms, then sample by sample."""
    second = 100 * step
    start = step * best(loudness(speech, step), [1.0] * 100)
    wanted = speech[start : start + second]
    loud, shape = loudness(sound, step), loudness(wanted, step)
    places = sorted(range(len(loud) - len(shape)), key=lambda at: -correlation(loud[at : at + len(shape)], shape))[:3]
    shifts = (at * step + shift for at in places for shift in range(-2 * step, 2 * step) if at * step + shift >= 0)
    return max(correlation(sound[at : at + second], wanted) for at in shifts if at + second <= len(sound))


def loudness(sound: Sequence[float], step: int) -> list[float]:
    return [math.sqrt(sum(x * x for x in sound[at : at + step])) for at in range(0, len(sound) - step + 1, step)]


def best(values: Sequence[float], weights: Sequence[float]) -> int:
    return max(range(len(values) - len(weights)), key=lambda at: sum(map(mul, values[at : at + len(weights)], weights)))


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    power = sum(map(mul, one, one)) * sum(map(mul, other, other))
    return sum(map(mul, one, other)) / math.sqrt(power) if power else 0.0


def test_no_collection_is_empty(admin: Client) -> None:
    empty = [path for path in collections() if not total(admin, path)]
    assert empty == []


def collections() -> list[str]:
    paths = (each.path for each in ENDPOINTS if each.method == "GET" and each.shape is Shape.COLLECTION)
    return [path for path in paths if path not in NOT_OF_A_DEMO]


def total(admin: Client, path: str) -> int:
    """Of a list under a record: the most that one record has."""
    parent, found, child = path.partition("/{id}")
    if not found:
        return int(admin.get(path, limit=1).json["total"])
    ids = [record["id"] for record in admin.listed(parent)]
    answers = (admin.get(f"{parent}/{each}{child}", limit=1) for each in ids)
    return max(int(each.json["total"]) if each.status == 200 else 0 for each in answers)


def test_recordings_have_transcripts_and_calls_their_traces(admin: Client) -> None:
    (best_call,) = [each for each in admin.listed("/monitors") if each["cx_score"] == 9]
    assert "forty brake cables" in best_call["transcript"]
    assert best_call["sentiment"] == "positive"
    spoken = json.loads(best_call["transcript_speakers"])
    assert spoken[0]["speaker"] == "101"
    assert spoken[0]["end_s"] <= spoken[1]["start_s"]
    (message,) = admin.listed("/voicemessages")
    assert "stolen van" in message["transcript"]
    answered = [each for each in admin.listed("/cdrs", ("disposition", "eq", "CONNECTED")) if each["is_root"]]
    traced = [each for each in answered if admin.get(f"/cdrs/{each['id']}.trace").status == 200]
    assert len(traced) >= len(answered) - 4


def test_filled_again_it_stays_as_it_was(app: App, admin: Client) -> None:
    def totals() -> dict[str, int]:
        return {path: total(admin, path) for path in collections()}

    before = totals()
    demo.fill(app.services, admin_customer(admin), admin.user_id, Unwatched())
    assert totals() == before


def admin_customer(admin: Client) -> int:
    return int(admin.get("/me").data["customer_id"])
