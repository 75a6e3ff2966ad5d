"""Monitors: recordings listed, played, rated, linked, deleted with their audio."""

import json
from collections.abc import Callable

import pytest

from ringback.identity.links import LINK_S
from tests import recordings
from tests.api import BASE, Answer, Api, Client
from tests.clock import TestClock
from tests.policies import team

PAGE = (
    "id call_id called caller context cx_score dst dst_id dst_name duration live_id sentiment sip_endpoint_id size src src_id"
    " src_name summary timestamp transcript type user_id transcript_speakers metadata"
)


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return recordings.mp3(tmp_path_factory.mktemp("monitors"))


def ranged(client: Client, path: str, range_: str, method: str = "GET") -> Answer:
    return client.call(method, path, headers={"range": range_})


def test_a_recording_has_the_attributes_of_the_page_in_its_order(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    (listed,) = api.admin.listed("/monitors", ("caller", "like", "+44 20"), ("type", "eq", "O"))
    assert " ".join(listed) == PAGE
    assert listed["call_id"] == listed["live_id"] == 77
    assert listed["size"] == len(audio)
    assert listed["timestamp"] == "2001-09-09 01:46:40"
    assert listed["cx_score"] is None
    assert api.admin.get(f"/monitors/{monitor_id}").data == listed


def test_a_user_has_own_recordings_only(api: Api, audio: bytes) -> None:
    mine = recordings.add_monitor(api, audio)
    bobs = recordings.add_monitor(api, audio, user_id=api.bob.user_id)
    assert [row["id"] for row in api.ann.listed("/monitors")] == [mine]
    assert api.ann.get("/monitors").json["total"] == 1
    assert api.ann.get(f"/monitors/{mine}.mp3").body == audio
    for path in (f"/monitors/{bobs}", f"/monitors/{bobs}.mp3"):
        assert api.ann.get(path).status == 403
        assert api.reception.get(path).status == 403
        assert api.stranger.get(path).status == 404
        assert api.nobody.get(path).status == 401
    assert api.ann.post(f"/monitors/{bobs}/link").status == 403
    assert api.stranger.post(f"/monitors/{bobs}/link").status == 404


def test_the_audio_comes_whole_with_its_length(api: Api, audio: bytes) -> None:
    path = f"/monitors/{recordings.add_monitor(api, audio)}.mp3"
    answer = api.admin.get(path)
    assert (answer.status, answer.body) == (200, audio)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-length"] == str(len(audio))
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["accept-ranges"] == "bytes"
    head = api.admin.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers == answer.headers


def test_a_player_gets_the_range_that_it_asks_for(api: Api, audio: bytes) -> None:
    path, size = f"/monitors/{recordings.add_monitor(api, audio)}.mp3", len(audio)
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, size),
        ("bytes=-100", size - 100, size),
        (f"bytes=-{size + 5}", 0, size),
        (f"Bytes = {size - 1}-{size + 9}", size - 1, size),
    ):
        answer = ranged(api.admin, path, asked)
        assert (answer.status, answer.body) == (206, audio[start:stop]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.headers["content-length"] == str(stop - start)


def test_a_range_outside_of_the_audio_is_refused_with_its_size(api: Api, audio: bytes) -> None:
    path = f"/monitors/{recordings.add_monitor(api, audio)}.mp3"
    for asked in (f"bytes={len(audio)}-", "bytes=999999999-1000000000", "bytes=-0"):
        answer = ranged(api.admin, path, asked)
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{len(audio)}"


def test_what_is_no_single_range_of_bytes_is_answered_with_the_whole(api: Api, audio: bytes) -> None:
    path = f"/monitors/{recordings.add_monitor(api, audio)}.mp3"
    for asked in ("bytes=5-4", "bytes=-", "bytes=0-1,5-6", "lines=0-1", "bytes=x-1", "bytes=" + "9" * 5000 + "-"):
        assert ranged(api.admin, path, asked).status == 200, asked
    assert ranged(api.admin, path, "bytes=0-1", "HEAD").status == 200
    assert api.admin.call("GET", path, headers={"range": "bytes=0-1", "if-range": '"x"'}).status == 200


def test_an_administrator_rates_and_transcribes(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    speeches = json.dumps([{"speaker": "Ann", "start_s": 0, "end_s": 1.5, "text": "Hello."}])
    given = {
        "transcript": "Hello.",
        "transcript_speakers": speeches,
        "summary": "A greeting",
        "sentiment": "positive",
        "cx_score": 9,
        "metadata": {"a": 1, "b": 2},
    }
    changed = api.admin.patch(f"/monitors/{monitor_id}", given)
    assert changed.status == 200
    assert {name: changed.data[name] for name in given} == given
    assert api.admin.patch(f"/monitors/{monitor_id}", {"metadata": {"c": 3}}).data["metadata"] == {"c": 3}
    cleared = api.admin.patch(f"/monitors/{monitor_id}", dict.fromkeys(given))
    assert {cleared.data[name] for name in given} == {None}
    assert api.admin.patch(f"/monitors/{monitor_id}", changed.data).status == 200  # read, change, send back
    assert api.admin.patch(f"/monitors/{monitor_id}", {}).status == 200


def test_all_that_is_wrong_with_a_change_is_named(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    wrong: dict[str, object] = {"cx_score": 635, "sentiment": "abcd", "metadata": "abcd", "summary": 5, "unknown": 1}
    wrong["transcript_speakers"] = "abcd"
    refused = api.admin.patch(f"/monitors/{monitor_id}", wrong)
    assert refused.status == 400
    assert sorted(filter(None, refused.fields)) == sorted(wrong)
    speech = {"speaker": "Ann", "start_s": 2, "end_s": 1, "text": ""}
    for text in ("abcd", "{}", "[{}]", json.dumps([speech]), json.dumps([{**speech, "start_s": -1}])):
        refused = api.admin.patch(f"/monitors/{monitor_id}", {"transcript_speakers": text})
        assert (refused.status, refused.fields) == (400, ["transcript_speakers"]), text


def test_only_administrators_change_or_delete(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    for client in (api.ann, api.reception):
        assert client.patch(f"/monitors/{monitor_id}", {"cx_score": 5}).status == 403
        assert client.delete(f"/monitors/{monitor_id}").status == 403
        assert client.delete("/monitors").status == 403
    assert api.stranger.patch(f"/monitors/{monitor_id}", {"cx_score": 5}).status == 404
    assert api.stranger.delete(f"/monitors/{monitor_id}").status == 404


def test_the_audio_of_deleted_recordings_goes_too(api: Api, audio: bytes) -> None:
    first, second, kept = (recordings.add_monitor(api, audio) for _ in range(3))
    assert api.admin.delete(f"/monitors/{first},{second},999999").status == 404
    assert api.admin.delete(f"/monitors/{first},{second}").status == 204
    assert [row["id"] for row in api.admin.listed("/monitors")] == [kept]
    api.run_jobs()
    assert [stored.key for stored in api.services.blobs.list()] == [recordings.key(api.acme, "monitors", kept)]


def test_a_wipe_takes_what_the_filter_matches(api: Api, audio: bytes) -> None:
    recordings.add_monitor(api, audio, timestamp=1_000_000_000)
    kept = recordings.add_monitor(api, audio, timestamp=1_100_000_000)
    theirs = recordings.add_monitor(api, audio, customer=api.other, timestamp=1_000_000_000)
    filter_ = '[{"property": "timestamp", "operator": "lt", "value": "2003-01-01"}]'
    assert api.admin.delete("/monitors", filters=filter_).status == 400
    assert api.admin.delete("/monitors", filter=filter_).status == 202
    api.run_jobs()
    assert [row["id"] for row in api.admin.listed("/monitors")] == [kept]
    keys = {recordings.key(api.acme, "monitors", kept), recordings.key(api.other, "monitors", theirs)}
    assert {stored.key for stored in api.services.blobs.list()} == keys


def test_a_link_plays_without_a_token_for_ten_minutes(api: Api, audio: bytes, clock: TestClock) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    made = api.ann.post(f"/monitors/{monitor_id}/link")
    assert made.status == 201
    url = made.data["url"].removeprefix(BASE)
    assert api.nobody.get(url).body == audio
    part = ranged(api.nobody, url, "bytes=10-19")
    assert (part.status, part.body) == (206, audio[10:20])
    clock.advance(LINK_S - 1)
    assert api.nobody.get(url).status == 200
    clock.advance(1)
    assert api.nobody.get(url).status == 403


def test_a_link_opens_one_recording_only(api: Api, audio: bytes) -> None:
    one, other = recordings.add_monitor(api, audio), recordings.add_monitor(api, audio)
    url = api.admin.post(f"/monitors/{one}/link").data["url"].removeprefix(BASE)
    assert api.nobody.get(url.replace(f"/monitors/{one}/", f"/monitors/{other}/")).status == 403
    assert api.nobody.get(url.replace("expires=1", "expires=2")).status == 403
    assert api.nobody.get(url.replace(f"customer={api.acme}", f"customer={api.other}")).status == 403
    assert api.nobody.get(url[:-1] + "é").status == 403
    assert api.nobody.get(url.partition("?")[0]).status == 403
    assert api.admin.delete(f"/monitors/{one}").status == 204
    assert api.nobody.get(url).status == 404


def test_a_link_of_one_process_opens_in_another(start: Callable[..., Api], audio: bytes) -> None:
    one, two = start(public_url="https://voice.example/"), start()
    url = one.admin.post(f"/monitors/{recordings.add_monitor(one, audio)}/link").data["url"]
    assert url.startswith("https://voice.example/v1.1/")
    assert two.nobody.get(url.removeprefix("https://voice.example" + BASE)).body == audio


def test_recordings_can_be_closed_for_a_team(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    team(api, "Desk", api.ann, policies=("recordings_disabled",))
    for path in ("/monitors", f"/monitors/{monitor_id}", f"/monitors/{monitor_id}.mp3"):
        assert api.ann.get(path).status == 403
    assert api.ann.post(f"/monitors/{monitor_id}/link").status == 403
    assert api.ann.get("/monitors/999999").status == 404


def test_lost_audio_is_not_found(api: Api, audio: bytes) -> None:
    monitor_id = recordings.add_monitor(api, audio)
    api.services.blobs.delete(recordings.key(api.acme, "monitors", monitor_id))
    assert api.admin.get(f"/monitors/{monitor_id}.mp3").status == 404
