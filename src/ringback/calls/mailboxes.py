"""The folders of a voice mailbox, as Asterisk's app_voicemail names them."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from ringback.calls import numbers

Folder = Literal[
    "INBOX", "Old", "Work", "Family", "Friends", "Cust1", "Cust2", "Cust3", "Cust4", "Cust5", "Urgent", "Deleted"
]
FOLDERS: tuple[Folder, ...] = get_args(Folder)
INBOX: Folder = "INBOX"
"""Where messages arrive: they are new as long as they stay there unheard."""
OLD: Folder = "Old"
URGENT: Folder = "Urgent"
"""Where those arrive that a caller marked as urgent."""


def message(
    user_id: int, callerid: str, exten: str, *, folder: Folder, origtime: int, country: str | None
) -> dict[str, Any]:
    """The columns of a voice message in a user's mailbox. `callerid`: as Asterisk writes it; `exten`: what was dialled."""
    shown = numbers.clean(callerid)
    name, number = numbers.caller_id(shown)
    return {
        "callerid": numbers.normal(shown) or None,
        "caller": numbers.digits(number or "", country) or number or name,
        "dialled": numbers.digits(exten, country) or numbers.normal(exten) or None,
        "extension_id": user_id,
        "folder": folder,
        "is_new": int(folder in (INBOX, URGENT)),
        "origtime": origtime,
    }


def source_key(message: Mapping[str, Any], digest: str) -> str:
    """What makes taking a message in idempotent, wherever it comes from. `digest`: of its audio as it came."""
    return f"voicemail:{message['extension_id']}/{message['origtime']}/{digest}"
