"""However many calls a PBX has had, what is kept of those that are over is bounded.

Sizes of tables are compared, not the memory of the process: that has the database's cache in it, which fills up to its own limit.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import pbx

from ringback.calls.ledger import Ledger
from ringback.calls.ledger.fold import Bounds
from ringback.connectors.asterisk import ami
from ringback.connectors.asterisk.events import Translator
from ringback.connectors.asterisk.recordings import Recordings
from ringback.connectors.asterisk.voicemail import Voicemail
from ringback.connectors.book import MOST_EXPECTED, Book
from ringback.connectors.journal import Entry, Journal, Origin
from ringback.connectors.settings import Connector
from tests.api import Api

CALLS, EARLY = 6_000, 2_000


def opened(api: Api, folder: Path) -> Book:
    given = Connector("office", "asterisk", "u", "s", customer=api.acme)
    return Book(api.services, given, Journal(folder / "office.journal"))


def told(decoder: ami.Decoder, text: str) -> Iterator[Entry]:
    for message in decoder.feed(text.encode()):
        if message.get("Event") == "Newchannel":
            yield Origin(message["Uniqueid"], message.get("Context", ""), "", message.get("Exten", ""))
        yield from TRANSLATOR.events(message, time.time_ns() // 1_000)


TRANSLATOR = Translator()


def sizes(book: Book) -> dict[str, int]:
    """Entries of every table of the book, of its ledger and of what it shows, tables within tables counted too."""
    parts = {"book": book, "ledger": book.ledger, "board": book.ledger.board, "shown": book.shown}
    tables = {f"{name}.{key}": value for name, part in parts.items() for key, value in vars(part).items()}
    return {
        name: _size(value) for name, value in tables.items() if isinstance(value, dict | set | list) or "ties" in name
    }


def _size(table: object) -> int:
    within = table.values() if isinstance(table, dict) else ()
    return len(table) + sum(len(each) for each in within if isinstance(each, dict | set))  # type: ignore[arg-type]


def test_what_is_kept_of_calls_that_are_over_does_not_grow(api: Api, tmp_path: Path) -> None:
    book, decoder = opened(api, tmp_path), ami.Decoder()
    book.ledger = Ledger(Bounds(ended=1_000))
    decoder.feed(b"Asterisk Call Manager/11.0.0\r\n")
    events, found = len(pbx.events()), dict[int, dict[str, int]]()
    for number, text in enumerate(pbx.told(CALLS), 1):
        book.take(list(told(decoder, text)))
        if number % events in (0, events // 2):
            book.store()
            book.show()
        if number % events == 0:
            found[number // events * pbx.AT_ONCE] = sizes(book)
    assert book.stored == CALLS
    early, late = found[EARLY], found[CALLS]
    for name, size in late.items():
        assert size <= max(early[name], 4 * pbx.AT_ONCE), name
    assert late["board.legs"] == late["shown.ends"] == late["book.ids"] == late["book._origins"] == 0


def test_orders_of_which_nothing_came_are_forgotten(api: Api, tmp_path: Path) -> None:
    book = opened(api, tmp_path)
    for number in range(MOST_EXPECTED + 100):
        book.expect(f"ringback-{number}", number, api.acme)
    assert len(book.ids) == MOST_EXPECTED
    assert book.ids[f"ringback-{MOST_EXPECTED + 99}"] == MOST_EXPECTED + 99


def test_what_a_pbx_tells_without_end_is_bounded(api: Api, tmp_path: Path) -> None:
    """Of mailboxes that are none, recordings of channels that never end, and phones that never leave a mailbox."""
    given = Connector("office", "asterisk", "u", "s", customer=api.acme, recordings=str(tmp_path))
    voicemail = Voicemail(api.services, replace(given, voicemail=str(tmp_path)))
    recordings = Recordings(api.services, given)
    for number in range(25_000):
        of = {"Uniqueid": f"{number}.1", "Linkedid": f"{number}.1", "Channel": "PJSIP/101-1"}
        voicemail.heard({"Event": "MessageWaiting", "Mailbox": f"{number}@default"})
        voicemail.heard({"Event": "Newexten", "Application": "VoiceMailMain", "AppData": "101", **of})
        recordings.heard({"Event": "Newchannel", **of})
        recordings.heard({"Event": "VarSet", "Variable": "MIXMONITOR_FILENAME", "Value": "/1.wav", **of})
    assert voicemail._changed.qsize() == 10_000
    voicemail._step()
    assert (len(voicemail._due), len(voicemail._listeners._of)) == (0, 10_000)
    assert (len(recordings._open), len(recordings._up), recordings._items.qsize()) == (20_000, 20_000, 20_000)
