"""Contacts and numbers: who sees and changes them, and the calls with a contact."""

from typing import Any

from ringback.store import cdrs, rows, schema
from ringback.store.database import value
from tests.api import Api, Client
from tests.test_cdrs import call
from tests.test_users import restrict


def make(client: Client, **body: Any) -> int:
    answer = client.post("/contacts", body)
    assert answer.status == 201, answer.body
    new_id: int = answer.data["id"]
    return new_id


def test_a_contact_has_every_attribute_and_numbers_as_digits(api: Api) -> None:
    answer = api.ann.post("/contacts", {"first_name": "Mum", "tel": "+44 (20) 7946-0001", "labels": ["family"]})
    assert answer.status == 201
    assert list(answer.data) == [
        "id",
        "type",
        "company",
        "created_at",
        "email",
        "ext",
        "first_name",
        "last_name",
        "global",
        "group_name",
        "internal",
        "labels",
        "mobile",
        "mobile_1",
        "mobile_2",
        "tel",
        "tel_1",
        "tel_2",
        "notes",
        "rel_user_id",
        "user_id",
        "last_call_at",
    ]
    assert answer.data["tel"] == "442079460001"
    assert answer.data["user_id"] == api.ann.user_id
    assert answer.data["global"] is answer.data["internal"] is False
    assert api.ann.get(f"/contacts/{answer.data['id']}").data == answer.data
    assert len(api.ann.listed("/contacts", ("tel", "like", "+44 20"))) == 1


def test_global_contacts_are_everybodys_and_own_ones_their_owners(api: Api) -> None:
    shared = make(api.admin, company="Supplier", **{"global": True})
    mine = make(api.ann, first_name="Mum")
    assert {row["id"] for row in api.ann.listed("/contacts")} == {shared, mine}
    assert [row["id"] for row in api.bob.listed("/contacts")] == [shared]
    assert api.bob.get("/contacts").json["total"] == 1
    assert {row["id"] for row in api.reception.listed("/contacts")} == {shared, mine}
    assert api.bob.get(f"/contacts/{mine}").status == 403
    assert api.bob.get(f"/contacts/{shared}").data["user_id"] is None
    assert api.stranger.get(f"/contacts/{shared}").status == 404
    assert api.stranger.listed("/contacts") == []


def test_users_change_their_own_contacts_and_administrators_all(api: Api) -> None:
    shared = make(api.admin, company="Supplier", **{"global": True})
    mine = make(api.ann, first_name="Mum")
    assert api.ann.patch(f"/contacts/{mine}", {"tel": "1"}).status == 200
    for client in (api.bob, api.reception):
        assert client.patch(f"/contacts/{mine}", {"tel": "2"}).status == 403
        assert client.delete(f"/contacts/{shared}").status == 403
    assert api.ann.post("/contacts", {"first_name": "All", "global": True}).status == 403
    assert api.ann.post("/contacts", {"first_name": "Bobs", "user_id": api.bob.user_id}).status == 403
    assert api.ann.patch(f"/contacts/{mine}", {"global": True}).status == 403
    assert api.admin.patch(f"/contacts/{mine}", {"global": True}).data["user_id"] is None
    assert api.ann.delete(f"/contacts/{mine}").status == 403
    assert api.admin.delete(f"/contacts/{mine}").status == 204
    assert api.admin.delete(f"/contacts/{mine}").status == 404


def test_an_administrator_gives_a_contact_to_a_user(api: Api) -> None:
    mine = make(api.admin, first_name="Lead", user_id=api.bob.user_id, rel_user_id=api.ann.user_id)
    found = api.bob.get(f"/contacts/{mine}").data
    assert found["internal"] is True
    assert api.admin.patch(f"/contacts/{mine}", found).data == found
    wrong = api.admin.post("/contacts", {"user_id": api.stranger.user_id, "rel_user_id": 1})
    assert wrong.fields == ["rel_user_id", "user_id"]
    assert api.admin.patch(f"/contacts/{mine}", {"rel_user_id": None}).data["internal"] is False


