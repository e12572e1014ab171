"""A store's folder: opened, checked, locked.

<folder>/data.mdb lock.mdb   the database       blobs/   large objects       leases/   who is running
<folder>/lock                held by all who have it open, and by who writes; compaction will want it alone
<folder>/exclusive           in exclusive mode only: the one process that may use it
<folder>/identity            which store this is (`redun.store.identity`)
<folder>/remotes/<name>/     what is known of a remote (`redun.store.remote.mirror`)
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from redun.store.disk import is_network, is_readonly_error
from redun.store.errors import StoreError, StoreUnavailable
from redun.store.lease import Lease, Leases
from redun.store.sources.base import Source

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource


class Store:
    """An open store. One thread at a time; it may be carried over a fork.

    Attributes:
        source: objects, refs, memo and derived tables.
        folder: the store's folder, None in memory.
        readonly: True if nothing can be written, whether asked for or found so.
        exclusive: True if no other process may use it while it is open.
        detected: True if `exclusive` was not asked for but follows from a network file system; worth a note to the user.
    """

    def __init__(
        self, source: Source, folder: Path | None, readonly: bool = False, exclusive: bool = False, detected: bool = False
    ) -> None:
        self.source = source
        self.folder = folder
        self.readonly = readonly
        self.exclusive = exclusive
        self.detected = detected
        self._leases = Leases(None if folder is None else folder / "leases", trusted=not exclusive)
        self._index: Source | None = None
        self._index_folder: str | None = None
        self._identity: bytes | None = None

    @classmethod
    def open(cls, folder: Path, *, create: bool = True, readonly: bool = False, exclusive: bool | None = None) -> Store:
        """Open a store's folder. One that exists but cannot be written is opened for reading only.

        Args:
            create: make it if it is not there.
            readonly: do not write.
            exclusive: use it alone; None decides by the kind of file system.

        Raises:
            StoreUnavailable: it cannot be opened, or is no folder.
            StoreLocked: another process uses it alone.
            FormatTooNew: a newer redun wrote it.
            StoreError: its `data.mdb` is something else, or damaged.
        """
        folder = Path(folder)
        try:
            exists = (folder / "data.mdb").exists()
            is_other = folder.exists() and not folder.is_dir()
        except OSError as error:
            raise StoreUnavailable(f"cannot look at store {str(folder)!r}: {(error.strerror or '').lower()}") from error
        if is_other:
            raise StoreUnavailable(
                f"cannot open store {str(folder)!r}: it is a file, expected a folder: move it away or choose another folder"
            )
        if not exists and (readonly or not create):
            raise StoreUnavailable(f"there is no store at {str(folder)!r}: check the path, or make one there first")
        detected = exclusive is None and is_network(folder)
        alone = detected or bool(exclusive)
        try:
            source, readonly = _source(folder, readonly, alone), readonly
        except StoreUnavailable as error:
            if readonly or not exists or not is_readonly_error(error):
                raise
            source, readonly = _source(folder, True, alone), True
        return cls(source, folder, readonly, alone, detected)

    @classmethod
    def in_memory(cls) -> Store:
        """Return a store that is gone with the process."""
        from redun.store.sources.memory import MemorySource

        return cls(MemorySource(), None)

    def another(self) -> Store:
        """Return the same store for use by another thread, to be closed there."""
        if self.folder is None:
            return _Shared(self.source, None)
        return Store.open(self.folder, create=False, readonly=self.readonly, exclusive=self.exclusive)

    def index_source(self) -> Source:
        """Return where derived tables may be written: the store itself, or a temporary place if it is read-only."""
        if not self.readonly:
            return self.source
        if self._index is None:
            import tempfile

            self._index_folder = tempfile.mkdtemp(prefix="redun-index-")
            self._index = _source(Path(self._index_folder), False, False)
        return self._index

    def identity(self) -> bytes:
        """Return the store's own id, 16 bytes; made when it is first asked for.

        Raises:
            StoreError: it cannot be read or written.
        """
        if self._identity is None:
            from redun.store.identity import store_identity

            self._identity = os.urandom(16) if self.folder is None else store_identity(self.folder)
        return self._identity

    def mirror_source(self, name: str) -> Source:
        """Open the place where what is known of a remote is kept; a temporary one if the store is read-only. To be closed.

        Args:
            name: of the remote: letters, digits, `.`, `_` and `-`.
        """
        from redun.store.refs import check_ref_name

        check_ref_name(name.replace("/", "?"))
        if self.folder is None:
            from redun.store.sources.memory import MemorySource

            return MemorySource()
        if self.readonly:
            self.index_source()
            assert self._index_folder is not None
            return _source(Path(self._index_folder, "remotes", name), False, False)
        return _source(self.folder / "remotes" / name, False, self.exclusive)

    def mirror_lock(self, name: str) -> Path | None:
        """Return the file by which processes take turns at what is known of a remote; None if nobody else can be at it."""
        return None if self.folder is None or self.readonly else self.folder / "remotes" / f"{name}.lock"

    def lease(self, execution_id: str) -> Lease:
        """Return the lease of an execution, to be held (`with`) while it runs.

        Raises:
            StoreError: the id is no UUID.
        """
        return self._leases.lease(execution_id)

    def is_alive(self, execution_id: str) -> bool:
        """Tell whether the process of an execution is alive.

        Raises:
            StoreError: the id is no UUID.
        """
        return self._leases.is_alive(execution_id)

    def compact(self) -> tuple[int, int]:
        """Give the free space inside `data.mdb` back to the system. The store must not be in use by anybody else.

        Returns:
            bytes of the file before and after.

        Raises:
            StoreLocked: others have it open; names them.
            StoreUnavailable: there is no room for a copy, or the store cannot be written.
            StoreError: it is in memory.
        """
        if self.folder is None:
            raise StoreError("a store in memory cannot be compacted")
        if self.readonly:
            raise StoreUnavailable(f"store {str(self.folder)!r} is open for reading only: it cannot be compacted")
        from redun.store.compaction import compact

        source: LmdbSource = self.source  # type: ignore[assignment]
        source.drop()
        sizes = compact(source.environment())
        # Nothing that was known of the old file counts for the new one.
        source.close()
        self.source = _source(self.folder, False, self.exclusive)
        return sizes

    def clear_leases(self) -> None:
        """Delete what killed processes left of their leases."""
        self._leases.clear()

    def other_pids(self) -> list[int]:
        """List other processes that have this store open, as far as the system tells (Linux does, on local file systems)."""
        other_pids = getattr(self.source, "other_pids", None)
        return [] if other_pids is None else list(other_pids())

    def close(self) -> None:
        """Release everything; closing twice is fine."""
        self.source.close()
        if self._index is not None:
            self._index.close()
            self._index = None
        if self._index_folder is not None:
            import shutil

            shutil.rmtree(self._index_folder, ignore_errors=True)
            self._index_folder = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Shared(Store):
    """A store in memory that somebody else closes."""

    def close(self) -> None:
        """Leave it open."""


def _source(folder: Path, readonly: bool, exclusive: bool) -> LmdbSource:
    # Not at the top: stores in memory need no LMDB.
    from redun.store.sources.lmdb import LmdbSource

    return LmdbSource(folder, readonly=readonly, exclusive=exclusive)
