"""What a snapshot says of itself: `manifest.json`, written last, so that a snapshot without one is none."""

from hashlib import sha256

import msgspec

from ringback.errors import RingbackError

FORMAT = 1


class BackupBroken(RingbackError):
    """What lies in the backup is not what was put there. The message names it."""


class Tally(msgspec.Struct, frozen=True):
    """A table: how many rows, and a hash of their values in the order of the primary key."""

    rows: int
    sha256: str


class File(msgspec.Struct, frozen=True):
    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    ringback: str
    schema: str
    """The database's schema revision."""
    engine: str
    """sqlite, postgres"""
    tool: str
    """What wrote the rows: `SQLite 3.40.1`, `pg_dump 16.2`."""
    taken_at: str
    """UTC, when the rows were as they are here."""
    rows: File
    list: File
    """Of the blobs: gzip, a line of JSON each, see `blobs.Listed`."""
    blobs: int
    blob_bytes: int
    missing: int
    """Blobs that the rows name and that were deleted before they could be copied."""
    tables: dict[str, Tally]
    format: int = FORMAT
    sha256: str = ""
    """Of this JSON with an empty text here."""


def encoded(manifest: Manifest) -> bytes:
    """With its hash in it."""
    return _json(msgspec.structs.replace(manifest, sha256=sha256(_json(manifest)).hexdigest()))


def decoded(data: bytes, name: str) -> Manifest:
    """BackupBroken unless it is whole and of a format that this version reads. `name`: of the snapshot."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupBroken(f"{name}: manifest.json is damaged: {error}.") from None
    if manifest.format != FORMAT:
        raise BackupBroken(f"{name}: made by Ringback {manifest.ringback} in a form that this version does not read.")
    if sha256(_json(msgspec.structs.replace(manifest, sha256=""))).hexdigest() != manifest.sha256:
        raise BackupBroken(f"{name}: manifest.json is damaged: it is not what its own hash says.")
    return manifest


def _json(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)
