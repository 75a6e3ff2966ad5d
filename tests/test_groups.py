"""Teams, their policies, queues and queue groups: named records with members."""

from typing import Any

import pytest

from tests.api import Api, Client

GROUPS = ("/usergroups", "/usergrouppolicies", "/queues", "/queuegroups")


def make(client: Client, path: str, **body: Any) -> int:
    answer = client.post(path, body)
    assert answer.status == 201, answer.body
    new_id: int = answer.data["id"]
    return new_id


@pytest.mark.parametrize("path", GROUPS)
def test_a_group_is_made_renamed_and_deleted(api: Api, path: str) -> None:
    group = make(api.admin, path, name="First")
    assert api.admin.get(f"{path}/{group}").data["name"] == "First"
    assert api.admin.patch(f"{path}/{group}", {"name": "Renamed"}).data["name"] == "Renamed"
    assert api.admin.patch(f"{path}/{group}", {}).status == 200
    assert [row["name"] for row in api.admin.listed(path)] == ["Renamed"]
    assert api.admin.delete(f"{path}/{group}").status == 204
    assert api.admin.delete(f"{path}/{group}").status == 404
    assert api.admin.get(path).json == {"data": [], "total": 0}


@pytest.mark.parametrize("path", GROUPS)
def test_a_group_can_be_read_changed_and_sent_back(api: Api, path: str) -> None:
    group = make(api.admin, path, name="First")
    whole = api.admin.get(f"{path}/{group}").data
    assert api.admin.patch(f"{path}/{group}", whole).data == whole


@pytest.mark.parametrize("path", GROUPS)
def test_a_name_is_required_and_unique(api: Api, path: str) -> None:
    assert api.admin.post(path).fields == ["name"]
    make(api.admin, path, name="First")
    second = make(api.admin, path, name="Second")
    assert api.admin.post(path, {"name": "First"}).fields == ["name"]
    assert api.admin.patch(f"{path}/{second}", {"name": "First"}).fields == ["name"]
    assert api.admin.patch(f"{path}/{second}", {"name": "Second"}).status == 200
    assert api.admin.patch(f"{path}/{second}", {"name": " "}).fields == ["name"]
    assert make(api.stranger, path, name="First"), "names are unique within a customer only"


@pytest.mark.parametrize("path", GROUPS)
def test_groups_are_the_administrators_business_and_the_customers_own(api: Api, path: str) -> None:
    group = make(api.admin, path, name="First")
    for client in (api.reception, api.ann):
        assert client.post(path, {"name": "Mine"}).status == 403
        assert client.patch(f"{path}/{group}", {"name": "Mine"}).status == 403
        assert client.delete(f"{path}/{group}").status == 403
    assert api.ann.get(f"{path}/{group}").status == 403
    assert api.ann.get(path).json == {"data": [], "total": 0}
    for answer in (
        api.stranger.get(f"{path}/{group}"),
        api.stranger.patch(f"{path}/{group}", {"name": "Mine"}),
        api.stranger.delete(f"{path}/{group}"),
        api.ann.patch(f"{path}/999999", {"name": "Mine"}),
    ):
        assert answer.status == 404
    assert api.stranger.listed(path) == []


def test_a_team_has_a_colour_and_users(api: Api) -> None:
    team = api.admin.post("/usergroups", {"name": "Sales", "users": [api.bob.user_id, api.ann.user_id]}).data
    assert team == {"id": team["id"], "color": "#808080", "name": "Sales", "users": [api.ann.user_id, api.bob.user_id]}
    changed = api.admin.patch(f"/usergroups/{team['id']}", {"color": "#FF00aa", "users": [api.ann.user_id]})
    assert changed.data["color"] == "#ff00aa"
    assert changed.data["users"] == [api.ann.user_id]
    assert api.ann.listed("/usergroups") == [changed.data]
    assert api.bob.get(f"/usergroups/{team['id']}").status == 403
    assert api.admin.patch(f"/usergroups/{team['id']}", {"color": None, "users": None}).data["users"] == []
    for color in ("red", "#ff00a", "#ff00aa\n"):
        assert api.admin.post("/usergroups", {"name": "x", "color": color}).fields == ["color"]


def test_members_that_the_customer_does_not_have_are_named(api: Api) -> None:
    body = {"name": "Sales", "users": [api.ann.user_id, 1, api.stranger.user_id]}
    assert api.admin.post("/usergroups", body).fields == ["users[1]", "users[2]"]
    assert api.admin.post("/queues", body).fields == ["users[1]", "users[2]"]
    objects = {"name": "Sales", "users": [{"id": api.ann.user_id}, {"id": 1}]}
    assert api.admin.post("/queues", objects).fields == ["users[1].id"]
    assert api.admin.post("/usergrouppolicies", {"name": "x", "usergroups": [5]}).fields == ["usergroups[0]"]
    assert api.admin.post("/queuegroups", {"name": "x", "queues": [5]}).fields == ["queues[0]"]
    assert api.admin.post("/queues", {"name": "x", "users": "all"}).fields == ["users"]
    assert api.admin.listed("/usergroups") == api.admin.listed("/queues") == []


