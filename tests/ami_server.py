"""A manager interface to connect to: it speaks AMI over a real socket, knows one login, and tells what it is told to."""

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import md5

USER, SECRET = "ringback", "s3cret"
Answer = Sequence[Mapping[str, str]]


class AmiServer:
    """`answers`: by action, or by action and Variable; `got`: the actions that came, with their fields."""

    def __init__(self, banner: bytes = b"Asterisk Call Manager/9.0.0\r\n") -> None:
        self.banner = banner
        self.got: list[dict[str, str]] = []
        self.raw = b""
        self.answers: dict[str, Answer | Callable[[Mapping[str, str]], Answer]] = {
            "CoreSettings": [{"Response": "Success", "AsteriskVersion": "22.10.1"}],
            "CoreShowChannels": [
                {"Response": "Success"},
                {"Event": "CoreShowChannelsComplete", "EventList": "Complete"},
            ],
        }
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def tell(self, text: str) -> None:
        """Events as they stand in a transcript, to whoever is logged in last."""
        data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        self._connections[-1].sendall(data)

    def drop(self) -> None:
        """Ends all connections."""
        for each in self._connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def until(self, happened: Callable[[], bool], patience_s: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(happened, patience_s), self.got

    def actions(self, name: str) -> list[dict[str, str]]:
        return [each for each in self.got if each["Action"] == name]

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(self.banner)
            left = b""
            while data := connection.recv(65536):
                self.raw += data
                *blocks, left = (left + data).split(b"\r\n\r\n")
                for block in blocks:
                    self._take(connection, block.decode())

    def _take(self, connection: socket.socket, text: str) -> None:
        fields = dict(line.split(": ", 1) for line in text.split("\r\n"))
        with self._changed:
            self.got.append(fields)
            self._changed.notify_all()
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
                return [{"Response": "Success", "Message": "Authentication accepted"}]
            return [{"Response": "Error", "Message": "Authentication failed"}]
        found = self.answers.get(f"{name} {fields.get('Variable', '')}".strip(), self.answers.get(name))
        if callable(found):
            return found(fields)
        return found if found is not None else [{"Response": "Success"}]
