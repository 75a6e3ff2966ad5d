"""The book of a PBX: what it shows and keeps while the database is away, and over many processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ringback.calls.events import (
    Answered,
    ApplicationEntered,
    BridgeEntered,
    BridgeLeft,
    DialEnded,
    Event,
    Fact,
    HungUp,
    Identified,
    PartyHungUp,
)
from ringback.connectors import book as books
from ringback.connectors.asterisk import ami
from ringback.connectors.book import Book
from ringback.errors import Unavailable
from ringback.store import live_calls
from tests.api import Api
from tests.connected import CALLER, UNTIL_TALK, calls, cdrs, transcript, with_extensions
from tests.test_connector_memory import opened, told


def refused(*_: Any, **__: Any) -> NoReturn:
    raise Unavailable("away")


@contextmanager
def away(api: Api) -> Iterator[None]:
    """The database takes nothing."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.services.database, "write", refused)
        yield


def take(book: Book, text: str) -> None:
    decoder = ami.Decoder()
    decoder.feed(b"Asterisk Call Manager/11.0.0\r\n")
    book.take(list(told(decoder, text.replace("\n", "\r\n"))))


def rounds(book: Book) -> None:
    book.store()
    book.show()


def test_a_call_that_ends_while_the_database_is_away_is_gone_when_it_is_back(api: Api, tmp_path: Path) -> None:
    with_extensions(api)
    book = opened(api, tmp_path)
    take(book, transcript(0, UNTIL_TALK))
    rounds(book)
    assert len(calls(api.admin)) == len(book.shown.ends) == 1
    take(book, transcript(UNTIL_TALK))
    with away(api), pytest.raises(Unavailable):
        rounds(book)
    rounds(book)
    assert len(cdrs(api.admin)) == 1
    assert calls(api.admin) == []
    assert not book.shown.ends


def test_a_call_that_could_not_be_shown_is_not_known_as_live(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_extensions(api)
    book = opened(api, tmp_path)
    take(book, transcript(0, UNTIL_TALK))
    monkeypatch.setattr(live_calls, "put", refused)
    with pytest.raises(Unavailable):
        book.show()
    assert not book.shown.ends


def test_the_last_words_of_channels_that_nobody_knows_make_no_calls(api: Api, tmp_path: Path) -> None:
    """A list of what is up is made while a call ends: it has the pair of halves in its middle, and not who called and was called."""
    with_extensions(api)
    book = opened(api, tmp_path)

    def tell(n: int, name: str, *facts: Fact) -> None:
        at_us = 1_795_347_810_000_000
        book.take(
            [Event(at_us + each, f"1795347800.{n}", "1795347800.1", name, fact) for each, fact in enumerate(facts)]
        )

    near, far = "Local/102@office-00000000;1", "Local/102@office-00000000;2"
    tell(
        2, near, Identified("102", ""), ApplicationEntered("AppDial", "(Outgoing Line)"), Answered(), BridgeEntered("b")
    )
    tell(
        3, far, Identified("101", "Ann"), ApplicationEntered("Dial", "PJSIP/102", "102"), Answered(), BridgeEntered("c")
    )
    tell(1, "PJSIP/101-00000000", PartyHungUp(), DialEnded("1795347800.2", "ANSWER"), BridgeLeft("b"), HungUp(16))
    tell(2, near, BridgeLeft("b"), HungUp(16))
    tell(3, far, BridgeLeft("c"), HungUp(16))
    tell(4, "PJSIP/102-00000001", BridgeLeft("c"), HungUp(16))
    rounds(book)
    (cdr,) = cdrs(api.admin)
    assert (cdr["parent_live_id"], cdr["info"]) == (None, "incomplete: its beginning was not seen")


def text(number: int, first: int, last: int | None) -> str:
    """Of the call of that number: 100 s after the one before."""
    return transcript(first, last).replace("17953478", str(17_953_478 + number))


def processes(api: Api, folder: Path, n: int) -> Iterator[Book]:
    """One after the other, each on the journal of those before."""
    for _ in range(n):
        book = opened(api, folder)
        book.replay()
        yield book
        book.close()


def test_over_many_processes_live_ids_and_the_journal_do_not_grow(api: Api, tmp_path: Path) -> None:
    """In each a call ends that began in the one before, and another begins."""
    with_extensions(api)
    journal, sizes = tmp_path / "office.journal", list[int]()
    for number, book in enumerate(processes(api, tmp_path, 8)):
        sizes.append(journal.stat().st_size)
        assert len(book.ids) == min(number, 1)
        take(book, text(number - 1, UNTIL_TALK, None) if number else "")
        rounds(book)
        take(book, text(number, 0, UNTIL_TALK))
        rounds(book)
    assert len({each["live_id"] for each in cdrs(api.admin)}) == 7
    assert max(sizes) <= sizes[1] + len("00")  # an id may have more digits


def test_over_many_processes_orders_of_which_nothing_came_are_forgotten(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MOST_EXPECTED", 3)
    for number, book in enumerate(processes(api, tmp_path, 4)):
        book.expect(f"ringback-{number}.1", number, api.acme)
        book.expect(f"ringback-{number}.2", number, api.acme)
    (last,) = processes(api, tmp_path, 1)
    assert list(last.ids) == ["ringback-2.2", "ringback-3.1", "ringback-3.2"]


def test_an_order_becomes_a_call_though_another_process_placed_it(api: Api, tmp_path: Path) -> None:
    with_extensions(api)
    (live_id,) = api.write(lambda db: db.new_ids("live", 1))
    for book in processes(api, tmp_path, 2):
        if book.ids:
            take(book, transcript(0, UNTIL_TALK).replace(CALLER, "ringback-1"))
            rounds(book)
        else:
            book.expect("ringback-1", live_id, api.acme)
    assert [each["id"] for each in calls(api.admin)] == [live_id]
