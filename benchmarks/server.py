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
    """HTTP/1.1 on one kept connection; reads the answer whole and returns the body's size."""

    def __init__(self, port: int, token: str) -> None:
        self.address = ("127.0.0.1", port)
        self.token = token
        self.socket = socket.create_connection(self.address)

    def get(self, path: str) -> bytes:
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {self.token}\r\n\r\n"
        self.socket.sendall(request.encode())
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status == 200, (path, head, body[:300])
        return self._body(head.lower(), bytearray(body))

    def _body(self, head: bytes, body: bytearray) -> bytes:
        if b"content-length: " in head:
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += self._more()
        else:
            while not body.endswith(b"\r\n0\r\n\r\n"):
                body += self._more()
        return bytes(body)

    def _more(self) -> bytes:
        part = self.socket.recv(1 << 20)
        assert part, "the server closed the connection"
        return part


@contextmanager
def serving(url: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "RINGBACK_DATABASE": url,
        "RINGBACK_DATA_DIR": str(folder),
        "RINGBACK_QUERY_TIMEOUT_S": "120",
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
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
