"""What a PBX tells goes into its book, whatever goes wrong with a part of it."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringback.connectors import journal, keeper
from ringback.connectors.asterisk import ami
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.book import Book
from ringback.connectors.journal import Origin
from ringback.connectors.keeper import Began, Expected, Keeper, Snapshot
from ringback.connectors.settings import Connector
from tests.api import Api
from tests.connected import CALLEE, CALLER, UNTIL_TALK, calls, cdrs, transcript, until, with_extensions
from tests.test_book import refused
from tests.test_connector_memory import opened, told

NEW = Snapshot({CALLER, CALLEE}, lambda _known, _heard: [])


@pytest.fixture
def book(api: Api, tmp_path: Path) -> Book:
    with_extensions(api)
    return opened(api, tmp_path)


@pytest.fixture
def kept(book: Book) -> Iterator[Keeper]:
    made = Keeper("office", book, lambda _: None, lambda: None)
    made.start()
    yield made
    made.stop()


def tell(kept: Keeper, text: str) -> None:
    decoder = ami.Decoder()
    decoder.feed(b"Asterisk Call Manager/11.0.0\r\n")
    for entry in told(decoder, text.replace("\n", "\r\n")):
        kept.put(entry)  # type: ignore[arg-type]


def full(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_made_of_one_event_goes_wrong_and_keeps_no_other_one_back(api: Api, book: Book) -> None:
    kept = Keeper("office", book, refused, lambda: None)
    for each in (Began(), NEW):
        kept.put(each)
    tell(kept, transcript(0, UNTIL_TALK))
    kept.start()
    until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])
    kept.stop()


def test_a_snapshot_that_is_not_understood_hides_no_calls(api: Api, kept: Keeper) -> None:
    tell(kept, transcript(0, UNTIL_TALK))
    kept.put(NEW._replace(news=refused))
    until(lambda: calls(api.admin))


def test_what_goes_wrong_with_one_turn_keeps_no_other_one_back(
    api: Api, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "expect", refused)
    kept = Keeper("office", book, lambda _: None, lambda: None)
    for each in (Began(), Expected("ringback-1", 1, 1), NEW):
        kept.put(each)
    tell(kept, transcript(0, UNTIL_TALK))
    kept.start()
    until(lambda: calls(api.admin))
    kept.stop()


def test_while_the_disk_is_full_calls_go_on(
    api: Api, book: Book, kept: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once."""
    monkeypatch.setattr(journal, "os", type("Full", (), {**vars(os), "write": staticmethod(full)}))
    with capture_logs() as logged:
        kept.put(NEW)
        tell(kept, transcript(0, UNTIL_TALK))
        until(lambda: calls(api.admin))
        tell(kept, transcript(UNTIL_TALK))
        until(lambda: cdrs(api.admin) and not calls(api.admin))
    assert [each["pbx"] for each in logged if each["event"] == "the journal cannot be written"] == ["office"]


def test_while_the_database_is_away_it_is_tried_ever_less_often(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_S", 1_000.0)
    monkeypatch.setattr(keeper, "LONGEST_S", 1_000.0)
    tries: list[int] = []

    def store() -> None:
        tries.append(1)
        refused()

    monkeypatch.setattr(book, "store", store)
    taken: SimpleQueue[Any] = SimpleQueue()
    kept = Keeper("office", book, taken.put, lambda: None)
    kept.start()
    until(lambda: tries)
    for number in range(10):
        kept.put(Origin(f"1.{number}", "", "", ""))
        taken.get(timeout=30.0)
    kept.stop()
    assert len(tries) == 2  # the last one as it stops


def test_what_was_refused_is_tried_again_though_nothing_comes(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_S", 0.01)
    tries: list[int] = []

    def store() -> None:
        tries.append(1)
        refused()

    monkeypatch.setattr(book, "store", store)
    kept = Keeper("office", book, lambda _: None, lambda: None)
    kept.start()
    until(lambda: len(tries) > 2)
    kept.stop()


class Answered:
    """A session on which every answer is there at once."""

    def send(self, *_: Any) -> Future[list[dict[str, str]]]:
        found: Future[list[dict[str, str]]] = Future()
        found.set_result([{"Value": "abc@192.0.2.1"}])
        return found


def test_what_is_described_waits_for_no_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer may come in the keeper's own thread, which alone makes place."""
    monkeypatch.setattr(keeper, "WAITING", 1)
    made = Connection(api.services, Connector("office", "asterisk", "u", "s", customer=api.acme))
    made.keeper.put(Began())
    asked = Thread(target=made._described.started, args=(Answered(), "PJSIP/101-1", CALLER), daemon=True)
    asked.start()
    asked.join(30.0)
    assert not asked.is_alive()
    assert made.waiting == 1
