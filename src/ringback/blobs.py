"""Recordings and captures by key: in a local folder by default; in S3, Google Cloud Storage or Azure by one URL.

A key is made from ids, never from a user's text: segments of `A-Z a-z 0-9 . _ -` joined by `/`, at most 200 characters.
A blob is there as a whole or not at all, also after a power cut. Store it first and write its row afterwards.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

CHUNK = 256 * 1024
_KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_KEY_MAX = 200
_PROBES = ".probes"
_BUCKETS = "s3://bucket/prefix (gs://, az:// alike)"
_PROBE_AGE = timedelta(hours=1)


class BlobsUnavailable(Exception):
    """Nothing can be stored or read now, whatever the blob. The message says what to do; the cause is chained."""


class BlobMissing(Exception):
    """There is no blob under this key."""


class Stored(NamedTuple):
    """One line of a listing. `modified_at` is aware, UTC."""

    key: str
    size: int
    modified_at: datetime


class Blobs(ABC):
    """Bytes by key. Every method may raise BlobsUnavailable, and ValueError for a key that is not one.

    For any number of threads and processes. Storing again under a key replaces the blob.
    """

    @abstractmethod
    def put_file(self, key: str, path: Path) -> int:
        """Store a copy of the file at `path` and return its size; in flat memory."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Store `data`."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Bytes; None if there is no such blob."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the blob. A missing one is none to remove."""

    def read(self, key: str, start: int = 0, length: int | None = None, chunk: int = CHUNK) -> Iterator[bytes]:
        """Up to `length` bytes from `start` on (None: to the end), in pieces of `chunk`; none beyond the end.

        BlobMissing is raised at once, or by the iterator if the blob goes meanwhile. A blob replaced while it is
        read may give bytes of both.
        """
        if start < 0 or chunk < 1 or (length is not None and length < 0):
            raise ValueError(f"not a range of bytes: {start}, {length}, {chunk}")
        size = self.size(key)
        if size is None:
            raise BlobMissing(key)
        stop = size if length is None else min(size, start + length)
        return self._pieces(key, start, stop, chunk)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """The blobs in the folder `prefix` and below it, or all; in no order."""
        for stored in self._listed(_valid(prefix.removesuffix("/")) if prefix else ""):
            if not stored.key.startswith(f"{_PROBES}/"):
                yield stored

    def check(self) -> None:
        """Write, read and delete a probe; returns if all three work."""
        key, data = f"{_PROBES}/{secrets.token_hex(8)}", secrets.token_bytes(16)
        self.put(key, data)
        try:
            intact = b"".join(self.read(key)) == data
        except BlobMissing:
            intact = False
        self.delete(key)
        if not intact:
            raise BlobsUnavailable("A probe was stored but not found again: check where the blobs are kept.")

    def sweep(self) -> int:
        """Remove what killed processes left behind, and return how many leftovers there were."""
        eldest = datetime.now(UTC) - _PROBE_AGE
        left = [stored.key for stored in self._listed(_PROBES) if stored.modified_at < eldest]
        for key in left:
            self.delete(key)
        return len(left)

    @abstractmethod
    def _pieces(self, key: str, start: int, stop: int, chunk: int) -> Iterator[bytes]: ...

    @abstractmethod
    def _listed(self, folder: str) -> Iterator[Stored]: ...


def open_blobs(place: str) -> Blobs:
    """The blobs at `place`: a folder's path, or one of

        s3://bucket/prefix?region=eu-central-1&endpoint=https://minio.example:9000
        gs://bucket/prefix
        az://container/prefix?account=name&endpoint=https://...

    Prefix and options may be left out; an `endpoint` is for other servers than the provider's own. Credentials never
    stand in the URL: they come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
    GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_KEY, …) or from the machine's role. A folder is made if need be and
    swept. A bucket must exist; give it a lifecycle rule that ends incomplete multipart uploads after a day. Raises
    ValueError for a URL that cannot be understood.
    """
    if "://" not in place:
        return FolderBlobs(Path(place))
    url = urlsplit(place)
    if url.scheme == "file" and not (url.netloc or url.query):
        return FolderBlobs(Path(url.path))
    return BucketBlobs(url)


def _valid(key: str) -> str:
    if len(key) > _KEY_MAX or not _KEY.fullmatch(key) or {".", ".."} & set(key.split("/")):
        raise ValueError(f"not a key of a blob: {key!r}")
    return key


