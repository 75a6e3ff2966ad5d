"""`Master.csv` and the accounts' files of FreeSWITCH's `mod_cdr_csv`, which fills a template of `cdr_csv.conf.xml` per call.

The variables stand in quotes as they are: a quote in a caller's name is not doubled, so that such a line is no CSV.
"""

from collections.abc import Iterator, Sequence

from ringback.importers.csv_records import RAW_LIMIT_BYTES, Readable, Record, Refused, read

_CALL = (
    "caller_id_name",
    "caller_id_number",
    "destination_number",
    "context",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "uuid",
    "bleg_uuid",
    "accountcode",
)
_CODECS = ("read_codec", "write_codec")
TEMPLATES = {
    "example": (*_CALL, *_CODECS),
    "snom": (*_CALL, *_CODECS, "sip_user_agent", *("call_clientcode", "sip_rtp_rxstat", "sip_rtp_txstat", "")),
    "linksys": (*_CALL, *_CODECS, "sip_user_agent", "sip_p_rtp_stat"),
    "asterisk": (
        *("accountcode", "caller_id_number", "destination_number", "context", "caller_id", "channel_name"),
        *("bridge_channel", "last_app", "last_arg", "start_stamp", "answer_stamp", "end_stamp", "duration", "billsec"),
        *("hangup_cause", "amaflags", "uuid", "userfield"),
    ),
    "opencdrrate": (
        *("uuid", "signal_bond", "direction", "ani", "destination_number", "answer_stamp", "end_stamp", "billsec"),
        *("accountcode", "userfield", "network_addr", "", "sip_gateway_name"),
    ),
}
"""The columns of the templates in the configuration that comes with FreeSWITCH; `default-template` is `example`."""
DEFAULT = "example"
_TIMES = {f"{name}_{form}" for name in ("start", "answer", "end") for form in ("stamp", "epoch", "uepoch")}


def columns(given: Sequence[str]) -> tuple[str, ...]:
    """The variables of the columns: of a template, or as they are named; `${name}` is `name`. ValueError when that
    cannot be a call."""
    if not given:
        return TEMPLATES[DEFAULT]
    if len(given) == 1:
        if given[0] not in TEMPLATES:
            raise ValueError(f"there is no template {given[0]!r}, only {', '.join(TEMPLATES)}; or name all columns")
        return TEMPLATES[given[0]]
    names = tuple(name.removeprefix("${").removesuffix("}").lower() for name in given)
    if "destination_number" not in names or not _TIMES & set(names):
        raise ValueError("the columns must name destination_number and a time, such as start_stamp or start_epoch")
    return names


def legs(source: Readable, names: Sequence[str]) -> Iterator[tuple[Record, dict[str, str]] | Refused]:
    """What each line says, by the names of its columns. A header line and empty lines are passed over."""
    width = len(names)
    for found in read(source, range(width, width + 1)):
        record = _unquoted(found, width) if isinstance(found, Refused) else found
        if isinstance(record, Refused):
            yield record
            continue
        leg = {name: _bare(cell) for name, cell in zip(names, record.columns, strict=True) if name}
        if any(leg[name] != name for name in leg):
            yield record, leg


def _unquoted(refused: Refused, width: int) -> Record | Refused:
    """A whole line whose quotes are not doubled, taken apart where a quote, a comma and a quote stand."""
    line = refused.raw.strip()
    cells = line.replace(b'", "', b'","').removeprefix(b'"').removesuffix(b'"').split(b'","')
    if len(refused.raw) >= RAW_LIMIT_BYTES or len(cells) != width or b"\0" in line:
        return refused
    texts = [cell.decode("utf-8", "replace") for cell in cells]
    return Record(refused.line_no, line, texts, lossy=any("\ufffd" in text for text in texts))


def _bare(cell: str) -> str:
    """Stock templates have a blank after a comma: what follows it is quoted all the same."""
    text = cell.strip()
    return text[1:-1] if cell != text and len(text) > 1 and text[0] == text[-1] == '"' else text
