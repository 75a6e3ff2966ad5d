"""vCards as phones and mail programs write them, and as nobody should."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.importers.csv_records import Refused
from ringback.importers.vcard import Card, read


def cards(text: str | bytes) -> list[Card | Refused]:
    raw = text.encode() if isinstance(text, str) else text
    return list(read(raw.split(b"\n")))


def card(*lines: str | bytes, version: str = "3.0") -> Card:
    raw = b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    (found,) = cards(b"BEGIN:VCARD\r\nVERSION:" + version.encode() + b"\r\n" + raw + b"\r\nEND:VCARD\r\n")
    assert isinstance(found, Card), found
    return found


def refused(text: str | bytes) -> list[tuple[int, str]]:
    return [(each.line_no, each.reason) for each in cards(text) if isinstance(each, Refused)]


def texts(found: Card, name: str) -> list[str]:
    return [each.text() for each in found.all(name)]


def test_long_lines_are_folded_also_within_a_character() -> None:
    name = "Grüße".encode()
    assert texts(card(b"FN:Viele Gr\xc3\r\n \xbc\xc3\x9fe"), "FN") == [f"Viele {name.decode()}"]
    assert texts(card("NOTE:one\r\n  two\r\n\tthree"), "NOTE") == ["one twothree"]


def test_characters_are_escaped() -> None:
    assert texts(card(r"NOTE:a\, b\; c\: d\\n e\nf\Ng"), "NOTE") == ["a, b; c: d\\n e\nf\ng"]
    (name,) = card(r"N:Smith\; Jones;Ann\\;Mary,Kate;;").all("N")
    assert name.parts() == ["Smith; Jones", "Ann\\", "Mary,Kate", "", ""]
    (categories,) = card(r"CATEGORIES:Friends,Old\, good").all("CATEGORIES")
    assert categories.parts(",") == ["Friends", "Old, good"]


def test_groups_and_types_in_each_spelling() -> None:
    found = card("item1.TEL;TYPE=CELL,Voice:1", "TEL;type=WORK;type=pref:2", "tel;HOME:3", 'TEL;TYPE="work,fax":4')
    assert [(tel.value, sorted(tel.types)) for tel in found.all("TEL")] == [
        ("2", ["pref", "work"]),
        ("1", ["cell", "voice"]),
        ("3", ["home"]),
        ("4", ["fax", "work"]),
    ]


def test_preferred_ones_come_first() -> None:
    assert texts(card("EMAIL:a", "EMAIL;PREF=2:b", "EMAIL;PREF=1:c", "EMAIL;PREF=0:d", version="4.0"), "EMAIL") == [
        "c",
        "b",
        "a",
        "d",
    ]


def test_a_colon_in_quotes_is_no_end_of_the_parameters() -> None:
    (tel,) = card('TEL;VALUE=uri;X="a:b;c";TYPE=cell:tel:+44;ext=12', version="4.0").all("TEL")
    assert (tel.value, tel.parameters["x"]) == ("tel:+44;ext=12", ("a:b;c",))
    assert tel.types == {"cell"}
    assert texts(card('FN;X="open:Ann'), "FN") == ["Ann"]


def test_quoted_printable_and_character_sets_of_2_1() -> None:
    soft = card("FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen=\r\n M=C3=BCller", version="2.1")
    assert texts(soft, "FN") == ["Jürgen Müller"]
    assert texts(card("FN;QUOTED-PRINTABLE:a=3Db=\r\nc", version="2.1"), "FN") == ["a=bc"]
    assert texts(card(b"FN;CHARSET=ISO-8859-1:M\xfcller", version="2.1"), "FN") == ["Müller"]


def test_a_photo_is_passed_over_however_large_it_is() -> None:
    photo = "PHOTO;ENCODING=b:" + "A" * 300_000
    folded = "PHOTO;ENCODING=b:" + "\r\n ".join(["A" * 70] * 9_000)
    assert texts(card(photo, folded, "FN:Ann"), "FN") == ["Ann"]


def test_what_stands_between_cards_does_not_matter() -> None:
    found = cards("\n\nnoise\nbegin:vcard\nFN:Ann\nend:vcard\n\nBEGIN:VCARD\nFN:Bob\nEND:VCARD")
    assert [(each.line_no, texts(each, "FN")) for each in found if isinstance(each, Card)] == [
        (4, ["Ann"]),
        (8, ["Bob"]),
    ]


def test_a_broken_card_costs_no_other() -> None:
    text = b"".join(
        b"BEGIN:VCARD\n" + line + b"\nEND:VCARD\n"
        for line in (
            b"FN:a\0b",
            b"FN:\xff",
            b"FN;CHARSET=utf-7:a",
            b"NOTE:" + b"x" * 70_000,
            b"FN:Ann",
            b"FN;QUOTED-PRINTABLE:=00",
        )
    )
    assert refused(text) == [
        (1, "holds a NUL byte"),
        (4, "not in its character set, utf-8"),
        (7, "an unknown character set, 'utf-7'"),
        (10, "a line longer than 64 KiB"),
        (16, "holds a NUL byte"),
    ]


def test_a_card_that_does_not_end_is_refused() -> None:
    assert refused("BEGIN:VCARD\nFN:Ann\nBEGIN:VCARD\nFN:Bob\nEND:VCARD\nBEGIN:VCARD\nFN:C") == [
        (1, "a card that does not end"),
        (6, "a card that does not end"),
    ]


class Endless:
    """A file that repeats its block, and says at the end how much was read of it."""

    def __init__(self, start: bytes, block: bytes, blocks: int) -> None:
        self._parts: Iterable[bytes] = iter([start, *[block] * blocks])

    def read(self, size: int, /) -> bytes:
        return next(iter(self._parts), b"")


@pytest.mark.parametrize("block", [b"x" * 65_536, b"NOTE:" + b"x\n y" * 16_000, b"TEL:1\n" * 10_000, b"X:1\n" * 10_000])
def test_a_huge_card_is_refused_without_being_held(block: bytes) -> None:
    (found,) = read(Endless(b"BEGIN:VCARD\nNOTE:", block, 400))
    assert isinstance(found, Refused)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    for found in read([b"BEGIN:VCARD", *noise.split(b"\n"), b"N:" + noise, b"END:VCARD"]):
        if isinstance(found, Card):
            assert all("\0" not in part for each in found.properties for part in (each.text(), *each.parts()))
