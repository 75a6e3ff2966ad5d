"""An account is copied from another server: the same lists there and here, whatever happens on the way."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ringback import app as composition
from ringback.identity import tokens
from ringback.importers import Options, Summary
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.importers.voipstudio import login
from ringback.opening import open_services
from ringback.settings import Settings
from ringback.store import accounts, cdrs
from ringback.store.database import Db
from tests import process
from tests.api import Api, Client
from tests.child import importing
from tests.clock import TestClock
from tests.conftest import POSTGRES
from tests.importers.other_server import ringback, served
from tests.recordings import add_monitor, add_voicemessage, mp3
from tests.test_cdrs import add
from tests.test_cdrs import call as cdr
from tests.test_messages import add_chat, add_message, add_sms

LISTS = ("/usergroups", "/queues", "/ddis", "/contacts", "/cdrs", "/monitors", "/voicemessages", "/sms", "/chats")
TABLES = ("users", "contacts", "ddis", "queues", "queue_users", "usergroups", "usergroup_users", "cdrs", "cdr_parties",
          "cdr_notes", "monitors", "voicemessages", "sms", "chats", "chatmsgs", "copied", "counters", "jobs", "auditlog")  # fmt: skip


def call(api: Api, calldate: int = 1_794_000_000, **changes: Any) -> int:
    return add(api, cdr(calldate, **changes))[0]


class Target:
    """A server of its own, with one customer and its root."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services = open_services(settings, TestClock())
        self.app = composition.build(self.services)
        self.customer_id, self.root = self.services.database.write(self._made)

    def _made(self, db: Db) -> tuple[int, Client]:
        db.new_ids("customers", 5)  # ids of customers differ
        customer_id = accounts.create_customer(db, name="Copy", cc="GB", now=1)
        fixed: dict[str, Any] = {"roles": '["administrator"]', "is_root": True, "ext": "900", "now": 1}
        user_id = accounts.create_user(db, customer_id, email="owner@new.example", first_name="Olga", **fixed)
        token, _ = tokens.add(db, customer_id, user_id, kind=tokens.API, expiry_s=None, now=1, name="test")
        return customer_id, Client(self.app, token, customer_id, user_id)

    def copy(self, url: str) -> Summary:
        return IMPORTERS["voipstudio"].from_url(  # type: ignore[misc]
            self.services, self.customer_id, url, Options(country="GB"), Unwatched()
        )

    def counts(self) -> dict[str, int]:
        def work(db: Db) -> dict[str, int]:
            return {name: db.all(f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}

        return self.services.database.read(work)


@pytest.fixture
def start_target(tmp_path: Path, template: str) -> Iterator[Callable[[], Target]]:
    with ExitStack() as stack:

        def begin() -> Target:
            folder = tmp_path / f"target{len(started)}"
            folder.mkdir()
            if POSTGRES:
                from tests import postgres

                url = stack.enter_context(postgres.copy_of(template))
            else:
                url = str(shutil.copy(template, folder / "ringback.db"))
            started.append(Target(Settings(data_dir=str(folder), database=url)))
            stack.callback(started[-1].services.database.close)
            return started[-1]

        started: list[Target] = []
        yield begin


@pytest.fixture
def target(start_target: Callable[[], Target]) -> Target:
    return start_target()


@pytest.fixture
def url(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    assert api.admin.token is not None
    monkeypatch.setenv(login.TOKEN, api.admin.token)
    with served(ringback(api)) as found:
        yield found


def filled(api: Api, folder: Path) -> None:
    """A company's past: a call over a queue, a recording with all that was said, and what else there is."""
    admin, ann, bob = api.admin, api.ann, api.bob
    team = admin.post("/usergroups", {"name": "Sales", "color": "#00ff00", "users": [ann.user_id, bob.user_id]}).data
    members = [{"id": ann.user_id, "status": False}, {"id": bob.user_id}]
    queue = admin.post("/queues", {"name": "Support", "number": "600", "users": members, "ring_time": 20}).data["id"]
    assert team["users"]
    admin.post("/ddis", {"e164": "442079460100", "number": "020 7946 0100", "destination": str(ann.user_id)})
    admin.post("/ddis", {"e164": "442079460101", "destination": f"Queue{queue}"})
    known = {"first_name": "Zoë", "mobile": "+44 7700 900123", "labels": ["VIP"], "global": True, "notes": "x\ny"}
    contact = admin.post("/contacts", known).data["id"]
    ann.post("/contacts", {"last_name": "Private", "rel_user_id": bob.user_id})
    call(api, src="101", dst="442071112222", user_id=ann.user_id, src_id=str(ann.user_id), rate=150, charge=1234)
    root = call(
        api, type="I", src_id=f"contact:{contact}", dst_id=f"Queue{queue}", context="QUEUE", calldate=1_795_000_000
    )
    (first,) = admin.listed("/cdrs", ("id", "eq", root))
    hop = {"parent_live_id": first["live_id"], "root_live_id": first["live_id"], "calldate": 1_795_000_000}
    call(
        api,
        type="I",
        user_id=bob.user_id,
        dst_id=str(bob.user_id),
        src_id="0",
        labels='["x"]',
        metadata='{"a":1}',
        **hop,
    )
    call(api, user_id=199_999, src_id="199999", calldate=1_795_000_001)  # somebody who has left
    admin.post(f"/cdrs/{root}/notes", {"text": "Called back."})
    audio = mp3(folder)
    spoken = '[{"speaker":"A","start_s":0,"end_s":1.5,"text":"Hi"}]'
    add_monitor(api, audio, live_id=first["live_id"], cdr_id=root, src_id=f"contact:{contact}", dst_id=str(bob.user_id))
    said: dict[str, Any] = {
        "transcript": "Hi",
        "transcript_speakers": spoken,
        "summary": "S",
        "sentiment": "positive",
        "cx_score": 9,
    }
    add_monitor(api, audio, live_id=None, metadata='{"k":[1]}', **said)
    add_voicemessage(api, audio)
    add_voicemessage(api, audio, folder="Old", is_new=0, transcript="Call me", live_id=first["live_id"])
    add_sms(api, user_id=ann.user_id, from_id=str(ann.user_id), to_id=f"contact:{contact}")
    chat = add_chat(api, operator_id=bob.user_id, visitor_email="v@example.com")
    add_message(api, None, bob, chat_id=chat)
    add_message(api, ann, bob, read_at=1_700_000_001)


def everything(client: Client) -> dict[str, Any]:
    return {path: client.listed(path, sort="id", dir="ASC", limit=10_000) for path in LISTS}


def test_every_list_is_the_same_here_and_there(api: Api, target: Target, url: str, tmp_path: Path) -> None:
    filled(api, tmp_path)
    summary = target.copy(url)
    assert summary.refused == []
    assert summary.known == 2  # each message between two users is in the lists of both
    there, here = everything(api.admin), everything(target.root)
    for row in there["/chats"]:
        row["customer_id"] = target.customer_id
    ids = {user["email"]: user["id"] for user in target.root.listed("/users")}
    mapped = {api.admin.user_id: ids["admin@customer1.example"]}
    assert mapped[api.admin.user_id] != api.admin.user_id  # Olga has this id here; the others keep theirs
    assert (ids["ann@customer1.example"], ids["bob@customer1.example"]) == (api.ann.user_id, api.bob.user_id)
    for path in LISTS:
        assert here[path] == there[path], path
    people = {user["email"]: user for user in target.root.listed("/users")}
    for user in api.admin.listed("/users"):
        same = set(user) - {"id", "customer", "is_root", "is_initial"}
        assert {name: people[user["email"]][name] for name in same} == {name: user[name] for name in same}


def test_notes_messages_and_audio_come_along(api: Api, target: Target, url: str, tmp_path: Path) -> None:
    filled(api, tmp_path)
    target.copy(url)
    (noted,) = target.root.listed("/cdrs", ("nb_notes", "gt", 0))
    (note,) = target.root.listed(f"/cdrs/{noted['id']}/notes")
    assert (note["text"], note["user_name"]) == ("Called back.", "Admin Tester")
    (chat,) = target.root.listed("/chats")
    assert [each["message"] for each in target.root.listed(f"/chats/{chat['id']}/chatmsgs")] == ["Hello"]
    assert len(target.root.listed(f"/users/{api.bob.user_id}/chatmsgs")) == 2
    for path in ("/monitors", "/voicemessages"):
        for row in target.root.listed(path):
            assert target.root.get(f"{path}/{row['id']}.mp3").body == api.admin.get(f"{path}/{row['id']}.mp3").body
    queue = target.root.get("/queues", include="users").data[0]
    assert {user["id"]: user["status"] for user in queue["users"]} == {api.ann.user_id: False, api.bob.user_id: True}


def test_a_second_run_writes_nothing(api: Api, target: Target, url: str, tmp_path: Path) -> None:
    filled(api, tmp_path)
    first = target.copy(url)
    before, lists = target.counts(), everything(target.root)
    again = target.copy(url)
    assert (again.read, again.new, again.known, again.refused) == (first.read, 0, first.read, [])
    assert target.counts() == before
    assert everything(target.root) == lists


def test_what_comes_later_comes_with_the_next_run(api: Api, target: Target, url: str) -> None:
    call(api, calldate=1_795_000_000)
    target.copy(url)
    call(api, calldate=1_795_000_000)
    call(api, calldate=1_600_000_000)  # a call is noted when it ends, so an older one may come later
    assert target.copy(url).new == 2
    assert everything(target.root)["/cdrs"] == everything(api.admin)["/cdrs"]


def test_nobody_who_was_copied_has_a_password_and_nobody_becomes_root(api: Api, target: Target, url: str) -> None:
    target.copy(url)
    sql = "SELECT count(*) FROM users WHERE customer_id = :customer AND (password_hash IS NOT NULL OR is_root = 1)"
    bound = {"customer": target.customer_id}
    assert target.services.database.read(lambda db: db.all(sql, bound)) == [(1,)]  # Olga


def test_ids_that_are_taken_here_become_others_everywhere(api: Api, target: Target, url: str, tmp_path: Path) -> None:
    other = {"email": "x@new.example", "first_name": "X", "last_name": "Y", "ext": "901"}
    fresh = {"calldate": 1, "duration": 0, "billsec": 0, "type": "O", "disposition": "INITIAL"}
    for n in range(3):
        assert target.root.post("/users", {**other, "email": f"x{n}@new.example", "ext": f"90{n + 1}"}).status == 201
        target.root.post("/contacts", {"first_name": "Here", "global": True})
        row = {**fresh, "destination": "out", "context": "PSTN_CALL"}
        target.services.database.write(partial(_insert, target.customer_id, row))
    filled(api, tmp_path)
    assert target.copy(url).refused == []
    by_email = {user["email"]: user for user in target.root.listed("/users")}
    ann = by_email["ann@customer1.example"]
    assert ann["id"] not in {client.user_id for client in (api.admin, api.reception, api.ann, api.bob)}
    contact = next(each for each in target.root.listed("/contacts") if each["first_name"] == "Zoë")
    private = next(each for each in target.root.listed("/contacts") if each["last_name"] == "Private")
    assert (private["user_id"], private["rel_user_id"]) == (ann["id"], by_email["bob@customer1.example"]["id"])
    copied = target.root.listed("/cdrs", ("calldate", "gt", "2000-01-01"))
    (outbound,) = (each for each in copied if each["dst"] == "442071112222")
    (root,) = (each for each in copied if each["context"] == "QUEUE")
    (hop,) = (each for each in copied if each["parent_live_id"])
    assert (outbound["user_id"], outbound["src_id"]) == (ann["id"], str(ann["id"]))
    assert root["src_id"] == f"contact:{contact['id']}"
    assert hop["parent_live_id"] == hop["root_live_id"] == root["live_id"] == root["call_id"]
    monitor = target.root.listed("/monitors", ("src_id", "eq", root["src_id"]))[0]
    assert monitor["live_id"] == root["live_id"]
    assert target.root.listed("/ddis", ("e164", "eq", "442079460100"))[0]["destination"] == str(ann["id"])
    assert target.copy(url).new == 0


def _insert(customer_id: int, row: dict[str, Any], db: Db) -> None:
    cdrs.insert(db, customer_id, [row])


def test_people_of_another_customer_here_are_refused_without_saying_whose(api: Api, target: Target, url: str) -> None:
    def work(db: Db) -> None:
        other = accounts.create_customer(db, name="Rival", cc="GB", now=1)
        accounts.create_user(db, other, email="Ann@customer1.example", now=1)

    target.services.database.write(work)
    call(api, user_id=api.ann.user_id, src_id=str(api.ann.user_id))
    (refusal,) = target.copy(url).refused
    address = api.admin.get(f"/users/{api.ann.user_id}").data["email"]
    assert (refusal.where, refusal.reason) == (
        f"user {api.ann.user_id}",
        f"email '{address}': a user of another customer on this server has this address",
    )
    assert target.root.listed("/cdrs")[0]["user_id"] == api.ann.user_id


def test_one_customer_is_the_copy_of_one_account(
    api: Api, target: Target, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.copy(url)
    assert api.stranger.token is not None
    monkeypatch.setenv(login.TOKEN, api.stranger.token)
    with pytest.raises(Exception, match="already"):
        target.copy(url)


def test_a_run_that_is_killed_and_repeated_leaves_what_an_undisturbed_one_leaves(
    api: Api, start_target: Callable[[], Target], url: str, tmp_path: Path
) -> None:
    filled(api, tmp_path)
    for n in range(40):
        call(api, calldate=1_795_000_000 + n, user_id=api.ann.user_id)
    killed, calm = start_target(), start_target()
    before = time.perf_counter()
    calm.copy(url)
    took_s = time.perf_counter() - before
    there = (killed.settings.database, killed.settings.data_dir, killed.customer_id)
    for n in range(8):
        child = subprocess.Popen(importing(*there, "voipstudio", url), stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait(took_s * (n + 1) / 10)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert killed.copy(url).refused == []
    assert everything(killed.root) == everything(calm.root)
    counts = {name: n for name, n in killed.counts().items() if name != "counters"}
    assert counts == {name: n for name, n in calm.counts().items() if name != "counters"}
    assert [blob.key for blob in killed.services.blobs.list()] == [blob.key for blob in calm.services.blobs.list()]


def test_logging_in_by_password(api: Api, target: Target, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.people import PASSWORD, give_password

    give_password(api, api.admin)
    monkeypatch.delenv(login.TOKEN)
    monkeypatch.setenv(login.EMAIL, "admin@customer1.example")
    monkeypatch.setenv(login.PASSWORD, PASSWORD)
    assert target.copy(url).new == 4
    monkeypatch.setenv(login.PASSWORD, "wrong")
    with pytest.raises(Exception, match="refuses"):
        target.copy(url)


def test_pages_end_within_a_second_without_loss_or_double(
    api: Api, target: Target, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ringback.importers.voipstudio import listing

    for n in range(30):
        call(api, calldate=1_795_000_000 + n // 13)
    whole = listing.by_time
    monkeypatch.setattr(listing, "by_time", lambda source, path, by, _: whole(source, path, by, 5))
    summary = target.copy(url)
    assert summary.read == summary.new == 30 + 4
    assert everything(target.root)["/cdrs"] == everything(api.admin)["/cdrs"]


def test_the_command_line_takes_the_token_from_the_environment_and_shows_it_nowhere(
    api: Api, target: Target, url: str
) -> None:
    token = api.admin.token or ""
    ended = process.ringback(target.settings, "import", "voipstudio", url, RINGBACK_SOURCE_TOKEN=token)
    assert (ended.returncode, ended.stdout) == (0, "4 read: 4 new, 0 known already, 0 refused\n"), ended.stderr
    refused = process.ringback(target.settings, "import", "voipstudio", url, RINGBACK_SOURCE_TOKEN="wrong")
    assert refused.returncode == 2
    assert "token" in refused.stderr
    none = process.ringback(target.settings, "import", "voipstudio", url)
    assert "RINGBACK_SOURCE_TOKEN" in none.stderr
    assert token not in ended.stdout + ended.stderr + none.stderr
