"""Rows that change: what lists remember of them."""

from ringback.store import rows, schema
from tests.api import Api, filter_text
from tests.test_cdrs import add, call


def test_a_remembered_total_follows_a_change_that_no_counter_counts(api: Api) -> None:
    (cdr_id,) = add(api, call(1_000_000_000, info="old"))
    asked = filter_text(("info", "eq", "old"))
    assert api.admin.get("/cdrs", filter=asked).json["total"] == 1
    api.write(lambda db: rows.update(db, schema.cdrs, api.acme, cdr_id, {"info": "new"}))
    assert api.admin.get("/cdrs", filter=asked).json["total"] == 0
