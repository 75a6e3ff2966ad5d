"""The journal of a connector: what was heard of calls that are up, across processes."""

import errno
import os
from pathlib import Path

import pytest

from ringback.calls import events
from ringback.calls.events import Event
from ringback.connectors import journal as journals
from ringback.connectors.journal import Entry, Journal, Named, Origin, Stored

HEARD: list[Entry] = [
    Origin("1.0", "from-trunk", "acme", "+44"),
    Event(1_000_001, "1.0", "1.0", "PJSIP/101-1", events.Started("101", 'Zo\u00eb "\n', "102", "internal")),
    Named("1.0", 7, 1),
    Event(1_000_002, "1.0", "1.0", "PJSIP/101-1", events.BridgeEntered("b", False, ("PJSIP/102-2",))),
    Stored("1.0"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "connectors/office.journal"


def test_what_was_noted_is_there_for_the_next_process(path: Path) -> None:
    journal = Journal(path)
    journal.add(HEARD)
    assert list(Journal(path).entries()) == HEARD
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("n", range(1, 40))
def test_a_torn_line_is_passed_over(path: Path, n: int) -> None:
    journal = Journal(path)
    journal.add(HEARD)
    path.write_bytes(path.read_bytes()[:-n])
    again = Journal(path)
    whole = list(again.entries())
    assert whole == HEARD[: len(whole)]
    again.add([Stored("2.0")])
    assert list(again.entries()) == [*whole, Stored("2.0")]


@pytest.mark.parametrize(
    "line",
    [b"{}\n", b"[]\n", b"\xff\n", b'["Nothing",1,"","",""]\n', b'["Started","x"]\n', b"[" * 5_000 + b"\n", b"\n"],
)
def test_what_is_no_entry_is_passed_over(path: Path, line: bytes) -> None:
    journal = Journal(path)
    journal.add(HEARD[:1])
    with path.open("ab") as file:
        file.write(line)
    journal.add(HEARD[1:])
    assert list(journal.entries()) == HEARD


def test_what_the_system_takes_in_pieces_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    Journal(path).add(HEARD)
    assert list(Journal(path).entries()) == HEARD


def test_on_a_full_disk_no_more_is_lost_than_did_not_fit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, write, left = Journal(path), os.write, [b"".join(map(journals._line, HEARD[:2]))[:-5]]

    def almost_full(file: int, data: bytes) -> int:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(left.pop())])

    monkeypatch.setattr(os, "write", almost_full)
    with pytest.raises(OSError, match="No space"):
        journal.add(HEARD)
    monkeypatch.undo()
    journal.add(HEARD[2:])
    assert list(journal.entries()) == [HEARD[0], *HEARD[2:]]


def test_it_is_written_anew_without_what_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LEAST_BYTES", 1_000)
    journal = Journal(path)
    while not journal.is_long:
        journal.add(HEARD)
    journal.keep(lambda entry: isinstance(entry, Named))
    assert set(journal.entries()) == {HEARD[2]}
    assert not journal.is_long
    journal.add(HEARD[:1])
    assert list(journal.entries())[-1] == HEARD[0]


def test_where_no_more_files_can_be_opened_the_old_one_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, opened = Journal(path), os.open
    journal.add(HEARD)

    def full(name: str | Path, flags: int, *more: int) -> int:
        if flags & os.O_APPEND:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(name, flags, *more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="Too many"):
        journal.keep(lambda _: False)
    monkeypatch.undo()
    journal.add(HEARD)
    assert list(journal.entries()) == [*HEARD, *HEARD]
