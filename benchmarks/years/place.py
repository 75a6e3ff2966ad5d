"""An installation of its own: its commands run as an operator runs them, its server is asked over HTTP."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.server import peak_memory_kb, serving
from ringback.settings import BASE_PATHS

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended. `cpu_s`: of all cores, with its children; where others share the machine it says more than
    `seconds`. `memory_mib`: the most that it held."""

    status: int
    out: str
    seconds: float
    cpu_s: float
    memory_mib: float

    def note(self) -> str:
        return f"{self.seconds:,.1f} s, of CPU {self.cpu_s:,.1f} s, {self.memory_mib:.0f} MiB of memory"


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "ringback.db"
        folder.mkdir(parents=True, exist_ok=True)

    def started(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`ringback …`, running; what it prints goes nowhere."""
        return self._run(arguments, subprocess.DEVNULL)

    def ran(self, *arguments: str, statuses: tuple[int, ...] = (0,)) -> Ran:
        """`ringback …`, to its end."""
        began = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            process = self._run(arguments, out)
            _, waited, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(waited)
            out.seek(0)
            text = out.read().decode()
        seconds = time.perf_counter() - began
        assert process.returncode in statuses, (arguments, process.returncode, text[-3000:])
        return Ran(process.returncode, text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

    def _run(self, arguments: tuple[str, ...], out: Any) -> subprocess.Popen[bytes]:
        clean = {name: text for name, text in os.environ.items() if not name.startswith("RINGBACK_")}
        environment = {**clean, "RINGBACK_DATA_DIR": str(self.folder), "COLUMNS": "200"}
        command = [sys.executable, "-m", "ringback", *arguments]
        return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def size_mib(self) -> tuple[float, float]:
        """What the database and the audio take on the disk."""
        files = sum(_taken(file) for file in self.folder.glob("ringback.db*"))
        audio = sum(_taken(file) for file in (self.folder / "blobs").rglob("*") if file.is_file())
        return files / BLOCK, audio / BLOCK

    @contextmanager
    def served(self, token: str) -> Iterator["Api"]:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        with serving(str(self.database), self.folder, port) as process:
            yield Api(port, token, process)


def _taken(file: Path) -> int:
    return file.stat().st_blocks * 512


class Api:
    """One kept connection to the server."""

    def __init__(self, port: int, token: str, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._connection = HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {"X-Auth-Token": token, "Content-Type": "application/json"}

    def asked(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, None where it has none."""
        content = self._answer(method, BASE_PATHS[0] + path, body).read()
        return json.loads(content) if content else None

    def timed(self, path: str) -> tuple[float, int]:
        """Milliseconds of one request, and the total that the list has."""
        began = time.perf_counter()
        content = self._answer("GET", BASE_PATHS[0] + path).read()
        return (time.perf_counter() - began) * 1000, json.loads(content)["total"]

    def fetched(self, path: str) -> tuple[int, int]:
        """Lines and bytes of a file, of which nothing is kept. `path`: whole, as in the answers."""
        answer = self._answer("GET", path)
        lines = size = 0
        while block := answer.read(BLOCK):
            lines += block.count(b"\n")
            size += len(block)
        return lines, size

    def peak_memory_mib(self) -> float:
        return peak_memory_kb(self._process) / 1024

    def cpu_s(self) -> float:
        """What the server has taken of it so far."""
        return cpu_s(self._process)

    def _answer(self, method: str, path: str, body: Any = None) -> HTTPResponse:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, self._headers)
        answer = self._connection.getresponse()
        assert answer.status < 300, (method, path, answer.status, answer.read()[:500])
        return answer


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """What a process has taken so far that has not been waited for."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def conditions(*each: tuple[str, str, Any]) -> str:
    """A filter, for a URL."""
    return quote(json.dumps([dict(zip(("property", "operator", "value"), one, strict=True)) for one in each]))
