"""Makes the folder, does everything with it, and prints a table.

python -m benchmarks.years FOLDER [--calls 10000000] [--recordings 2000] [--until STEP]

What is done already is not done again: stopped, it is simply run again. FOLDER is given back with `rm -r`.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import measured_on
from benchmarks.years import folder as pbx
from benchmarks.years.steps import STEPS, Figure, Work

DONE = "figures.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--recordings", type=int, default=2_000)
    parser.add_argument("--until", choices=STEPS, help="end after this step")
    chosen = parser.parse_args()
    began = time.perf_counter()
    known = pbx.written(chosen.folder / "pbx", chosen.calls, chosen.recordings, datetime.now(UTC).date())
    print(f"{known.calls:,} calls in the folder after {time.perf_counter() - began:.0f} s", flush=True)
    work = Work(chosen.folder, known)
    done = _done(chosen.folder)
    work.token = done["token"]
    for name, step in STEPS.items():
        if name not in done["steps"]:
            print(f"{datetime.now(UTC):%H:%M:%S} {name}", flush=True)
            done["steps"][name] = [{**asdict(figure), "load": os.getloadavg()[0]} for figure in step(work)]
            done["token"] = work.token
            (chosen.folder / DONE).write_text(json.dumps(done))
            print("\n".join(_line(figure) for figure in done["steps"][name]), flush=True)
        if name == chosen.until:
            break
    print(_table(done, known.calls))


def _done(folder: Path) -> dict[str, Any]:
    file = folder / DONE
    return json.loads(file.read_text()) if file.exists() else {"token": "", "steps": {}}


def _table(done: dict[str, Any], calls: int) -> str:
    head = [
        f"{calls:,} calls on SQLite. {measured_on()}",
        "",
        "| what | measured | bar | | load | note |",
        "|---|---:|---|---|---:|---|",
    ]
    return "\n".join([*head, *(_line(figure) for name in STEPS for figure in done["steps"].get(name, ()))])


def _line(figure: dict[str, Any]) -> str:
    whole = Figure(**{name: text for name, text in figure.items() if name != "load"})
    held = {None: "", True: "held", False: "**not held**"}[whole.held]
    return f"| {whole.name} | {whole.value} | {whole.bar} | {held} | {figure['load']:.1f} | {whole.note} |"


main()
