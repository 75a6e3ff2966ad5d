"""CRM modules: a PHP one that keeps contacts in step and dials, a TypeScript one that shows calls beside a contact."""

import base64
from typing import Any

import pytest

from tests.api import Api, Client, filter_text
from tests.test_cdrs import add, call

CUSTOMER = {
    "first_name": "Zoë",
    "last_name": "Meyer",
    "company": "Meyer & Söhne",
    "tel": "+44 20 7946 0001",
    "mobile": "+44 (0)7700 900123",
    "labels": ["crm"],
    "global": True,
    "groups": ["Customers"],
    "speed_dial_phone": "11",
    "speed_dial_phone_1": "12",
    "speed_dial_mobile": "13",
    "transfer_list": True,
}


def created(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.admin.post("/contacts", {**CUSTOMER, **changes})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.data
    return made


def test_php_crm_creates_a_contact_with_all_that_the_original_takes(api: Api) -> None:
    contact = created(api)
    assert contact["tel"] == "442079460001"
    assert contact["mobile"] == "447700900123"
    assert contact["first_name"] == "Zoë"
    assert contact["labels"] == ["crm"]
    assert api.admin.get(f"/contacts/{contact['id']}").data == contact


def test_php_crm_changes_many_contacts_at_once(api: Api) -> None:
    first, second = created(api), created(api, first_name="Yan")
    changes = [{"id": second["id"], "company": "New Ltd"}, {"id": first["id"], "notes": "called"}]
    answer = api.admin.patch("/contacts", changes)
    assert answer.status == 200
    assert [row["id"] for row in answer.data] == [second["id"], first["id"]]
    assert answer.json["total"] == 2
    assert answer.data[0]["company"] == "New Ltd"
    assert answer.data[1]["company"] == CUSTOMER["company"]


def test_php_crm_reads_which_of_many_contacts_was_wrong(api: Api) -> None:
    first, second = created(api), created(api, first_name="Yan")
    answer = api.admin.patch("/contacts", [{"id": first["id"], "notes": "x"}, {"id": second["id"], "labels": "x"}])
    assert answer.status == 400
    assert answer.fields == ["[1].labels"]
    assert answer.json["errors"][0]["code"] == "SF0010"
    assert api.admin.get(f"/contacts/{first['id']}").data["notes"] is None


def test_php_crm_sends_back_a_contact_that_it_fetched(api: Api) -> None:
    contact = created(api)
    answer = api.admin.patch(f"/contacts/{contact['id']}", {**contact, "last_name": "Meyer-Ott"})
    assert answer.status == 200
    assert answer.data == {**contact, "last_name": "Meyer-Ott"}


def test_php_crm_dials_and_understands_the_refusal(api: Api) -> None:
    assert api.ann.post("/calls", {"to": "+44 20 7946 0001"}).status == 412
    assert api.ann.post("/webcalls", {"from": "442079460001", "to": "101"}).status == 412


def typescript(client: Client) -> Client:
    credentials = base64.b64encode(f"{client.user_id}:{client.token}".encode()).decode()
    headers = {"authorization": f"Basic {credentials}", "origin": "https://crm.example"}
    return Client(client.app, None, client.customer_id, client.user_id, headers)


def test_typescript_crm_shows_the_calls_with_a_contact(api: Api) -> None:
    contact = created(api)
    theirs, _ = add(api, call(1_000_000_000, dst="442079460001"), call(1_000_000_001, src="12025550111"))
    answer = typescript(api.admin).get(f"/contacts/{contact['id']}/cdrs", sort="-calldate", limit=20)
    assert answer.status == 200
    assert [row["id"] for row in answer.data] == [theirs]
    assert answer.json["total"] == 1


def test_typescript_crm_parses_each_answer_as_one_piece(api: Api) -> None:
    created(api)
    for path in ("/me", "/contacts", "/users", "/cdrs", "/calls", "/ddis"):
        answer = typescript(api.admin).get(path)
        assert answer.headers["content-length"] == str(len(answer.body)), path
        assert answer.headers["content-type"] == "application/json"


def test_typescript_crm_searches_contacts_whatever_the_case(api: Api) -> None:
    contact = created(api)
    for text in ("ZOË", "zoë", "oË"):
        found = typescript(api.admin).get("/contacts", filter=filter_text(("first_name", "like", text)))
        assert [row["id"] for row in found.data] == [contact["id"]], text
    wildcards = typescript(api.admin).get("/contacts", filter=filter_text(("first_name", "like", "Z%")))
    assert wildcards.data == []


def test_typescript_crm_labels_calls_in_bulk(api: Api) -> None:
    first, second = add(api, call(1_000_000_000), call(1_000_000_001))
    body = [{"id": first, "labels": ["deal"], "metadata": {"deal": 7}}, {"id": second, "labels": []}, []]
    answer = typescript(api.admin).patch("/cdrs", body)
    assert answer.status == 200
    assert [row["labels"] for row in answer.data] == [["deal"], []]


@pytest.mark.parametrize("origin", ["null", "https://crm.example"])
def test_typescript_crm_may_read_errors_from_any_origin(api: Api, origin: str) -> None:
    answer = api.admin.call("GET", "/contacts/999999", headers={"origin": origin})
    assert answer.status == 404
    assert answer.headers["access-control-allow-origin"] in ("*", origin)
    assert answer.json["message"]
