"""Objects beyond 64 KiB, as files beside the database: `blobs/ab/cdef...` by id.

A 128 MB value inside LMDB would stall every other writer for most of a second; as a file it is written outside of any
transaction. The order is what makes it safe: write a temporary file, fsync it, rename it, fsync the folder, and only then, in a
write transaction that checks that the file is still there, put the row that points to it. (Without that check 168 of 300 kills
beside a running gc left a row without its file.) A file without a row is garbage; a row without a file cannot come to be.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from xxhash import xxh3_64

from redun.store.disk import sync_folder
from redun.store.errors import DamagedObject
from redun.store.ids import ID_BYTES, Pieces, checksum
from redun.store.reach import TABLE_START, table_end
from redun.store.rows import BlobPointer


class Blobs:
    """The blob files of one store. One thread at a time, as its source.

    Args:
        folder: `blobs/` of the store; made when the first blob is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Blobs whose checksum was verified, and as which file: once per process is enough as long as it is that file.
        self._verified: dict[bytes, tuple[int, int, int]] = {}

    def path(self, oid: bytes) -> Path:
        """Return where a blob is, or would be."""
        digits = oid.hex()
        return self._folder / digits[:2] / digits[2:]

    def write(self, oid: bytes, data: bytes | Pieces, *, replace: bool = False) -> BlobPointer:
        """Write a blob, durable when this returns; a file of that size that is there already is left alone.

        Args:
            replace: write it in any case (the file is known to be damaged).

        Raises:
            OSError: disk full, permissions, ...
        """
        pointer = BlobPointer(len(data), checksum(data))
        if not replace and self.has(oid, len(data)):
            return pointer
        path = self.path(oid)
        self._make_folder(path.parent)
        import tempfile

        handle, temporary = tempfile.mkstemp(prefix="tmp-", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                with contextlib.suppress(OSError):
                    # So that nobody takes it for left behind (`unlink_if_left`).
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # mkstemp makes it private; what others may read is for the umask of the folder to say.
                os.fchmod(file.fileno(), os.stat(path.parent).st_mode & 0o666)
                for piece in (data.head, data.body) if isinstance(data, Pieces) else (data,):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)
        self._verified.pop(oid, None)
        return pointer

    def write_pieces(self, pieces: Iterable[bytes]) -> tuple[bytes, BlobPointer]:
        """Write a blob whose id is not known before it has been read to its end, durable when this returns. Any thread.

        Args:
            pieces: the object's bytes, in order; never all in memory.

        Returns:
            id of the object, and what its row says.

        Raises:
            OSError: disk full, permissions, ...
        """
        self._make_folder(self._folder)
        digest, check, size = sha256(), xxh3_64(), 0
        import tempfile

        handle, temporary = tempfile.mkstemp(prefix="tmp-", dir=self._folder)
        try:
            with open(handle, "wb") as file:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(file.fileno(), os.stat(self._folder).st_mode & 0o666)
                for piece in pieces:
                    digest.update(piece)
                    check.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            oid = digest.digest()[:ID_BYTES]
            pointer = BlobPointer(size, check.digest())
            if self.has(oid, size):
                os.unlink(temporary)
                return oid, pointer
            path = self.path(oid)
            self._make_folder(path.parent)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)
        return oid, pointer

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            sync_folder(self._folder.parent)

    def set_aside(self, oid: bytes) -> str | None:
        """Give a blob's file a name that nobody looks for, so that it can be unlinked at leisure; return that, None if it is gone."""
        path = self.path(oid)
        aside = path.parent / f"tmp-gone-{oid.hex()[2:]}"
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return None
        return str(aside)

    def files(self) -> Iterator[tuple[bytes | None, Path, os.stat_result]]:
        """Yield id (None: a temporary file), path and status of every file, by folder."""
        pending = [(str(self._folder), "")]
        while pending:
            folder, digits = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                try:
                    if not digits and len(entry.name) == 2:
                        pending.append((entry.path, entry.name))
                        continue
                    oid = None if entry.name.startswith("tmp-") else bytes.fromhex(digits + entry.name)
                    if oid is None or len(oid) == ID_BYTES:
                        yield oid, Path(entry.path), entry.stat(follow_symlinks=False)
                except (OSError, ValueError):
                    continue

    def has(self, oid: bytes, size: int) -> bool:
        """Tell whether a blob's file is there with this size in bytes."""
        try:
            return os.stat(self.path(oid)).st_size == size
        except OSError:
            return False

    def read(self, oid: bytes, pointer: BlobPointer) -> bytes:
        """Return a blob's bytes.

        Raises:
            DamagedObject: the file is gone, cannot be read, or has another size or content.
        """
        try:
            with open(self.path(oid), "rb", buffering=0) as file:
                data = file.read()
                self._verify(oid, pointer, data, os.fstat(file.fileno()))
        except OSError as error:
            raise self._unreadable(oid, error) from error
        return data

    def head(self, oid: bytes) -> bytes:
        """Return a blob's header and table of links, b"" if its file cannot be read. Nothing is verified."""
        try:
            with open(self.path(oid), "rb", buffering=0) as file:
                head = file.read(TABLE_START)
                return head + file.read(max(0, table_end(head) - len(head)))
        except OSError:
            return b""

    def pieces(self, oid: bytes, pointer: BlobPointer, head_bytes: int) -> Pieces:
        """Return a blob's bytes, the first ones apart from the rest. Same errors as `read`."""
        try:
            with open(self.path(oid), "rb", buffering=0) as file:
                data = Pieces(file.read(head_bytes), file.read())
                self._verify(oid, pointer, data, os.fstat(file.fileno()))
        except OSError as error:
            raise self._unreadable(oid, error) from error
        return data

    def map(self, oid: bytes, pointer: BlobPointer) -> memoryview:
        """Return a blob's bytes as a private, writable map of its file: pages are read when touched, writes stay in memory.

        The map lives as long as the view. Same errors as `read`.
        """
        try:
            with open(self.path(oid), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                import mmap

                view = memoryview(mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_COPY) if status.st_size else b"")
                self._verify(oid, pointer, view, status)
        except (OSError, ValueError) as error:
            if isinstance(error, DamagedObject):
                raise
            raise self._unreadable(oid, error) from error
        return view

    def _verify(self, oid: bytes, pointer: BlobPointer, data: bytes | memoryview | Pieces, status: os.stat_result) -> None:
        if len(data) != pointer.size:
            raise DamagedObject(
                f"blob {str(self.path(oid))!r} has {len(data)} bytes, expected {pointer.size}: the file was cut or changed"
            )
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._verified.get(oid) == identity:
            return
        if checksum(data) != pointer.checksum:
            raise DamagedObject(f"blob {str(self.path(oid))!r} does not match its checksum: the disk or somebody changed it")
        self._verified[oid] = identity

    def _unreadable(self, oid: bytes, error: Exception) -> DamagedObject:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return DamagedObject(f"blob {str(self.path(oid))!r} of object {oid.hex()} cannot be read: {reason.lower()}")


def unlink_if_left(path: Path, before: float) -> None:
    """Delete a temporary file that a process left which has died, if it was last changed before a time (seconds since 1970)."""
    with contextlib.suppress(OSError):
        if path.name.startswith("tmp-gone-"):
            os.unlink(path)
        elif os.stat(path).st_mtime <= before:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
