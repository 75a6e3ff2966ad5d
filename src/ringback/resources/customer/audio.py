"""The name that a user has recorded for the company directory."""

import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import asdict

from ringback.errors import Fault, Invalid, NotFound, Unavailable, UnsupportedMediaType
from ringback.jobs import drop_blobs
from ringback.media.audio import Audio, BrokenAudio
from ringback.media.encoder import encode_isolated
from ringback.record import Object
from ringback.resources.customer.users import READABLE, USERS, User
from ringback.rest import files, replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.store import rows, schema
from ringback.store.database import Db, first

ENCODING_TIMEOUT_S = 30.0
NONE = {"audio_key": None, "audio_duration": None, "audio_size": None}


class UserWithAudio(User):
    """`audio`: custom (whether a name is recorded), duration in seconds, size in bytes, url."""

    audio: Object


def _show(call: Call) -> replies.Reply:
    user = call.find(READABLE, call.path["id"])
    _, duration, size = _stored(call)
    url = None if size is None else call.services.settings.api_url(f"/users/{call.path['id']}/audio.mp3")
    audio = {"custom": size is not None, "duration": duration, "size": size, "url": url}
    return replies.item(UserWithAudio(**asdict(user), audio=audio))


def _stored(call: Call) -> tuple[str | None, int | None, int | None]:
    """Key, duration and size of the user's recorded name; three None without one."""
    sql = "SELECT audio_key, audio_duration, audio_size FROM users WHERE customer_id = :customer AND id = :id"
    row = first(call.db, sql, {"customer": call.customer_id, "id": call.path["id"]})
    if row is None:
        raise NotFound
    return row[0], row[1], row[2]


def _upload(call: Call) -> replies.Reply:
    if not call.headers.get("content-type", "").lower().startswith("audio/"):
        raise UnsupportedMediaType("Send the audio itself, as audio/wav or audio/mpeg.")
    call.services.database.read(lambda db: _allowed(call, db, USERS))
    key = f"{call.customer_id}/names/{call.path['id']}-{secrets.token_hex(8)}.mp3"
    audio = _encoded(call, key)
    columns = {"audio_key": key, "audio_duration": math.ceil(audio.duration_s), "audio_size": audio.size}
    try:
        return call.services.database.write(lambda db: _replaced(call, db, columns))
    except Unavailable:
        raise  # whether it was committed is not known: a file too many is found by `ringback doctor`
    except BaseException:
        call.services.blobs.delete(key)
        raise


def _allowed(call: Call, db: Db, users: Resource) -> None:
    call.transaction = db
    call.find(users, call.path["id"])


def _encoded(call: Call, key: str) -> Audio:
    """Stores the body as MP3 under `key`. Encoding happens in a child process, outside of any transaction."""
    with TemporaryDirectory(prefix="ringback-") as folder:
        source, target = Path(folder, "source"), Path(folder, "target.mp3")
        source.write_bytes(call.raw)
        try:
            audio = encode_isolated(source, target, timeout_s=ENCODING_TIMEOUT_S)
        except BrokenAudio as error:
            raise Invalid(f"This audio cannot be read: {error.reason}", [Fault(None, "Send WAV or MP3.")]) from error
        call.services.blobs.put_file(key, target)
    return audio


def _replaced(call: Call, db: Db, columns: Mapping[str, Any]) -> replies.Reply:
    call.transaction = db
    _exchange(call, columns)
    return _show(call)


def _reset(call: Call) -> replies.Reply:
    call.find(USERS, call.path["id"])
    _exchange(call, NONE)
    return replies.empty()


def _exchange(call: Call, columns: Mapping[str, Any]) -> None:
    before, _, _ = _stored(call)
    drop_blobs.enqueue(call.db, call.customer_id, [before] if before else [])
    rows.update(call.db, schema.users, call.customer_id, call.path["id"], columns)
    call.audit("change", "User", call.path["id"], attributes=["audio"])


def _play(call: Call) -> replies.Reply:
    def find(db: Db) -> tuple[str | None, int | None, int | None]:
        _allowed(call, db, READABLE)
        return _stored(call)

    key, _, size = call.services.database.read(find)
    if key is None or size is None:
        raise NotFound("No name is recorded.")
    return files.audio(call, key, size)


LOCKED = frozenset({Policy.SETTINGS_LOCKED})
_PATH = "/users/{id}/audio"

ENDPOINTS = (
    Endpoint("GET", _PATH, "The user's recorded name", _show, Shape.ITEM, answer=UserWithAudio, resource=READABLE),
    Endpoint(
        "PUT",
        _PATH,
        "Record the user's name anew: the body is WAV or MP3",
        _upload,
        Shape.ITEM,
        answer=UserWithAudio,
        closed_by=LOCKED,
        work=Work.OWN,
        resource=USERS,
    ),
    Endpoint(
        "DELETE",
        _PATH,
        "Forget the user's recorded name",
        _reset,
        Shape.EMPTY,
        204,
        closed_by=LOCKED,
        work=Work.WRITE,
        resource=USERS,
    ),
    Endpoint(
        "GET",
        f"{_PATH}.mp3",
        "The user's recorded name as MP3",
        _play,
        Shape.FILE,
        answer=files.MP3,
        work=Work.OWN,
        resource=READABLE,
    ),
)
