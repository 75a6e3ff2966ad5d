"""Rows that change: what lists remember of them."""

from ringback.store import callbacks, rows, schema
from tests.api import Api, filter_text
from tests.test_callmeback import add_setting
from tests.test_cdrs import add, call
from tests.test_messages import add_line


def test_a_remembered_total_follows_a_change_that_no_counter_counts(api: Api) -> None:
    (cdr_id,) = add(api, call(1_000_000_000, info="old"))
    asked = filter_text(("info", "eq", "old"))
    assert api.admin.get("/cdrs", filter=asked).json["total"] == 1
    api.write(lambda db: rows.update(db, schema.cdrs, api.acme, cdr_id, {"info": "new"}))
    assert api.admin.get("/cdrs", filter=asked).json["total"] == 0


def test_a_remembered_total_follows_what_the_deletion_of_a_cdr_unlinks(api: Api) -> None:
    (cdr_id,) = add(api, call(1_000_000_000))
    add_line(api, cdr_id=cdr_id)
    asked = filter_text(("cdr_id", "eq", cdr_id))
    assert api.admin.get("/statements", filter=asked).json["total"] == 1
    assert api.admin.delete("/cdrs").status == 204
    assert api.admin.get("/statements", filter=asked).json == {"data": [], "total": 0}


def test_a_remembered_total_follows_what_the_deletion_of_a_widget_refuses(api: Api) -> None:
    setting_id = add_setting(api)["id"]
    visitor = {"setting_id": setting_id, "created_at": 1_000_000_000, "state": "REQUESTED"}
    (visitor_id,) = api.write(lambda db: callbacks.add_visitors(db, api.acme, [visitor]))
    request = {**visitor, "visitor_id": visitor_id}
    api.write(lambda db: callbacks.add_requests(db, api.acme, [request]))
    waiting = filter_text(("state", "eq", "REQUESTED"))
    for path in ("/callmeback/visitors", "/callmeback/requests"):
        assert api.admin.get(path, filter=waiting).json["total"] == 1
    assert api.admin.delete(f"/callmeback/settings/{setting_id}").status == 204
    for path in ("/callmeback/visitors", "/callmeback/requests"):
        assert api.admin.get(path, filter=waiting).json == {"data": [], "total": 0}
