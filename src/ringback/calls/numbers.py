"""Phone numbers and caller ids, as PBXs and people write them.

Inside, a number of the public network is its E.164 digits without `+` (ITU-T E.164, section 6: at most 15 digits, the
first is never 0). Extensions, service codes and names are no such numbers; whoever asks keeps their text.

Nothing that leaves this module holds a control character, a NUL or half a surrogate pair, or is longer than 255
characters: `digits` refuses such text, the other functions remove the characters and cut the rest.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

LIMIT = 255
_SHORTEST, _SHORTEST_BARE, _LONGEST = 7, 8, 15
_BLANKS = re.compile("[\t\r\n]+")
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SEPARATORS = str.maketrans("", "", " .-()[]\u00a0\u202f\u2010\u2011\u2012\u2013\u2014")
_ESCAPED = re.compile(r'\\(["\\])')


def clean(text: str) -> str:
    """One line of at most 255 characters: line ends and tabs become a space, other control characters vanish."""
    if len(text) <= LIMIT and text.isprintable():
        return text
    return _UNWANTED.sub("", _BLANKS.sub(" ", text[: 4 * LIMIT]))[:LIMIT]


def normal(text: str) -> str:
    """The form in which requests and filters are compared: digits when only `+` in front and separators surround
    them, else the text itself. Extensions (`101`) are digits too; no country is guessed."""
    text = clean(text)
    stripped = text.strip()
    bare = stripped.removeprefix("+").translate(_SEPARATORS)
    if not _all_digits(bare):
        return text
    return (stripped.startswith("+") and "(0)" in text and _nationally(stripped, None)) or bare


def digits(text: str, country: str | None) -> str | None:
    """E.164 digits, or None for what is no number of the public network: extensions, `anonymous`, `*97`, `s`, anything
    with a letter or a control character.

    `country` (alpha-2) is where national forms are dialled. Without it, 8 to 15 bare digits that do not start with 0
    are taken for E.164. A number in a range that nobody has assigned passes: the length alone must be possible.
    """
    if len(text) > LIMIT:
        return None
    bare = text.strip(" ").translate(_SEPARATORS)
    if bare.startswith("+"):
        return _nationally(text, None) if "(0)" in text else _within(bare[1:], _SHORTEST)
    if not _all_digits(bare) or len(bare) < _SHORTEST:
        return None
    plan = _plan(country) if country else None
    if plan is None:
        return _abroad(bare) or _within(bare, _SHORTEST_BARE)
    return _by_plan(bare, plan) or _nationally(bare, plan.country)


def dialled(text: str, country: str | None, outside_prefix: str) -> str | None:
    """As `digits`, where people dial `outside_prefix` (`9`, `0`) for an outside line: `902079460000`, `9+44…`, `900…`.

    The prefix is taken off where a number as one dials it follows: with `+`, with a 0, or one that is assigned inside
    `country`. So E.164 digits that merely begin like the prefix stay what they are, and extensions are no numbers.
    """
    bare = text.strip(" ").translate(_SEPARATORS)
    if not outside_prefix or len(text) > LIMIT or not bare.startswith(outside_prefix):
        return digits(text, country)
    rest = bare.removeprefix(outside_prefix)
    inner, whole = digits(rest, country), digits(text, country)
    if rest.startswith(("+", "00")):
        return inner
    if rest.startswith("0"):
        return whole if whole and _is_assigned(f"+{whole}", None) and not _is_assigned(f"+{inner}", None) else inner
    return inner if country and _is_assigned(rest, country.upper()) else whole


def _is_assigned(text: str, region: str | None) -> bool:
    """Within the region, if there is one. `text`: digits, perhaps after a +."""
    import phonenumbers

    parsed = _parsed(text, region) if _SHORTEST <= len(text) <= _LONGEST + 1 else None
    if parsed is None or region is None:
        return parsed is not None and phonenumbers.is_valid_number(parsed)
    return phonenumbers.is_valid_number_for_region(parsed, region)


def national(number: str) -> str | None:
    """E.164 digits as they are dialled inside their country, digits only; None for what has no country."""
    import phonenumbers

    parsed = _parsed(f"+{number}", None) if _within(number, _SHORTEST) else None
    if parsed is None:
        return None
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(filter(str.isdecimal, text)) or None


@lru_cache(maxsize=32_768)
def country_of(number: str) -> str | None:
    """The alpha-2 country of E.164 digits; None for networks without one (+800, satellites) and for unknown codes.
    An unassigned number of a shared code (+1, +7, +44) belongs to the main country of that code."""
    import phonenumbers

    parsed = _parsed(f"+{number}", None) if _within(number, _SHORTEST) else None
    if parsed is None:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return _country(region)


def _country(region: str | None) -> str | None:
    """A region of phonenumbers; None for networks without a country, `001`, and what nobody knows, `ZZ`."""
    return region if region and region.isalpha() and region != "ZZ" else None


def is_dialled_in(number: str, country: str) -> bool:
    """Whether E.164 digits are of the same numbering plan as the country (alpha-2): there its national form is dialled."""
    plan, home = _plan(country), country_of(number)
    return plan is not None and home is not None and (other := _plan(home)) is not None and other.code == plan.code


class Line(NamedTuple):
    """`kind`: fixed, mobile, fixed_or_mobile, voip, premium, shared_cost, toll_free, personal, pager, company, voicemail, unknown.
    `country` is None for networks without one (+800, satellites)."""

    country: str | None
    kind: str


def line_of(number: str) -> Line | None:
    """What sort of line E.164 digits are; None for what nobody can have, short and emergency numbers among it."""
    import phonenumbers

    parsed = _parsed(f"+{number}", None) if _within(number, _SHORTEST) else None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return None
    kind = _KINDS.get(phonenumbers.number_type(parsed), "unknown")
    return Line(_country(phonenumbers.region_code_for_number(parsed)), kind)


_KINDS = {
    0: "fixed",
    1: "mobile",
    2: "fixed_or_mobile",
    3: "toll_free",
    4: "premium",
    5: "shared_cost",
    6: "voip",
    7: "personal",
    8: "pager",
    9: "company",
    10: "voicemail",
}
"""By phonenumbers' `PhoneNumberType`."""


