"""An event socket to connect to: it speaks ESL over a real socket, knows one password, and tells what it is told to."""

import socket
from collections.abc import Sequence

from tests.freeswitch import Headers, transcript
from tests.pbx_server import PbxServer

SECRET = "s3cret"


class FreeSwitchServer(PbxServer[str]):
    """`answers`: by the first words of a command; `got`: the commands that came, but for the login."""

    def __init__(self, greeting: bytes = b"Content-Type: auth/request\n\n") -> None:
        super().__init__(greeting, b"\n\n")
        self.answers: dict[str, str] = {"api show channels": '{"row_count":0}', "bgapi": "+OK Job-UUID: 1"}

    def tell(self, events: Sequence[Headers]) -> None:
        """To whoever has logged in last."""
        self._connections[-1].sendall(transcript(events))

    def _take(self, connection: socket.socket, text: str) -> None:
        if text.startswith(("auth ", "userauth ")):
            good = text in (f"auth {SECRET}", f"userauth ringback@office:{SECRET}")
            if good:
                self._connections.append(connection)
            connection.sendall(_reply("+OK accepted" if good else "-ERR invalid"))
            return
        self._note(text)
        answer = next((answer for words, answer in self.answers.items() if text.startswith(words)), "+OK")
        if not self.silent:
            connection.sendall(_body(answer) if text.startswith("api ") else _reply(answer))


def _reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def _body(text: str) -> bytes:
    data = text.encode()
    return f"Content-Type: api/response\nContent-Length: {len(data)}\n\n".encode() + data
