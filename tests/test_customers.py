"""The customer: its settings and its end; recorded names of its users."""

from pathlib import Path

import pytest

from ringback.jobs import delete_customer
from ringback.store import cdrs, rows, schema
from ringback.store.database import Db, value
from tests.api import Answer, Api, Client
from tests.media.sounds import tone
from tests.test_cdrs import call
from tests.test_users import CARL, restrict


def test_administrators_read_and_change_their_customer(api: Api) -> None:
    path = f"/customers/{api.acme}"
    assert api.admin.get(path).data == {
        "id": api.acme,
        "name": "Acme",
        "cc": "GB",
        "currency_iso": "GBP",
        "language": "en",
        "time_zone": "UTC",
        "retention": None,
        "max_call_rate": None,
    }
    body = {"name": "Acme Ltd", "cc": "PL", "time_zone": "Europe/Warsaw", "retention": {"cdrs": 365, "sip": 30}}
    changed = api.admin.patch(path, body)
    assert changed.status == 200
    assert changed.data["retention"] == {"cdrs": 365, "sip": 30}
    assert api.admin.patch(path, {}).data == changed.data
    assert api.admin.patch(path, changed.data).data == changed.data
    assert api.ann.get("/me").data["cc"] == "PL"
    assert api.ann.get(path).status == 403
    assert api.ann.patch(path, {"name": "Mine"}).status == 403
    assert api.stranger.get(path).status == 404
    assert api.stranger.patch(path, {"name": "Mine"}).status == 404


def test_what_is_wrong_with_a_customers_settings_is_said_at_once(api: Api) -> None:
    path = f"/customers/{api.acme}"
    assert api.admin.patch(path, {"name": "", "cc": "Poland", "currency_iso": 5}).fields == [
        "name",
        "cc",
        "currency_iso",
    ]
    body = {"cc": "ZZ", "time_zone": "Middle/Earth", "retention": {"cdrs": 0, "monitors": None, "cats": 1}}
    assert api.admin.patch(path, body).fields == ["cc", "time_zone", "retention.cats", "retention.cdrs"]
    for zone in ("../../etc/passwd", "/etc/passwd", "Europe", ""):
        assert api.admin.patch(path, {"time_zone": zone}).fields == ["time_zone"]


def test_only_the_root_user_deletes_the_customer(api: Api) -> None:
    path = f"/customers/{api.acme}"
    api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]})
    assert api.ann.delete(path).status == 403
    assert api.bob.delete(path).status == 403
    assert api.stranger.delete(path).status == 404
    assert api.admin.get("/me").status == 200


def test_a_deleted_customer_is_locked_out_at_once(api: Api) -> None:
    assert api.admin.delete(f"/customers/{api.acme}").status == 204
    for client in (api.admin, api.ann, api.bob):
        assert client.get("/me").status == 401
    assert api.stranger.post("/users", {**CARL, "email": "ann@customer1.example"}).status == 201


def test_a_customer_is_deleted_once(api: Api) -> None:
    for _ in range(2):
        api.write(lambda db: delete_customer.begin(db, api.acme, 1))
    api.run_jobs()
    assert left(api, api.acme) == {}


def fill(api: Api, client: Client, customer_id: int) -> None:
    """Something in many tables, audio among it."""
    numbers = {"src": "442079460001", "dst": "12025550123"}
    api.write(lambda db: cdrs.insert(db, customer_id, [call(1_000_000_000 + n, **numbers) for n in range(1_200)]))
    user = client.post("/users", {**CARL, "email": f"carl@customer{customer_id}.example"}).data["id"]
    client.post("/usergroups", {"name": "Sales", "users": [user]})
    client.post("/queues", {"name": "Support", "users": [user]})
    client.post("/contacts", {"first_name": "Mum"})
    api.services.blobs.put(f"{customer_id}/monitors/1.mp3", b"audio")


def left(api: Api, customer_id: int) -> dict[str, int]:
    """How many rows each table still has of a customer."""

    def count(db: Db) -> dict[str, int]:
        tables = [table.name for table in schema.metadata.sorted_tables if "customer_id" in table.c]
        sql = 'SELECT count(*) FROM "{}" WHERE customer_id = :customer'
        counts = {name: value(db, sql.format(name), {"customer": customer_id}) for name in tables}
        return {name: n for name, n in counts.items() if n}

    return api.services.database.read(count)


def test_nothing_of_a_deleted_customer_remains_but_the_audit_entry(api: Api) -> None:
    fill(api, api.admin, api.acme)
    fill(api, api.stranger, api.other)
    theirs = left(api, api.other)
    assert api.admin.delete(f"/customers/{api.acme}").status == 204
    api.run_jobs()
    assert left(api, api.acme) == {"auditlog": 1}
    assert list(api.services.blobs.list(f"{api.acme}/")) == []
    assert left(api, api.other) == theirs, "the other customer has lost nothing"
    assert len(list(api.services.blobs.list(f"{api.other}/"))) == 1
    found = api.stranger.listed("/cdrs", ("src", "like", "46000"), limit=10_000)
    assert len(found) == 1_200


