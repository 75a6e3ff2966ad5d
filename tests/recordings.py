"""Real MP3s, and rows that play them."""

from pathlib import Path
from typing import Any

from ringback.media.encoder import encode_isolated
from ringback.store import rows, schema
from tests.api import Api
from tests.media import sounds


def mp3(folder: Path, seconds: float = 2.0) -> bytes:
    """A tone as Ringback encodes it."""
    target = folder / "tone.mp3"
    encode_isolated(sounds.tone(folder / "tone.wav", seconds=seconds), target, timeout_s=30)
    return target.read_bytes()


def add_monitor(api: Api, audio: bytes, *, customer: int | None = None, **changes: Any) -> int:
    """A recording of an outbound call by Ann."""
    row = {
        "timestamp": 1_000_000_000,
        "duration": 2,
        "user_id": api.ann.user_id,
        "live_id": 77,
        "type": "O",
        "context": "PSTN_CALL",
        "caller": "442079460001",
        "called": "12025550123",
    }
    return _add(api, "monitors", audio, customer or api.acme, {**row, **changes})


def add_voicemessage(api: Api, audio: bytes, *, customer: int | None = None, **changes: Any) -> int:
    """A new message in Ann's INBOX."""
    row = {
        "origtime": 1_000_000_000,
        "duration": 2,
        "extension_id": api.ann.user_id,
        "folder": "INBOX",
        "is_new": 1,
        "caller": "442079460001",
        "dialled": "103",
    }
    return _add(api, "voicemessages", audio, customer or api.acme, {**row, **changes})


def key(customer_id: int, name: str, record_id: int) -> str:
    return f"{customer_id}/{name}/{record_id}.mp3"


def _add(api: Api, name: str, audio: bytes, customer_id: int, row: dict[str, Any]) -> int:
    record_id: int = api.write(lambda db: db.new_ids(name, 1)[0])
    blob_key = key(customer_id, name, record_id)
    api.services.blobs.put(blob_key, audio)
    whole = {"id": record_id, "size": len(audio), "blob_key": blob_key, "source_key": f"test:{record_id}", **row}
    api.write(lambda db: rows.insert(db, schema.metadata.tables[name], customer_id, [whole]))
    return record_id
