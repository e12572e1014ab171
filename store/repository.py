"""A store's folder: opened, checked, locked.

    <folder>/data.mdb lock.mdb   the database       blobs/   large objects       leases/   who is running
    <folder>/lock                shared by all who have it open; compaction will want it alone
    <folder>/exclusive           only on network file systems: host and pid of the one process that may use it
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType

from redun.store.errors import StoreLocked, StoreUnavailable
from redun.store.lease import Lease, is_alive
from redun.store.sources.base import Source

_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.glusterfs", "afs")
)


class Store:
    """An open store.

    Attributes:
        source: where objects, refs and memo are.
        folder: the store's folder, None in memory.
        readonly: True if nothing can be written, asked for or found so.
        exclusive: True if no other process may use it while it is open; `detected` tells that a network file system is why.
    """

    def __init__(self, source: Source, folder: Path | None, readonly: bool = False, exclusive: bool = False) -> None:
        self.source = source
        self.folder = folder
        self.readonly = readonly
        self.exclusive = exclusive
        self.detected = False
        self._lock: int | None = None
        self._index: Source | None = None
        self._index_folder: str | None = None

    @classmethod
    def open(cls, folder: Path, *, create: bool = True, readonly: bool = False, exclusive: bool | None = None) -> Store:
        """Open a store's folder.

        Args:
            create: make it if it is not there.
            readonly: do not write.
            exclusive: use it alone; None decides by the kind of file system.

        Raises:
            StoreUnavailable: it cannot be opened, or is no folder.
            StoreLocked: another process uses it alone.
            FormatTooNew: a newer redun wrote it.
        """
        from redun.store.sources.lmdb import LmdbSource

        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise StoreUnavailable(f"store {str(folder)!r} is a file, expected a folder: move it away or choose another --config folder")
        if not folder.is_dir():
            if not create or readonly:
                raise StoreUnavailable(f"there is no store at {str(folder)!r}: run `redun init` or a workflow first")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnavailable(f"cannot make store {str(folder)!r}: {error.strerror}: check who owns its parent") from error
        detected = exclusive is None and is_network(folder)
        readonly = readonly or not _writable(folder)
        store = cls.__new__(cls)
        cls.__init__(store, _Closed(), folder, readonly, bool(exclusive) or detected)
        store.detected = detected
        if store.exclusive and not readonly:
            _take_alone(folder / "exclusive")
        try:
            if not readonly:
                store._lock = _take_shared(folder / "lock")
            store.source = LmdbSource(folder, readonly=readonly)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def in_memory(cls) -> Store:
        """Return a store that is gone with the process."""
        from redun.store.sources.memory import MemorySource

        return cls(MemorySource(), None)

    def index_source(self) -> Source:
        """Return where derived tables may be written: the store itself, or a temporary place if it is read-only."""
        if not self.readonly:
            return self.source
        if self._index is None:
            from redun.store.sources.lmdb import LmdbSource

            self._index_folder = tempfile.mkdtemp(prefix="redun-index-")
            self._index = LmdbSource(Path(self._index_folder))
        return self._index

    def lease(self, execution_id: str) -> Lease:
        """Return the lease of a running execution, to be held while it runs."""
        return Lease(None if self.folder is None else self.folder / "leases", execution_id)

    def is_alive(self, execution_id: str) -> bool:
        """Tell whether the process of an execution is alive."""
        return is_alive(None if self.folder is None else self.folder / "leases", execution_id)

    def close(self) -> None:
        """Release everything; closing twice is fine."""
        self.source.close()
        if self._index is not None:
            self._index.close()
            self._index = None
        if self._index_folder is not None:
            shutil.rmtree(self._index_folder, ignore_errors=True)
            self._index_folder = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.exclusive and not self.readonly and self.folder is not None:
            _give_up_alone(self.folder / "exclusive")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Closed:
    """Stands for the source of a store that could not be opened."""

    def close(self) -> None:
        """Nothing to release."""

    def __getattr__(self, name: str) -> None:
        raise StoreUnavailable("the store is not open")


def _writable(folder: Path) -> bool:
    """Tell whether files can be written in a folder, by trying: permission bits say nothing to root or about a mount."""
    probe = folder / f"probe-{os.getpid()}-{time.monotonic_ns()}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        os.unlink(probe)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise StoreUnavailable(f"cannot write to store {str(folder)!r}: {error.strerror}: make room or check the disk") from error
    return True


def _take_shared(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StoreLocked(f"store {str(path.parent)!r} is being compacted by another process: wait for it and run again") from None
    return handle


def _take_alone(path: Path) -> None:
    """Take a network store for this process alone, by a file that states host and pid."""
    mine = f"{socket.gethostname()} {os.getpid()} {time.strftime('%Y-%m-%dT%H:%M:%S')}\n"
    for _ in range(2):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            host, pid, since = _read_holder(path)
            if host == socket.gethostname() and not _runs(pid):
                # Left behind by a process of this host that died.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                continue
            raise StoreLocked(
                f"store {str(path.parent)!r} is on a network file system and in use by process {pid} on {host!r} since {since}: "
                f"wait for it, or if it is dead remove {str(path)!r}"
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"cannot take store {str(path.parent)!r}: {error.strerror}") from error
        with os.fdopen(handle, "w") as file:
            file.write(mine)
        return
    raise StoreLocked(f"store {str(path.parent)!r} is being taken by another process at this moment: run again")


def _read_holder(path: Path) -> tuple[str, int, str]:
    try:
        host, pid, since = path.read_text().split()
        return host, int(pid), since
    except (OSError, ValueError):
        return "unknown", 0, "unknown"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return pid > 0


def _give_up_alone(path: Path) -> None:
    host, pid, _ = _read_holder(path)
    if host == socket.gethostname() and pid == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def is_network(folder: Path) -> bool:
    """Tell whether a folder lies on a network file system, where locks and shared maps cannot be trusted."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    return filesystem_type(os.path.realpath(folder), mounts) in _NETWORK


def filesystem_type(path: str, mounts: list[str]) -> str:
    """Return the type of the file system that holds `path`, from the lines of /proc/self/mountinfo."""
    best, kind = "", ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) < 5 or not rest:
            continue
        point = parts[4].encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind
