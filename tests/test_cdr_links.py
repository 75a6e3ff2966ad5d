"""Of several calls between the same two numbers at about one time each CDR has its own legs, or none."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from ringback.sip.message import scan
from ringback.store import call_ids, cdr_links, whole_calls
from ringback.store.cdr_fits import Cdr, Msdr, is_leg
from tests.api import Api
from tests.packets import from_file
from tests.test_captures import START, cdr
from tests.test_cdrs import add, call
from tests.test_legs import BOB, PBX, Dialog


class Call(NamedTuple):
    """When it began, was answered (0: refused) and ended, in seconds."""

    at: float
    answered: float
    ended: float

    def legs(self, name: str) -> list[Dialog]:
        """Through a B2BUA."""
        answered = self.answered or self.ended
        return [
            Dialog(f"in-{name}", at=self.at, answered=answered, ended=self.ended),
            Dialog(f"out-{name}", path=(PBX, BOB), at=self.at + 0.1, answered=answered - 0.1, ended=self.ended - 0.1),
        ]

    def cdr(self, api: Api) -> int:
        length = round(self.ended)
        talk = round(self.ended - self.answered) if self.answered else 0
        return cdr(api, src="101", dst="102", calldate=START + int(self.at), duration=length, billsec=talk)


REFUSED, TALKED = Call(0, 0, 2), Call(3, 2, 62)


def store(api: Api, *dialogs: Dialog) -> None:
    from_file(api, [packet for each in dialogs for packet in each.packets()])


def shown(api: Api, cdr_id: int) -> set[str]:
    found = api.services.database.read(lambda db: whole_calls.of_cdr(db, api.acme, cdr_id, None))
    return {scan(packet.payload).call_id for packet in found.packets} - {""}


ONE, TWO = {"in-1", "out-1"}, {"in-2", "out-2"}


@pytest.mark.parametrize(
    ("calls", "with_cdr", "expected"),
    [
        # Refused, and dialled again at once.
        ((REFUSED, TALKED), 1, TWO),
        ((REFUSED, TALKED), 0, ONE),
        # Both talked, not as long.
        ((Call(0, 2, 30), Call(2, 2, 40)), 0, ONE),
        ((Call(0, 2, 30), Call(2, 2, 40)), 1, TWO),
        # Nobody answered, and one rang longer.
        ((Call(0, 0, 3), Call(4, 0, 20)), 1, TWO),
        # As long: the clocks of a PBX and of a capture agent may differ by two seconds.
        ((Call(0, 2, 30), Call(4, 2, 30)), 0, ONE),
        ((Call(0, 2, 30), Call(4, 2, 30)), 1, TWO),
        ((Call(0, 2, 30), Call(2, 2, 30)), 0, set()),
        ((Call(0, 2, 30), Call(2, 2, 30)), 1, set()),
    ],
)
@pytest.mark.parametrize("order", ["captures first", "CDR first", "CDR between"])
def test_where_one_of_two_calls_has_its_cdr(
    api: Api, calls: tuple[Call, Call], with_cdr: int, expected: set[str], order: str
) -> None:
    one, two = calls[0].legs("1"), calls[1].legs("2")
    before, after = {"captures first": (one + two, []), "CDR first": ([], one + two), "CDR between": (one, two)}[order]
    store(api, *before)
    cdr_id = calls[with_cdr].cdr(api)
    store(api, *after)
    assert shown(api, cdr_id) == expected


@pytest.mark.parametrize(
    ("two", "is_clear"),
    [(TALKED, True), (Call(4, 0, 2), True), (Call(1, 0, 2), False)],
)
def test_in_whatever_order_they_come_each_cdr_has_its_own_call(api: Api, two: Call, is_clear: bool) -> None:
    """Two that are alike and near have none."""
    cdrs: dict[str, int] = {}
    work: Sequence[Callable[[], Any]] = [
        lambda: store(api, *REFUSED.legs("1")),
        lambda: store(api, *two.legs("2")),
        lambda: cdrs.update(one=REFUSED.cdr(api)),
        lambda: cdrs.update(two=two.cdr(api)),
    ]
    for order in permutations(work):
        for each in order:
            each()
        found = shown(api, cdrs["one"]), shown(api, cdrs["two"])
        assert found == ((ONE, TWO) if is_clear else (set(), set())), [work.index(each) for each in order]
        _clear(api)


def _clear(api: Api) -> None:
    for table in ("cdrs", "msdrs", "mediasessions", "leg_keys"):
        api.write(lambda db, table=table: db.run(f"DELETE FROM {table}"))
    for _, day, _ in api.services.database.slices.listed(api.acme):
        api.write(lambda db, day=day: db.slices.drop(api.acme, day))


def test_two_of_one_leg_each_are_told_apart_too(api: Api) -> None:
    """Nothing but the CDR ties the two tries of a trunk to each other."""
    store(api, REFUSED.legs("1")[1], TALKED.legs("2")[1])
    assert shown(api, TALKED.cdr(api)) == {"out-2"}


def test_both_legs_of_a_pbx_on_the_machine_of_its_phones(api: Api) -> None:
    """Addresses do not tell which leg leads to which; two calls that are alike there have none."""
    one, two = (
        [Dialog(f"{name}-{n}", path=(PBX, PBX), at=at, ended=30) for name in ("in", "out")]
        for n, at in ((1, 0.0), (2, 1.0))
    )
    store(api, *one)
    cdr_id = Call(0, 2, 30).cdr(api)
    assert shown(api, cdr_id) == ONE
    store(api, *two)
    assert shown(api, cdr_id) == set()


def test_what_the_pbx_says_stands(api: Api) -> None:
    alike = Call(0, 2, 30), Call(1, 2, 30)
    cdr_id = alike[1].cdr(api)
    store(api, *alike[1].legs("2"))
    told = {name: api.write(lambda db: db.all("SELECT source_key FROM cdrs"))[0][0] for name in TWO}
    assert api.write(lambda db: call_ids.tie(db, api.acme, told)) == TWO
    store(api, *alike[0].legs("1"))
    assert shown(api, cdr_id) == TWO
    assert shown(api, alike[0].cdr(api)) == ONE


def test_of_a_crowd_none_is_told(api: Api) -> None:
    """As a load test places them: nobody waits for that."""
    store(api, *(leg for n in range(9) for leg in Call(n / 10, 2, 10 + 3 * n).legs(str(n))))
    assert shown(api, Call(0, 2, 10).cdr(api)) == set()


def test_a_flood_of_equal_calls_is_compared_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """All with all would keep the database for minutes."""
    compared: list[Cdr] = []

    def counted(msdr: Msdr, cdr: Cdr) -> bool:
        compared.append(cdr)
        return is_leg(msdr, cdr)

    monkeypatch.setattr(cdr_links, "is_leg", counted)
    columns = "(customer_id, id, call_id, created_at, duration, src, dst)"
    values = f"({api.acme}, :n, :n, {START} + :n % 3, 0, '101', '102')"
    flood = [{"n": n} for n in range(1, 301)]
    api.write(lambda db: db.many(f"INSERT INTO msdrs {columns} VALUES {values}", flood))
    cdr(api, src="101", dst="102")
    add(api, *(call(START + n % 3, src="101", dst="102") for n in range(300)))
    api.write(lambda db: cdr_links.link(db, api.acme, range(1, 301)))
    assert len(compared) < 20 * 300
    assert {row[0] for row in api.write(lambda db: db.all("SELECT cdr_id FROM msdrs"))} == {None}
