"""LMDB environments of this process: opened, checked, shared, written, and opened again after a fork.

What LMDB demands, and what experiments taught on top:

- **A process opens a path once.** Twice breaks its locks (and py-lmdb 3 refuses). So sources on one folder share an
  `Environment`, by reference count; that is the one piece of module state here.
- **A forked child must not touch what it inherited.** Even `close()` there wipes the parent's entries in the table of readers,
  whose pages are then recycled under its feet. What is safe is to drop every reference (py-lmdb sees that the pid changed), so
  each holder of a transaction registers, and the handler for forks makes all of them let go; the next use opens anew.
- **Opening a table in a read transaction does not last**, so tables are opened in write transactions, under our own lock.
- **`sync=True`, never `writemap`.** `metasync=False` loses the last commit in a power cut, `sync=False` corrupts, `writemap`
  turns a full disk into SIGBUS.
- **The map is 1 TiB**, less where address space is limited; it then grows when it is full, and follows when another process
  made it grow. No transaction of this process may be open then, so all are dropped (an unfinished scan says so).

More than 500 lines, since opening, growing, writing and forking share the one environment and are only right together.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import lmdb

from redun.store.disk import error_code, free_bytes, nobody_writes, unavailable, without_room
from redun.store.errors import DamagedStore, SamePid, StoreError, StoreLocked, StoreUnavailable
from redun.store.file_check import check_head, check_pages
from redun.store.locks import FolderLock
from redun.store.sources.checks import MAX_TABLES
from redun.store.upgrades import STORE_FORMAT, read_format, upgrade, write_format

if TYPE_CHECKING:
    from redun.store.exclusive import ExclusiveLock

BASE_TABLES = ("meta", "objects", "memo", "refs", "reflog", "dropped")
MAP_BYTES = 1 << 40
SMALLER_MAPS = (1 << 36, 1 << 33, 1 << 31, 1 << 29, 1 << 27)
MAX_READERS = 1024
DAMAGE = (
    *(lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.BadTxnError),
    *(lmdb.CursorFullError, lmdb.PageFullError, lmdb.BadDbiError),
)
"""What LMDB reports when its pages contradict one another; a transaction that met it once is of no more use."""


class Holder(Protocol):
    """Whoever keeps a transaction open between calls."""

    def drop(self) -> None:
        """End the transaction; another one may be begun later."""

    def forget(self) -> None:
        """Let go of everything that refers to the environment, without ending it: it is the parent's."""


