"""Five years of an office in one folder go in, out, away and back by the commands of the docs: what `make five-years` measures."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.years.office import Known
from benchmarks.years.steps import STEPS

from tests.process import ROOT


def test_a_folder_goes_through_everything(tmp_path: Path) -> None:
    """Each step itself compares what is there with what the script wrote, and fails when they differ."""
    command = [sys.executable, "-m", "benchmarks.years", str(tmp_path), "--calls", "2000", "--recordings", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    figures = json.loads((tmp_path / "figures.json").read_text())["steps"]
    assert set(figures) == set(STEPS)
    assert "| doctor verify |" in done.stdout
    known = Known.of_json(json.loads((tmp_path / "pbx" / "known.json").read_text()))
    assert (known.calls, known.broken, known.recordings) == (2_000, 40, 20)
