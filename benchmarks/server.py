"""A server in a process of its own, and a client that costs next to nothing."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Client:
    """HTTP/1.1 on one kept connection; reads the answer whole and keeps nothing of it."""

    def __init__(self, port: int, token: str) -> None:
        self.token = token
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.room = memoryview(bytearray(1 << 20))

    def get(self, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {self.token}\r\n\r\n"
        self.socket.sendall(request.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status == 200, (path, head, body[:300])
        self._skip(head.lower(), body)

    def _skip(self, head: bytes, body: bytes) -> None:
        """Reads the rest of the body."""
        if b"content-length: " in head:
            missing = int(head.split(b"content-length: ")[1].split(b"\r\n")[0]) - len(body)
            while missing:
                missing -= len(self._more())
        else:
            end = body
            while not end.endswith(b"\r\n0\r\n\r\n"):
                end = end[-7:] + self._more()[-7:]

    def _more(self) -> memoryview:
        """What is there, until the next call."""
        n = self.socket.recv_into(self.room)
        assert n, "the server closed the connection"
        return self.room[:n]


@contextmanager
def serving(url: str, folder: Path, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "RINGBACK_DATABASE": url,
        "RINGBACK_DATA_DIR": str(folder),
        "RINGBACK_QUERY_TIMEOUT_S": "120",
        **more,
    }
    command = [sys.executable, "-m", "ringback", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server does not answer")


def peak_memory_kb(process: subprocess.Popen[bytes]) -> int:
    """Highest resident memory so far."""
    return memory_kb(process, "VmHWM")


def memory_kb(process: subprocess.Popen[bytes], which: str) -> int:
    """`VmRSS`: resident now; `VmHWM`: the highest so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0])
