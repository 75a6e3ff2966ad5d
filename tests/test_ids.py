"""Ids that were brought along are not given out again."""

from ringback.store import ids
from tests.api import Api


def test_ids_go_on_beyond_those_that_came_from_elsewhere(api: Api) -> None:
    database = api.services.database
    first = database.write(lambda db: db.new_ids("contacts", 1))[0]
    database.write(lambda db: ids.skip_to(db, "contacts", first + 5_000))
    assert database.write(lambda db: db.new_ids("contacts", 2))[0] > first + 5_000


def test_ids_never_go_back(api: Api) -> None:
    database = api.services.database
    first = database.write(lambda db: db.new_ids("contacts", 1))[0]
    database.write(lambda db: ids.skip_to(db, "contacts", first - 1))
    assert database.write(lambda db: db.new_ids("contacts", 1))[0] > first
