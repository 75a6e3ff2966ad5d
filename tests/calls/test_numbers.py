"""Numbers as PBXs and people write them, beside what we make of them."""

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.calls import numbers

# text | country | digits
WRITTEN = """
+44 20 7946 0000       | -  | 442079460000
+442079460000          | US | 442079460000
0044 20 7946 0000      | -  | 442079460000
0044 20 7946 0000      | GB | 442079460000
0044 20 7946 0000      | US | 442079460000
011 44 20 7946 0000    | US | 442079460000
0011 44 20 7946 0000   | AU | 442079460000
(020) 7946-0000        | GB | 442079460000
(020) 7946-0000        | -  | -
020.7946.0000          | gb | 442079460000
442079460000           | GB | 442079460000
442079460000           | -  | 442079460000
+44 (0)20 7946 0000    | -  | 442079460000
+39 (0)6 12345678      | -  | 390612345678
06 1234 5678           | IT | 390612345678
(212) 555-1234         | US | 12125551234
1-212-555-1234         | US | 12125551234
33123456789            | GB | 33123456789
07700 900123           | GB | 447700900123
4915123456789          | DE | 4915123456789
020 7946 0000          | XX | -
5551234                | US | -
101                    | GB | -
101                    | -  | -
999999                 | GB | -
+101                   | -  | -
00430000               | GB | -
00                     | GB | -
0000000000             | -  | -
1234567890123456       | -  | -
010000000000000        | DE | -
anonymous              | GB | -
s                      | -  | -
*97                    | GB | -
#31#02079460000        | GB | -
1-800-FLOWERS          | US | -
sip:442079460000@pbx   | -  | -
٠٢٠٧٩٤٦٠٠٠٠            | GB | -
-                      | GB | -
"""

# text | country | what is dialled for an outside line | digits
DIALLED = """
902079460000     | GB | 9 | 442079460000
9-020 7946 0000  | GB | 9 | 442079460000
9+442079460000   | GB | 9 | 442079460000
900442079460000  | GB | 9 | 442079460000
02079460000      | GB | 9 | 442079460000
+442079460000    | GB | 9 | 442079460000
442079460000     | GB | 9 | 442079460000
902079460000     | GB |   | 902079460000
902079460000     | -  | 9 | -
9+442079460000   | -  | 9 | 442079460000
912125551234     | US | 9 | 12125551234
92125551234      | US | 9 | 12125551234
9011442079460000 | US | 9 | 442079460000
919876543210     | IN | 9 | 919876543210
99876543210      | IN | 9 | 919876543210
0030123456       | DE | 0 | 4930123456
030123456        | DE | 0 | 4930123456
000442079460000  | DE | 0 | 442079460000
0221234567       | PL | 0 | 48221234567
48221234567      | PL | 0 | 48221234567
101              | GB | 9 | -
9101             | GB | 9 | -
9                | GB | 9 | -
9999             | GB | 9 | -
9*97             | GB | 9 | -
9anonymous       | GB | 9 | -
"""

# text | as compared in requests and filters
COMPARED = """
+44 20 7946 0000    | 442079460000
+44 (0)20 7946 0000 | 442079460000
+39 (0)6 12345678   | 390612345678
(0)20 7946 0000     | 02079460000
(020) 7946-0000     | 02079460000
020.7946.0000       | 02079460000
101                 | 101
anonymous           | anonymous
*97                 | *97
Queue 12            | Queue 12
1+2                 | 1+2
"""

# caller id | name | number
CALLERS = r"""
"Ann Lee" <101>             | Ann Lee      | 101
Ann Lee <101>               | Ann Lee      | 101
"Ann Lee"                   | Ann Lee      | -
Ann Lee                     | Ann Lee      | -
<101>                       | -            | 101
101                         | -            | 101
*97                         | -            | *97
+44 20 7946 0000            | -            | 442079460000
"" <101>                    | -            | 101
"101" <101>                 | -            | 101
"+44 20 7946 0000" <442079460000> | -      | 442079460000
"Ann \"AJ\" Lee" <101>      | Ann "AJ" Lee | 101
"Ann <home>" <101>          | Ann <home>   | 101
"Ann Lee <101>"             | Ann Lee      | 101
"I <3 you"                  | I <3 you     | -
"Anonymous" <anonymous>     | Anonymous    | anonymous
"Ann Lee" <+44 (20) 7946-0000> | Ann Lee   | 442079460000
"Cut off at 80 bytes" <4420 | Cut off at 80 bytes | -
<>                          | -            | -
"                           | -            | -
-                           | -            | -
"""


