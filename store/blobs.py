"""Objects beyond 64 KiB, as files beside the database: `blobs/ab/cdef...` by id.

A 128 MB value inside LMDB would stall every other writer for most of a second; as a file it is written outside of any transaction. The
order is what makes it safe: write a temporary file, fsync it, rename it, fsync the folder, and only then, in a write transaction that
checks that the file is still there, put the row that points to it. A file without a row is garbage, a row without a file cannot come
to be.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from redun.store.errors import DamagedObject, ObjectNotFound
from redun.store.ids import checksum

BLOB_ABOVE = 64 * 1024


class Blobs:
    """The blob files of one store.

    Args:
        folder: `blobs/` of the store; made when the first blob is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Blobs whose checksum has been verified: once per process is enough, a blob is never rewritten.
        self._verified: set[bytes] = set()

    def path(self, oid: bytes) -> Path:
        """Return where a blob is, or would be."""
        digits = oid.hex()
        return self._folder / digits[:2] / digits[2:]

    def write(self, oid: bytes, data: bytes) -> None:
        """Write a blob, durable when this returns; one that is there already with the same size is left alone.

        Raises:
            OSError: disk full, permissions, ...
        """
        path = self.path(oid)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == len(data):
                return
        self._make_folder(path.parent)
        handle, temporary = tempfile.mkstemp(prefix="tmp-", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)
            _sync_folder(self._folder.parent)

    def exists(self, oid: bytes) -> bool:
        """Tell whether a blob's file is there."""
        return self.path(oid).is_file()

    def read(self, oid: bytes, size: int, expected: bytes) -> bytes:
        """Return a blob's bytes.

        Args:
            size, expected: size in bytes and checksum, as its row states them.

        Raises:
            ObjectNotFound: the file is gone.
            DamagedObject: it has another size or content.
        """
        path = self.path(oid)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise ObjectNotFound(oid) from None
        if len(data) != size:
            raise DamagedObject(f"blob {str(path)!r} has {len(data)} bytes, expected {size}: the file was cut or changed")
        if oid not in self._verified:
            if checksum(data) != expected:
                raise DamagedObject(f"blob {str(path)!r} does not match its checksum: the disk or somebody changed it")
            self._verified.add(oid)
        return data


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
