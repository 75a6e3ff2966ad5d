"""Conversations: calls, chats, SMS and voicemail as one list, against the same rows sorted and filtered in Python."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from ringback.record import time_text
from ringback.store import cdrs, messages, rows, schema
from ringback.store.database import Db
from tests.api import Api, filter_text
from tests.policies import team
from tests.test_cdrs import call

AT = 1_700_000_000  # 2023-11-14 22:13:20


def voicemail(at: int, owner: int, **changes: Any) -> dict[str, Any]:
    row = {"origtime": at, "duration": 12, "size": 1, "folder": "INBOX", "is_new": 1, "blob_key": "k"}
    return {**row, "caller": "12025550123", "dialled": "101", "extension_id": owner, "source_key": str(at), **changes}


def recording(cdr_id: int) -> dict[str, Any]:
    return {
        "cdr_id": cdr_id,
        "cx_score": 8,
        "duration": 5,
        "size": 1,
        "timestamp": AT,
        "blob_key": "k",
        "source_key": "k",
    }


def fill(api: Api, n: int) -> list[dict[str, Any]]:
    """Random rows over forty days; returns what the list has to show, in no order."""
    chance = random.Random(n)
    people = [api.ann.user_id, api.bob.user_id]
    expected: list[dict[str, Any]] = []

    def work(db: Db) -> None:
        for index in range(n):
            at, user = AT + chance.randrange(40) * 43_200, chance.choice(people)
            src: str | None = f"44207946{index:04}"
            channel = chance.choice(["call", "call", "hop", "chat", "sms", "voicemail"])
            duration: int | None = chance.randrange(3)
            if channel in ("call", "hop"):
                parent = {"parent_live_id": 7, "root_live_id": 7} if channel == "hop" else {}
                row = call(at, user_id=user, src=src, duration=duration, **parent)
                (own_id,), kind = cdrs.insert(db, api.acme, [row]), "O"
            elif channel == "chat":
                row = {"created_at": at, "operator_id": user, "duration": duration, "state": "MISSED"}
                (own_id,), kind, src = messages.add_chats(db, api.acme, [row]), "M", None
            elif channel == "sms":
                row = {"created_at": at, "from": src, "type": "I", "user_id": user}
                (own_id,), kind, duration = messages.add_sms(db, api.acme, [row]), "I", None
            else:
                row = voicemail(at, user, caller=src, duration=duration, source_key=str(index))
                (own_id,), kind = rows.insert(db, schema.voicemessages, api.acme, [row]), "I"
            if channel != "hop":
                shown = {"id": f"{channel}:{own_id}", "created_at": time_text(at), "user_id": user, "src": src}
                expected.append(
                    {**shown, "channel": channel, "type": kind, "duration": duration, "object_id": str(own_id)}
                )

    api.write(work)
    return expected


RANK = {"call": 0, "chat": 1, "sms": 2, "voicemail": 3}


def newest_first(expected: list[dict[str, Any]]) -> list[str]:
    ordered = sorted(
        expected, key=lambda row: (row["created_at"], int(row["object_id"]), RANK[row["channel"]]), reverse=True
    )
    return [row["id"] for row in ordered]


def test_each_channel_has_all_attributes(api: Api) -> None:
    def work(db: Db) -> None:
        (root,) = cdrs.insert(db, api.acme, [call(AT, user_id=api.ann.user_id, dst_name="USA")])
        rows.insert(db, schema.monitors, api.acme, [recording(root)])
        messages.add_chats(
            db, api.acme, [{"created_at": AT + 1, "operator_id": api.ann.user_id, "visitor_name": "Zoë"}]
        )
        sms = {"created_at": AT + 2, "from": "1202", "to": "4420", "to_name": "Ann", "type": "I"}
        messages.add_sms(db, api.acme, [sms])
        rows.insert(db, schema.voicemessages, api.acme, [voicemail(AT + 3, api.ann.user_id)])
        cdrs.insert(db, api.other, [call(AT)])

    api.write(work)
    answer = api.admin.get("/conversations")
    assert answer.json["total"] == 4
    voice, sms, chat, phone = answer.data
    assert phone == {
        "id": f"call:{phone['object_id']}",
        "channel": "call",
        "created_at": "2023-11-14 22:13:20",
        "customer_id": api.acme,
        "cx_score": 8,
        "dst": "12025550123",
        "dst_name": "USA",
        "duration": 65,
        "monitor_id": phone["monitor_id"],
        "object_class": "Cdr",
        "object_id": phone["object_id"],
        "src": "442079460001",
        "src_name": "Ann",
        "type": "O",
        "user_id": api.ann.user_id,
    }
    assert list(voice) == list(sms) == list(chat) == list(phone)
    assert [row["object_class"] for row in (voice, sms, chat)] == ["Voicemessage", "Sms", "Chat"]
    assert [row["type"] for row in (voice, sms, chat)] == ["I", "I", "I"]
    assert (chat["src_name"], chat["dst_name"], chat["src"]) == ("Zoë", "Ann Tester", None)
    assert (voice["dst"], voice["dst_name"], voice["user_id"]) == ("101", "Ann Tester", api.ann.user_id)
    assert (sms["src"], sms["dst_name"], sms["duration"]) == ("1202", "Ann", None)


def test_pages_together_are_the_whole_in_order(api: Api) -> None:
    expected = fill(api, 3_000)
    order = newest_first(expected)
    for params in ({}, {"sort": "id", "dir": "DESC"}, {"sort": "-created_at"}):
        pages = [api.admin.get("/conversations", page=n, limit=450, **params) for n in range(1, 9)]
        assert {page.json["total"] for page in pages} == {len(expected)}
        assert [row["id"] for page in pages for row in page.data] == order, params
    rising = [
        row["id"] for n in range(1, 9) for row in api.admin.listed("/conversations", page=n, limit=450, sort="id")
    ]
    assert rising == order[::-1]


def test_any_sort_pages_through_all(api: Api) -> None:
    expected = fill(api, 400)
    for params in ({"sort": "duration"}, {"sort": "-src"}, {"sort": "channel", "dir": "DESC"}, {"sort": "dst_name"}):
        pages = [row for n in range(1, 6) for row in api.admin.listed("/conversations", page=n, limit=90, **params)]
        assert sorted(row["id"] for row in pages) == sorted(row["id"] for row in expected), params
    durations = [row["duration"] for row in api.admin.listed("/conversations", sort="-duration")]
    known = [each for each in durations if each is not None]
    assert durations == sorted(known, reverse=True) + [None] * (len(durations) - len(known))


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("channel", "eq", "CALL"),
        ("channel", "ne", "call"),
        ("channel", "in", ["sms", "chat"]),
        ("channel", "like", "ai"),
        ("channel", "eq", "fax"),
        ("type", "eq", "M"),
        ("type", "eq", "O"),
        ("src", "like", "7946001"),
        ("duration", "eq", None),
        ("duration", "gte", 2),
        ("created_at", "gte", "2023-11-20"),
        ("created_at", "lt", "2023-11-25 11:00:00"),
    ],
)
def test_filters_and_totals_agree_with_the_rows(api: Api, name: str, operator: str, value: Any) -> None:
    expected = fill(api, 300)
    tests: dict[str, Callable[[Any], bool]] = {
        "eq": lambda each: each == (value.lower() if name == "channel" else value),
        "ne": lambda each: each != value,
        "in": lambda each: each in value,
        "like": lambda each: each is not None and value in each,
        "gte": lambda each: each is not None and each >= value,
        "lt": lambda each: each < value,
    }
    matching = [row for row in expected if tests[operator](row[name])]
    for more in (
        [],
        [("created_at", "gte", "2000-01-01")],
        [("user_id", "in", [row["user_id"] for row in expected[:9]])],
    ):
        answer = api.admin.get("/conversations", filter=filter_text((name, operator, value), *more))
        assert [row["id"] for row in answer.data] == newest_first(matching), more
        assert answer.json["total"] == len(matching)


def test_one_conversation_is_found_by_its_id(api: Api) -> None:
    expected = fill(api, 50)
    assert [row["id"] for row in api.admin.listed("/conversations", ("id", "eq", expected[7]["id"]))] == [
        expected[7]["id"]
    ]


def test_object_ids_are_text_and_found_as_text_or_number(api: Api) -> None:
    wanted = fill(api, 50)[7]["object_id"]
    same = [row["id"] for row in api.admin.listed("/conversations") if row["object_id"] == wanted]
    assert same
    for value in (wanted, int(wanted)):
        found = api.admin.listed("/conversations", ("object_id", "eq", value))
        assert [row["id"] for row in found] == same
    rising = [row["object_id"] for row in api.admin.listed("/conversations", sort="object_id")]
    assert rising == sorted(rising, key=int)


def test_a_recording_of_any_hop_belongs_to_the_call(api: Api) -> None:
    def work(db: Db) -> int:
        cdrs.insert(db, api.acme, [call(AT, live_id=901), call(AT, live_id=902)])
        (hop,) = cdrs.insert(db, api.acme, [call(AT + 1, parent_live_id=901, root_live_id=901)])
        (monitor_id,) = rows.insert(db, schema.monitors, api.acme, [recording(hop)])
        return monitor_id

    monitor_id = api.write(work)
    other, recorded = api.admin.listed("/conversations")
    assert (recorded["monitor_id"], recorded["cx_score"]) == (monitor_id, 8)
    assert (other["monitor_id"], other["cx_score"]) == (None, None)
    assert api.admin.listed("/conversations", ("monitor_id", "eq", monitor_id)) == [recorded]


def test_a_plain_user_has_own_conversations(api: Api) -> None:
    expected = fill(api, 300)
    own = [row for row in expected if row["user_id"] == api.ann.user_id]
    answer = api.ann.get("/conversations")
    assert [row["id"] for row in answer.data] == newest_first(own)
    assert answer.json["total"] == len(own)
    assert api.reception.get("/conversations").json == {"data": [], "total": 0}
    assert api.stranger.get("/conversations").json["total"] == 0


def test_without_recordings_or_chat_their_traces_are_gone(api: Api) -> None:
    def work(db: Db) -> None:
        (root,) = cdrs.insert(db, api.acme, [call(AT, user_id=api.ann.user_id)])
        rows.insert(db, schema.monitors, api.acme, [recording(root)])
        messages.add_chats(db, api.acme, [{"created_at": AT, "operator_id": api.ann.user_id}])

    api.write(work)
    assert api.ann.listed("/conversations", ("channel", "eq", "call"))[0]["cx_score"] == 8
    team(api, "Closed", api.ann, policies=("recordings_disabled", "chat_disabled"))
    (left,) = api.ann.listed("/conversations")
    assert (left["channel"], left["monitor_id"], left["cx_score"]) == ("call", None, None)
    assert api.ann.get("/conversations", filter=filter_text(("cx_score", "gt", 5))).status == 400
    assert api.ann.get("/conversations", sort="monitor_id").status == 400


def test_unknown_properties_are_refused(api: Api) -> None:
    answer = api.admin.get("/conversations", filter=filter_text(("calldate", "eq", "2023-01-01")))
    assert (answer.status, answer.json["message"][:16]) == (400, "Filtration error")


def test_a_total_by_score_follows_the_recording(api: Api) -> None:
    (call_id,) = api.write(lambda db: cdrs.insert(db, api.acme, [call(AT)]))
    (monitor_id,) = api.write(lambda db: rows.insert(db, schema.monitors, api.acme, [recording(call_id)]))
    good = filter_text(("cx_score", "gte", 8))
    assert api.admin.get("/conversations", filter=good).json["total"] == 1
    api.admin.patch(f"/monitors/{monitor_id}", {"cx_score": 3})
    assert api.admin.get("/conversations", filter=good).json["total"] == 0
