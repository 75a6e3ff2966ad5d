"""A PBX to connect to: a real socket, on which whoever connects is greeted, heard and answered."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

E = TypeVar("E")


class PbxServer(ABC, Generic[E]):
    """`got`: what came. `raw`: the bytes of it. `silent`: it answers nothing. `end`: what a thing that comes ends with."""

    def __init__(self, greeting: bytes, end: bytes) -> None:
        self.greeting = greeting
        self.got: list[E] = []
        self.raw = b""
        self.silent = False
        self._end = end
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        """Those that are logged in."""
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Ends all connections."""
        for each in self._connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def until(self, happened: Callable[[], bool], patience_s: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(happened, patience_s), self.got

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    @abstractmethod
    def _take(self, connection: socket.socket, text: str) -> None: ...

    def _note(self, entry: E) -> None:
        with self._changed:
            self.got.append(entry)
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(self.greeting)
            left = b""
            while data := connection.recv(65536):
                self.raw += data
                *whole, left = (left + data).split(self._end)
                for each in whole:
                    self._take(connection, each.decode())
