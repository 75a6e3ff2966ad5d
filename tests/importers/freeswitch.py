"""Call records as FreeSWITCH writes them, made by hand after its sources: `switch_ivr_generate_json_cdr` (core) for the
documents, `conf/vanilla/autoload_configs/cdr_csv.conf.xml` for the templates. No FreeSWITCH wrote them; ids and numbers are ours."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

A, B, C = (f"51156b0b-f91b-4fd3-9c8f-15226f60980{n}" for n in "123")
START = 1_795_341_600  # 2026-11-22 10:00:00 UTC


def document(
    uuid: str = A,
    *,
    caller: str = "101",
    called: str = "02079460000",
    encoded: bool = True,
    originator: dict[str, str] | None = None,
    **variables: Any,
) -> dict[str, Any]:
    """A leg: by default that of user 101, answered after 5 seconds, a minute in all."""
    told = {
        "uuid": uuid,
        "direction": "outbound" if originator else "inbound",
        "channel_name": f"sofia/internal/{caller}@10.0.0.1",
        "sip_call_id": "265e0473-3a26-123f-61ab-d0ad08a61780",
        "sip_user_agent": "Twinkle/1.10.2",
        "read_codec": "PCMA",
        "write_codec": "PCMA",
        "hangup_cause": "NORMAL_CLEARING",
        "hangup_cause_q850": "16",
        "start_stamp": "2026-11-22 10:00:00",
        "start_epoch": str(START),
        "start_uepoch": f"{START}727744",
        "answer_epoch": str(START + 5),
        "progress_epoch": str(START + 1),
        "progress_media_epoch": "0",
        "end_epoch": str(START + 60),
        "duration": "60",
        "billsec": "55",
        "last_app": "bridge",
        "last_arg": "sofia/gateway/carrier/02079460000",
        "caller_id": f'"Caller {caller}" <{caller}>',
        **variables,
    }
    profile: dict[str, Any] = {
        "username": caller,
        "caller_id_name": f"Caller {caller}",
        "ani": caller,
        "caller_id_number": caller,
        "destination_number": called,
        "uuid": uuid,
    }
    if originator:
        profile["originator"] = {"originator_caller_profiles": [originator]}
        told["originating_leg_uuid"] = originator["uuid"]
    return {
        "core-uuid": "60e127b7-2c12-49ca-aacf-00bba4eea101",
        "switchname": "pbx",
        "channel_data": {"state": "CS_REPORTING", "direction": told["direction"]},
        "variables": {
            name: quote(text, safe="/,._-") if encoded and isinstance(text, str) else text
            for name, text in told.items()
            if text is not None
        },
        "callflow": [{"profile_index": "1", "caller_profile": profile}],
    }


def second(
    uuid: str = B, first: str = A, *, caller: str = "101", called: str = "02079460000", **variables: Any
) -> dict[str, Any]:
    """The leg that was originated for the first one."""
    originator = {"uuid": first, "username": caller, "destination_number": variables.pop("dialled", called)}
    there = {"last_app": None, "channel_name": f"sofia/internal/{called}@10.0.0.2:5070", **variables}
    return document(uuid, caller=caller, called=called, originator=originator, **there)


def saved(folder: Path, *documents: dict[str, Any]) -> Path:
    """A folder as mod_json_cdr fills it."""
    place = folder / "json_cdr"
    place.mkdir(exist_ok=True)
    for told in documents:
        (place / f"{told['variables']['uuid']}.cdr.json").write_text(json.dumps(told))
    return place


def template_line(**changes: str) -> str:
    """A call in the template `example`."""
    told = {
        "caller_id_name": "Caller 101",
        "caller_id_number": "101",
        "destination_number": "02079460000",
        "context": "default",
        "start_stamp": "2026-11-22 10:00:00",
        "answer_stamp": "2026-11-22 10:00:05",
        "end_stamp": "2026-11-22 10:01:00",
        "duration": "60",
        "billsec": "55",
        "hangup_cause": "NORMAL_CLEARING",
        "uuid": A,
        "bleg_uuid": B,
        "accountcode": "",
        "read_codec": "PCMA",
        "write_codec": "PCMA",
        **changes,
    }
    return ",".join(f'"{text}"' for text in told.values()) + "\n"