_EMERGENCY = ("000", "110", "112", "119", "911", "999")


def is_emergency(text: str, country: str) -> bool:
    """Whether who dials that in the country may reach an emergency service; where the country is unknown, in any of the great ones."""
    from phonenumbers import shortnumberinfo

    bare = "".join(filter(str.isdecimal, text))[:_LONGEST]
    if not has_numbers(country):
        return bare.startswith(_EMERGENCY)
    return bool(bare) and shortnumberinfo.connects_to_emergency_number(bare, country)


def dialled_from(number: str, country: str | None) -> str:
    """E.164 digits as somebody in the country (alpha-2) dials them, digits only; where that is unknown they stay as they are."""
    import phonenumbers

    parsed = _parsed(f"+{number}", None)
    if parsed is None or country is None or not has_numbers(country):
        return number
    text = phonenumbers.format_out_of_country_calling_number(parsed, country)
    bare = "".join(filter(str.isdecimal, text))
    return number if text.startswith("+") or not bare else bare


def one_spelling(number: str) -> str:
    """E.164 digits, as every other spelling of the same phone is told: +44 0 7400 123456 and +54 11 15 2345 6789 are heard with
    what is only dialled inside the country, which an attacker may add, more than once, and leave out. What is no number stays."""
    import phonenumbers

    for _ in range(_LONGEST):
        parsed, before = _parsed(f"+{number}", None), number
        if parsed is not None:
            number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
        if number == before:
            break
    return number


def calling_code(country: str) -> str:
    """`44` of GB; `0` where there is none."""
    import phonenumbers

    return str(phonenumbers.country_code_for_region(country))


def has_numbers(country: str) -> bool:
    """Whether this is an alpha-2 code, upper case, of a country that has telephone numbers."""
    import phonenumbers

    return country in phonenumbers.SUPPORTED_REGIONS


