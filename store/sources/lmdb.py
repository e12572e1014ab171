"""The source on the machine: one LMDB environment, with large objects as files beside it.

Sub-databases: `objects`, `refs`, `reflog`, `memo`, `meta`, and one per derived table (`t_<name>`). Keys are bytewise, integers big-endian.

    objects   id (20)        -> 8-byte checksum | 0 | object bytes            stored here
                             -> 8-byte checksum | 1 | size (8) | xxh3 (8)     a file in blobs/
    memo      eval hash (20) -> 8-byte checksum | row
    refs      name           -> id (20)
    reflog    seq (8)        -> msgpack [name, old, new, time, message]

Rules learned by experiment (see docs/reliability of the design): one environment per process and path, opened again after a fork; `sync` always
on; never `writemap`; write transactions only on the thread that calls `commit`; retry when the map is full or was resized by another
process; readers that died are cleared at open.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import msgpack

from redun.store.blobs import BLOB_ABOVE, Blobs
from redun.store.errors import (
    DamagedObject,
    FormatTooNew,
    MissingLinks,
    ObjectNotFound,
    RefConflict,
    StoreError,
    StoreUnavailable,
)
from redun.store.ids import checksum
from redun.store.refs import check_ref_name
from redun.store.sources.base import Batch, ReflogEntry

STORE_FORMAT = 1
_MAP_SIZES = (1 << 40, 1 << 36, 1 << 33, 1 << 31, 1 << 28)
_MAX_TABLES = 24
_CHECKSUM = 8
_HERE, _IN_BLOB = b"\x00", b"\x01"

T = TypeVar("T")


class _Shared:
    """An open environment, shared by all sources of this process on the same folder: LMDB forbids opening it twice."""

    def __init__(self, env: Any, pid: int) -> None:
        self.env = env
        self.pid = pid
        self.users = 0
        self.databases: dict[str, Any] = {}


_open_environments: dict[str, _Shared] = {}
_opening = threading.Lock()


class LmdbSource:
    """Implements `redun.store.sources.base.Source` on a folder.

    Args:
        path: the folder that holds `data.mdb`; made if it is not there.
        readonly: open without being able to write.

    Raises:
        StoreUnavailable: the folder cannot be opened, read or written.
        FormatTooNew: a newer redun wrote it.
        StoreError: `data.mdb` is no LMDB database.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = Path(path)
        self._key = os.path.realpath(path)
        self._readonly = readonly
        self._blobs = Blobs(self._path / "blobs")
        self._closed = False
        self._txn: Any = None
        self._attach()

    # Opening.

    def _attach(self) -> None:
        with _opening:
            shared = _open_environments.get(self._key)
            if shared is None or shared.pid != os.getpid():
                # After a fork the parent's environment must not even be closed: just forget it.
                shared = _open_environments[self._key] = _Shared(self._open(), os.getpid())
            shared.users += 1
        self._shared = shared
        self._env = shared.env
        self._pid = shared.pid
        self._txn = None
        try:
            self._check_format()
            self._objects = self._database("objects")
            self._memo = self._database("memo")
            self._refs = self._database("refs")
            self._reflog = self._database("reflog")
        except BaseException:
            self.close()
            raise

    def _open(self) -> Any:
        try:
            if not self._readonly:
                self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unavailable("make", error) from error
        last: Exception | None = None
        for size in _MAP_SIZES:
            try:
                env = lmdb.open(
                    str(self._path),
                    map_size=size,
                    max_dbs=_MAX_TABLES + 8,
                    max_readers=1024,
                    readonly=self._readonly,
                    create=not self._readonly,
                    readahead=True,
                    sync=True,
                    metasync=True,
                )
            except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
                raise StoreError(
                    f"{str(self._path / 'data.mdb')!r} is not a redun store, or is damaged ({error}): move it away, or restore a copy"
                ) from error
            except (lmdb.MemoryError, MemoryError) as error:
                last = error
                continue
            except lmdb.Error as error:
                if _errno(error) == errno.ENOMEM:
                    last = error
                    continue
                raise self._unavailable("open", error) from error
            env.reader_check()
            return env
        raise self._unavailable("open", last or OSError("no address space"))

    def _database(self, name: str) -> Any:
        found = self._shared.databases.get(name)
        if found is None:
            try:
                found = self._env.open_db(name.encode(), create=not self._readonly)
            except lmdb.NotFoundError:
                return None
            except lmdb.ReadonlyError:
                return None
            except lmdb.Error as error:
                raise self._unavailable("open", error) from error
            self._shared.databases[name] = found
        return found

    def _check_format(self) -> None:
        meta = self._database("meta")
        if meta is None:
            return
        with self._env.begin(db=meta) as txn:
            row = txn.get(b"format")
        if row is None:
            if not self._readonly:
                self._write(lambda txn: txn.put(b"format", str(STORE_FORMAT).encode(), db=meta, overwrite=False))
            return
        try:
            found = int(row)
        except ValueError:
            raise StoreError(f"store {str(self._path)!r} has an unreadable format version {row!r}: it is damaged") from None
        if found > STORE_FORMAT:
            raise FormatTooNew(
                f"store {str(self._path)!r} has format {found}, this redun reads up to {STORE_FORMAT}: upgrade redun to use it"
            )

    # Transactions.

    def _here(self) -> Any:
        """The read transaction that reads share until `refresh`."""
        if self._pid != os.getpid():
            self._attach()
        txn = self._txn
        if txn is None:
            try:
                txn = self._txn = self._env.begin(buffers=False)
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)
                txn = self._txn = self._env.begin(buffers=False)
        return txn

    def refresh(self) -> None:
        """See `Source.refresh`."""
        txn = self._txn
        if txn is not None:
            self._txn = None
            if self._pid == os.getpid():
                txn.abort()

    def _write(self, work: Callable[[Any], T]) -> T:
        """Run `work` in a write transaction, again if the map has to grow; all or nothing."""
        if self._pid != os.getpid():
            self._attach()
        if self._readonly:
            raise StoreUnavailable(f"store {str(self._path)!r} is read-only: nothing can be written to it")
        for _ in range(8):
            try:
                with self._env.begin(write=True) as txn:
                    return work(txn)
            except lmdb.MapFullError:
                self._env.set_mapsize(self._env.info()["map_size"] * 2)
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)
            except (lmdb.Error, OSError) as error:
                raise self._unavailable("write", error) from error
        raise StoreUnavailable(f"store {str(self._path)!r} is full: its address space cannot grow any more")

    def _unavailable(self, action: str, error: Exception) -> StoreUnavailable:
        code = _errno(error)
        place = str(self._path)
        if code == errno.ENOSPC:
            hint = f"{_free(self._path)} are free there; make room and run again, what was committed is safe"
        elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "check who owns it and whether the file system is read-only, or choose another folder with --config"
        elif code == errno.EIO:
            hint = "the disk reports an input/output error: check it; what was committed before is safe"
        else:
            hint = "check the folder and the disk"
        reason = os.strerror(code) if code else str(error)
        made = StoreUnavailable(f"cannot {action} store {place!r}: {reason}: {hint}")
        made.errno = code
        return made

    # Reading.

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`."""
        row = self._here().get(oid, db=self._objects) if self._objects is not None else None
        if row is None:
            raise ObjectNotFound(oid)
        content: bytes = row[_CHECKSUM:]
        if checksum(content) != row[:_CHECKSUM]:
            raise DamagedObject(f"object {oid.hex()} in store {str(self._path)!r} does not match its checksum")
        if content[:1] == _HERE:
            return content[1:]
        size = int.from_bytes(content[1:9], "big")
        return self._blobs.read(oid, size, content[9:17])

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`."""
        return self._objects is not None and self._here().get(oid, db=self._objects) is not None

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """See `Source.memo_get`."""
        row = self._here().get(eval_hash, db=self._memo) if self._memo is not None else None
        if row is None:
            return None
        content: bytes = row[_CHECKSUM:]
        return content if checksum(content) == row[:_CHECKSUM] else None

    def read_ref(self, name: str) -> bytes | None:
        """See `Source.read_ref`."""
        if self._refs is None:
            return None
        found: bytes | None = self._here().get(name.encode(), db=self._refs)
        return found

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """See `Source.refs`."""
        return [(key.decode(), value) for key, value in self._scan(self._refs, prefix.encode())]

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """See `Source.reflog`."""
        for key, value in self._scan(self._reflog, b"", (after + 1).to_bytes(8, "big")):
            yield ReflogEntry(int.from_bytes(key, "big"), *msgpack.unpackb(value))

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """See `Source.find`."""
        digits = hex_prefix.lower()
        try:
            start = bytes.fromhex(digits + "0" * (len(digits) % 2))
        except ValueError:
            return []
        found: list[bytes] = []
        for key in self._keys(start):
            if len(found) == limit or not key.hex().startswith(digits):
                break
            found.append(key)
        return found

    def ids(self) -> Iterator[bytes]:
        """See `Source.ids`."""
        return self._keys(b"")

    def _keys(self, start: bytes) -> Iterator[bytes]:
        if self._objects is None:
            return
        with self._env.begin() as txn, txn.cursor(db=self._objects) as cursor:
            if cursor.set_range(start):
                yield from cursor.iternext(keys=True, values=False)

    def _scan(
        self, database: Any, prefix: bytes, start: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if database is None:
            return
        if self._pid != os.getpid():
            self._attach()
        with self._env.begin() as txn, txn.cursor(db=database) as cursor:
            if reverse:
                rows = _backwards(cursor, prefix, start)
            else:
                found = cursor.set_range(max(prefix, start or b"")) if prefix or start else cursor.first()
                rows = cursor.iternext() if found else iter(())
            for key, value in rows:
                if not key.startswith(prefix):
                    break
                yield key, value

    # Writing.

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`."""
        rows: list[tuple[bytes, bytes]] = []
        large: list[bytes] = []
        for oid, data in batch.objects.items():
            if len(data) <= BLOB_ABOVE:
                content = _HERE + data
            else:
                try:
                    self._blobs.write(oid, data)
                except OSError as error:
                    raise self._unavailable("write a blob to", error) from error
                large.append(oid)
                content = _IN_BLOB + len(data).to_bytes(8, "big") + checksum(data)
            rows.append((oid, checksum(content) + content))
        rows.sort()
        memo = sorted([(key, checksum(row) + row) for key, row in batch.memo.items()])
        for update in batch.refs:
            check_ref_name(update.name)

        def work(txn: Any) -> None:
            self._check_links(txn, batch)
            for oid in large:
                if not self._blobs.exists(oid):
                    # Swept between our write and this transaction, in which no sweep can run.
                    self._blobs.write(oid, batch.objects[oid])
            if rows:
                txn.cursor(db=self._objects).putmulti(rows, dupdata=False, overwrite=False)
            if memo:
                txn.cursor(db=self._memo).putmulti(memo, dupdata=False, overwrite=True)
            self._move_refs(txn, batch)

        self._write(work)
        self.refresh()

    def _check_links(self, txn: Any, batch: Batch) -> None:
        get = txn.cursor(db=self._objects).set_key
        missing = frozenset([oid for oid in sorted(batch.links) if not get(oid) and oid not in batch.objects])
        if missing:
            raise MissingLinks(missing)

    def _move_refs(self, txn: Any, batch: Batch) -> None:
        if not batch.refs:
            return
        log = txn.cursor(db=self._reflog)
        seq = int.from_bytes(log.key(), "big") if log.last() else 0
        now = time.time_ns() // 1000
        for update in batch.refs:
            key = update.name.encode()
            found = txn.get(key, db=self._refs)
            if found != update.old:
                raise RefConflict.between(update.name, update.old, found)
            if update.new is None:
                txn.delete(key, db=self._refs)
            else:
                txn.put(key, update.new, db=self._refs)
            seq += 1
            entry = msgpack.packb([update.name, update.old, update.new, now, update.message])
            txn.put(seq.to_bytes(8, "big"), entry, db=self._reflog, append=True)

    def table(self, name: str) -> LmdbTable:
        """See `Source.table`."""
        return LmdbTable(self, f"t_{name}")

    def close(self) -> None:
        """See `Source.close`."""
        if self._closed:
            return
        self._closed = True
        self.refresh()
        with _opening:
            shared = self._shared
            shared.users -= 1
            if shared.users == 0 and shared.pid == os.getpid():
                _open_environments.pop(self._key, None)
                shared.env.close()


