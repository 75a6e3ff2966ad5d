"""Encoding in a child process, so that a codec that crashes or runs wild costs one file and not the server."""

import json
import selectors
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from ringback.media.audio import Audio, BrokenAudio

_MEMORY_BYTES = 512 << 20  # of address space; an hour of any format takes 141 MB
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0


class EncoderUnavailable(Exception):
    """The child process does not start: an installation fault, which says nothing about any file."""


class _ChildEnded(Exception):
    pass


def encode_isolated(source: Path, target: Path, *, timeout_s: float) -> Audio:
    """`Encoder.encode` for a single file; starting the child costs about 0.2 s."""
    with Encoder() as encoder:
        return encoder.encode(source, target, timeout_s=timeout_s)


class Encoder:
    """Encodes file after file in one child, and starts another when that one dies. For one thread at a time."""

    def __init__(self, *, memory_bytes: int = _MEMORY_BYTES) -> None:
        """`memory_bytes` limits the child's address space."""
        self._memory_bytes = memory_bytes
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop_child()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._child.pid if self._child else None

    def encode(self, source: Path, target: Path, *, timeout_s: float) -> Audio:
        """Write `source` as MP3 to `target` as `mp3.encode` does.

        Raises BrokenAudio when the source cannot be read, crashes the codec or takes longer than `timeout_s` or
        more memory than allowed; OSError when a file is missing or a disk fails; EncoderUnavailable when encoding
        does not work at all, or this process ends. On any of these no `target` remains.
        """
        child = self._living_child()
        request = {"source": str(source.absolute()), "target": str(target.absolute()), "timeout_s": timeout_s}
        try:
            answer = child.ask(request, timeout_s)
        except BaseException as fault:
            was_ended = not child.stop.alive
            self._drop_child()
            target.unlink(missing_ok=True)
            if isinstance(fault, TimeoutError):
                raise BrokenAudio(f"encoding took longer than {timeout_s:g} s") from None
            if isinstance(fault, _ChildEnded) and was_ended:
                raise EncoderUnavailable("this process ends") from None
            if isinstance(fault, _ChildEnded):
                raise BrokenAudio(f"the encoder crashed on it ({fault})") from None
            raise
        return _audio(answer)

    def _living_child(self) -> "_Child":
        """A child that died between two files is replaced; that is no fault of the next file."""
        if self._child and not self._child.is_alive():
            self._drop_child()
        if not self._child:
            self._child = _Child(self._memory_bytes)
        return self._child

    def _drop_child(self) -> None:
        if self._child:
            self._child.stop()
            self._child = None


def _audio(answer: dict[str, Any]) -> Audio:
    if "broken" in answer:
        raise BrokenAudio(answer["broken"])
    if "errno" in answer:
        raise OSError(answer["errno"], answer["message"], answer["file"])
    return Audio(*answer["audio"])


class _Child:
    """`python -m ringback.media`, in a session of its own: Ctrl-C is the server's to handle."""

    def __init__(self, memory_bytes: int) -> None:
        self._complaints = TemporaryFile()  # noqa: SIM115 -- closed by stop()
        # -P: the working directory's files are not modules.
        self._process = subprocess.Popen(  # noqa: S603 -- no word of it comes from outside
            [sys.executable, "-P", "-m", "ringback.media", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,  # what is read ahead would be hidden from the selector
            start_new_session=True,
        )
        self.stop = weakref.finalize(self, _end, self._process, self._complaints)
        """At once: a child that waits for a line has nothing to lose. Done as well when this process ends."""
        try:
            self._answer(_START_TIMEOUT_S)
        except (_ChildEnded, TimeoutError) as fault:
            self.stop()
            raise EncoderUnavailable(f"the encoder does not start: {fault}") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Raises TimeoutError, or _ChildEnded with the way it died. After either, stop this child."""
        try:
            _pipe(self._process.stdin).write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise _ChildEnded(self._last_words()) from None
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        """The child writes a line at once, so that readable means a whole line or the end."""
        pipe = _pipe(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                raise TimeoutError("no answer in time")
        line = pipe.readline()
        if not line.endswith(b"\n"):
            raise _ChildEnded(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        code = self._process.wait(_STOP_TIMEOUT_S)
        if code < 0:
            return signal.Signals(-code).name
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").splitlines()
        return f"exit status {code}: {lines[-1]}" if lines else f"exit status {code}"


def _end(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    process.kill()
    process.wait()
    _pipe(process.stdin).close()
    _pipe(process.stdout).close()
    complaints.close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # Popen was asked for it
    return stream
