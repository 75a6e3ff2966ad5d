"""Forgetting a person: nothing anywhere names one afterwards, and nobody else's records are touched."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Text

from ringback.blobs import BlobsUnavailable
from ringback.calls.persons import Person
from ringback.jobs import erase, queue
from ringback.jobs.kinds import UNTIL_DONE
from ringback.store import messages, rows, schema, traces
from ringback.store.slices import day_of
from ringback.store.traces import TRACES
from tests.api import Api
from tests.clock import TestClock
from tests.conftest import POSTGRES
from tests.packets import packet, put
from tests.test_cdrs import call
from tests.test_holds import added, ids_of, inserted, monitor, placed

AT = 1_700_000_000
BOB, OTHER = "442079460011", "442079460012"
BOBS_MAIL = "bob.visitor@example.net"


def asked(api: Api, **body: str) -> dict[str, Any]:
    answer = api.admin.post("/erasures", body)
    assert answer.status == 202, answer.body
    api.run_jobs()
    shown = api.admin.get(f"/erasures/{answer.data['id']}")
    return dict(shown.data)


def everything(api: Api, customer_id: int) -> Iterator[tuple[str, str]]:
    """Every text that the customer has in the database."""
    for table in schema.metadata.sorted_tables:
        if "customer_id" in table.c:
            sql = f'SELECT * FROM "{table.name}" WHERE customer_id = :customer'
            with api.services.database.stream(sql, {"customer": customer_id}, 100) as lots:
                found = [row for lot in lots for row in lot]
            for row in found:
                yield table.name, " ".join(map(str, row))


def naming(api: Api, *words: str) -> list[str]:
    return [
        f"{name}: {text}" for name, text in everything(api, api.acme) if any(word in text.lower() for word in words)
    ]


def test_every_text_of_every_table_is_thought_of() -> None:
    """A new column must say whether it may name a person."""
    says_nobody = {
        "auditlog": {"action", "object_class", "ip"},
        "audio_inbox": {"shelf", "source_key", "state", "blob_key", "error"},
        "callmeback_requests": {"state", "token", "network", "dial_first", "channel", "stage"},
        "callmeback_visitors": {"ip", "country", "city", "ua", "state", "token", "network"},
        "cdr_channels": {"channel"},
        "cdr_notes": {"user_name"},
        "cdrs": {
            *("type", "disposition", "destination", "context", "src_id", "src_ua", "src_codec", "dst_id", "dst_ua"),
            *("dst_codec", "t_cause", "uniqueid", "source_key", "linkedid"),
        },
        "chatmsgs": {"from_id", "to_id", "client_id"},
        "chats": {
            *("operator_ua", "visitor_city", "visitor_country", "visitor_geo", "visitor_ip", "visitor_ua", "state"),
            *("token", "open_token", "network", "asked"),
        },
        "contacts": {"type", "ext", "group_name", "source_key"},
        "holds": {"resource", "user_name"},
        "jobs": {"kind", "state", "unique_key"},
        "spooled": {"pbx", "source_key", "place", "folder"},
        "leg_keys": {"key", "call_id"},
        "mediasessions": {
            *("call_id", "status", "src_id", "src_ua", "src_ip", "dst_id", "dst_ua", "dst_ip", "type", "quality")
        },
        "monitors": {"context", "dst_id", "src_id", "type", "sentiment", "blob_key", "source_key", "uniqueid"},
        "msdrs": {
            *("call_id", "src_id", "src_ua", "src_ip", "dst_id", "dst_ua", "dst_ip", "t_cause", "type", "quality"),
            "ended_by",
        },
        "registrations": {"device", "user_agent", "last_cause", "src_ip", "transport", "state", "call_id"},
        "shares": {"hash"},
        "sms": {"from_id", "to_id", "result", "type"},
        "voicemessages": {"folder", "blob_key", "source_key"},
    }
    others = {
        *(
            "callmeback_buttons",
            "callmeback_domains",
            "callmeback_settings",
            "calls",
            "campaigns",
            "challenges",
            "copied",
        ),
        *(
            "counters",
            "ddis",
            "ended_calls",
            "erasures",
            "events",
            "exports",
            "queuegroups",
            "queues",
            "rates",
            "recovery_codes",
            "tokens",
        ),
        *("usergrouppolicies", "usergroups", "users"),
    }
    looked_at = {trace.table.name: set(trace.columns) for trace in TRACES}
    for table in schema.metadata.sorted_tables:
        texts = {column.name for column in table.columns if isinstance(column.type, Text)}
        if "customer_id" in table.c and texts and table.name not in others:
            assert texts == looked_at.get(table.name, set()) | says_nobody.get(table.name, set()), table.name


def test_a_number_is_forgotten_everywhere(api: Api) -> None:
    mine, others = added(
        api,
        call(AT, src=BOB, clid=f'"Bob" <{BOB}>'),
        call(AT + 1, src=OTHER, metadata='{"about": ["020 7946 0011", 442079460011]}'),
    )
    monitor(api, cdr_id=mine)
    said = {"cdr_id": others, "transcript": "He said: call 020 7946 0011."}
    inserted(api, "monitors", duration=1, size=1, timestamp=AT, blob_key="k", source_key="s", **said)
    inserted(api, "cdr_notes", cdr_id=others, user_id=1, text="See +44 20 7946 0011", created_at=AT)
    api.write(
        lambda db: messages.add_sms(db, api.acme, [{"created_at": AT, "from": BOB, "to": OTHER, "message": "hi"}])
    )
    line = {
        "created_at": AT,
        "description": f"Call to {BOB} (UK), 1:00",
        "amount": -100,
        "balance": -100,
        "cdr_id": mine,
    }
    api.write(lambda db: messages.add_statements(db, api.acme, [line]))
    api.admin.post("/contacts", {"first_name": "Bob", "tel": "+44 (0)20 7946 0011"})
    api.admin.post("/contacts", {"first_name": "Other", "tel": OTHER, "notes": "brother of 02079460011"})

    erasure = asked(api, number="020 7946 0011")

    assert naming(api, BOB, "7946 0011", "79460011") == []
    assert (erasure["state"], erasure["kind"]) == ("done", "number")
    certificate = erasure["certificate"]
    assert certificate["removed"] == {"cdrs": 1, "monitors": 1, "sms": 1, "contacts": 1}
    assert certificate["redacted"] == {"cdrs": 1, "monitors": 1, "cdr_notes": 1, "statements": 1, "contacts": 1}
    kept = api.admin.get(f"/cdrs/{others}").data
    assert json.loads(kept["metadata"]) == {"about": ["[erased]", "[erased]"]}
    (statement,) = api.admin.listed("/statements")
    assert (statement["amount"], statement["description"]) == (-0.01, "Call to [erased] (UK), 1:00")


def test_an_address_is_forgotten_with_its_chats(api: Api) -> None:
    chat = {"created_at": AT, "visitor_email": BOBS_MAIL.title(), "visitor_name": "Bob"}
    (chat_id,) = api.write(lambda db: messages.add_chats(db, api.acme, [chat]))
    said = [
        {"created_at": AT, "chat_id": chat_id, "message": "hello"},
        {"created_at": AT, "message": f"write {BOBS_MAIL}"},
    ]
    api.write(lambda db: messages.add_chatmsgs(db, api.acme, said))
    erasure = asked(api, email=BOBS_MAIL)
    assert naming(api, BOBS_MAIL) == []
    assert erasure["certificate"]["removed"] == {"chats": 1}
    left = api.services.database.read(lambda db: db.all("SELECT message FROM chatmsgs"))
    assert left == [("write [erased]",)]


def test_signalling_of_the_person_goes_and_of_others_stays(api: Api) -> None:
    def session(call_id: str, src: str) -> None:
        plain = {"call_id": call_id, "created_at": AT, "src": src, "duration": 1}
        inserted(api, "mediasessions", **plain, updated_at=AT, status="ENDED", slice_day=day_of(AT))
        inserted(api, "msdrs", **plain)
        put(api, call_id, day_of(AT), packet(AT, f"INVITE sip:{src}@h SIP/2.0".encode()))

    session("a", BOB)
    session("b", OTHER)
    erasure = asked(api, number=BOB)
    assert naming(api, BOB) == []
    assert erasure["certificate"]["removed"] == {"mediasessions": 1}
    assert [each["src"] for each in api.admin.listed("/msdrs")] == [OTHER]


def test_what_is_held_stays_and_is_said(api: Api) -> None:
    (mine,) = added(api, call(AT, src=BOB))
    hold = placed(api, "cdrs", mine).data["id"]
    erasure = asked(api, number=BOB)
    assert erasure["state"] == "held"
    assert erasure["certificate"]["held"] == {"cdrs": 1}
    assert api.admin.get(f"/cdrs/{mine}").status == 200
    api.admin.delete(f"/holds/{hold}")
    assert asked(api, number=BOB)["state"] == "done"
    assert api.admin.get(f"/cdrs/{mine}").status == 404


class Conflicts:
    """A database of which every transaction has to be run again."""

    class _Conflict(Exception):
        pass

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, work: Any, **how: Any) -> Any:
        def fails(db: Any) -> None:
            work(db)
            raise self._Conflict

        with suppress(self._Conflict):
            self._database.write(fails, **how)
        return self._database.write(work, **how)


def test_what_is_held_is_counted_once_however_often_a_transaction_is_run(api: Api) -> None:
    (mine,) = added(api, call(AT, src=BOB))
    placed(api, "cdrs", mine)
    erasure = api.admin.post("/erasures", {"number": BOB}).data["id"]
    services: Any = replace(api.services, database=Conflicts(api.services.database))
    erase.erase(services, api.acme, erasure, Person("number", BOB))
    assert api.admin.get(f"/erasures/{erasure}").data["certificate"]["held"] == {"cdrs": 1}


def test_a_message_that_is_held_keeps_its_chat(api: Api) -> None:
    chat = {"created_at": AT, "visitor_email": BOBS_MAIL}
    (chat_id,) = api.write(lambda db: messages.add_chats(db, api.acme, [chat]))
    said = [{"created_at": AT, "chat_id": chat_id, "message": word} for word in ("evidence", "other")]
    kept, other = api.write(lambda db: messages.add_chatmsgs(db, api.acme, said))
    placed(api, "chatmsgs", kept)
    erasure = asked(api, email=BOBS_MAIL)
    assert (erasure["state"], erasure["certificate"]["held"]) == ("held", {"chats": 1})
    assert ids_of(api, f"/chats/{chat_id}/chatmsgs") == {kept, other}


def test_words_in_what_is_held_stay_too(api: Api) -> None:
    note = [{"created_at": AT, "message": f"write {BOBS_MAIL}"}]
    (kept,) = api.write(lambda db: messages.add_chatmsgs(db, api.acme, note))
    placed(api, "chatmsgs", kept)
    erasure = asked(api, email=BOBS_MAIL)
    assert (erasure["state"], erasure["certificate"]["held"]) == ("held", {"chatmsgs": 1})
    assert len(naming(api, BOBS_MAIL)) == 1


def test_a_hold_on_the_person_stays_until_it_is_released(api: Api) -> None:
    hold = placed(api, "cdrs", filter=[{"property": "src", "operator": "eq", "value": BOB}]).data["id"]
    erasure = asked(api, number=BOB)
    assert (erasure["state"], erasure["certificate"]["held"]) == ("held", {"holds": 1})
    api.admin.delete(f"/holds/{hold}")
    assert asked(api, number=BOB)["state"] == "done"
    assert naming(api, BOB) == []


def test_exports_go_for_nobody_knows_whom_they_name(api: Api) -> None:
    api.admin.post("/exports", {"resource": "cdrs", "format": "csv"})
    assert asked(api, number=BOB)["certificate"]["removed"] == {"exports": 1}
    assert api.admin.listed("/exports") == []


def test_exports_that_were_made_meanwhile_go_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    lots_with, made = traces.lots_with, list[Any]()

    def exporting(*arguments: Any) -> Iterator[Any]:
        made.extend([api.admin.post("/exports", {"resource": "cdrs", "format": "csv"})] if not made else [])
        return lots_with(*arguments)

    monkeypatch.setattr(traces, "lots_with", exporting)
    assert asked(api, number=BOB)["certificate"]["removed"] == {"exports": 1}
    assert api.admin.listed("/exports") == list(api.services.blobs.list()) == []


def test_other_customers_keep_what_they_have(api: Api) -> None:
    theirs = added(api, call(AT, src=BOB), customer=api.other)
    asked(api, number=BOB)
    assert api.stranger.get(f"/cdrs/{theirs[0]}").status == 200
    assert api.stranger.listed("/erasures") == []


def test_nothing_is_left_in_the_files_of_the_server(api: Api, tmp_path: Path) -> None:
    added(api, *(call(AT + n, src=BOB if n % 20 == 0 else f"4420794{n:05}", clid=BOBS_MAIL) for n in range(2_000)))
    api.services.database.settle()
    if not POSTGRES:  # whose files are not ours
        assert BOB.encode() in (tmp_path / "ringback.db").read_bytes()
    asked(api, number=BOB)
    asked(api, email=BOBS_MAIL)
    for file in filter(Path.is_file, tmp_path.rglob("*")):
        content = file.read_bytes()
        assert BOB.encode() not in content, file
        assert BOBS_MAIL.encode() not in content, file


def test_a_job_that_was_given_up_names_nobody(api: Api) -> None:
    job = {"kind": "wipe", "args": json.dumps({"filter": f'[["src", "{BOB}"]]'}), "state": "dead", "error": f"at {BOB}"}
    times = dict.fromkeys(("attempts", "run_at", "lease_until", "created_at"), 0)
    inserted(api, "jobs", **job, **times)
    assert asked(api, number=BOB)["certificate"]["redacted"] == {"jobs": 1}
    assert naming(api, BOB) == []


def test_the_audio_goes_also_when_its_store_was_away_for_long(api: Api, clock: TestClock) -> None:
    key = f"{api.acme}/monitors/1.mp3"
    api.services.blobs.put(key, b"audio")
    (mine,) = added(api, call(AT, src=BOB))
    inserted(api, "monitors", duration=1, size=5, timestamp=AT, blob_key=key, source_key="s", cdr_id=mine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.services.blobs, "delete", away)
        asked(api, number=BOB)
        for _ in range(queue.ATTEMPTS):
            clock.advance(100)
            api.run_jobs()
    clock.advance(queue.AGAIN_S + 100)
    assert queue.try_again(api.services.database, UNTIL_DONE, clock()) == 1
    api.run_jobs()
    assert list(api.services.blobs.list()) == []


def away(_: str) -> None:
    raise BlobsUnavailable("away")


def test_the_totals_of_lists_stay_right(api: Api) -> None:
    added(api, *(call(AT + n, src=BOB if n % 3 else OTHER) for n in range(30)))
    asked(api, number=BOB)
    answer = api.admin.get("/cdrs", limit=5)
    assert (answer.json["total"], len(answer.data)) == (10, 5)


def test_nobody_but_an_administrator_may_ask(api: Api) -> None:
    for client in (api.reception, api.ann):
        assert client.post("/erasures", {"number": BOB}).status == 403
        assert client.get("/erasures").status == 403


@pytest.mark.parametrize(
    "body", [{}, {"number": BOB, "email": BOBS_MAIL}, {"number": "101"}, {"email": "x"}, {"number": ""}]
)
def test_a_wish_that_names_nobody_is_refused(api: Api, body: dict[str, str]) -> None:
    assert api.admin.post("/erasures", body).status == 400


def test_own_numbers_and_users_are_no_persons_to_forget(api: Api) -> None:
    api.write(lambda db: rows.insert(db, schema.ddis, api.acme, [{"e164": OTHER}]))
    refused = api.admin.post("/erasures", {"number": f"+{OTHER}"})
    assert (refused.status, refused.fields) == (400, ["number"])
    mine = api.admin.get("/me").data["email"]
    assert "delete the user first" in str(api.admin.post("/erasures", {"email": mine.upper()}).body)


def test_neither_the_erasure_nor_its_audit_entry_says_who(api: Api) -> None:
    added(api, call(AT, src=BOB))
    asked(api, number=BOB)
    entries = [each for each in api.admin.listed("/auditlog") if each["object_class"] == "Erasure"]
    assert [each["action"] for each in entries] == ["erase", "create"]
    assert naming(api, BOB) == []


def test_a_job_that_is_run_again_counts_nothing_twice(api: Api) -> None:
    from ringback.calls.persons import Person
    from ringback.jobs import erase

    added(api, call(AT, src=BOB), call(AT, dst=BOB))
    first = asked(api, number=BOB)
    erase.erase(api.services, api.acme, first["id"], Person("number", BOB, "GB"))
    again = api.admin.get(f"/erasures/{first['id']}").data
    assert again["certificate"]["removed"] == {"cdrs": 2}
