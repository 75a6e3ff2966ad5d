"""The CDRs of a scene as a tree, beside the tree that was worked out by hand when the scene was recorded (`tests/ledger/calls`), and
beside what its phones say now."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pbx_place import Place, Played, Rang, play
from tests.ledger.tables import CALLS

from ringback.sip.causes import Q850

_LINE = re.compile(
    r"( *)(.*) -> (.*) on \S+: (\S+) (\S+) (\d+), .*?talk ([\d.]+) s(?: human)?(?: member)?(?: payer \S+)?(?: \| (.*))?"
)
_PARTY = re.compile(r"(?:.*<(.*)>|(\S+))(?: at \S+)?")
_TIMES = re.compile(r"\d+ s\b")
_AT = re.compile(r" (-?\d+\.\d+)(?=,|$)", re.M)
NEAR_S = 2
"""And as much as the scene took longer than when it was recorded: a machine that does other things plays slowly."""


class Branch(NamedTuple):
    """`above`: from whom to whom the branches went that it came from. `seconds` are not compared exactly."""

    above: tuple[tuple[str | None, str | None], ...]
    src: str | None
    dst: str | None
    context: str
    disposition: str
    cause: str
    info: str
    seconds: float

    @property
    def shape(self) -> tuple[Any, ...]:
        return self[:-1]


def expected(name: str) -> list[Branch]:
    text = (CALLS / f"{name}.txt").read_text().partition("\ncalls\n")[2].partition("\n\n")[0]
    above: list[tuple[str | None, str | None]] = []
    branches: list[Branch] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        assert found, line
        indent, src, dst, context, disposition, cause, talk, info = found.groups()
        del above[len(indent) // 2 - 1 :]
        ends = (_number(src), _number(dst))
        told = _TIMES.sub("… s", info or "").replace("its end was not seen", "the PBX was restarted")
        branches.append(Branch(tuple(above), *ends, context, disposition, Q850[int(cause)], told, float(talk)))
        above.append(ends)
    return branches


def recorded_s(name: str) -> float:
    """How long the scene took when it was recorded, by its phones' own logs."""
    phones = (CALLS / f"{name}.txt").read_text().partition("\nphones\n")[2].partition("\n\n")[0]
    times = [float(at) for at in _AT.findall(phones)]
    return max(times) - min(times)


def _number(party: str) -> str | None:
    found = _PARTY.fullmatch(party)
    assert found, party
    number = found[1] or found[2]
    return None if number == "?" else re.sub(r"^0(?=7)", "44", number)


def told(cdrs: list[dict[str, Any]]) -> list[Branch]:
    """As the API has them: a restart is seen as one, which was not recorded. Between two users a call is USER_LOCAL, which the recorded ones knew nothing of."""
    by_id = {cdr["live_id"]: cdr for cdr in cdrs}

    def above(cdr: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
        parent = by_id.get(cdr["parent_live_id"])
        if parent is not None:
            yield from above(parent)
            yield parent["src"], parent["dst"]

    return [
        Branch(
            tuple(above(cdr)),
            cdr["src"],
            cdr["dst"],
            "PSTN_CALL" if cdr["context"] == "USER_LOCAL" else cdr["context"],
            cdr["disposition"],
            cdr["t_cause"],
            _TIMES.sub("… s", cdr["info"] or ""),
            cdr["billsec"],
        )
        for cdr in cdrs
    ]


def check(place: Place, name: str) -> None:
    """Plays the scene."""
    played = play(place, name)
    wanted, found = sorted(expected(name), key=_order), sorted(told(played.cdrs), key=_order)
    assert [each.shape for each in found] == [each.shape for each in wanted], _beside(found, wanted)
    longer_s = max(played.took_s - recorded_s(name), 0)
    for one, other in zip(found, wanted, strict=True):
        assert abs(one.seconds - other.seconds) <= NEAR_S + longer_s, (one, other, longer_s)
    assert played.live_left == 0
    for each in played.rang:
        _check_reached(played, each, place.users.get(each.phone), is_sent_on=_is_sent_on(name))


def _beside(found: list[Branch], wanted: list[Branch]) -> str:
    lines = [sorted(map(str, each)) for each in (wanted, found)]
    return "\n" + "\n".join(difflib.unified_diff(*lines, "expected", "found", n=99, lineterm=""))


def _order(branch: Branch) -> tuple[str, ...]:
    return tuple(map(str, branch.shape))


def _is_sent_on(name: str) -> bool:
    """A phone that has transferred or parked its call keeps it until the scene is over: its own log says too much."""
    return "transfers" in name or name.startswith(("blind", "attended", "parked", "killed"))


def _check_reached(played: Played, each: Rang, user_id: int | None, *, is_sent_on: bool) -> None:
    """There is a CDR of the phone; where it talked, they say how long."""
    own = [cdr for cdr in played.cdrs if _is_of(cdr, user_id)]
    assert own, (each, played.cdrs)
    if each.talked_s is None:
        return
    talks = [cdr["billsec"] for cdr in own if cdr["disposition"] in {"CONNECTED", "ON_HOLD"}]
    assert talks, (each, own)
    assert max(talks) <= sum(one.talked_s or 0 for one in played.rang) + 8
    assert is_sent_on or sum(talks) >= int(each.talked_s) - 2, (each, own)


def _is_of(cdr: dict[str, Any], user_id: int | None) -> bool:
    """Of the user, or of somebody outside."""
    if user_id is not None:
        return str(user_id) in (cdr["src_id"], cdr["dst_id"])
    return any((cdr[side] or "").startswith("447") for side in ("src", "dst"))