class FolderBlobs(Blobs):
    """A folder of the local disk. Files are readable for their owner only.

    A blob is written to `~incoming` (no key can begin like that), forced to disk, and renamed. Its writer holds a lock
    on the file, which ends with the process: what `sweep` finds unlocked there, nobody is writing any more.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / "~incoming"
        with _disk_faults(self._root):
            _make_folder(self._incoming)
        self.sweep()

    def put_file(self, key: str, path: Path) -> int:
        with path.open("rb") as source, self._arriving(_valid(key)) as file:
            shutil.copyfileobj(source, file, 1 << 20)
            return file.tell()

    def put(self, key: str, data: bytes) -> None:
        with self._arriving(_valid(key)) as file:
            file.write(data)

    @contextmanager
    def _arriving(self, key: str) -> Iterator[BinaryIO]:
        """A file that takes its place under `key` when the block ends without a fault."""
        target = self._root / key
        with _disk_faults(self._root), _own_file(self._incoming) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _put_in_place(Path(file.name), target)

    def size(self, key: str) -> int | None:
        path = self._root / _valid(key)
        with _disk_faults(self._root):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return status.st_size if S_ISREG(status.st_mode) else None

    def delete(self, key: str) -> None:
        path = self._root / _valid(key)
        with _disk_faults(self._root), suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            sync_folder(path.parent)
            self._remove_empty(path.parent)

    def _remove_empty(self, folder: Path) -> None:
        """The folder, and those above it, as far as nothing is in them."""
        with suppress(OSError):  # something is in it, or it is gone already
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def sweep(self) -> int:
        with _disk_faults(self._root):
            removed = sum(_removed_if_unlocked(path) for path in self._incoming.iterdir())
        return removed + super().sweep()

    def _pieces(self, key: str, start: int, stop: int, chunk: int) -> Iterator[bytes]:
        with _disk_faults(self._root):
            try:
                file = (self._root / key).open("rb")
            except FileNotFoundError:
                raise BlobMissing(key) from None
            with file:
                file.seek(start)
                while (wanted := min(chunk, stop - file.tell())) > 0 and (data := file.read(wanted)):
                    yield data

    def _listed(self, folder: str) -> Iterator[Stored]:
        folders = [self._root / folder]
        while folders:
            with _disk_faults(self._root):
                paths = _children(folders.pop())
            for entry in paths:
                if entry.is_dir(follow_symlinks=False):
                    folders += [Path(entry.path)] if entry.name != self._incoming.name else []
                    continue
                with suppress(FileNotFoundError):  # deleted meanwhile
                    status = entry.stat()
                    at = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Stored(Path(entry.path).relative_to(self._root).as_posix(), status.st_size, at)


def _children(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def _own_file(folder: Path) -> Iterator[BinaryIO]:
    """A new, locked file for this process alone. It is removed if the block fails."""
    file = _locked_file(folder)
    with file:
        try:
            yield file
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _locked_file(folder: Path) -> BinaryIO:
    while True:
        path = folder / secrets.token_hex(16)
        file = open(path, "xb", opener=_private)  # noqa: SIM115 -- Path.open has no opener
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # swept by another process just before the lock


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _removed_if_unlocked(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True
    return False


def _make_folder(folder: Path) -> None:
    """With its parents, each of them on disk."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    sync_folder(folder.parent)


def _put_in_place(path: Path, target: Path) -> None:
    """On disk. Whoever deletes the last blob of the folder meanwhile removes the folder too: then it is made again."""
    while True:
        try:
            _make_folder(target.parent)
            path.rename(target)
        except FileNotFoundError:
            if not path.exists():
                raise
            continue
        with suppress(FileNotFoundError):
            sync_folder(target.parent)
        return


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def _disk_faults(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno in _FULL:
            advice = "make room on this disk, or keep recordings for a shorter time"
        elif fault.errno in _FORBIDDEN:
            advice = "make the folder writable for the user that Ringback runs as"
        else:
            advice = "check the disk and that it is mounted"
        raise BlobsUnavailable(f"{root} cannot be used: {fault.strerror or fault}; {advice}.") from fault


# A store that is down shall be known to be down within 5 seconds: a try ends after 4, and none begins after 3.
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=3)}
_QUICK_S, _CONNECT_S, _TRANSFER_S = 4, 2, 60
_QUICK_BYTES = 1 << 20  # what a poor line moves in _QUICK_S
_PART_BYTES = 5 << 20  # the least that S3 takes; has _TRANSFER_S


