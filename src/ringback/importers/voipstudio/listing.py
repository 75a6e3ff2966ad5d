"""Lists of the other server, read from their oldest row on, so that what comes meanwhile is neither lost nor read twice.

No page but the first of a window is asked for where that can be helped: the next window begins where the last row stood.
So deep pages cost what the first one costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringback.importers.voipstudio.connection import Broken, Connection
from ringback.record import MAX_INT, json_text, time_value

Row = Mapping[str, Any]
MOST_ROWS = 1_000_000_000
_ARRIVING = 100_000
"""So many rows more than were announced may come while the copy runs."""


def extent(connection: Connection, path: str, attribute: str = "id") -> tuple[int, int]:
    """How many rows a list has, and its largest id (or other number; 0 without rows). NotServed when there is no such list."""
    answer = connection.get(path, limit=1, sort=attribute, dir="DESC")
    return _total(answer), max((_number(row, attribute) for row in _page(answer, 1)), default=0)


def by_id(connection: Connection, path: str, limit: int, **params: Any) -> Iterator[Sequence[Row]]:
    """Pages of a list whose rows have an `id`, ascending."""
    last, left = -1, None
    while True:
        condition = [{"property": "id", "operator": "gt", "value": last}]
        answer = connection.get(path, limit=limit, sort="id", dir="ASC", filter=json_text(condition), **params)
        page = _page(answer, limit)
        left = _budget(left, answer, page)
        if not page:
            return
        ids = [_number(row, "id") for row in page]
        if ids != sorted(set(ids)) or ids[0] <= last:
            raise Broken("its list is not sorted by id as asked")
        last = ids[-1]
        yield page


def by_time(connection: Connection, path: str, attribute: str, limit: int) -> Iterator[Sequence[Row]]:
    """Pages of a list by a time, ascending. The rows of the second in which two windows meet come once."""
    since, page_no, left = "1970-01-01 00:00:00", 1, None
    met: set[str] = set()
    while True:
        condition = [{"property": attribute, "operator": "gte", "value": since}]
        params = {"sort": attribute, "dir": "ASC", "filter": json_text(condition), "page": page_no}
        answer = connection.get(path, limit=limit, **params)
        page = _page(answer, limit)
        left = _budget(left, answer, page)
        if fresh := [row for row in page if str(row.get("id")) not in met]:
            yield fresh
        if len(page) < limit:
            return
        until = _last_time(page, attribute, since)
        page_no = page_no + 1 if until == since else 1
        met = {str(row.get("id")) for row in page if row.get(attribute) == until} | (met if until == since else set())
        if len(met) > _ARRIVING:
            raise Broken("its list has more rows in one second than can be")
        since = until


def items(connection: Connection, path: str, limit: int) -> Sequence[Row]:
    """A short list that hangs on a record, as far as one page goes."""
    return _page(connection.get(path, limit=limit), limit)


def _page(answer: Mapping[str, Any], limit: int) -> Sequence[Row]:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Broken("its list is no list of objects")
    if len(data) > limit:
        raise Broken("its page has more rows than asked for")
    return data


def _total(answer: Mapping[str, Any]) -> int:
    found = str(answer.get("total"))
    if not found.isascii() or not found.isdecimal() or len(found) > 10 or int(found) > MOST_ROWS:
        raise Broken("its list has no sound total")
    return int(found)


def _budget(left: int | None, answer: Mapping[str, Any], page: Sequence[Row]) -> int:
    """How many rows may still come; the first answer says how many there are."""
    left = _total(answer) + _ARRIVING if left is None else left
    if left < len(page):
        raise Broken("its list does not end")
    return left - len(page)


def _number(row: Row, attribute: str) -> int:
    found = str(row.get(attribute))
    if not found.isascii() or not found.isdecimal() or len(found) > 19 or int(found) > MAX_INT:
        raise Broken(f"its list has a row whose {attribute} is no number")
    return int(found)


def _last_time(page: Sequence[Row], attribute: str, since: str) -> str:
    times = [each for row in page if isinstance(each := row.get(attribute), str) and time_value(each) is not None]
    if not times or times != sorted(times) or times[0] < since:
        raise Broken(f"its list is not sorted by {attribute} as asked")
    return times[-1]
