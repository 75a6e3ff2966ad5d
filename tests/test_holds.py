"""Legal holds: what nobody may delete until an administrator releases it."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from ringback.resources.customer.holds import HOLDABLE
from ringback.store import cdrs, holds, messages, rows, schema
from tests.api import Answer, Api, filter_text
from tests.test_cdrs import call

AT = 1_700_000_000
ALICE, OTHER = "442079460001", "442079460002"


def added(api: Api, *calls: Mapping[str, Any], customer: int | None = None) -> list[int]:
    made: list[int] = api.write(lambda db: cdrs.insert(db, customer or api.acme, calls))
    return made


def inserted(api: Api, table: str, **columns: Any) -> int:
    made: int = api.write(lambda db: rows.insert(db, schema.metadata.tables[table], api.acme, [columns]))[0]
    return made


def monitor(api: Api, **columns: Any) -> int:
    key = f"{api.acme}/monitors/{columns}"
    return inserted(api, "monitors", duration=1, size=1, timestamp=AT, blob_key="k", source_key=key, **columns)


def placed(api: Api, resource: str, *ids: int, reason: str = "case 7", **more: Any) -> Answer:
    body = {"resource": resource, "reason": reason, **({"ids": list(ids)} if ids else {}), **more}
    return api.admin.post("/holds", body)


def entry(name: str, value: Any, operator: str = "eq") -> list[dict[str, Any]]:
    return [{"property": name, "operator": operator, "value": value}]


def ids_of(api: Api, path: str) -> set[int]:
    return {record["id"] for record in api.admin.listed(path)}


def test_a_hold_names_records_and_can_be_read_back(api: Api) -> None:
    one, two = added(api, call(AT), call(AT + 1))
    answer = placed(api, "cdrs", two, one)
    assert answer.status == 201, answer.body
    shown = answer.data
    assert (shown["resource"], shown["ids"], shown["filter"], shown["reason"]) == ("cdrs", [one, two], None, "case 7")
    assert (shown["user_id"], shown["user_name"]) == (api.admin.user_id, "Admin Tester")
    assert api.admin.get(f"/holds/{shown['id']}").data == shown
    assert api.admin.listed("/holds") == [shown]


def test_the_reason_of_a_hold_is_for_administrators(api: Api) -> None:
    (kept,) = added(api, call(AT, user_id=api.ann.user_id))
    hold = placed(api, "cdrs", kept).data["id"]
    note = api.ann.post(f"/cdrs/{kept}/notes", {"text": "mine"}).data["id"]
    refused = api.ann.delete(f"/cdrs/{kept}/notes/{note}")
    assert refused.status == 403
    assert refused.json["message"].startswith(f"Hold {hold} keeps record {note}")
    assert f"Hold {hold} (case 7)" in api.admin.delete(f"/cdrs/{kept}/notes/{note}").json["message"]


def test_a_held_recording_is_not_deleted_until_the_hold_is_released(api: Api) -> None:
    kept, free = monitor(api), monitor(api, user_id=1)
    hold = placed(api, "monitors", kept).data["id"]
    refused = api.admin.delete(f"/monitors/{free},{kept}")
    assert refused.status == 403
    assert f"Hold {hold} (case 7) keeps record {kept}" in refused.json["message"]
    assert ids_of(api, "/monitors") == {kept, free}
    assert api.admin.delete(f"/monitors/{free}").status == 204
    assert api.admin.delete(f"/holds/{hold}").status == 204
    assert api.admin.delete(f"/monitors/{kept}").status == 204


def test_releasing_is_noted_with_what_was_held(api: Api) -> None:
    (one,) = added(api, call(AT))
    hold = placed(api, "cdrs", one).data["id"]
    api.admin.delete(f"/holds/{hold}")
    made, released = sorted(api.admin.listed("/auditlog", ("object_class", "eq", "Hold")), key=lambda each: each["id"])
    assert (made["action"], released["action"], released["object_id"]) == ("create", "delete", hold)
    assert released["details"] == {"resource": "cdrs", "ids": [one], "filter": None, "reason": "case 7"}


def test_a_filter_holds_what_matches_and_what_comes_later(api: Api) -> None:
    placed(api, "cdrs", filter=entry("src", "+44 20 7946 0001"))
    kept, gone = added(api, call(AT, src=ALICE), call(AT, src=OTHER))
    assert api.admin.delete("/cdrs").status == 403
    assert api.admin.delete("/cdrs", filter=filter_text(("src", "eq", OTHER))).status == 204
    assert ids_of(api, "/cdrs") == {kept}
    assert gone not in ids_of(api, "/cdrs")


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("src", "like", "460001"),
        ("calldate", "gte", "2023-11-14"),
        ("src_name", "eq", "ÅSA"),
        ("labels", "eq", "vip"),
        ("user_id", "in", [7, 8]),
    ],
)
def test_filters_of_holds_are_those_of_lists(api: Api, name: str, operator: str, value: Any) -> None:
    kept, _ = added(
        api,
        call(AT, src=ALICE, src_name="Åsa", labels='["VIP"]', user_id=7),
        call(AT - 90_000_000, src=OTHER, src_name="Bo", user_id=9),
    )
    assert [each["id"] for each in api.admin.listed("/cdrs", (name, operator, value))] == [kept]
    assert placed(api, "cdrs", filter=entry(name, value, operator)).status == 201
    found = api.write(lambda db: holds.held(db, api.acme, "cdrs", [kept, kept + 1, kept + 100]))
    assert found == {kept}


def test_what_hangs_on_a_held_call_is_held_with_it(api: Api) -> None:
    (cdr,) = added(api, call(AT))
    live_id = api.admin.get(f"/cdrs/{cdr}").data["live_id"]
    recording = monitor(api, cdr_id=cdr)
    message = inserted(
        api, "voicemessages", duration=1, size=1, folder="INBOX", is_new=1, origtime=AT, blob_key="v", source_key="v",
        live_id=live_id,
    )  # fmt: skip
    note = api.admin.post(f"/cdrs/{cdr}/notes", {"text": "Angry"}).data["id"]
    session = {"call_id": "a@b", "created_at": AT, "duration": 1}
    mediasession = inserted(api, "mediasessions", **session, updated_at=AT, status="ENDED")
    msdr = inserted(api, "msdrs", **session, cdr_id=cdr, media_session_id=mediasession)
    hanging = {"monitors": recording, "voicemessages": message, "cdr_notes": note}
    hanging |= {"msdrs": msdr, "mediasessions": mediasession}

    def kept() -> dict[str, set[int]]:
        found: dict[str, set[int]] = api.write(
            lambda db: {name: holds.held(db, api.acme, name, [one]) for name, one in hanging.items()}
        )
        return found

    assert set().union(*kept().values()) == set()
    hold = placed(api, "cdrs", cdr).data["id"]
    assert kept() == {name: {one} for name, one in hanging.items()}
    assert api.admin.delete(f"/monitors/{recording}").status == 403
    assert api.admin.delete(f"/voicemessages/{message}").status == 403
    assert api.admin.delete(f"/cdrs/{cdr}/notes/{note}").status == 403
    assert api.admin.delete("/monitors").status == 403
    assert api.admin.delete("/cdrs").status == 403
    api.admin.delete(f"/holds/{hold}")
    assert api.admin.delete(f"/cdrs/{cdr}/notes/{note}").status == 204


def test_a_held_chat_keeps_its_messages(api: Api) -> None:
    (chat,) = api.write(lambda db: messages.add_chats(db, api.acme, [{"created_at": AT}]))
    line = {"created_at": AT, "from_id": "0", "to_id": "1", "message": "Hi"}
    (kept, free) = api.write(lambda db: messages.add_chatmsgs(db, api.acme, [{**line, "chat_id": chat}, line]))
    placed(api, "chats", chat)
    assert api.admin.delete(f"/chatmsgs/{kept}").status == 403
    assert api.admin.delete("/chatmsgs").status == 403
    assert api.admin.delete(f"/chatmsgs/{free}").status == 204
    assert ids_of(api, f"/chats/{chat}/chatmsgs") == {kept}


def test_a_change_is_no_deletion(api: Api) -> None:
    (cdr,) = added(api, call(AT))
    placed(api, "cdrs", cdr)
    assert api.admin.patch("/cdrs", [{"id": cdr, "labels": ["held"]}]).status == 200


def test_a_refused_wipe_leaves_no_job_and_no_record_gone(api: Api) -> None:
    many = added(api, *(call(AT + n) for n in range(50)))
    placed(api, "cdrs", many[30])
    assert api.admin.delete("/cdrs").status == 403
    assert len(ids_of(api, "/cdrs")) == 50
    assert api.write(lambda db: db.all("SELECT id FROM jobs")) == []


def test_what_becomes_held_while_a_wipe_runs_stays(api: Api) -> None:
    """The wipe is asked for, and waits for its worker; then a hold is placed."""
    recordings = [monitor(api, user_id=n) for n in range(30)]
    assert api.admin.delete("/monitors").status == 202
    kept = recordings[11:14]
    assert placed(api, "monitors", *kept).status == 201
    api.run_jobs()
    assert ids_of(api, "/monitors") == set(kept)


def test_a_hold_waits_for_the_deletion_under_way(api: Api) -> None:
    """Whoever is told that a hold stands finds the record there."""
    (cdr,) = added(api, call(AT))
    deleting, go_on = threading.Event(), threading.Event()

    def delete(db: Any) -> None:
        holds.refuse_held(db, api.acme, "cdrs", [cdr], tells_reason=True)
        cdrs.delete(db, api.acme, [cdr])
        deleting.set()
        go_on.wait(5)

    thread = threading.Thread(target=lambda: api.write(delete))
    thread.start()
    deleting.wait(5)
    answers: list[Answer] = []
    placing = threading.Thread(target=lambda: answers.append(placed(api, "cdrs", cdr)))
    placing.start()
    placing.join(0.3)
    assert answers == []
    go_on.set()
    thread.join()
    placing.join()
    assert (answers[0].status, answers[0].fields) == (400, ["ids[0]"])


def test_a_customer_with_holds_is_not_deleted(api: Api) -> None:
    (cdr,) = added(api, call(AT))
    hold = placed(api, "cdrs", cdr).data["id"]
    assert api.admin.delete(f"/customers/{api.acme}").status == 403
    assert api.admin.get("/me").status == 200
    api.admin.delete(f"/holds/{hold}")
    assert api.admin.delete(f"/customers/{api.acme}").status == 204


def test_holds_are_for_administrators_of_their_customer(api: Api) -> None:
    (cdr,) = added(api, call(AT))
    hold = placed(api, "cdrs", cdr).data["id"]
    for client in (api.ann, api.reception):
        assert client.get("/holds").status == client.delete(f"/holds/{hold}").status == 403
        assert client.post("/holds", {"resource": "cdrs", "ids": [cdr], "reason": "x"}).status == 403
    assert api.stranger.get(f"/holds/{hold}").status == api.stranger.delete(f"/holds/{hold}").status == 404
    assert api.stranger.post("/holds", {"resource": "cdrs", "ids": [cdr], "reason": "x"}).status == 400
    assert api.write(lambda db: holds.held(db, api.other, "cdrs", [cdr])) == set()
    theirs = api.stranger.post("/holds", {"resource": "cdrs", "filter": entry("duration", 0, "gte"), "reason": "x"})
    assert theirs.status == 201
    api.admin.delete(f"/holds/{hold}")
    assert api.admin.delete("/cdrs").status == 204


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["resource", "reason"]),
        ({"resource": "users", "reason": "x", "ids": [1]}, ["resource"]),
        ({"resource": "cdrs", "reason": " ", "ids": [1]}, ["reason"]),
        ({"resource": "cdrs", "reason": "x"}, ["ids"]),
        ({"resource": "cdrs", "reason": "x", "ids": []}, ["ids"]),
        ({"resource": "cdrs", "reason": "x", "ids": [1], "filter": entry("src", "1")}, ["ids"]),
        ({"resource": "cdrs", "reason": "x", "ids": [2, 999_999]}, ["ids[0]", "ids[1]"]),
        ({"resource": "cdrs", "reason": "x", "filter": []}, ["filter"]),
        ({"resource": "cdrs", "reason": "x", "filter": entry("colour", "red")}, ["filter[0]"]),
        ({"resource": "cdrs", "reason": "x", "filter": "src"}, ["filter"]),
    ],
)
def test_bad_holds_are_refused(api: Api, body: dict[str, Any], fields: list[str]) -> None:
    answer = api.admin.post("/holds", body)
    assert (answer.status, answer.fields) == (400, fields)


def test_there_is_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "MOST", 2)
    (cdr,) = added(api, call(AT))
    assert [placed(api, "cdrs", cdr).status for _ in range(3)] == [201, 201, 400]


def test_every_table_that_others_hang_on_can_be_held() -> None:
    assert HOLDABLE.keys() >= {above for each in holds._HANGS_ON.values() for above in each}
    assert {each.listing.name for each in HOLDABLE.values()} == HOLDABLE.keys()
