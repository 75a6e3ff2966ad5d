"""The child process of `encoder`: reads one JSON line a file on standard input, answers one on standard output.

Started as `python -m ringback.media MEMORY_BYTES`. Its first line says that it is ready.
"""

import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from ringback.media.audio import BrokenAudio

_GRACE_CPU_S = 5


def main() -> None:
    """Answer until standard input ends."""
    answers = _private_stdout()
    _limit_process(int(sys.argv[1]))
    importlib.import_module("ringback.media.mp3")  # under the limits already
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(**json.loads(line))), file=answers, flush=True)


def _private_stdout() -> TextIO:
    """Whatever a C library prints must not look like an answer."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w")


def _limit_process(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold somebody's call
    # A service manager ends a service by telling all its processes at once; the file in hand must not seem broken.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _limit_cpu(seconds: float) -> None:
    """For the case that nobody is left to watch the clock: the parent was killed."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds) + _GRACE_CPU_S, hard))


def _answer(source: str, target: str, timeout_s: float) -> dict[str, Any]:
    from ringback.media.mp3 import encode

    _limit_cpu(timeout_s)
    try:
        audio = encode(Path(source), Path(target))
    except BrokenAudio as fault:
        return {"broken": fault.reason}
    except OSError as fault:
        return {"errno": fault.errno, "message": fault.strerror or str(fault), "file": fault.filename}
    return {"audio": [audio.duration_s, audio.size, audio.channels, audio.sample_rate]}


if __name__ == "__main__":
    main()
