"""The calls of the lab (`tools/lab`): what its phones saw, against what the API tells of them. Used on recorded captures by
`test_lab_captures.py`, and on a running server by `tools/checks/signalling`."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests import dpkt_reader
from tests.api import Answer

CAPTURES = Path(__file__).parent / "captures" / "lab"
KEY = "lab-key"
NO_CALL = "registered"
TOLERANCE_S = 1.0

_HEAD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) (\w+) (\S+) -> (\S+)(.*)\n", re.M)


class Client(Protocol):
    def get(self, path: str, **params: Any) -> Answer: ...

    def listed(self, path: str, *conditions: tuple[str, str, Any], **params: Any) -> list[Any]: ...


class Shown(NamedTuple):
    """A message of a text trace."""

    at_us: int
    src: str
    dst: str
    sha256: str


def names(folder: Path = CAPTURES) -> list[str]:
    return sorted(each.stem for each in folder.glob("*.json") if each.stem != NO_CALL)


def expected(name: str, folder: Path = CAPTURES) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def msdr(client: Client, call_id: str) -> Any:
    (found,) = client.listed("/msdrs", ("call_id", "eq", call_id))
    return found


def check_leg(client: Client, leg: Any) -> None:
    """There is one MSDR of it, with its parties, cause and times."""
    found = msdr(client, leg["call_id"])
    assert [found["src"], found["dst"]] == [leg["src"], leg["dst"]], (found, leg)
    assert found["t_cause"] == leg["cause"], (found, leg)
    began = datetime.fromisoformat(found["created_at"]).replace(tzinfo=UTC).timestamp()
    assert abs(began - leg["created_at"]) <= TOLERANCE_S
    talked_s = leg["ended_at"] - leg["answered_at"] if leg["answered_at"] else 0
    assert abs(found["duration"] - talked_s) <= TOLERANCE_S
    session = client.get(f"/mediasessions/{found['media_session_id']}").data
    assert (session["status"], session["call_id"]) == ("ENDED", leg["call_id"])


def check_trace(client: Client, leg: Any, call_ids: Iterable[str], messages: Sequence[Any]) -> None:
    """The trace of that leg has every message of these Call-IDs once, and each phone's in the order of the phone."""
    shown = trace(client, leg["call_id"])
    ours = [each for each in messages if each["call_id"] in set(call_ids)]
    _check_order(shown, ours)
    counted = Counter((each.src, each.dst, each.sha256) for each in shown)
    sent = max(Counter((each["phone"], each["is_sent"], each["sha256"]) for each in ours).values())
    assert max(counted.values()) <= sent, counted.most_common(5)


def check_alone(client: Client, leg: Any, name: str, messages: Iterable[tuple[str, Any]]) -> None:
    """The trace of that leg has no message of another call. `messages`: of all calls, each with the name of its call."""
    calls = {each["sha256"]: of for of, each in messages}
    assert {calls[each.sha256] for each in trace(client, leg["call_id"]) if each.sha256 in calls} == {name}


def trace(client: Client, call_id: str) -> list[Shown]:
    answer = client.get(f"/msdrs/{msdr(client, call_id)['id']}.trace")
    assert answer.status == 200
    return list(_shown(answer.body.decode()))


def _shown(text: str) -> Iterable[Shown]:
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        at, _, src, dst, rest = head.groups()
        if not rest and text[head.end()] != "{":  # else RTCP, binary or as JSON
            at_us = round(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1_000_000)
            # A line is left free behind each message.
            yield Shown(at_us, src, dst, _digest(text[head.end() : end - 1].encode()))


def _check_order(shown: Sequence[Shown], messages: Sequence[Any]) -> None:
    """What each phone sent, what it got, and what belongs to one request. A request that came in may stand before an
    answer that went out just before: they met on the way to the proxy that was watching."""
    orders: dict[object, list[str]] = {}
    for each in messages:
        for order in ("sent" if each["is_sent"] else "received", each["cseq"]):
            orders.setdefault((each["phone"], each["call_id"], order), []).append(each["sha256"])
    for phone, told in orders.items():
        seen = [each.sha256 for each in shown if each.sha256 in set(told)]
        assert seen == told, phone


def check_pcap(client: Client, leg: Any, messages: Sequence[Any]) -> bytes:
    """dpkt reads the messages of the trace out of the file, to the byte and the microsecond, and every one that a phone
    saw. The file."""
    answer = client.get(f"/msdrs/{msdr(client, leg['call_id'])['id']}.pcap")
    assert answer.status == 200
    read = [
        (each.at_us, _end(each.src), _end(each.dst), _digest(each.payload))
        for each in dpkt_reader.messages(answer.body)
        if not _is_report(each.payload)
    ]
    assert Counter(read) == Counter(tuple(each) for each in trace(client, leg["call_id"]))
    seen = {each[-1] for each in read}
    assert {each["sha256"] for each in messages if each["call_id"] == leg["call_id"]} <= seen
    return answer.body


def _is_report(payload: bytes) -> bool:
    return payload[:1] == b"{" or payload[:1] >= b"\x80"


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()[:16]


def _end(end: tuple[str, int]) -> str:
    ip, port = end
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
