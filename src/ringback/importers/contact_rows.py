"""A row of an address book in CSV as a contact: with the names of our attributes, as Google or as Outlook export it."""

import re
from collections.abc import Iterator

from ringback.importers.contact_fields import FIXED, MOBILE, LeftOut, first_email, labels, numbered, without_blanks
from ringback.importers.headed import Row

_WORDINGS = {
    "type": ("type",),
    "first_name": ("firstname", "givenname"),
    "last_name": ("lastname", "familyname", "surname"),
    "name": ("name", "fullname", "displayname"),
    "company": ("company", "organizationname", "organization1name", "organization", "organisation"),
    "ext": ("ext", "extension"),
    "group_name": ("groupname",),
    "notes": ("notes", "note"),
}
_OWN = {name.replace("_", ""): name for name in (*MOBILE, *FIXED)}
_EMAILS = (
    "email",
    "emailaddress",
    "mail",
    "email1value",
    "email2value",
    "email3value",
    "email2address",
    "email3address",
)
# Outlook's, and what people write; Google's are numbered.
_PHONES = {
    "primaryphone": "",
    "businessphone": "",
    "businessphone2": "",
    "workphone": "",
    "phone": "",
    "telephone": "",
    "phonenumber": "",
    "companymainphone": "",
    "homephone": "",
    "homephone2": "",
    "otherphone": "",
    "carphone": "mobile",
    "mobilephone": "mobile",
    "mobilenumber": "mobile",
    "cellphone": "mobile",
    "businessfax": "fax",
    "homefax": "fax",
    "otherfax": "fax",
    "pager": "pager",
}
_GOOGLE = re.compile(r"phone(\d{1,3})value")
_SEVERAL = re.compile(r" ::: ")
NEEDED = (
    *(wording for name in ("first_name", "last_name", "name", "company") for wording in _WORDINGS[name]),
    *_OWN,
    *_PHONES,
    *_EMAILS[:4],
)


def contact(row: Row) -> tuple[dict[str, object], LeftOut]:
    """Attributes as `POST /contacts` takes them, and what there was no room for."""
    left_out = LeftOut()
    cells = row.pick(_WORDINGS)
    whole = cells.pop("name", None)
    if whole and not cells.keys() & {"first_name", "last_name"} and whole != cells.get("company"):
        cells["first_name"] = whole
    emails = [each for name in _EMAILS for each in _SEVERAL.split(row.cells.get(name, "")) if each]
    given = {
        **cells,
        "email": first_email(emails, left_out),
        "labels": labels(_labels(row), left_out),
        **_numbers(row, left_out),
    }
    return without_blanks(given), left_out


def _numbers(row: Row, left_out: LeftOut) -> dict[str, str]:
    """Where our attributes are named they hold what they say, else there is a place for each number."""
    own = {name: row.cells[heading] for heading, name in _OWN.items() if heading in row.cells}
    return own or numbered(_phones(row), left_out)


def _phones(row: Row) -> Iterator[tuple[str, list[str]]]:
    for name, cell in row.cells.items():
        google = _GOOGLE.fullmatch(name)
        if google:
            kind = row.cells.get(f"phone{google[1]}label") or row.cells.get(f"phone{google[1]}type") or ""
            yield from ((each.strip(), [kind]) for each in _SEVERAL.split(cell))
    yield from ((row.cells[name], [kind]) for name, kind in _PHONES.items() if name in row.cells)


def _labels(row: Row) -> Iterator[str]:
    """Google marks groups that everybody has with a star."""
    yield from row.cells.get("categories", "").split(";")
    for name in ("labels", "groupmembership"):
        words = row.cells.get(name, "")
        parts = _SEVERAL.split(words) if ":::" in words else words.strip("[]").split(",")
        yield from (part.strip().strip('"') for part in parts if not part.strip().startswith("*"))
