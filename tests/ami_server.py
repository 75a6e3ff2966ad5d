"""A manager interface to connect to: it speaks AMI over a real socket, knows one login, and tells what it is told to."""

import socket
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5

from tests.pbx_server import PbxServer

USER, SECRET = "ringback", "s3cret"
Answer = Sequence[Mapping[str, str]]


class AmiServer(PbxServer[dict[str, str]]):
    """`answers`: by action, or by action and Variable; `got`: the actions that came, with their fields."""

    def __init__(self, banner: bytes = b"Asterisk Call Manager/9.0.0\r\n") -> None:
        super().__init__(banner, b"\r\n\r\n")
        self.answers: dict[str, Answer | Callable[[Mapping[str, str]], Answer]] = {
            "CoreSettings": [{"Response": "Success", "AsteriskVersion": "22.10.1"}],
            "CoreShowChannels": [
                {"Response": "Success"},
                {"Event": "CoreShowChannelsComplete", "EventList": "Complete"},
            ],
        }
        self.booted = {"Event": "FullyBooted", "Uptime": "86400"}

    def tell(self, text: str) -> None:
        """Events as they stand in a transcript, to whoever is logged in last."""
        data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        self._connections[-1].sendall(data)

    def actions(self, name: str) -> list[dict[str, str]]:
        return [each for each in self.got if each["Action"] == name]

    def _take(self, connection: socket.socket, text: str) -> None:
        fields = dict(line.split(": ", 1) for line in text.split("\r\n"))
        self._note(fields)
        if fields["Action"] == "Login":
            self._connections.append(connection)
        if not self.silent:
            for message in self._answer(fields):
                lines = (
                    [*message.items(), ("ActionID", fields["ActionID"])] if "ActionID" in fields else message.items()
                )
                connection.sendall(("\r\n".join(f"{n}: {v}" for n, v in lines) + "\r\n\r\n").encode())

    def _answer(self, fields: Mapping[str, str]) -> Answer:
        name = fields["Action"]
        if name == "Challenge":
            return [{"Response": "Success", "Challenge": "12345"}]
        if name == "Login":
            good = md5(f"12345{SECRET}".encode(), usedforsecurity=False).hexdigest()
            if (fields["Username"], fields["Key"]) == (USER, good):
                accepted = {"Response": "Success", "Message": "Authentication accepted"}
                return [accepted, self.booted] if self.booted else [accepted]
            return [{"Response": "Error", "Message": "Authentication failed"}]
        found = self.answers.get(f"{name} {fields.get('Variable', '')}".strip(), self.answers.get(name))
        if callable(found):
            return found(fields)
        return found if found is not None else [{"Response": "Success"}]
