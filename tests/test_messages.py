"""Chats, chat messages, SMS and statements: who sees which, and how they go."""

from typing import Any

from ringback.store import cdrs, messages
from tests.api import Api, Client, filter_text
from tests.policies import team
from tests.test_cdrs import call

AT = 1_700_000_000  # 2023-11-14 22:13:20


def add_chat(api: Api, customer: int | None = None, **changes: Any) -> int:
    row = {"created_at": AT, "state": "ENDED", "duration": 60, "visitor_name": "Zoë", **changes}
    found: int = api.write(lambda db: messages.add_chats(db, customer or api.acme, [row]))[0]
    return found


def add_message(api: Api, sender: Client | None, receiver: Client | None, **changes: Any) -> int:
    row = {
        "created_at": AT,
        "from_id": str(sender.user_id) if sender else messages.OUTSIDE,
        "to_id": str(receiver.user_id) if receiver else messages.OUTSIDE,
        "message": "Hello",
        **changes,
    }
    found: int = api.write(lambda db: messages.add_chatmsgs(db, (sender or receiver or api.admin).customer_id, [row]))[
        0
    ]
    return found


def add_sms(api: Api, customer: int | None = None, **changes: Any) -> int:
    row = {"created_at": AT, "from": "442079460001", "to": "12025550123", "message": "Hi", "type": "O", **changes}
    found: int = api.write(lambda db: messages.add_sms(db, customer or api.acme, [row]))[0]
    return found


def add_line(api: Api, customer: int | None = None, **changes: Any) -> int:
    row = {"created_at": AT, "description": "Call", "amount": -150, "balance": 99_850, **changes}
    found: int = api.write(lambda db: messages.add_statements(db, customer or api.acme, [row]))[0]
    return found


def test_a_chat_has_the_attributes_of_the_page(api: Api) -> None:
    chat = add_chat(api, operator_id=api.ann.user_id, website_id=7, visitor_geo="51.5,-0.1")
    answer = api.admin.get(f"/chats/{chat}")
    assert answer.data == {
        "id": chat,
        "created_at": "2023-11-14 22:13:20",
        "customer_id": api.acme,
        "duration": 60,
        "operator_id": api.ann.user_id,
        "operator_ua": None,
        "state": "ENDED",
        "visitor_city": None,
        "visitor_country": None,
        "visitor_email": None,
        "visitor_geo": "51.5,-0.1",
        "visitor_id": None,
        "visitor_ip": None,
        "visitor_name": "Zoë",
        "visitor_referer": None,
        "visitor_ua": None,
        "website_id": 7,
        "visitor_page": None,
        "visitor_typing_at": None,
    }
    assert api.admin.listed("/chats", ("visitor_name", "like", "ZOË")) == [answer.data]


def test_a_plain_user_sees_own_chats_and_another_customer_none(api: Api) -> None:
    mine, other = add_chat(api, operator_id=api.ann.user_id), add_chat(api, operator_id=api.bob.user_id)
    add_message(api, None, api.bob, chat_id=other)
    theirs = add_chat(api, customer=api.other)
    answer = api.ann.get("/chats")
    assert ([row["id"] for row in answer.data], answer.json["total"]) == ([mine], 1)
    assert api.ann.get(f"/chats/{other}").status == 403
    assert api.ann.get(f"/chats/{other}/chatmsgs").status == 403
    assert api.bob.get(f"/chats/{other}/chatmsgs").json["total"] == 1
    assert api.admin.get(f"/chats/{theirs}").status == 404
    assert api.admin.get(f"/chats/{theirs}/chatmsgs").status == 404
    assert api.admin.get("/chats").json["total"] == 2


def test_messages_of_a_user_are_those_sent_or_received(api: Api) -> None:
    sent, got = add_message(api, api.ann, api.bob), add_message(api, api.bob, api.ann)
    add_message(api, api.bob, api.reception)
    path = f"/users/{api.ann.user_id}/chatmsgs"
    assert [row["id"] for row in api.ann.listed(path)] == [got, sent]
    assert api.admin.get(path).json["total"] == 2
    assert api.admin.get(path).data[1]["user_id"] == api.ann.user_id
    assert api.bob.get(path).status == 403
    assert api.reception.get(path).status == 403
    assert api.stranger.get(path).status == 404


def test_messages_go_all_or_none_and_leave_the_chat(api: Api) -> None:
    chat = add_chat(api, operator_id=api.ann.user_id)
    mine, visitors = add_message(api, api.ann, None, chat_id=chat), add_message(api, None, api.ann, chat_id=chat)
    foreign = add_message(api, api.bob, api.reception)
    assert api.ann.delete(f"/chatmsgs/{mine},{foreign}").status == 403
    assert api.ann.delete(f"/chatmsgs/{mine},999999").status == 404
    assert api.stranger.delete(f"/chatmsgs/{mine}").status == 404
    assert api.ann.get(f"/chats/{chat}/chatmsgs").json["total"] == 2
    assert api.ann.delete(f"/chatmsgs/{mine},{visitors}").status == 204
    assert api.ann.get(f"/chats/{chat}/chatmsgs").json == {"data": [], "total": 0}
    assert api.ann.get(f"/chats/{chat}").status == 200