class BucketBlobs(Blobs):
    """S3, Google Cloud Storage or Azure. A blob is read by requests of 1 MiB, so that slow listeners hold none open."""

    def __init__(self, url: SplitResult) -> None:
        self._name = f"{url.scheme}://{url.netloc}{url.path}"
        self._quick = _bucket(url, _QUICK_S)
        self._patient = _bucket(url, _TRANSFER_S)

    def put_file(self, key: str, path: Path) -> int:
        self.size(key)  # whether anybody is there, before a part's long time limit begins
        with path.open("rb") as source, self._faults():
            size = os.fstat(source.fileno()).st_size
            self._patient.put(_valid(key), source, chunk_size=_PART_BYTES, max_concurrency=2)
        return size

    def put(self, key: str, data: bytes) -> None:
        store = self._quick if len(data) <= _QUICK_BYTES else self._patient
        with self._faults():
            store.put(_valid(key), data)

    def size(self, key: str) -> int | None:
        from obstore.exceptions import NotFoundError

        with self._faults():
            try:
                return self._quick.head(_valid(key))["size"]
            except (FileNotFoundError, NotFoundError):
                return None

    def delete(self, key: str) -> None:
        from obstore.exceptions import NotFoundError

        with self._faults(), suppress(FileNotFoundError, NotFoundError):
            self._quick.delete(_valid(key))

    def _pieces(self, key: str, start: int, stop: int, chunk: int) -> Iterator[bytes]:
        from obstore.exceptions import NotFoundError

        step = max(chunk, _QUICK_BYTES // chunk * chunk)
        for at in range(start, stop, step):
            with self._faults():
                try:
                    data = memoryview(self._quick.get_range(key, start=at, end=min(at + step, stop)))
                except (FileNotFoundError, NotFoundError):
                    raise BlobMissing(key) from None
            for offset in range(0, len(data), chunk):
                yield bytes(data[offset : offset + chunk])

    def _listed(self, folder: str) -> Iterator[Stored]:
        with self._faults():
            for page in self._quick.list(folder or None, chunk_size=1000):
                for found in page:
                    yield Stored(found["path"], found["size"], found["last_modified"].astimezone(UTC))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as fault:
            advice = "check the credentials in the environment and their rights to this bucket"
            raise BlobsUnavailable(f"{self._name} refuses access; {advice}.") from fault
        except (exceptions.NotFoundError, FileNotFoundError) as fault:
            raise BlobsUnavailable(f"{self._name} does not exist; make the bucket or correct its name.") from fault
        except (exceptions.BaseError, OSError) as fault:
            cause = str(fault).partition("\n")[0][:300]
            advice = "check the network, the endpoint and the provider's state"
            raise BlobsUnavailable(f"{self._name} does not answer: {cause}; {advice}.") from fault


def _bucket(url: SplitResult, timeout_s: int) -> "ObjectStore":
    """A client whose requests end after `timeout_s`."""
    from obstore.store import AzureStore, GCSStore, S3Store

    stores: dict[str, tuple[Any, dict[str, str]]] = {
        "s3": (S3Store, {"region": "region", "endpoint": "endpoint"}),
        "gs": (GCSStore, {}),
        "az": (AzureStore, {"account": "account_name", "endpoint": "endpoint"}),
    }
    if url.scheme not in stores:
        raise ValueError(f"{url.scheme}:// is no place for audio that Ringback knows; use a folder or {_BUCKETS}")
    if not url.hostname or "@" in url.netloc or url.fragment:
        raise ValueError(f"{url.scheme}://… names no bucket, or more than it may; write {_BUCKETS}, without a password")
    store, known = stores[url.scheme]
    options = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
    if unknown := options.keys() - known:
        raise ValueError(f"unknown option of {url.scheme}://: {min(unknown)}; known: {', '.join(known) or 'none'}")
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "timeout": timedelta(seconds=timeout_s),
        "allow_http": options.get("endpoint", "").startswith("http://"),
    }
    made: ObjectStore = store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        config={known[name]: value for name, value in options.items()},
        client_options=client,
        retry_config=_RETRIES,
    )
    return made
