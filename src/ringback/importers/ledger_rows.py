"""Calls of the ledger as rows for `call_rows.take`."""

from collections.abc import Iterator

from ringback.calls import callbacks, numbers
from ringback.calls.ledger import Call, Hop, Party, hops
from ringback.importers.call_rows import LONGEST_S, CallRow, party
from ringback.importers.importer import Options
from ringback.sip.causes import Q850

SOURCE = "asterisk-cel"
"""The same for whatever tells an Asterisk's channel events, so that a call that came by two ways is one."""
SOURCES = {"asterisk": SOURCE, "freeswitch": "freeswitch-events"}
"""By the kind of PBX."""
_LONGEST_ID = 200


def rows(call: Call, options: Options, line_no: int = 0) -> Iterator[CallRow]:
    """One a hop, the root first, each below the one that it came from."""
    for hop in hops(call):
        yield row(hop, options, line_no)


def key(hop: Hop) -> str:
    """Of the row that a hop becomes."""
    return _short(hop.key)


def uniqueid(hop: Hop) -> str:
    """The same, of that row."""
    return _short(hop.channel)


def row(hop: Hop, options: Options, line_no: int = 0) -> CallRow:
    started_at = hop.started_us // 1_000_000
    src, dst = hop.src, hop.dst
    return CallRow(
        line_no=line_no,
        key=key(hop),
        uniqueid=uniqueid(hop),
        linked_id=_short(hop.linked_id),
        started_at=started_at,
        answered_at=None if hop.answered_us is None else hop.answered_us // 1_000_000,
        ended_at=hop.ended_us // 1_000_000,
        duration_s=min((hop.ended_us - hop.started_us) // 1_000_000, LONGEST_S),
        billsec=min(hop.talk_us // 1_000_000, LONGEST_S),
        src=party(src.number, options.country, options.outside_prefix),
        src_name=numbers.clean(src.name) or None,
        dst=party(dst.number, options.country, options.outside_prefix),
        clid=_clid(src),
        src_endpoint=numbers.clean(src.endpoint) or None,
        dst_endpoint=numbers.clean(dst.endpoint) or None,
        disposition=hop.disposition,
        t_cause=Q850.get(hop.cause, f"Cause {hop.cause}"),
        context=numbers.clean(hop.context),
        human=hop.human,
        info=numbers.clean(hop.info) or None,
        warnings=(),
        src_ua=numbers.clean(src.user_agent) or None,
        src_codec=numbers.clean(src.codec) or None,
        dst_ua=numbers.clean(dst.user_agent) or None,
        dst_codec=numbers.clean(dst.codec) or None,
        second_leg=hop.is_member,
        parent=None if hop.parent is None else _short(hop.parent),
        payer=numbers.clean(hop.payer) or None,
        channels=tuple(map(_short, hop.others)),
        destination=callbacks.destination(hop.linked_id),
    )


def _short(text: str) -> str:
    return numbers.clean(text)[:_LONGEST_ID]


def _clid(src: Party) -> str | None:
    if src.name:
        quoted = src.name.replace('"', '\\"')
        return numbers.clean(f'"{quoted}" <{src.number}>')
    return numbers.clean(src.number) or None
