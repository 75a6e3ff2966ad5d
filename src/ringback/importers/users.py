"""`users`: accounts out of a CSV, as a PBX exports its extensions or people keep them in a spreadsheet.

Each user goes through the checks of `POST /users` and is stored as that does, without a password: nobody can log in as the
user before the user has set one by the mail of `POST /password/reset`. An import adds. Who is there already (by e-mail)
stays as it is, whatever the file says now.
"""

from pathlib import Path
from typing import Any

import msgspec

from ringback.calls import numbers
from ringback.errors import Fault, Invalid
from ringback.importers import headed
from ringback.importers.headed import Row
from ringback.importers.importer import Importer, Options, Progress, Summary, Unusable
from ringback.resources.customer import users
from ringback.rest import bodies
from ringback.services import Services
from ringback.store import audit
from ringback.store.database import Db, folded, value

BY = "import"
"""Who did it, in the audit log."""

HELP = (
    "A CSV of users whose first line names the columns: email, first_name and last_name (or name), ext, role, cli, language, "
    "active; also as FreePBX and FusionPBX export them. Users set their passwords by the reset mail."
)

# The wordings of a column, the surest first: ours, FreePBX's bulk handler, FusionPBX's users and extensions.
_WORDINGS = {
    "email": ("email", "emailaddress", "mail", "useremail", "voicemailemail", "voicemailmailto", "loginemail"),
    "first_name": ("firstname", "givenname", "contactnamegiven", "directoryfirstname", "fname"),
    "last_name": ("lastname", "surname", "familyname", "contactnamefamily", "directorylastname", "lname"),
    "name": ("name", "fullname", "displayname", "effectivecalleridname", "directoryfullname"),
    "ext": ("ext", "extension", "extensionnumber"),
    "roles": ("roles", "role"),
    "cli": ("cli", "outboundcid", "outboundcalleridnumber"),
    "language": ("language", "userlanguage"),
    "active": ("active", "userenabled", "enabled"),
}
_FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "1", "on", "enabled"), True),
    **dict.fromkeys(("false", "no", "n", "0", "off", "disabled"), False),
}


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    def store(row: Row) -> bool:
        return add(services, customer_id, _given(row.pick(_WORDINGS)))

    return headed.take(path, options, progress, _WORDINGS["email"], store)


def add(services: Services, customer_id: int, given: dict[str, Any], user_id: int | None = None) -> bool:
    """Stores a user from attributes as `POST /users` takes them; False when the e-mail is known. Unusable says why not.

    `user_id`: the id to keep, which must be free; None for the next one.
    """
    columns = _columns(given)

    def work(db: Db) -> bool:
        if _is_known(db, customer_id, columns["email_folded"]):
            return False
        extra = {} if user_id is None else {"id": user_id}
        made = users.add(db, customer_id, columns | extra, services.clock())
        fixed = {"user_name": BY, "object_class": "User", "object_id": made}
        audit.note(db, customer_id, at=services.clock(), action="create", **fixed)
        return True

    try:
        return services.database.write(work)
    except Invalid as error:
        raise Unusable(headed.reason(error.faults, given)) from None


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    try:
        patch = bodies.decode(msgspec.json.encode(given), users.UserPatch, partial=False, ignored=())
        return users.columns_of(patch.given())
    except Invalid as error:
        raise Unusable(headed.reason(error.faults, given)) from None


def _is_known(db: Db, customer_id: int, email_folded: str) -> bool:
    sql = "SELECT 1 FROM users WHERE customer_id = :customer AND email_folded = :email"
    return value(db, sql, {"customer": customer_id, "email": email_folded}) is not None


def _given(cells: dict[str, str]) -> dict[str, Any]:
    """The attributes of `POST /users`, as far as a line has them."""
    found: dict[str, Any] = {name: cells[name] for name in ("email", "ext") if name in cells}
    found |= _names(cells)
    if "roles" in cells:
        found["roles"] = _roles(cells["roles"])
    if "cli" in cells:
        found["cli"] = numbers.caller_id(cells["cli"])[1] or cells["cli"]
    if "language" in cells:
        found["language"] = _language(cells["language"])
    if "active" in cells:
        found["active"] = _flag("active", cells["active"])
    return found


def _names(cells: dict[str, str]) -> dict[str, str]:
    """First and last name; a whole name is divided at its last space."""
    found: dict[str, str] = {name: cells[name] for name in ("first_name", "last_name") if name in cells}
    if not found and "name" in cells:
        first, _, last = cells["name"].rpartition(" ")
        found = {"first_name": first.strip() or last} | ({"last_name": last} if first else {})
    return found


def _roles(text: str) -> list[str]:
    words = [folded(word) for word in text.replace(";", ",").replace("|", ",").split(",")]
    return [{"admin": "administrator"}.get(word.strip(), word.strip()) for word in words if word.strip()]


def _language(text: str) -> str:
    """`en-us` and `en_US` are `en-US`."""
    language, dash, country = text.replace("_", "-").partition("-")
    return f"{language.lower()}{dash}{country.upper()}"


def _flag(name: str, text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise Unusable(headed.reason([Fault(name, "Write true or false.")], {name: text})) from None


USERS = Importer("users", HELP, run)