def table(text: str) -> list[list[str | None]]:
    rows = [line.split(" | ") for line in text.strip("\n").splitlines()]
    return [[None if cell.strip() == "-" else cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(("text", "country", "expected"), table(WRITTEN))
def test_digits(text: str | None, country: str | None, expected: str | None) -> None:
    assert numbers.digits(text or "", country) == expected


@pytest.mark.parametrize(("text", "expected"), table(COMPARED))
def test_normal(text: str, expected: str) -> None:
    assert numbers.normal(text) == expected


@pytest.mark.parametrize(("clid", "name", "number"), table(CALLERS))
def test_caller_id(clid: str | None, name: str | None, number: str | None) -> None:
    assert numbers.caller_id(clid or "") == (name, number)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("442079460000", "GB"),
        ("447700900123", "GB"),
        ("447624301234", "IM"),
        ("12125551234", "US"),
        ("14165551234", "CA"),
        ("80012345678", None),
        ("999123456789", None),
        ("101", None),
        ("anonymous", None),
        ("", None),
    ],
)
def test_country_of(number: str, country: str | None) -> None:
    assert numbers.country_of(number) == country


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_countrys_own_spellings_are_read(region: str) -> None:
    """Our own rules agree with phonenumbers: national, bare, behind 00 and international, for each kind of number."""
    for kind in (0, 1, 2, 3, 4, 6):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        expected = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        spellings = [expected, f"00{expected}", f"+{expected}"]
        if len(numbers.normal(national)) >= 7:
            spellings.append(national)
        assert {numbers.digits(spelling, region) for spelling in spellings} == {expected}


@pytest.mark.parametrize(("text", "country", "prefix", "expected"), table(DIALLED))
def test_dialled(text: str, country: str | None, prefix: str, expected: str | None) -> None:
    assert numbers.dialled(text, country, prefix) == expected


def test_control_characters_are_refused_or_removed() -> None:
    assert numbers.digits("+4420\x0079460000", None) is None
    assert numbers.digits("+4420\n79460000", None) is None
    assert numbers.normal("10\x001") == "101"
    assert numbers.normal("Ann\x00\x1b Lee\ud800") == "Ann Lee"
    assert numbers.clean("one\r\ntwo\tthree\x07") == "one two three"
    assert numbers.caller_id('"Ann\x00 Lee" <10\r1>') == ("Ann Lee", "101")


def test_nothing_is_longer_than_255_characters() -> None:
    assert numbers.digits("1" * 256, None) is None
    assert numbers.normal("1" * 5_000) == "1" * 255
    assert numbers.caller_id("n" * 300 + " <101>") == ("n" * 255, None)


@given(st.text(), st.sampled_from([None, "GB", "US", "IT", "AU", "??", ""]))
def test_any_text_gives_digits_or_nothing(text: str, country: str | None) -> None:
    for found in (numbers.digits(text, country), numbers.dialled(f"9{text}", country, "9")):
        assert found is None or re.fullmatch("[1-9][0-9]{6,14}", found)


@given(st.text(alphabet="+0123456789 ()-.", max_size=20), st.sampled_from([None, "GB", "US", "IT", "AU", "DE"]))
def test_digits_are_their_own_digits(text: str, country: str | None) -> None:
    found = numbers.digits(text, country)
    assert found is None or numbers.digits(f"+{found}", country) == found


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Z", "C", "S"])))
def test_any_text_becomes_safe_text(text: str) -> None:
    for safe in (numbers.normal(text), *numbers.caller_id(text), numbers.country_of(text)):
        assert safe is None or (len(safe) <= 255 and not any(c < " " or "\x7f" <= c <= "\x9f" for c in safe))
        assert safe is None or safe.encode() is not None