def test_the_index_of_numbers_forgets_a_deleted_customer(api: Api) -> None:
    index = "SELECT count(*) FROM cdr_numbers WHERE cdr_numbers MATCH 'src : \"46000\"'"
    if api.services.database.engine == "postgres":  # there the index goes with the row
        index = "SELECT count(*) FROM cdrs WHERE src LIKE '%46000%'"
    fill(api, api.admin, api.acme)
    api.admin.delete(f"/customers/{api.acme}")
    api.run_jobs()
    assert api.services.database.read(lambda db: value(db, index)) == 0


def test_the_deletion_goes_on_after_a_crash(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api, api.admin, api.acme)
    assert api.admin.delete(f"/customers/{api.acme}").status == 204
    with monkeypatch.context() as patch:
        patch.setattr("ringback.jobs.delete_customer.STEP", 100)
        patch.setattr("ringback.store.cdrs.delete", _failing)
        api.run_jobs()
    assert "cdrs" in left(api, api.acme)
    api.services.clock.advance(3_600)  # type: ignore[attr-defined]
    api.run_jobs()
    assert left(api, api.acme) == {"auditlog": 1}


def _failing(*_: object) -> None:
    raise OSError("power cut")


# -- recorded names ---------------------------------------------------------------------------------------------------


def upload(client: Client, user_id: int, body: bytes, media_type: str = "audio/wav") -> Answer:
    return client.call("PUT", f"/users/{user_id}/audio", body, headers={"content-type": media_type})


def test_a_recorded_name_is_uploaded_heard_replaced_and_forgotten(api: Api, tmp_path: Path) -> None:
    path = f"/users/{api.ann.user_id}/audio"
    none = {"custom": False, "duration": None, "size": None, "url": None}
    before = api.ann.get(path).data
    assert before["audio"] == none
    assert before["first_name"] == "Ann"
    stored = upload(api.ann, api.ann.user_id, tone(tmp_path / "a.wav").read_bytes())
    assert stored.status == 200
    audio = stored.data["audio"]
    assert audio["custom"] is True
    assert audio["duration"] in (2, 3)
    assert audio["url"] == f"/v1.1/voipstudio/users/{api.ann.user_id}/audio.mp3"
    played = api.ann.get(f"{path}.mp3")
    assert played.headers["content-type"] == "audio/mpeg"
    assert len(played.body) == audio["size"] == int(played.headers["content-length"])
    again = upload(api.admin, api.ann.user_id, played.body, "audio/mpeg")
    assert again.status == 200
    api.run_jobs()
    assert len(list(api.services.blobs.list(f"{api.acme}/"))) == 1, "the replaced recording is gone"
    assert api.ann.delete(path).status == 204
    assert api.ann.delete(path).status == 204
    assert api.ann.get(path).data["audio"] == none
    assert api.ann.get(f"{path}.mp3").status == 404
    api.run_jobs()
    assert list(api.services.blobs.list(f"{api.acme}/")) == []


def test_a_deleted_user_takes_the_recorded_name_along(api: Api, tmp_path: Path) -> None:
    upload(api.ann, api.ann.user_id, tone(tmp_path / "a.wav", seconds=0.5).read_bytes())
    assert api.admin.delete(f"/users/{api.ann.user_id}").status == 204
    api.run_jobs()
    assert list(api.services.blobs.list(f"{api.acme}/")) == []


def test_broken_audio_is_refused_and_leaves_what_was_there(api: Api, tmp_path: Path) -> None:
    upload(api.ann, api.ann.user_id, tone(tmp_path / "a.wav", seconds=0.5).read_bytes())
    size = api.ann.get(f"/users/{api.ann.user_id}/audio").data["audio"]["size"]
    for body in (b"RIFF nonsense", b""):
        assert upload(api.ann, api.ann.user_id, body).status == 400
    assert upload(api.ann, api.ann.user_id, b"{}", "application/json").status == 415
    assert api.ann.get(f"/users/{api.ann.user_id}/audio").data["audio"]["size"] == size


def test_recorded_names_are_the_users_own_and_the_administrators(api: Api) -> None:
    path = f"/users/{api.ann.user_id}/audio"
    for client in (api.bob, api.reception):
        assert client.delete(path).status == 403
        assert upload(client, api.ann.user_id, b"x").status == 403
    assert [api.bob.get(each).status for each in (path, f"{path}.mp3")] == [403, 403]
    assert [api.reception.get(each).status for each in (path, f"{path}.mp3")] == [200, 404]  # none is recorded
    assert api.stranger.get(path).status == 404
    assert upload(api.stranger, api.ann.user_id, b"x").status == 404
    restrict(api, api.ann, "settings_locked")
    assert api.ann.get(path).status == 200
    assert api.ann.delete(path).status == 403
    assert upload(api.ann, api.ann.user_id, b"x").status == 403


def test_the_url_of_a_recorded_name_is_whole_where_the_server_knows_its_own(api: Api) -> None:
    columns = {"audio_key": "1/names/1.mp3", "audio_duration": 1, "audio_size": 5}
    api.write(lambda db: rows.update(db, schema.users, api.acme, api.ann.user_id, columns))
    audio = api.ann.get(f"/users/{api.ann.user_id}/audio").data["audio"]
    assert audio == {
        "custom": True,
        "duration": 1,
        "size": 5,
        "url": f"/v1.1/voipstudio/users/{api.ann.user_id}/audio.mp3",
    }
