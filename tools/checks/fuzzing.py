"""The targets of tests/hostile.py under libFuzzer, guided by the coverage of our own modules.

    python -m tools.checks.fuzzing SECONDS [TARGET…]

What reached something new is kept in build/fuzz/corpus for the next run.
"""

import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ringback.sip", "ringback.collect", "ringback.store.captures"]):
    from tests import hostile

BUILD = Path("build/fuzz")
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=65535", "-len_control=20"]
"""Of one input: seconds, memory of the process in MiB, bytes."""


def main() -> int:
    targets = sys.argv[2:] or list(hostile.TARGETS)
    _write_seeds()
    broken = [target for target in targets if not _holds(target, max(int(sys.argv[1]) // len(targets), 1))]
    print(f"{len(targets) - len(broken)} passed, {len(broken)} failed")
    return len(broken)


def _write_seeds() -> None:
    for target, inputs in hostile.seeds().items():
        for folder in ("seeds", "corpus", "found"):
            (BUILD / folder / target).mkdir(parents=True, exist_ok=True)
        kept = [path.read_bytes() for name, path in hostile.kept() if name == target]
        for number, each in enumerate([*inputs, *kept]):
            (BUILD / "seeds" / target / f"{number:03}").write_bytes(each)


def _holds(target: str, seconds: int) -> bool:
    """In a process of its own, for libFuzzer ends the one that it runs in."""
    sys.stdout.flush()
    began, log = time.time(), BUILD / f"{target}.log"
    child = os.fork()
    if not child:
        _fuzz(target, seconds, log)
    _, status = os.waitpid(child, 0)
    told = log.read_text(errors="replace")
    if status == 0:
        covered = re.findall(r"cov: (\d+)", told)
        runs = re.findall(r"Done (\d+) runs", told)
        print(f"{target:<13} {runs[-1]:>8} inputs, {covered[-1]:>5} places covered")
        return True
    print(f"{target} FAILED\n{told[-3000:]}")
    for path in (BUILD / "found" / target).iterdir():
        if path.stat().st_mtime >= began:
            _tell(target, path)
    return False


def _fuzz(target: str, seconds: int, log: Path) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    folders = [str(BUILD / each / target) for each in ("corpus", "seeds")]
    found = f"-artifact_prefix={BUILD / 'found' / target}/"
    words = [f"-max_total_time={seconds}", *LIMITS, "-dict=tools/checks/fuzz.dict", found, *folders]
    atheris.Setup(["fuzz", *words], hostile.TARGETS[target])
    atheris.Fuzz()


def _tell(target: str, path: Path) -> None:
    """The input as a test case, and what it raises."""
    data = path.read_bytes()
    print(f"# {path}: belongs into {hostile.KEPT.name}/{target}/")
    print(f"def test_{target}() -> None:\n    hostile.{target}({data!r})\n")
    if path.name.startswith("crash"):
        try:
            hostile.TARGETS[target](data)
        except Exception:
            traceback.print_exc(limit=-8, file=sys.stdout)


def _checked(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[1].isdecimal() and set(words[2:]) <= hostile.TARGETS.keys()


if __name__ == "__main__":
    sys.exit(main() if _checked(sys.argv) else __doc__)