def test_a_users_contacts_are_listed_for_that_user_administrators_and_reception(api: Api) -> None:
    mine = make(api.ann, first_name="Mum")
    make(api.admin, company="Supplier", **{"global": True})
    path = f"/users/{api.ann.user_id}/contacts"
    for client in (api.admin, api.reception, api.ann):
        assert [row["id"] for row in client.listed(path)] == [mine]
    assert api.bob.get(path).status == 403
    assert api.stranger.get(path).status == 404


def test_contacts_can_be_hidden_by_policy(api: Api) -> None:
    mine = make(api.ann, first_name="Mum")
    restrict(api, api.ann, "contacts_hidden")
    for answer in (
        api.ann.get("/contacts"),
        api.ann.get(f"/contacts/{mine}"),
        api.ann.get(f"/contacts/{mine}/cdrs"),
        api.ann.get(f"/users/{api.ann.user_id}/contacts"),
        api.ann.post("/contacts", {"first_name": "x"}),
        api.ann.patch("/contacts", [{"id": mine, "tel": "1"}]),
        api.ann.delete(f"/contacts/{mine}"),
    ):
        assert answer.status == 403
    assert api.ann.get("/contacts/999999").status == 404


def test_what_clients_send_beyond_the_record_is_kept(api: Api) -> None:
    extra = {"groups": ["a", "b"], "speed_dial_phone": "1", "speed_dial_mobile_2": None, "transfer_list": True}
    mine = make(api.ann, first_name="Mum", **extra)
    assert api.ann.patch(f"/contacts/{mine}", {"groups": None, "speed_dial_phone_1": "2"}).status == 200
    kept = api.services.database.read(lambda db: value(db, "SELECT extra FROM contacts WHERE id = :id", {"id": mine}))
    assert kept == '{"speed_dial_phone":"1","transfer_list":true,"speed_dial_phone_1":"2"}'
    assert api.ann.post("/contacts", {"groups": "x" * 70_000}).fields == ["groups"]
    assert api.ann.post("/contacts", {"speed_dial": "1", "labels": "a"}).fields == ["speed_dial", "labels"]


def test_bulk_changes_are_all_or_nothing(api: Api) -> None:
    first, second = make(api.ann, first_name="One"), make(api.ann, first_name="Two")
    answer = api.ann.patch("/contacts", [{"id": second, "company": "B"}, {}, {"id": first, "company": "A"}])
    assert answer.status == 200
    assert [(row["id"], row["company"]) for row in answer.data] == [(second, "B"), (first, "A")]
    wrong = api.admin.patch(
        "/contacts", [{"id": first, "company": "C"}, {"id": second, "user_id": 1, "rel_user_id": 2}]
    )
    assert wrong.fields == ["[1].rel_user_id", "[1].user_id"]
    assert api.bob.patch("/contacts", [{"id": first, "company": "C"}]).status == 403
    assert api.ann.patch("/contacts", [{"id": first, "company": "C"}, {"id": 999_999}]).status == 404
    assert api.ann.get(f"/contacts/{first}").data["company"] == "A"


