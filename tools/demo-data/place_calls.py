"""Plays `script.SCRIPT` and writes down what the phones saw."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lab import Lab
from phones import Exchange, Phone, exchange
from script import SCRIPT

CARRIER = "198.51.100.20"
EXTENSIONS = ("101", "102", "103", "104", "105")


def main() -> None:
    options = _options()
    with exchange() as opened:
        lab = Lab(opened, _phones(opened), options.speech)
        calls = [_placed(lab, kind, play, options.spool) for kind, play in SCRIPT]
    options.into.write_text(json.dumps({"calls": calls}, indent=1, ensure_ascii=False) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the sentences")
    parser.add_argument("--spool", type=Path, required=True, help="Asterisk's folder of recordings and messages")
    parser.add_argument("--into", type=Path, required=True, help="file to write")
    return parser.parse_args()


def _phones(opened: Exchange) -> dict[str, Phone]:
    phones = {"carrier": opened.plug_in("carrier", CARRIER, 20000, None)}
    for place, name in enumerate(EXTENSIONS, start=1):
        phones[name] = opened.plug_in(name, f"192.0.2.{name}", 20000 + 1000 * place, f"lab-{name}")
    return phones


def _placed(lab: Lab, kind: str, play: Callable[[Lab], None], spool: Path) -> dict[str, object]:
    print(kind, "…", flush=True)
    files_before = _files(spool)
    started_at = datetime.now(UTC)
    lab.meets({})
    play(lab)
    lab.exchange.wait(2)  # Asterisk closes its files, and the next call begins in another second
    call = {
        "kind": kind,
        "started_at": started_at.isoformat(timespec="milliseconds"),
        **_outcome(lab),
        "files": sorted(_files(spool) - files_before),
        "said": list(lab.said),
        "legs": [leg.seen() for leg in lab.exchange.legs],
    }
    lab.said.clear()
    lab.exchange.forget()
    return call


def _outcome(lab: Lab) -> dict[str, object]:
    """The call as its caller saw it: the first leg."""
    first = lab.exchange.legs[0]
    return {
        "caller": first.caller,
        "callee": first.number,
        "answered": first.answered,
        "talk_s": round(first.talk_s, 3),
        "code": first.code,
        "reason": first.reason,
    }


def _files(spool: Path) -> set[str]:
    """Recordings and messages so far; sound only, and no greetings."""
    found = [*spool.glob("monitor/*.wav"), *spool.glob("voicemail/*/*/INBOX/*.wav")]
    return {str(file.relative_to(spool)) for file in found}


if __name__ == "__main__":
    main()
