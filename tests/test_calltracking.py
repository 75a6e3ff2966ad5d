"""Call tracking: campaigns, their numbers, and the calls to these."""

from ringback.store import cdrs
from tests.api import Api
from tests.test_callmeback import add_number
from tests.test_cdrs import call

AT = 1_700_000_000
PATH = "/calltracking/campaigns"


def test_a_campaign_has_numbers_of_the_customer(api: Api) -> None:
    add_number(api, "442079460001"), add_number(api, "442079460002")
    created = api.admin.post(PATH, {"name": "Radio", "numbers": ["+44 20 7946 0002", "020 7946 0001"]})
    assert created.status == 201
    assert created.data == {
        "id": created.data["id"],
        "name": "Radio",
        "numbers": ["442079460001", "442079460002"],
        "created_at": "2026-11-21 22:26:40",
    }
    assert api.ann.get(PATH).json == {"data": [created.data], "total": 1}
    path = f"{PATH}/{created.data['id']}"
    assert api.admin.patch(path, {"name": "TV"}).data == {**created.data, "name": "TV"}
    assert api.admin.patch(path, {"numbers": ["442079460002"]}).data["numbers"] == ["442079460002"]
    other = api.admin.post(PATH, {"name": "Web", "numbers": ["442079460002"]})
    assert api.admin.get(path).data["numbers"] == []
    assert api.admin.delete(f"{PATH}/{other.data['id']}").status == 204
    assert api.admin.delete(f"{PATH}/{other.data['id']}").status == 404
    assert [row["campaign_id"] for row in api.admin.listed("/ddis")] == [None, None]


def test_wrong_campaigns_are_refused(api: Api) -> None:
    add_number(api, "442079460001"), add_number(api, "442079460002", api.other)
    numbers = ["442079460001", "442079460002", "x"]
    answer = api.admin.post(PATH, {"name": "Radio", "numbers": numbers})
    assert (answer.status, answer.fields) == (400, ["numbers[1]", "numbers[2]"])
    assert api.admin.get(PATH).json["total"] == 0
    assert api.admin.post(PATH, {}).fields == ["name"]
    assert api.admin.post(PATH, {"name": "Radio"}).status == 201
    assert api.admin.post(PATH, {"name": "Radio"}).fields == ["name"]


def test_campaigns_are_changed_by_administrators_of_their_customer(api: Api) -> None:
    path = f"{PATH}/{api.admin.post(PATH, {'name': 'Radio'}).data['id']}"
    assert api.ann.post(PATH, {"name": "x"}).status == 403
    assert (api.ann.patch(path, {}).status, api.ann.delete(path).status) == (403, 403)
    assert (api.stranger.patch(path, {}).status, api.stranger.delete(path).status) == (404, 404)
    assert api.stranger.get(path).status == 404


def test_the_calls_to_numbers_of_campaigns_under_two_names(api: Api) -> None:
    add_number(api, "442079460001"), add_number(api, "442079460002")
    api.admin.post(PATH, {"name": "Radio", "numbers": ["442079460001"]})
    inbound = {"type": "I", "destination": "in", "src": "12025550123"}
    calls = [
        call(AT, **inbound, dst="442079460001", user_id=api.ann.user_id),
        call(AT + 1, **inbound, dst="442079460001"),
        call(AT + 2, **inbound, dst="442079460002"),
        call(AT + 3, src="442079460001"),
    ]
    mine, other, *_ = api.write(lambda db: cdrs.insert(db, api.acme, calls))
    api.write(lambda db: cdrs.insert(db, api.other, calls))
    for path in ("/cdrs/calltracking", "/calltracking/cdrs"):
        answer = api.admin.get(path)
        assert ([row["id"] for row in answer.data], answer.json["total"]) == ([other, mine], 2)
        assert [row["id"] for row in api.ann.listed(path)] == [mine]
        assert api.stranger.get(path).json["total"] == 0
        assert [row["id"] for row in api.admin.listed(path, ("user_id", "eq", api.ann.user_id))] == [mine]
