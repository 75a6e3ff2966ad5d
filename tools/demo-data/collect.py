"""Checks what the lab made against what the phones saw, and copies it to where the demo reads it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import checks

README = Path(__file__).with_name("README.origin.md")


def main() -> None:
    options = _options()
    calls = json.loads((options.work / "lab.json").read_text())["calls"]
    logs = options.asterisk / "var/log/asterisk"
    made = checks.Made(
        calls=calls,
        master=(logs / "cdr-csv/Master.csv").read_text(),
        short=(logs / "cdr-custom/Master-short.csv").read_text(),
        spool=options.asterisk / "var/spool/asterisk",
        speech=options.work / "speech",
        capture=(options.work / "calls.pcap").read_bytes(),
    )
    if faults := checks.faults(made):
        sys.exit("\n  ".join(["Nothing copied: the lab's data contradict each other.", *faults]))
    _write(options.into, made, options.work, _asterisk_version(options.asterisk))
    print(f"{len(calls)} calls in {options.into}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asterisk", type=Path, required=True, help="root of the debootstrap folder")
    parser.add_argument("--work", type=Path, required=True, help="folder of lab.json, calls.pcap and speech")
    parser.add_argument("--into", type=Path, required=True, help="folder to replace")
    return parser.parse_args()


def _write(into: Path, made: checks.Made, work: Path, asterisk: str) -> None:
    shutil.rmtree(into, ignore_errors=True)
    for folder in ("recordings/source", "voicemail"):
        (into / folder).mkdir(parents=True)
    (into / "Master.csv").write_text(made.master)
    (into / "Master-short.csv").write_text(made.short)
    (into / "calls.pcap").write_bytes(made.capture)
    calls = [_call(call) for call in made.calls]
    for call in calls:
        _copy_sound(call, made.spool, work / "speech", into)
    (into / "lab.json").write_text(json.dumps({"calls": calls}, indent=1, ensure_ascii=False) + "\n")
    (into / "README.md").write_text(_readme(made, asterisk))


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """The call with the one file that it left, as a path in the folder of the demo."""
    files = [name.replace("monitor/", "recordings/", 1) for name in call.pop("files")]
    recordings = [name for name in files if name.startswith("recordings/")]
    messages = [name for name in files if name.startswith("voicemail/")]
    said = call.pop("said")
    return {
        **{key: value for key, value in call.items() if key != "legs"},
        "recording": recordings[0] if recordings else None,
        "voicemail": messages[0] if messages else None,
        "said": [{**line, "speech": f"recordings/source/{line['speech']}"} for line in said] if files else [],
        "legs": call["legs"],
    }


def _copy_sound(call: dict[str, Any], spool: Path, speech: Path, into: Path) -> None:
    if call["recording"]:
        shutil.copyfile(spool / "monitor" / Path(call["recording"]).name, into / call["recording"])
    if call["voicemail"]:
        (into / call["voicemail"]).parent.mkdir(parents=True, exist_ok=True)
        for ending in (".wav", ".txt"):
            shutil.copyfile(*(folder / Path(call["voicemail"]).with_suffix(ending) for folder in (spool, into)))
    for line in call["said"]:
        shutil.copyfile(speech / Path(line["speech"]).name, into / line["speech"])


def _asterisk_version(root: Path) -> str:
    """From Debian's list of packages: the folder's own programs are not run again."""
    packages = (root / "var/lib/dpkg/status").read_text().split("\n\n")
    asterisk = next(p for p in packages if p.startswith("Package: asterisk\n"))
    return next(line.partition(": ")[2] for line in asterisk.splitlines() if line.startswith("Version: "))


def _readme(made: checks.Made, asterisk: str) -> str:
    return README.read_text().format(
        day=made.calls[0]["started_at"][:10],
        calls=len(made.calls),
        rows=len(made.master.splitlines()),
        asterisk=asterisk,
        phones=version("pjsua2-python"),
    )


if __name__ == "__main__":
    main()
