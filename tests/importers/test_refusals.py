"""What an import refuses, in the file of `--refused`."""

import json
import stat
from pathlib import Path

import pytest

from ringback.errors import UsageError
from ringback.importers import Options, refusals
from ringback.importers.importer import REFUSALS_KEPT
from tests.api import Api
from tests.importers.master_csv import line, run, written

MORE = REFUSALS_KEPT + 500


def told(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_refused_line_is_written_with_its_reason(api: Api, tmp_path: Path) -> None:
    lines = [line(), *("nonsense\n" for _ in range(MORE)), line(dst='"\x00')]
    with refusals.written(tmp_path / "refused") as hear:
        summary = run(api, "asterisk-cdr", written(tmp_path, *lines), told=hear)
    found = told(tmp_path / "refused")
    assert (summary.refused_in_all, len(summary.refused), len(found)) == (MORE + 1, REFUSALS_KEPT, MORE + 1)
    reason = "1 columns instead of 16 to 21"
    assert found[0] == {"where": "line 2", "reason": reason, "raw": "nonsense"}
    assert found[-1]["where"] == f"line {MORE + 2}"


def test_it_is_written_as_it_happens_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    with refusals.written(path) as hear:
        summary = Options(told=hear).summary()
        summary.refuse("line 1", "no call", b"\xff\x00\n")
        summary.refuse("a\udcff.wav", "no audio")
        assert told(path) == [
            {"where": "line 1", "reason": "no call", "raw": "\\xff\x00\n"},
            {"where": "a\\udcff.wav", "reason": "no audio"},
        ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten_and_no_link_is_followed(tmp_path: Path) -> None:
    full, link = tmp_path / "Master.csv", tmp_path / "link"
    full.write_text("calls")
    link.symlink_to(tmp_path / "elsewhere")
    for path in (full, link, tmp_path, tmp_path / "none" / "refused"):
        with pytest.raises(UsageError, match="--refused: "), refusals.written(path):
            pass
    assert full.read_text() == "calls"
    assert not (tmp_path / "elsewhere").exists()
    empty = tmp_path / "empty"
    empty.touch(mode=0o644)
    with refusals.written(empty):
        assert stat.S_IMODE(empty.stat().st_mode) == 0o600
