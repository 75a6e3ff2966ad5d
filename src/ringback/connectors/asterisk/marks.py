"""Ids of channels of several Asterisks of one customer, kept apart: each has the second and a count, so two may be alike.

All but one of the PBXs have a mark (`settings.Connector.mark`), which stands before their ids as a system name would. It is put
there where ids come in, by a connection and by imports alike, so that the same call has the same ids whichever way it came.
"""

import re
from functools import partial

from ringback.calls.ordered import ORDERED

Message = dict[str, str]
_IN_EXTRA = re.compile(r'("[a-z0-9_]{0,60}uniqueid"\s*:\s*")([^"\\]+")', re.ASCII)


def named(mark: str, channel: str) -> str:
    return f"{mark}-{channel}" if mark and channel and not channel.startswith(ORDERED) else channel


def message(mark: str, told: Message) -> Message:
    """As if Asterisk had a system name."""
    if not mark:
        return told
    return {name: named(mark, value) if _is_of_channel(name) else value for name, value in told.items()}


def _is_of_channel(name: str) -> bool:
    """`Uniqueid`, `DestUniqueid`, `SecondTransfererLinkedid`; a bridge has one as well."""
    return name.endswith(("Uniqueid", "Linkedid")) and "Bridge" not in name


def in_extra(mark: str, text: str) -> str:
    """The JSON of a CEL record, with the ids of channels in it."""
    return _IN_EXTRA.sub(partial(_marked, mark), text) if mark else text


def _marked(mark: str, found: re.Match[str]) -> str:
    return found[1] + named(mark, found[2])
