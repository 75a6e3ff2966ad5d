"""`voipstudio URL`: copies an account of the hosted service, or of another Ringback, through their common API.

Families come one after the other, those that others name first: users, teams, queues, numbers, contacts, then calls,
recordings, voice messages, SMS and chats. Each page is one transaction, and every row is known by its id there; a run that
was killed is repeated and finds what is here. Ids are kept where nobody here has them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ringback.errors import UsageError
from ringback.importers.importer import Importer, Options, Progress, Summary
from ringback.importers.voipstudio import audio, history, ids, listing, login, people
from ringback.importers.voipstudio.connection import Broken, Connection, NotServed, origin
from ringback.importers.voipstudio.copy import Copy
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Db

HELP = (
    "An account of the hosted service, by the URL of its API (https://l7api.com/v1.1/voipstudio), or of another Ringback. Put an "
    "administrator's API token there into RINGBACK_SOURCE_TOKEN; without it, e-mail and password are asked for."
)
_FAMILIES: Sequence[tuple[str, Callable[[Copy], None]]] = (
    ("/users", people.users),
    ("/usergroups", people.usergroups),
    ("/queues", people.queues),
    ("/ddis", people.ddis),
    ("/contacts", people.contacts),
    ("/cdrs", history.cdrs),
    ("/monitors", audio.monitors),
    ("/voicemessages", audio.voicemessages),
    ("/sms", history.sms),
    ("/chats", history.chats),
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    """A host alone, without https:// before it, looks like a path."""
    return from_url(services, customer_id, str(path), options, progress)


def from_url(services: Services, customer_id: int, url: str, options: Options, progress: Progress) -> Summary:
    connection = Connection(origin(url))
    try:
        login.log_in(connection)
        copy = Copy(services, customer_id, connection, options.summary(), progress, options.country)
        _only_one(copy)
        _run(copy)
        return copy.summary
    finally:
        connection.close()


def _only_one(copy: Copy) -> None:
    """Ids of two accounts would be taken for one another's, so a customer here is the copy of one account."""
    try:
        me = copy.source.get("/me").get("data")
    except NotServed as fault:
        raise UsageError(f"This is no server of this API: {fault} to GET /me.") from None
    account = me.get("customer_id") if isinstance(me, dict) else None
    if type(account) is not int:
        raise UsageError("This is no server of this API: GET /me does not say whose account it is.")
    named = f"{copy.source.origin.host} {account}"

    def work(db: Db) -> None:
        sql = "SELECT source_id FROM copied WHERE customer_id = :customer AND resource = 'source'"
        before = [row[0] for row in db.all(sql, {"customer": copy.customer_id})]
        if before and before != [named]:
            raise UsageError(
                f"This customer is a copy of account {before[0]} already: copy {named} to another customer."
            )
        if not before:
            link = {"resource": "source", "source_id": named, "object_id": account}
            rows.insert(db, schema.copied, copy.customer_id, [link])

    copy.services.database.write(work)


def _run(copy: Copy) -> None:
    there = []
    for path, family in _FAMILIES:
        try:
            there.append((_measured(copy, path), path, family))
        except Broken as fault:
            copy.summary.refuse(path, str(fault))
        except NotServed as fault:
            copy.summary.noted[f"{path} is not copied: {fault}"] += 1
    copy.progress.start(sum(total for total, _, _ in there), "steps")
    for _, path, family in there:
        _copied(copy, path, family)
    if there:
        history.colleagues(copy)


def _measured(copy: Copy, path: str) -> int:
    """How many rows a list has; ids here go on beyond its own."""
    total, largest = listing.extent(copy.source, path)
    copy.services.database.write(lambda db: ids.leave_room(db, path.removeprefix("/"), largest))
    if path == "/cdrs":
        with suppress(NotServed):  # a server need not sort by it
            _, live = listing.extent(copy.source, path, "live_id")
            copy.services.database.write(lambda db: ids.leave_room(db, ids.LIVE, live))
    return total


def _copied(copy: Copy, path: str, family: Callable[[Copy], None]) -> None:
    """A list that breaks off costs no other list."""
    try:
        family(copy)
    except NotServed as fault:
        copy.summary.refuse(path, f"{fault}; what came before is stored")


VOIPSTUDIO = Importer("voipstudio", HELP, run, from_url)