class Environment:
    """An open LMDB environment; made by `acquire` only.

    Attributes:
        folder, readonly: as it was opened.
        format: the store's; an older one than the present only if it cannot be written.
        forgotten: True in a forked child; whoever holds it must `acquire` another.
        opened: how many tables were opened after the environment was; a snapshot does not know those that came later.
        can_pin: False if LMDB works without its table of readers, so that a snapshot does not survive our own commits.
    """

    def __init__(self, folder: Path, readonly: bool, exclusive: bool, timeout_s: float, map_bytes: int) -> None:
        self.folder = folder
        self.readonly = readonly
        self.exclusive = exclusive
        self.format = STORE_FORMAT
        self.forgotten = False
        self.can_pin = True
        self.users = 0
        self.opened = 0
        self.holders: weakref.WeakSet[Any] = weakref.WeakSet()
        self._env: Any = None
        self._tables: dict[str, Any] = {}
        # Why nothing more is written by this process; and what the last write failed with, if it failed.
        self._failed = ""
        self._last_failure = ""
        self._alone: ExclusiveLock | None = None
        if exclusive and not readonly:
            from redun.store.exclusive import ExclusiveLock

            self._alone = ExclusiveLock(folder)
        self._lock: FolderLock | None = None
        try:
            self._lock = FolderLock(folder, readonly=readonly, timeout_s=timeout_s, trusted=not exclusive)
            self._check_file()
            self._env = self._open(map_bytes)
            # Nobody can have replaced it since: we hold the lock shared.
            self._inode = os.stat(folder / "data.mdb").st_ino
            self._check_size()
            self._open_tables()
        except BaseException:
            self.close()
            raise

    # Opening.

    def _open(self, map_bytes: int) -> Any:
        last: Exception = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        for size in (map_bytes, *[smaller for smaller in SMALLER_MAPS if smaller < map_bytes]):
            try:
                return self._open_map(size)
            except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
                raise self._foreign(str(error).rpartition(": ")[2]) from error
            except (lmdb.Error, MemoryError, OSError) as error:
                if error_code(error) == errno.EAGAIN and not self.exclusive:
                    raise SamePid(
                        f"store {str(self.folder)!r} is open in another container, by a process that has pid {os.getpid()} there as this "
                        "one has here, and its database tells processes by their pids: run again in a container that shares the host's "
                        "pids (docker run --pid=host), or as a child of another process"
                    ) from error
                if not isinstance(error, MemoryError | lmdb.MemoryError) and error_code(error) not in (
                    errno.ENOMEM,
                    errno.EINVAL,
                ):
                    raise unavailable("open store", self.folder, error) from error
                last = error
        raise unavailable("map store", self.folder, last) from last

    def _open_map(self, size: int) -> Any:
        options: dict[str, Any] = {
            "map_size": size,
            "max_dbs": MAX_TABLES + len(BASE_TABLES) + 1,
            "max_readers": MAX_READERS,
            # py-lmdb ends the spare ones in a forked child too, and with them the parent's entries in the table of readers.
            "max_spare_txns": 0,
            "readonly": self.readonly,
            "create": not self.readonly,
            "mode": 0o777,  # less the umask
        }
        try:
            return lmdb.open(str(self.folder), **options)
        except lmdb.Error as error:
            # A file that nobody may write needs no table of readers; nor does one that is ours alone.
            alone = self.exclusive and error_code(error) not in (errno.ENOMEM, errno.ENOSPC, errno.EACCES, errno.EROFS)
            if not alone and not (self.readonly and nobody_writes(self.folder / "data.mdb")):
                raise
        self.can_pin = self.readonly
        return lmdb.open(str(self.folder), lock=False, **options)

    def _check_file(self) -> None:
        """Make the file, or look at what LMDB would believe: its heads, and all pages if the last writer did not come to its end."""
        lock, data = self._lock, self.folder / "data.mdb"
        if lock is None:
            return
        if not data.exists():
            if not self.readonly:
                lock.acquire()
                try:
                    if not data.exists():
                        from redun.store.creation import create

                        create(self.folder, BASE_TABLES, MAX_TABLES + len(BASE_TABLES) + 1)
                finally:
                    lock.release()
            return
        wrong = check_head(data)
        if wrong is None and not self.readonly and lock.died_writing():
            lock.acquire()
            try:
                wrong = check_pages(data)
            finally:
                lock.release()
        if wrong is not None:
            raise DamagedStore.at(self.folder, wrong)

    def _check_size(self) -> None:
        # LMDB trusts its header; reading behind the end of a file that was cut would be a bus error.
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        found = os.stat(self.folder / "data.mdb").st_size
        if found < needed:
            raise DamagedStore.at(self.folder, f"data.mdb has {found} bytes, its header says {needed}: it was cut short")

    def _foreign(self, why: str) -> StoreError:
        return StoreError(
            f"{str(self.folder / 'data.mdb')!r} is not a redun store, or is damaged ({why}): move it away if it is another program's; else "
            "'redun fsck --repair' saves what can be read"
        )

    def _open_tables(self) -> None:
        if self.readonly:
            with self._env.begin() as txn:
                names = list(txn.cursor().iternext(keys=True, values=False))
            self._tables = {name.decode(errors="replace"): self._open_db(name, create=False) for name in names}
            with self._env.begin() as txn:
                self.format = self._read_format(txn, fresh=not names)
            return
        self._env.reader_check()

        def work(txn: Any) -> dict[str, Any]:
            names = list(txn.cursor().iternext(keys=True, values=False))
            if names and b"meta" not in names:
                raise self._foreign(f"it holds {names[0]!r}")
            self._tables["meta"] = self._open_db(b"meta", create=not names, txn=txn)
            self.format = self._read_format(txn, fresh=not names)
            wanted = {*names, *[name.encode() for name in BASE_TABLES]}
            return {name.decode(): self._open_db(name, create=name not in names, txn=txn) for name in sorted(wanted)}

        try:
            self._tables = self.write(work)
            if self.format < STORE_FORMAT and self._lock is not None:
                with self._lock.alone(f"be upgraded from format {self.format} to {STORE_FORMAT}"):
                    with self._env.begin() as txn:
                        # Another process may have been quicker.
                        self.format = self._read_format(txn, fresh=False)
                    upgrade(self.write, self._tables, self.format)
                    self.format = STORE_FORMAT
        except lmdb.Error as error:
            raise unavailable("open store", self.folder, error) from error

    def _open_db(self, name: bytes, create: bool, txn: Any = None) -> Any:
        try:
            return self._env.open_db(name, create=create, txn=txn)
        except (lmdb.IncompatibleError, lmdb.InvalidError, lmdb.CorruptedError) as error:
            raise self._foreign(f"{name!r} in it is no table") from error
        except lmdb.DbsFullError as error:
            raise StoreError(f"store {str(self.folder)!r} has more than {MAX_TABLES} tables") from error

    def _read_format(self, txn: Any, fresh: bool) -> int:
        meta = self._tables.get("meta")
        found = read_format(txn, meta, self.folder)
        if found is None and not fresh:
            raise self._foreign("it states no format")
        if found is None and not self.readonly:
            write_format(txn, meta)
        return STORE_FORMAT if found is None else found

    # Tables and transactions.

    def table(self, name: str, create: bool = False) -> Any:
        """Return LMDB's handle of a table, None if there is no such table. It holds for transactions begun from now on.

        Raises:
            StoreError: too many tables; StoreUnavailable, StoreLocked: as `write`.
        """
        found = self._tables.get(name)
        if found is not None:
            return found
        encoded = name.encode()
        if not create:
            with self.begin() as txn:
                if not txn.cursor().set_key(encoded):
                    return None
        if self.readonly:
            found = self._open_db(encoded, create=False)
        else:
            found = self.write(lambda txn: self._open_db(encoded, create=create, txn=txn))
        self._tables[name] = found
        self.opened += 1
        return found

    def tables(self) -> list[str]:
        """List the names of all tables."""
        with self.begin() as txn:
            return [key.decode() for key in txn.cursor().iternext(keys=True, values=False)]

    def meta(self, key: bytes) -> bytes | None:
        """Return a row of the table `meta`."""
        with self.begin() as txn:
            row: bytes | None = txn.get(key, db=self._tables["meta"])
            return row

    def last_transaction(self) -> int:
        """Return the number of the last transaction that was committed, by whatever process."""
        number: int = self._env.info()["last_txnid"]
        return number

    def begin(self, db: Any = None, buffers: bool = False) -> Any:
        """Begin a read transaction, with `db` as its default table.

        Args:
            buffers: rows come as views of the map, valid until the transaction ends.

        Raises:
            StoreUnavailable: LMDB cannot.
        """
        for attempt in range(4):
            try:
                return self._env.begin(db=db, buffers=buffers)
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.ReadersFullError as error:
                if attempt or not self._env.reader_check():
                    raise StoreUnavailable(f"store {str(self.folder)!r} has {MAX_READERS} readers: end some of them") from error
            except lmdb.Error as error:
                raise unavailable("read store", self.folder, error) from error
        raise StoreUnavailable(f"store {str(self.folder)!r} grows faster than it can be mapped: run again")

    def write(self, work: Callable[[Any], Any], wanted_bytes: int = 0) -> Any:
        """Run `work(txn)` in a write transaction, durable when this returns; all or nothing.

        `work` runs again if the map had to grow. Nothing of it may call `write`.

        Args:
            wanted_bytes: about how much it writes, for a message.

        Returns:
            What `work` returned.

        Raises:
            StoreUnavailable: the disk does not take it; the store is as before.
            StoreLocked: another process writes and does not end.
        """
        lock = self._lock
        if self.readonly or lock is None:
            raise StoreUnavailable(f"store {str(self.folder)!r} is open for reading only: nothing can be written to it")
        if self._failed:
            raise StoreUnavailable(self._failed)
        lock.acquire()
        try:
            while True:
                try:
                    result = self._write_once(work)
                    self._last_failure = ""
                    return result
                except lmdb.MapFullError:
                    self._grow(wanted_bytes)
                except lmdb.MapResizedError:
                    self._resize(0)
        except DAMAGE as error:
            raise DamagedStore.at(self.folder, f"what was to be written does not fit its pages ({error})") from error
        except (lmdb.Error, MemoryError) as error:
            cause = without_room(error, self.folder, wanted_bytes)
            made = unavailable("write to store", self.folder, cause, wanted_bytes)
            if isinstance(error, lmdb.PanicError) and self._last_failure:
                # LMDB only says that it has given up; why was said by the write before.
                made = StoreUnavailable(self._last_failure)
            self._last_failure = str(made)
            if error_code(cause) == errno.EIO or isinstance(error, lmdb.PanicError):
                # What a failed fsync left in the system's cache cannot be trusted: nothing more is written by this process.
                self._failed = str(made)
            raise made from error
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            # Of a file beside the database.
            raise unavailable("change", Path(error.filename or self.folder), error, wanted_bytes) from error
        finally:
            lock.release()

    def _write_once(self, work: Callable[[Any], Any]) -> Any:
        txn = self._env.begin(write=True)
        try:
            result = work(txn)
            txn.commit()
        except BaseException:
            with contextlib.suppress(lmdb.Error):
                txn.abort()
            raise
        return result

    def _grow(self, wanted_bytes: int) -> None:
        size = self._env.info()["map_size"] * 2
        free = free_bytes(self.folder)
        if free is not None and size > MAP_BYTES and free < wanted_bytes:
            raise unavailable("write to store", self.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), wanted_bytes)
        try:
            self._resize(size)
        except (lmdb.Error, MemoryError) as error:
            raise unavailable("map more of store", self.folder, error, wanted_bytes) from error

    def _resize(self, size: int) -> None:
        for holder in list(self.holders):
            holder.drop()
        self._env.set_mapsize(size)

    # Others.

    def lock(self) -> FolderLock:
        """Return the store's lock file."""
        return self._lock  # type: ignore[return-value]

    def oldest_reader(self) -> tuple[int, int] | None:
        """Return number of the state and pid of the process that reads the oldest state of the store, None if nobody reads."""
        found = []
        for line in self._env.readers().splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[0].isdigit() and fields[2].isdigit():
                found.append((int(fields[2]), int(fields[0])))
        return min(found, default=None)

    def alone(self, purpose: str) -> AbstractContextManager[None]:
        """Return a context in which no other process has the store open. Raises StoreLocked when entered if one has."""
        return nullcontext() if self._lock is None else self._lock.alone(purpose)

    def is_current(self) -> bool:
        """Tell whether `data.mdb` is still the file that is open here."""
        return self._inode == os.stat(self.folder / "data.mdb").st_ino

    def used_bytes(self) -> int:
        """Return the bytes of the pages in use, those of LMDB's list of free pages aside."""
        names = [None, *self.tables()]
        for name in names[1:]:
            self.table(str(name))
        page: int = self._env.stat()["psize"]
        pages = 2
        with self.begin() as txn:
            for name in names:
                stat = self._env.stat() if name is None else txn.stat(self._tables[str(name)])
                pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * page

    def copy(self, path: Path) -> None:
        """Write the database to a new file without its free pages, durable when this returns.

        Raises:
            OSError: disk full, ...
        """
        with open(path, "xb") as file:
            try:
                self._env.copyfd(file.fileno(), compact=True)
            except lmdb.Error as error:
                raise unavailable("write a copy of store", self.folder, error, self.used_bytes()) from error
            file.flush()
            os.fsync(file.fileno())

    def check_readers(self) -> None:
        """Clear what died readers left in LMDB's table of them."""
        with contextlib.suppress(lmdb.Error):
            self._env.reader_check()

    def other_pids(self) -> list[int]:
        """List processes that have the store open, as far as the system tells."""
        return [] if self._lock is None else self._lock.holders()

    def forget(self) -> None:
        """Let go of everything, in a forked child."""
        self.forgotten = True
        for holder in list(self.holders):
            holder.forget()
        self._tables = {}
        self._env = None
        self._alone = None
        if self._lock is not None:
            self._lock.forget()

    def close(self) -> None:
        """Release everything."""
        for holder in list(self.holders):
            holder.drop()
        self._tables = {}
        if self._env is not None:
            self._env.close()
            self._env = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._alone is not None:
            self._alone.close()
            self._alone = None