@lru_cache(maxsize=8_192)
def caller_id(clid: str) -> tuple[str | None, str | None]:
    """(name, number) of Asterisk's caller id text, as `ast_callerid_parse` of its `main/callerid.c` reads it.

    A name that only repeats the number is none. A number in brackets that were cut off (Asterisk keeps 80 bytes) is
    none, for nobody knows the rest of it.
    """
    text = clean(clid).strip()
    opened = text.rfind("<")
    closed = text.find(">", opened)
    if opened >= 0 and closed > opened:
        return _named(text[:opened], normal(text[opened + 1 : closed].strip()))
    if opened >= 0 and not text.endswith('"'):
        return _named(text[:opened], "")
    bare = normal(text)
    return (None, bare) if re.fullmatch(r"\+?[0-9*#]+", bare) else _named(text, "")


def _named(name: str, number: str) -> tuple[str | None, str | None]:
    name = name.strip()
    name = name.removeprefix('"').removesuffix('"')
    name = _ESCAPED.sub(r"\1", name.replace('""', '"')).strip()
    return (name if name and normal(name) != number else None), number or None


def _all_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _within(number: str, shortest: int) -> str | None:
    fits = shortest <= len(number) <= _LONGEST and _all_digits(number) and number[0] != "0"
    return number if fits else None


def _abroad(bare: str) -> str | None:
    """What follows the international prefix 00 of most of the world (ITU-T E.123)."""
    return _within(bare[2:], _SHORTEST) if bare.startswith("00") else None


class _Plan(NamedTuple):
    """What a country's numbering plan says that can be decided without the slow library."""

    country: str
    code: str
    dials_00: bool
    drops_0: bool  # the trunk prefix is one 0, and no number inside the country starts with it
    lengths: frozenset[int]


@lru_cache(maxsize=300)
def _plan(country: str) -> _Plan | None:
    """None for a country that the library does not know."""
    from phonenumbers import PhoneMetadata

    region = country.upper()
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.general_desc is None:
        return None
    return _Plan(
        region,
        str(metadata.country_code),
        metadata.international_prefix == "00",
        f"{metadata.national_prefix_for_parsing}|".startswith("0|") and metadata.national_prefix_transform_rule is None,
        frozenset(metadata.general_desc.possible_length),
    )


def _by_plan(bare: str, plan: _Plan) -> str | None:
    """The forms that cannot be mistaken; None for the rest, which phonenumbers decides."""
    if bare.startswith("00"):
        return _abroad(bare) if plan.dials_00 else None
    if bare.startswith("0"):
        fits = plan.drops_0 and len(bare) - 1 in plan.lengths
        return _within(plan.code + bare[1:], _SHORTEST) if fits else None
    longer = len(bare) > max(plan.lengths)
    fits = longer and bare.startswith(plan.code) and len(bare) - len(plan.code) in plan.lengths
    return _within(bare, _SHORTEST) if fits else None


@lru_cache(maxsize=32_768)
def _nationally(text: str, country: str | None) -> str | None:
    """Assigned at home, assigned abroad, possible at home, possible abroad: the first that holds. Where people dial a
    0 inside the country, digits that begin with the country's code instead are read as abroad first."""
    import phonenumbers

    spellings = [(text, country), (f"+{text}", None), (f"+{text.removeprefix('00')}", None)]
    plan = _plan(country) if country else None
    if plan is not None and plan.drops_0 and text.startswith(plan.code):
        spellings.reverse()
    readings = [found for spelling in spellings if (found := _parsed(*spelling)) is not None]
    possible = [
        found
        for found in readings
        if phonenumbers.is_possible_number_with_reason(found) == phonenumbers.ValidationResult.IS_POSSIBLE
    ]
    assigned = [found for found in possible if phonenumbers.is_valid_number(found)]
    for found in assigned + possible:
        e164 = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
        return _within(e164.removeprefix("+"), _SHORTEST)
    return None


def _parsed(text: str, country: str | None) -> "PhoneNumber | None":
    import phonenumbers

    try:
        return phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
