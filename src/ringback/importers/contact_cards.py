"""A vCard as a contact."""

import re
from urllib.parse import unquote

from ringback.importers.contact_fields import LeftOut, first_email, labels, numbered, without_blanks
from ringback.importers.vcard import Card, Property

_URI = re.compile(r"tel:([^;]*)((?:;[^;]*)*)", re.IGNORECASE | re.DOTALL)
_EXTENSION = re.compile(r";ext=([^;]*)", re.IGNORECASE)


def uid(card: Card) -> str | None:
    return next((each.text().strip() for each in card.all("UID")), None) or None


def is_group(card: Card) -> bool:
    kinds = [*card.all("KIND"), *card.all("X-ADDRESSBOOKSERVER-KIND")]
    return any(each.text().strip().lower() == "group" for each in kinds)


def contact(card: Card) -> tuple[dict[str, object], LeftOut]:
    """Attributes as `POST /contacts` takes them, and what there was no room for."""
    left_out = LeftOut()
    company = next((each.parts()[0] for each in card.all("ORG")), None)
    phones = [(*_number(each), each.types) for each in card.all("TEL")]
    given = {
        **_names(card, company),
        "company": company,
        "email": first_email([each.text().strip() for each in card.all("EMAIL")], left_out),
        "notes": "\n".join(each.text() for each in card.all("NOTE")),
        "labels": labels((label for each in card.all("CATEGORIES") for label in each.parts(",")), left_out),
        **numbered(((number, kinds) for number, _, kinds in phones), left_out),
        "ext": next((ext for _, ext, _ in phones if ext), None),
    }
    return without_blanks(given), left_out


def _names(card: Card, company: str | None) -> dict[str, str]:
    """N, else the whole of FN, unless that is only the company's name."""
    family, given, additional = ([*card.all("N")[0].parts(), "", "", ""] if card.all("N") else [""] * 3)[:3]
    if family or given:
        return {"first_name": " ".join(filter(None, (given, additional))), "last_name": family}
    whole = next((each.text().strip() for each in card.all("FN")), "")
    return {} if whole == company else {"first_name": whole}


def _number(tel: Property) -> tuple[str, str | None]:
    """(number, extension): of text, or of a URI (RFC 3966)."""
    text = tel.text().strip()
    uri = _URI.fullmatch(text)
    if uri is None:
        return text, None
    extension = _EXTENSION.search(uri[2])
    return unquote(uri[1]).strip(), unquote(extension[1]).strip() if extension else None
