"""Retention: what is too old, or too much, goes, oldest first, unless it is held."""

import pytest

from ringback.jobs import thinning
from ringback.store import callbacks, cdrs, messages
from ringback.store.slices import day_of
from tests.api import Api
from tests.keeping import days_ago, ids, inserted, recording, retained, right_totals, rules, session
from tests.packets import of_call, packet, put, stored_packets
from tests.test_cdrs import call

KINDS = ("cdrs", "monitors", "voicemessages", "msdrs", "sip", "chats", "sms", "auditlog")


def test_calls_go_after_their_days(api: Api) -> None:
    days = (400, 366, 364, 1)
    old, older, young, new = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, n)) for n in days]))
    api.admin.post(f"/cdrs/{old}/notes", {"text": "Gone with the call"})
    linked = recording(api, 400, cdr_id=old)
    (statement,) = api.write(
        lambda db: messages.add_statements(
            db,
            api.acme,
            [{"created_at": 1, "description": "Call", "amount": 1, "balance": 1, "cdr_id": older}],
        )
    )
    (visitor,) = api.write(
        lambda db: callbacks.add_visitors(db, api.acme, [{"setting_id": 1, "created_at": 1, "cdr_id": old}])
    )
    rules(api, cdrs=365)
    assert retained(api) == {"cdrs": 2}
    assert ids(api, "cdrs") == [young, new]
    assert ids(api, "cdr_notes") == []
    for table, row_id in (("monitors", linked), ("statements", statement), ("callmeback_visitors", visitor)):
        sql = f"SELECT id, cdr_id FROM {table} WHERE customer_id = :customer"
        assert api.write(lambda db, sql=sql: db.all(sql, {"customer": api.acme})) == [(row_id, None)]
    assert api.admin.get("/cdrs").json["total"] == 2
    assert api.admin.get("/cdrs", filter='[{"property":"src","operator":"like","value":"460001"}]').json["total"] == 2
    assert right_totals(api)


def test_without_a_rule_everything_stays(api: Api) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(0)]))
    recording(api, 9_000)
    rules(api, sms=1)
    assert retained(api) == {}
    assert (len(ids(api, "cdrs")), len(ids(api, "monitors"))) == (1, 1)


def test_another_customer_keeps_its_own(api: Api) -> None:
    api.write(lambda db: cdrs.insert(db, api.other, [call(0)]))
    api.write(lambda db: cdrs.insert(db, api.acme, [call(0)]))
    rules(api, cdrs=1)
    assert retained(api, api.other) == {}
    assert retained(api) == {"cdrs": 1}
    assert len(api.stranger.listed("/cdrs")) == 1


def test_audio_goes_with_its_files(api: Api) -> None:
    recording(api, 31)
    kept = recording(api, 29)
    key = f"{api.acme}/voicemessages/1.mp3"
    api.services.blobs.put(key, b"abc")
    voice = {"duration": 1, "size": 3, "folder": "INBOX", "is_new": 1, "blob_key": key}
    inserted(api, "voicemessages", **voice, source_key="v", origtime=days_ago(api, 31))
    rules(api, monitors=30, voicemessages=30)
    assert retained(api) == {"monitors": 1, "voicemessages": 1}
    api.run_jobs()
    assert [stored.key for stored in api.services.blobs.list()] == [f"{api.acme}/monitors/{kept}.mp3"]
    assert right_totals(api)


def test_of_too_much_audio_the_oldest_goes(api: Api) -> None:
    made = [recording(api, n, size=1_000) for n in (4, 3, 2, 1)]
    rules(api, monitors_bytes=2_500)
    assert retained(api) == {"monitors": 2}
    assert ids(api, "monitors") == made[2:]
    assert retained(api) == {}


def test_held_audio_counts_and_stays(api: Api) -> None:
    oldest, *_, newest = (recording(api, n, size=1_000) for n in (4, 3, 2, 1))
    assert api.admin.post("/holds", {"resource": "monitors", "ids": [oldest], "reason": "case"}).status == 201
    rules(api, monitors_bytes=2_000)
    assert retained(api) == {"monitors": 2}
    assert ids(api, "monitors") == [oldest, newest]


def test_captures_go_and_their_msdrs_stay(api: Api) -> None:
    old, young = session(api, 31, packets=30), session(api, 29)
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    assert ids(api, "mediasessions") == [old[0], young[0]]
    assert ids(api, "msdrs") == [old[1], young[1]]
    assert len(stored_packets(api)) == 3
    assert api.admin.get(f"/msdrs/{old[1]}.trace").status == 404


def test_messages_that_belong_to_no_call_go_as_captures_do(api: Api) -> None:
    for name, days in (("old", 32), ("young", 29)):
        at = days_ago(api, days)
        put(api, name, day_of(at), packet(at * 10**6, b"REGISTER"))
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    assert len(of_call(api, "young")) == len(stored_packets(api)) == 1


