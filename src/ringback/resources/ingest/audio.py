"""Recordings and voice messages from programs: kept as they come, encoded in the background.

What was acknowledged is on disk. Sending the same audio for the same call or mailbox again changes nothing.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from msgspec import UNSET, UnsetType

from ringback.calls import mailboxes, numbers
from ringback.errors import Fault, Invalid, Unavailable
from ringback.jobs import encode
from ringback.media.audio import content_hash
from ringback.record import ENUM, Check, Id, Name, Number, Patch, Record, RequiredName, Text, time_value
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store import accounts, inbox, recordings, rows, schema
from ringback.store.database import Db, value

_FILE_NAME = re.compile(r"""filename\*=(?:UTF-8|utf-8)''([^;\s]+)|filename=(?:"([^"]*)"|([^;\s]+))""")
_BEGAN = re.compile(r"(?:.*-)?(\d{9,10})\.\d+", re.ASCII)
_LATEST = 2**32

State = Annotated[Literal["waiting", "stored", "broken"], ENUM]


def _seconds(text: str) -> int | None:
    if text.isascii() and text.isdecimal() and len(text) <= len(str(_LATEST)):
        return int(text)
    return time_value(text)


def _time_fault(text: str) -> str | None:
    return None if _seconds(text) is not None else "UTC as YYYY-MM-DD HH:MM:SS, or seconds since 1970"


At = Annotated[RequiredName, Check(_time_fault)]
Folder = Annotated[mailboxes.Folder, ENUM]


class RecordingParameters(Patch):
    """`name`: of the file; its suffix tells the format where the audio does not. `timestamp`, `user_id` and `ext` are for
    a recording whose call is not there; the call knows better."""

    name: Name | UnsetType = UNSET
    timestamp: At | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    ext: Name | UnsetType = UNSET


class VoicemailParameters(Patch):
    """`mailbox`: the extension of its user. `origtime`: when it was left; now by default. `exten`: what was dialled."""

    mailbox: RequiredName
    callerid: Number | UnsetType = UNSET
    exten: Number | UnsetType = UNSET
    origtime: At | UnsetType = UNSET
    folder: Folder | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class Accepted(Record):
    """`id`: of the recording or voice message, which is there once it is `stored`; null where an import found it broken."""

    id: Id | None
    state: State
    error: Text | None


def _recording(call: Call) -> replies.Reply:
    given = call.parameters(RecordingParameters).given()
    uniqueid = call.path["uniqueid"]
    row = {
        "source_key": recordings.source_key(uniqueid, _hash_of(call)),
        "uniqueid": uniqueid,
        "timestamp": _seconds(given["timestamp"]) if "timestamp" in given else _began(uniqueid, call.now),
        "user_id": call.services.database.read(lambda db: _user(db, call.customer_id, given)),
    }
    return _accepted(call, "monitors", row, given.get("name") or _name_of(call) or uniqueid)


def _began(uniqueid: str, now: int) -> int:
    """Asterisk's ids begin with the second in which the call did."""
    found = _BEGAN.fullmatch(uniqueid)
    return int(found[1]) if found else now


def _user(db: Db, customer_id: int, given: Mapping[str, Any]) -> int | None:
    if "user_id" in given:
        if "ext" in given or not rows.exists(db, schema.users, customer_id, given["user_id"]):
            raise Invalid(faults=[Fault("user_id")])
        return int(given["user_id"])
    return _of_extension(db, customer_id, given["ext"], "ext") if given.get("ext") else None


def _of_extension(db: Db, customer_id: int, ext: str, parameter: str) -> int:
    sql = "SELECT id FROM users WHERE customer_id = :customer AND ext = :ext"
    found = value(db, sql, {"customer": customer_id, "ext": ext})
    if found is None:
        raise Invalid(f"No user has the extension {ext}.", [Fault(parameter)])
    return int(found)


def _voicemail(call: Call) -> replies.Reply:
    given = call.parameters(VoicemailParameters).given()
    digest = _hash_of(call)

    def message(db: Db) -> dict[str, Any]:
        user_id = _of_extension(db, call.customer_id, given["mailbox"], "mailbox")
        country = accounts.country_of(db, call.customer_id)
        at = _seconds(given["origtime"]) if "origtime" in given else call.now
        folder = given.get("folder", mailboxes.INBOX)
        texts = (given.get("callerid", ""), given.get("exten", ""))
        return mailboxes.message(user_id, *texts, folder=folder, origtime=at or 0, country=country)

    row = call.services.database.read(message)
    row["source_key"] = mailboxes.source_key(row, digest)
    return _accepted(call, "voicemessages", row, given.get("name") or _name_of(call) or f"mailbox {given['mailbox']}")


def _file_of(call: Call) -> Path:
    assert call.file is not None, "the endpoint is an upload"
    return call.file


def _hash_of(call: Call) -> str:
    file = _file_of(call)
    if not file.stat().st_size:
        raise Invalid("The body is empty: send the audio.", [Fault(None)])
    return content_hash(file)


def _name_of(call: Call) -> str:
    found = _FILE_NAME.search(call.headers.get("content-disposition", ""))
    return numbers.clean(unquote(found[1]) if found[1] else found[2] or found[3]) if found else ""


def _accepted(call: Call, shelf: str, row: Mapping[str, Any], name: str) -> replies.Reply:
    row_id = encode.take_in(call.services, call.customer_id, shelf, _file_of(call), name, row)
    if row_id is not None:
        return replies.item(Accepted(row_id, inbox.WAITING, None), 202)
    return replies.item(
        call.services.database.read(lambda db: _known(db, call.customer_id, shelf, row["source_key"])), 202
    )


def _known(db: Db, customer_id: int, shelf: str, source_key: str) -> Accepted:
    entry = inbox.of_source(db, customer_id, shelf, source_key)
    if entry is not None:
        return Accepted(entry.row.get("id"), entry.state, entry.error)
    stored = inbox.stored(db, customer_id, shelf, source_key)
    if stored is None:
        raise Unavailable("It was deleted this moment. Send it again.")
    return Accepted(stored, "stored", None)


ENDPOINTS = (
    Endpoint(
        "PUT",
        "/ingest/recordings/{uniqueid}",
        "A call's recording, encoded in the background: the body is the audio",
        _recording,
        Shape.ITEM,
        202,
        answer=Accepted,
        ingest=True,
        upload=True,
        parameters=RecordingParameters,
        work=Work.OWN,
    ),
    Endpoint(
        "POST",
        "/ingest/voicemails",
        "A voice message, encoded in the background: the body is the audio",
        _voicemail,
        Shape.ITEM,
        202,
        answer=Accepted,
        ingest=True,
        upload=True,
        parameters=VoicemailParameters,
        work=Work.OWN,
    ),
)