def test_a_policy_binds_the_members_of_its_teams_at_once(api: Api) -> None:
    team = make(api.admin, "/usergroups", name="Sales", users=[api.ann.user_id])
    policy = api.admin.post(
        "/usergrouppolicies", {"name": "Quiet", "usergroups": [team], "policies": ["contacts_hidden", "chat_disabled"]}
    ).data
    assert list(policy) == ["id", "color", "name", "usergroups", "policies"]
    assert policy["policies"] == ["contacts_hidden", "chat_disabled"]
    assert api.ann.listed("/usergrouppolicies") == [policy]
    assert api.ann.get("/contacts").status == 403
    assert api.bob.get("/contacts").status == 200
    assert api.admin.patch(f"/usergrouppolicies/{policy['id']}", {"policies": []}).status == 200
    assert api.ann.get("/contacts").status == 200
    wrong = api.admin.patch(f"/usergrouppolicies/{policy['id']}", {"policies": ["chat_disabled", "nonsense"]})
    assert wrong.fields == ["policies[1]"]


def test_a_deleted_team_leaves_its_policies_and_a_deleted_queue_group_its_queues(api: Api) -> None:
    team = make(api.admin, "/usergroups", name="Sales")
    policy = make(api.admin, "/usergrouppolicies", name="Quiet", usergroups=[team])
    queue = make(api.admin, "/queues", name="Support")
    group = make(api.admin, "/queuegroups", name="All", queues=[queue])
    assert api.admin.delete(f"/usergroups/{team}").status == 204
    assert api.admin.get(f"/usergrouppolicies/{policy}").data["usergroups"] == []
    assert api.admin.delete(f"/queues/{queue}").status == 204
    assert api.admin.get(f"/queuegroups/{group}").data["queues"] == []
    queue = make(api.admin, "/queues", name="Support")
    api.admin.patch(f"/queuegroups/{group}", {"queues": [queue]})
    assert api.admin.delete(f"/queuegroups/{group}").status == 204
    assert api.admin.get(f"/queues/{queue}").status == 200


def test_members_are_included_as_objects(api: Api) -> None:
    team = make(api.admin, "/usergroups", name="Sales", users=[api.ann.user_id])
    policy = make(api.admin, "/usergrouppolicies", name="Quiet", usergroups=[team])
    found = api.admin.listed("/usergroups", include="users", **{"fields[users]": "id,first_name,nonsense"})
    assert found[0]["users"] == [{"id": api.ann.user_id, "first_name": "Ann"}]
    whole = api.admin.get(f"/usergrouppolicies/{policy}", include="usergroups").data
    assert whole["usergroups"] == [api.admin.get(f"/usergroups/{team}").data]
    assert api.admin.get("/usergroups", include="nonsense").status == 400


def test_the_queue_script_pauses_all_members_and_brings_them_back(api: Api) -> None:
    make(api.admin, "/queues", name="Support", number="600", users=[api.ann.user_id, api.bob.user_id])
    path = "/queues?include=users&fields[users]=id,first_name,last_name,status"
    (queue,) = api.admin.listed(path)
    expected = {"id": api.ann.user_id, "first_name": "Ann", "last_name": "Tester", "status": True}
    assert queue["users"][0] == expected
    paused = [{"id": each["id"], "status": False} for each in queue["users"]]
    answer = api.admin.patch(f"/queues/{queue['id']}?include=users", {"users": paused})
    assert [(each["first_name"], each["status"]) for each in answer.data["users"]] == [("Ann", False), ("Bob", False)]
    assert api.admin.get(f"/queues/{queue['id']}").data["users"] == [api.ann.user_id, api.bob.user_id]
    back = [{**each, "status": True} for each in answer.data["users"]]
    answer = api.admin.patch(f"/queues/{queue['id']}?include=users", {"users": back})
    assert [each["status"] for each in answer.data["users"]] == [True, True]


def test_a_member_that_stays_in_a_queue_stays_paused(api: Api) -> None:
    queue = make(api.admin, "/queues", name="Support", users=[{"id": api.ann.user_id, "status": False}])
    other = make(api.admin, "/queues", name="Sales", users=[api.ann.user_id])
    users = [api.ann.user_id, api.bob.user_id]
    api.admin.patch(f"/queues/{queue}", {"users": users})
    found = api.admin.get(f"/queues/{queue}", include="users", **{"fields[users]": "first_name,status"}).data["users"]
    assert found == [{"first_name": "Ann", "status": False}, {"first_name": "Bob", "status": True}]
    elsewhere = api.admin.get(f"/queues/{other}", include="users", **{"fields[users]": "status"}).data["users"]
    assert elsewhere == [{"status": True}]


def test_a_receptionist_reads_every_queue_and_a_member_the_own_one(api: Api) -> None:
    queue = make(api.admin, "/queues", name="Support", ring_strategy="ringall", ring_time=20, skip_busy=True)
    assert list(api.admin.get(f"/queues/{queue}").data) == [
        "id",
        "name",
        "number",
        "users",
        "ring_strategy",
        "ring_time",
        "skip_busy",
    ]
    assert api.reception.get(f"/queues/{queue}").data["skip_busy"] is True
    assert api.ann.get(f"/queues/{queue}").status == 403
    api.admin.patch(f"/queues/{queue}", {"users": [api.ann.user_id]})
    assert api.ann.listed("/queues")[0]["id"] == queue
    assert api.admin.patch(f"/queues/{queue}", {"ring_time": None, "ring_time_s": 5}).fields == ["ring_time_s"]