def test_msdrs_go_with_their_sessions_and_messages(api: Api) -> None:
    session(api, 31, packets=30)
    kept = session(api, 29)
    lonely = {"call_id": "no session", "created_at": days_ago(api, 50), "duration": 0}
    inserted(api, "msdrs", **lonely)
    rules(api, msdrs=30)
    assert retained(api) == {"mediasessions": 1, "msdrs": 1}
    assert (ids(api, "mediasessions"), ids(api, "msdrs")) == ([kept[0]], [kept[1]])
    assert len(stored_packets(api)) == 3
    assert right_totals(api)


def test_chats_go_with_their_messages(api: Api) -> None:
    old, young = api.write(
        lambda db: messages.add_chats(db, api.acme, [{"created_at": days_ago(api, n)} for n in (31, 1)])
    )
    line = {"from_id": "0", "to_id": "1", "message": "Hi"}
    said = [
        {**line, "created_at": days_ago(api, 29), "chat_id": old},
        {**line, "created_at": days_ago(api, 31), "chat_id": young},
        {**line, "created_at": days_ago(api, 31)},
        {**line, "created_at": days_ago(api, 29)},
    ]
    made = api.write(lambda db: messages.add_chatmsgs(db, api.acme, said))
    rules(api, chats=30)
    assert retained(api) == {"chats": 1, "chatmsgs": 1}
    assert ids(api, "chats") == [young]
    assert ids(api, "chatmsgs") == [made[1], made[3]]
    assert right_totals(api)


def test_a_chat_with_a_held_message_stays_with_it(api: Api) -> None:
    (chat,) = api.write(lambda db: messages.add_chats(db, api.acme, [{"created_at": days_ago(api, 31)}]))
    line = {"created_at": days_ago(api, 31), "from_id": "0", "to_id": "1", "message": "Hi", "chat_id": chat}
    kept, _ = api.write(lambda db: messages.add_chatmsgs(db, api.acme, [line, line]))
    api.admin.post("/holds", {"resource": "chatmsgs", "ids": [kept], "reason": "case"})
    rules(api, chats=30)
    retained(api)
    assert (ids(api, "chats"), ids(api, "chatmsgs")) == ([chat], [kept])


def test_sms_and_the_audit_log_go_too(api: Api) -> None:
    sms = {"from": "1", "message": "Hi", "type": "O"}
    api.write(lambda db: messages.add_sms(db, api.acme, [{**sms, "created_at": days_ago(api, n)} for n in (31, 1)]))
    for days in (31, 29):
        inserted(api, "auditlog", created_at=days_ago(api, days), action="login")
    rules(api, sms=30, auditlog=30)
    assert retained(api) == {"sms": 1, "auditlog": 1}
    entries = [(each["action"], each["details"]) for each in api.admin.listed("/auditlog")]
    assert entries[0] == ("retain", {"sms": 1, "auditlog": 1})
    assert [action for action, _ in entries] == ["retain", "change", "login"]


def test_what_is_held_stays_with_what_hangs_on_it(api: Api) -> None:
    held, free = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 400), src=n) for n in "12"]))
    kept, _ = recording(api, 400, cdr_id=held), recording(api, 400, cdr_id=free)
    kept_session, _ = session(api, 400, cdr_id=held), session(api, 400, cdr_id=free)
    entry = {"property": "src", "operator": "eq", "value": "1"}
    hold = api.admin.post("/holds", {"resource": "cdrs", "filter": [entry], "reason": "case"}).data["id"]
    rules(api, **dict.fromkeys(KINDS, 30))
    assert retained(api) == {"monitors": 1, "sip": 1, "mediasessions": 1, "cdrs": 1}
    assert (ids(api, "cdrs"), ids(api, "monitors")) == ([held], [kept])
    assert (ids(api, "mediasessions"), ids(api, "msdrs")) == ([kept_session[0]], [kept_session[1]])
    assert len(stored_packets(api)) == 3
    api.admin.delete(f"/holds/{hold}")
    assert retained(api) == {"monitors": 1, "kept_sip": 1, "mediasessions": 1, "cdrs": 1}
    assert right_totals(api)


def test_many_held_records_stop_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are passed over once, however many steps it takes."""
    monkeypatch.setattr(thinning, "FIRST_LOT", 20)
    monkeypatch.setattr(thinning, "LARGEST_LOT", 20)
    calls = [call(days_ago(api, 400) + n, src="1" if n % 3 else "2") for n in range(300)]
    api.write(lambda db: cdrs.insert(db, api.acme, calls))
    entry = {"property": "src", "operator": "eq", "value": "1"}
    api.admin.post("/holds", {"resource": "cdrs", "filter": [entry], "reason": "case"})
    rules(api, cdrs=365)
    assert retained(api) == {"cdrs": 100}
    assert {each["src"] for each in api.admin.listed("/cdrs")} == {"1"}
    assert right_totals(api)
