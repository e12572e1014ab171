"""A remote in a folder: on this machine, or shared (NFS, a mounted drive). A file is written beside its place, synced, and linked there.

A hard link is what every file system that has one does atomically and refuses if the name is taken. Where there is none the file is
created exclusively and then written: who reads it at that very moment sees the beginning only, notices (entries of the log are
checked), and asks again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from redun.store.disk import unavailable
from redun.store.errors import NotInRemote, RemoteBusy, RemoteDenied, RemoteError
from redun.store.remote.backends.base import CHUNK_BYTES, FOLDERS, FileFact, Meter, check_name, too_long, wrong_size
from redun.store.remote.clock import PlaceClock

_WITHOUT_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES))
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_BUSY = frozenset((errno.ESTALE, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT))


class FolderBackend:
    """Implements `redun.store.remote.backends.base.Backend` on a folder.

    Args:
        path: the folder; it is made with the first file, but not what it lies in.
    """

    shared = True

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self.url = str(path)
        self._clock = PlaceClock()

    def _at(self, name: str) -> Path:
        return self._path / check_name(name)

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        """Turn errors of the system into those of a remote."""
        try:
            yield
        except FileNotFoundError as error:
            raise self._missing(name) from error
        except RemoteError:
            raise
        except OSError as error:
            kind = RemoteDenied if error.errno in _FORBIDDEN else RemoteBusy if error.errno in _BUSY else RemoteError
            place = self._path if self._path.is_dir() else self._path.parent
            raise kind(str(unavailable(f"{action} {name!r} in remote", place, error))) from error

    def _missing(self, name: str) -> Exception:
        if not self._path.is_dir() and not self._path.parent.is_dir():
            return RemoteError(
                f"remote {self.url!r} cannot be reached: there is no folder {str(self._path.parent)!r}: is the drive mounted?"
            )
        return NotInRemote(f"remote {self.url!r} has no {name!r}")

    def get(self, name: str, limit: int) -> bytes:
        """See `Backend.get`."""
        with self._told("read", name), open(self._at(name), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise too_long(self.url, name, limit)
            return file.read(limit + 1)[:limit]

    def get_range(self, name: str, start: int, size: int) -> bytes:
        """See `Backend.get_range`."""
        with self._told("read", name), open(self._at(name), "rb") as file:
            file.seek(start)
            data = file.read(size)
        if len(data) != size:
            raise wrong_size(self.url, name, start + len(data), start + size)
        return data

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.fetch`."""
        with self._told("read", name), open(self._at(name), "rb") as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                raise wrong_size(self.url, name, found, size)
            left = size
            while left:
                chunk = file.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise wrong_size(self.url, name, size - left, size)
                meter(len(chunk))
                left -= len(chunk)
                target.write(chunk)

    def put(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.put`."""
        with self._told("write", name):
            temporary = self._write(name, _chunks(source, meter))
            try:
                os.rename(temporary, self._at(name))
            except BaseException:
                _remove(temporary)
                raise
            _sync_folder(self._at(name).parent)

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Backend.put_new`."""
        path = self._at(name)
        with self._told("write", name):
            if path.exists():
                return False
            temporary = self._write(name, iter((data,)))
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _WITHOUT_LINKS:
                    raise
                return self._create(path, data)
            finally:
                _remove(temporary)
            _sync_folder(path.parent)
            return True

    def _create(self, path: Path, data: bytes) -> bool:
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return False
        with open(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return True

    def _write(self, name: str, chunks: Iterator[bytes]) -> Path:
        folder = self._at(name).parent
        if not folder.is_dir():
            if not self._path.is_dir():
                # Not its parents: a drive that is not mounted must not become a folder on this disk.
                self._path.mkdir(exist_ok=True)
            folder.mkdir(exist_ok=True)
        number, temporary = tempfile.mkstemp(prefix="tmp-", dir=folder)
        try:
            with open(number, "wb") as file:
                # mkstemp makes it private; who else may read it is for the folder to say.
                os.fchmod(file.fileno(), os.stat(folder).st_mode & 0o666)
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                self._clock.hear(os.fstat(file.fileno()).st_mtime_ns // 1000)
        except BaseException:
            _remove(Path(temporary))
            raise
        return Path(temporary)

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Backend.names`."""
        try:
            with self._told("list", folder):
                found = [
                    folder + entry for entry in os.listdir(self._path / folder.rstrip("/")) if not entry.startswith("tmp-")
                ]
        except NotInRemote:
            return []
        return sorted([name for name in found if name > after])

    def files(self, folder: str) -> list[FileFact]:
        """See `Backend.files`."""
        found = []
        try:
            with self._told("list", folder):
                for entry in os.scandir(self._path / folder.rstrip("/")):
                    if not entry.name.startswith("tmp-"):
                        with contextlib.suppress(FileNotFoundError):
                            stat = entry.stat()
                            found.append(FileFact(folder + entry.name, stat.st_size, stat.st_mtime_ns // 1000))
                # A file of now tells what the time is there; where nothing can be written the last one heard of has to do.
                with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(prefix="tmp-", dir=self._path / folder) as file:
                    self._clock.hear(os.fstat(file.fileno()).st_mtime_ns // 1000)
        except NotInRemote:
            return []
        return sorted(found)

    def remove_strays(self, before_us: int) -> int:
        """See `Backend.remove_strays`."""
        count = 0
        for folder in FOLDERS:
            path = self._path / folder
            with contextlib.suppress(OSError):
                for entry in os.scandir(path) if path.is_dir() else ():
                    if entry.name.startswith("tmp-") and entry.stat().st_mtime_ns // 1000 < before_us:
                        os.unlink(entry.path)
                        count += 1
        return count

    def size(self, name: str) -> int | None:
        """See `Backend.size`."""
        try:
            with self._told("look at", name):
                return os.stat(self._at(name)).st_size
        except NotInRemote:
            return None

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        with self._told("remove", name), contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name))

    def now_us(self) -> int | None:
        """See `Backend.now_us`: that of the file written last, by the clock of whoever serves the folder."""
        now = self._clock.now_us()
        return now if now is not None else time.time_ns() // 1000

    def close(self) -> None:
        """See `Backend.close`."""


def _chunks(source: BinaryIO, meter: Meter) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        meter(len(chunk))
        yield chunk


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        # Some network file systems cannot; the file itself was synced.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)
