"""Files of FreeSWITCH's `mod_json_cdr`: a document a file, or one a line.

`switch_ivr_generate_json_cdr` writes `variables` (url-encoded with `encode-values`, the default), `channel_data`, and `callflow`,
a list of caller profiles of which the last one used comes first; before 1.4 it was an object.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import unquote

import msgspec

from ringback.importers.importer import Refusal

LIMIT_BYTES = 1 << 20
RAW_LIMIT_BYTES = 1_024

# Channel variables that rows are made of.
_WANTED = frozenset(
    (
        *("uuid", "direction", "originating_leg_uuid", "originator", "signal_bond", "bridge_uuid", "bridge_channel"),
        *("channel_name", "dialed_user", "sip_gateway_name", "user_name", "sip_auth_username", "caller_id"),
        *(f"{point}_{form}" for point in ("start", "answer", "end") for form in ("epoch", "uepoch", "stamp")),
        *("progress_epoch", "progress_media_epoch", "duration", "billsec", "hangup_cause", "hangup_cause_q850"),
        *("last_app", "last_arg", "read_codec", "write_codec", "sip_user_agent", "userfield", "cc_queue"),
    )
)
_PROFILE = ("caller_id_name", "caller_id_number", "ani", "destination_number")
_ENCODED = frozenset(' "<>:@')
"""What `switch_url_encode` never leaves as it is."""


def document(data: bytes) -> tuple[dict[str, str], bool]:
    """The leg that a document tells of, and whether some of its bytes were no UTF-8 and were replaced.

    ValueError with the reason when it is none. `data` is at most `LIMIT_BYTES` long.
    """
    found, lossy = _decoded(data)
    variables, profile = found.get("variables"), _profile(found.get("callflow"))
    if not isinstance(variables, dict):
        raise ValueError("no call record of mod_json_cdr: there is no object `variables`")
    leg = {name: _text(value) for name, value in variables.items() if name in _WANTED}
    if all(_ENCODED.isdisjoint(text) for text in leg.values()):
        leg = {name: unquote(text) for name, text in leg.items()}
    leg |= {name: _text(profile[name]) for name in _PROFILE if profile.get(name)}
    leg |= {name: text for name, text in _originator(profile).items() if text}
    return leg, lossy


def _decoded(data: bytes) -> tuple[dict[str, Any], bool]:
    lossy = False
    try:
        data.decode()
    except UnicodeDecodeError:
        data, lossy = data.decode("utf-8", "replace").encode(), True
    try:
        found = msgspec.json.decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("no call record of mod_json_cdr: it is no object")
    return found, lossy


def _profile(callflow: Any) -> Mapping[str, Any]:
    latest = callflow[0] if isinstance(callflow, list) and callflow else callflow
    profile = latest.get("caller_profile") if isinstance(latest, dict) else None
    return profile if isinstance(profile, dict) else {}


def _originator(profile: Mapping[str, Any]) -> dict[str, str]:
    """The first leg, as the second one tells it."""
    outer = profile.get("originator")
    profiles = outer.get("originator_caller_profiles") if isinstance(outer, dict) else None
    first = profiles[0] if isinstance(profiles, list) and profiles else None
    if not isinstance(first, dict):
        return {}
    return {
        "originator_uuid": _text(first.get("uuid")),
        "originator_username": _text(first.get("username")),
        "originator_destination": _text(first.get("destination_number")),
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def documents(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes] | Refusal]:
    """Where each document stands, and its bytes. A file that begins with a brace alone in its line is one document, any
    other has one a line."""
    line = file.readline(LIMIT_BYTES + 1)
    if line.strip() in {b"", b"{"}:
        yield _limited(name, line + file.read(LIMIT_BYTES + 1))
        return
    line_no = 1
    while line:
        if line.strip():
            yield _limited(f"{name}, line {line_no}", line)
        while len(line) > LIMIT_BYTES and not line.endswith(b"\n"):
            line = file.readline(LIMIT_BYTES + 1)
        line, line_no = file.readline(LIMIT_BYTES + 1), line_no + 1


def _limited(where: str, data: bytes) -> tuple[str, bytes] | Refusal:
    if len(data) > LIMIT_BYTES:
        return Refusal(where, "longer than 1 MiB", data[:RAW_LIMIT_BYTES])
    return where, data
