"""A small SMTP server (RFC 5321, no TLS) that keeps the mails it gets."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[EmailMessage] = []
        self.arrived = threading.Semaphore(0)
        self.refuses = False

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    def text(self) -> str:
        """The body of the newest mail."""
        return str(self.mails[-1].get_content()).replace("\r\n", "\n")

    def found(self, pattern: str) -> str:
        """What a pattern finds in the newest mail."""
        match = re.search(pattern, self.text())
        assert match is not None, self.text()
        return match[0]


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say("220 mailbox.example")
        while line := self.rfile.readline():
            verb = line.split(maxsplit=1)[0].upper() if line.strip() else b""
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA" and not self.server.refuses:
                self._say("354 go on")
                self._keep()
            self._say("451 later" if self.server.refuses and verb != b"EHLO" else "250 ok")

    def _keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.server.mails.append(mail)
        self.server.arrived.release()

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
