"""Call Me Back buttons: what a page shows while somebody can take the call, and while nobody can."""

import re
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import Fault, Invalid
from ringback.record import NO_NUL, Id, Kind, Name, Patch, Record, RequiredName, Wire, WireTime
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import callbacks, rows, schema
from ringback.store.listing import Listing

DATA_BYTES = 256 * 1024
DEFAULT_NAME = "Call me back"
Data = Annotated[str, Meta(max_length=DATA_BYTES, pattern=NO_NUL), Wire(Kind.TEXT)]
"""An image (`https:` or `data:image/…`), or plain text; never HTML."""
_ADDRESS = re.compile(r"\s*(?:(?:https?|ftp|file|blob|javascript|vbscript):|data:[^\s,;]*[,;])", re.IGNORECASE)
_IMAGE = re.compile(r"https://[^\s<>\"'`]+|data:image/[a-z0-9.+-]+[,;].*", re.IGNORECASE | re.DOTALL)


class CallMeBackButton(Record):
    id: Id
    name: Name
    data_online: Data | None
    data_offline: Data | None
    created_at: WireTime


class ButtonPatch(Patch):
    name: RequiredName | UnsetType = UNSET
    data_online: Data | UnsetType | None = UNSET
    data_offline: Data | UnsetType | None = UNSET


BUTTONS = Resource(Listing("callmeback buttons", CallMeBackButton, schema.callmeback_buttons))


def _save(call: Call, button_id: int | None, given: Any) -> int:
    faults = [Fault(name) for name in ("data_online", "data_offline") if not _fits(given.get(name))]
    if faults:
        raise Invalid(f"{Invalid.message}: a button is an https: or data:image/ address, or text, of 256 KiB", faults)
    defaults = {"name": DEFAULT_NAME, "created_at": call.now}
    return rows.save(call.db, schema.callmeback_buttons, call.customer_id, button_id, given, defaults)


def _fits(data: str | None) -> bool:
    if data is None:
        return True
    is_image = _IMAGE.fullmatch(data) is not None
    return len(data.encode()) <= DATA_BYTES and (is_image or _ADDRESS.match(data) is None)


ENDPOINTS = (
    listed("/callmeback/buttons", BUTTONS, "The Call Me Back buttons"),
    created("/callmeback/buttons", BUTTONS, ButtonPatch, _save, "Create a Call Me Back button"),
    shown("/callmeback/buttons/{id}", BUTTONS, "One Call Me Back button"),
    patched("/callmeback/buttons/{id}", BUTTONS, ButtonPatch, _save, "Change a Call Me Back button"),
    removed("/callmeback/buttons/{id}", BUTTONS, callbacks.delete_buttons, "Delete a Call Me Back button"),
)