def test_calls_with_a_contact_are_those_of_its_numbers(api: Api) -> None:
    contact = make(api.admin, mobile="12025550123", tel_1="+44 20 7946 0099", **{"global": True})
    at = 1_000_000_000
    calls = [
        call(at, dst="12025550123", user_id=api.ann.user_id),
        call(at + 1, src="442079460099", dst="100"),
        call(at + 2, dst="33123456789"),
        call(at + 3, dst="33123456789", dst_id=f"contact:{contact}"),
    ]
    ids: list[int] = api.write(lambda db: cdrs.insert(db, api.acme, calls))
    path = f"/contacts/{contact}/cdrs"
    assert [row["id"] for row in api.admin.listed(path)] == [ids[3], ids[1], ids[0]]
    assert api.admin.get(path).json["total"] == 3
    assert [row["id"] for row in api.admin.listed(path, ("src", "like", "79460099"))] == [ids[1]]
    assert [row["id"] for row in api.ann.listed(path)] == [ids[0]], "a plain user sees the own calls"
    assert api.stranger.get(path).status == 404
    as_dialled = make(api.admin, tel="(020) 7946 0099")
    assert [row["id"] for row in api.admin.listed(f"/contacts/{as_dialled}/cdrs")] == [ids[1]]
    nobody = make(api.admin, first_name="Nobody")
    assert api.admin.listed(f"/contacts/{nobody}/cdrs") == []


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_a_number_is_stored_as_e164_digits(api: Api) -> None:
    answer = api.admin.post("/ddis", {"e164": "020 7946 0958", "destination": str(api.ann.user_id)})
    assert answer.status == 201
    assert answer.data == {
        "id": answer.data["id"],
        "e164": "442079460958",
        "number": "442079460958",
        "destination": str(api.ann.user_id),
        "campaign_id": None,
    }
    path = f"/ddis/{answer.data['id']}"
    assert api.admin.patch(path, {"number": "020 7946 0958"}).data["number"] == "020 7946 0958"
    assert api.admin.patch(path, api.admin.get(path).data).status == 200
    assert [row["id"] for row in api.ann.listed("/ddis")] == [answer.data["id"]]
    assert api.bob.listed("/ddis") == []
    assert api.bob.get(path).status == 403
    assert api.stranger.get(path).status == 404
    assert api.ann.patch(path, {"number": "1"}).status == 403
    assert api.ann.delete(path).status == 403
    assert api.admin.delete(path).status == 204
    assert api.admin.get(path).status == 404


def test_a_number_must_be_one_and_the_customers_only_one(api: Api) -> None:
    assert api.admin.post("/ddis", {}).fields == ["e164"]
    assert api.admin.post("/ddis", {"e164": "reception", "campaign_id": 5}).fields == ["e164", "campaign_id"]
    assert api.admin.post("/ddis", {"e164": "442079460958"}).status == 201
    assert api.admin.post("/ddis", {"e164": "+44 20 7946 0958"}).fields == ["e164"]
    assert api.stranger.post("/ddis", {"e164": "442079460958"}).status == 201


def test_a_number_in_use_by_a_widget_stays(api: Api) -> None:
    number = api.admin.post("/ddis", {"e164": "442079460958"}).data["id"]
    setting = {
        "name": "Shop",
        "created_at": 0,
        "ddi_id": number,
        "position": "bottom_right",
        "culture": "en",
        "floating_icon": 1,
        "allowed_countries": "[]",
        "show_to_allowed_countries_only": 0,
        "max_call_rate": 1500,
        "allowed_domains": "[]",
        "dial_first": "agent",
        "chat_enabled": 0,
    }
    (setting_id,) = api.write(lambda db: rows.insert(db, schema.callmeback_settings, api.acme, [setting]))
    assert api.admin.delete(f"/ddis/{number}").status == 400
    api.write(lambda db: rows.delete(db, schema.callmeback_settings, api.acme, [setting_id]))
    assert api.admin.delete(f"/ddis/{number}").status == 204


def test_a_contact_knows_its_last_call_whatever_the_order_of_import(api: Api) -> None:
    contact = make(api.admin, first_name="Iain", tel="441314960222")
    party = f"contact:{contact}"
    for at in (1_000_000_100, 1_000_000_300, 1_000_000_200):
        api.write(lambda db, at=at: cdrs.insert(db, api.acme, [call(at, type="I", src_id=party, dst_id=None)]))
    assert api.admin.get(f"/contacts/{contact}").data["last_call_at"] == "2001-09-09 01:51:40"