_open: dict[str, Environment] = {}
_guard = threading.Lock()


def acquire(folder: Path, *, readonly: bool, exclusive: bool, timeout_s: float, map_bytes: int) -> Environment:
    """Return this process's environment on a folder, opening it if it is not open; `release` it once.

    Raises:
        StoreUnavailable, StoreLocked, FormatTooNew: see `LmdbSource`.
        StoreError: what is there is no store.
    """
    key = os.path.realpath(folder)
    with _guard:
        found = _open.get(key)
        if found is None:
            found = _open[key] = Environment(folder, readonly, exclusive, timeout_s, map_bytes)
        elif found.readonly and not readonly:
            raise StoreLocked(f"store {str(folder)!r} is already open in this process, for reading only: close that first")
        found.users += 1
        return found


def release(environment: Environment) -> None:
    """Give an environment back; the last one closes it."""
    with _guard:
        if environment.forgotten:
            return
        environment.users -= 1
        if environment.users == 0:
            _open.pop(os.path.realpath(environment.folder), None)
            environment.close()


def opened_here(folder: Path) -> Environment | None:
    """Return this process's open environment on a folder, None if there is none."""
    with _guard:
        return _open.get(os.path.realpath(folder))


def _after_fork() -> None:
    global _guard
    _guard = threading.Lock()
    inherited = list(_open.values())
    _open.clear()
    for environment in inherited:
        environment.forget()


os.register_at_fork(after_in_child=_after_fork)