def test_wiping_messages_is_for_administrators(api: Api) -> None:
    add_message(api, api.ann, api.bob), add_message(api, api.bob, api.ann, message="secret")
    theirs = add_message(api, api.stranger, None)
    assert api.ann.delete("/chatmsgs").status == 403
    assert api.admin.delete("/chatmsgs", filter=filter_text(("message", "like", "secret"))).status == 204
    assert api.ann.get(f"/users/{api.ann.user_id}/chatmsgs").json["total"] == 1
    assert api.admin.delete("/chatmsgs").status == 204
    assert api.ann.get(f"/users/{api.ann.user_id}/chatmsgs").json["total"] == 0
    assert api.stranger.delete(f"/chatmsgs/{theirs}").status == 204


def test_without_chat_there_are_no_chats_and_no_messages(api: Api) -> None:
    chat, message = add_chat(api, operator_id=api.ann.user_id), add_message(api, api.ann, api.bob)
    team(api, "No chat", api.ann, policies=("chat_disabled",))
    for path in ("/chats", f"/chats/{chat}", f"/chats/{chat}/chatmsgs", f"/users/{api.ann.user_id}/chatmsgs"):
        assert api.ann.get(path).status == 403, path
    assert api.ann.get("/chats/999999/chatmsgs").status == 404
    assert api.ann.delete(f"/chatmsgs/{message}").status == 403
    assert api.bob.get("/chats").status == 200


def test_chat_within_the_team_hides_colleagues_outside_of_it(api: Api) -> None:
    chat = add_chat(api, operator_id=api.ann.user_id)
    visitor = add_message(api, None, api.ann, chat_id=chat)
    mate, outside = add_message(api, api.ann, api.bob), add_message(api, api.ann, api.reception)
    team(api, "Sales", api.ann, api.bob, policies=("chat_team_only",))
    answer = api.ann.get(f"/users/{api.ann.user_id}/chatmsgs")
    assert ([row["id"] for row in answer.data], answer.json["total"]) == ([mate, visitor], 2)
    assert api.ann.delete(f"/chatmsgs/{outside}").status == 403
    assert api.ann.delete(f"/chatmsgs/{mate}").status == 204
    assert api.reception.get(f"/users/{api.reception.user_id}/chatmsgs").json["total"] == 1


def test_sms_are_listed_shown_and_wiped(api: Api) -> None:
    mine, other = add_sms(api, user_id=api.ann.user_id, result="SENT"), add_sms(api, user_id=api.bob.user_id, type="I")
    theirs = add_sms(api, customer=api.other)
    assert list(api.admin.get(f"/sms/{mine}").data) == [
        "id", "created_at", "from", "from_id", "from_name", "message", "result", "to", "to_id", "to_name", "type", "user_id"
    ]  # fmt: skip
    assert [row["id"] for row in api.ann.listed("/sms")] == [mine]
    assert api.ann.get(f"/sms/{other}").status == 403
    assert api.admin.get(f"/sms/{theirs}").status == 404
    assert [row["id"] for row in api.admin.listed("/sms", ("from", "eq", "+44 20 7946 0001"), ("type", "eq", "i"))] == [
        other
    ]
    assert api.ann.delete("/sms").status == 403
    assert api.admin.delete("/sms", filter=filter_text(("type", "eq", "I"))).status == 202
    api.run_jobs()
    assert [row["id"] for row in api.admin.listed("/sms")] == [mine]
    assert api.stranger.get("/sms").json["total"] == 1


def test_the_dictionary_of_sms_needs_no_login(api: Api) -> None:
    entries = {
        entry["property"]: [each["id"] for each in entry["values"]]
        for entry in api.nobody.get("/sms/dictionaries").data
    }
    assert entries == {"result": ["QUEUED", "SENT", "DELIVERED", "FAILED", "RECEIVED"], "type": ["I", "O"]}


def test_statements_are_exact_money_and_own_for_a_plain_user(api: Api) -> None:
    row = call(AT, user_id=api.ann.user_id)
    (cdr,) = api.write(lambda db: cdrs.insert(db, api.acme, [row]))
    line, fee = add_line(api, cdr_id=cdr), add_line(api, description="Fee", amount=-10_000)
    add_line(api, customer=api.other)
    answer = api.admin.get("/statements")
    assert [each["id"] for each in answer.data] == [fee, line]
    assert answer.data[1] == {
        "id": line,
        "created_at": "2023-11-14 22:13:20",
        "description": "Call",
        "amount": -0.015,
        "balance": 9.985,
        "cdr_id": cdr,
    }
    mine = api.ann.get("/statements")
    assert ([each["id"] for each in mine.data], mine.json["total"]) == ([line], 1)
    assert api.bob.get("/statements").json == {"data": [], "total": 0}


def test_statements_are_closed_without_billing_and_wiped_by_administrators(api: Api) -> None:
    add_line(api)
    team(api, "No billing", api.ann, policies=("billing_disabled",))
    assert api.ann.get("/statements").status == 403
    assert api.bob.delete("/statements").status == 403
    assert api.admin.delete("/statements").status == 204
    assert api.admin.get("/statements").json == {"data": [], "total": 0}