class LmdbTable:
    """A derived table of an `LmdbSource`."""

    def __init__(self, source: LmdbSource, name: str) -> None:
        self._source = source
        self._name = name

    def get(self, key: bytes) -> bytes | None:
        """See `Table.get`."""
        database = self._source._database(self._name)
        found: bytes | None = None if database is None else self._source._here().get(key, db=database)
        return found

    def put_many(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_many`."""
        ordered = sorted(dict(rows).items())
        database = self._source._database(self._name)
        self._source._write(lambda txn: txn.cursor(db=database).putmulti(ordered, dupdata=False, overwrite=True))
        self._source.refresh()

    def scan(self, prefix: bytes = b"", *, start: bytes | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See `Table.scan`."""
        return self._source._scan(self._source._database(self._name), prefix, start, reverse)

    def clear(self) -> None:
        """See `Table.clear`."""
        database = self._source._database(self._name)
        if database is not None:
            self._source._write(lambda txn: txn.drop(database, delete=False))
            self._source.refresh()


def _backwards(cursor: Any, prefix: bytes, start: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows at and before `start` (or the last row of the prefix), backwards."""
    after = _after(prefix)
    if start is not None and (after is None or start < after):
        found = cursor.set_range(start) and (cursor.key() == start or cursor.prev() or False)
        if not found and not cursor.key():
            found = cursor.last()
    elif after is None:
        found = cursor.last()
    else:
        found = cursor.prev() if cursor.set_range(after) else cursor.last()
    return iter(cursor.iterprev()) if found else iter(())


def _after(prefix: bytes) -> bytes | None:
    """The first key behind all that begin with a prefix; None if there is no such key."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def _errno(error: Exception) -> int | None:
    code = getattr(error, "errno", None)
    if isinstance(code, int):
        return code
    # py-lmdb names the system's reason only in its text.
    text = str(error)
    return next((code for code in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.EPERM) if os.strerror(code) in text), None)


def _free(path: Path) -> str:
    try:
        status = os.statvfs(path)
    except OSError:
        return "unknown amounts"
    return f"{status.f_bavail * status.f_frsize / 1e6:.1f} MB"


