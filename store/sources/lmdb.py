"""The source on the machine: one LMDB environment, with large objects as files beside it.

Tables, all with bytewise keys, integers big-endian (rows: `redun.store.rows`):

    objects   id (20)        -> the object, or size and checksum of its file in blobs/
    memo      eval hash (20) -> row of whoever commits
    refs      name           -> id (20)
    reflog    seq (8)        -> [name, old, new, time, message]
    meta      "format"       -> version of all this, decimal
    t_<name>                    derived tables

**Cost.** A commit of a thousand jobs is one putmulti per table in key order, about 4 us per job with its fsync's own CPU;
`get`, `contains` and `memo_get` are one lookup in a shared read transaction, well under 1 us. So they use bound methods kept
from the beginning of the snapshot, and no layer in between.

**Links** are re-checked inside the write transaction. Ids that this source itself saw there in its last commit are still there
if nobody has written since, which LMDB's transaction number tells; only the others are looked up.

**Healing.** An object found damaged counts as absent from then on (`contains`, links). When it is put again what was found goes into
the quarantine. Where the pages of the tables themselves are damaged, a lookup finds nothing, and a commit that meets them refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb
from xxhash import xxh3_64_digest

from redun.store.blobs import Blobs
from redun.store.disk import unavailable
from redun.store.errors import DamagedObject, ObjectNotFound, StoreUnavailable
from redun.store.ids import Pieces
from redun.store.objects import HEADER_BYTES
from redun.store.quarantine import Quarantine
from redun.store.reach import links_in
from redun.store.rows import (
    HERE,
    HERE_BYTE,
    OBJECT_START,
    BlobPointer,
    Staged,
    blob_pointer,
    unguarded,
)
from redun.store.sources import lmdb_away, lmdb_names
from redun.store.sources.base import Batch, ReflogEntry
from redun.store.sources.checks import check_batch, check_table_name
from redun.store.sources.environment import DAMAGE, MAP_BYTES, Environment, acquire, release
from redun.store.sources.lmdb_commit import Commits
from redun.store.sources.lmdb_table import LmdbTable, scan


class LmdbSource:
    """Implements `redun.store.sources.base.Source` on a folder. One thread at a time; it may be carried over a fork.

    Args:
        path: the folder that holds `data.mdb`; made if it is not there.
        readonly: open without being able to write.
        exclusive: no other process may have it open (network file systems).
        lock_timeout_s: how long a commit waits for another writer.
        map_size_bytes: address space to reserve; less is taken where that much is not to be had.

    Raises:
        StoreUnavailable: the folder cannot be opened, read or written.
        StoreLocked: another process uses it alone.
        FormatTooNew: a newer redun wrote it.
        StoreError: `data.mdb` is no redun store.
    """

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        exclusive: bool = False,
        lock_timeout_s: float = 60.0,
        map_size_bytes: int = MAP_BYTES,
    ) -> None:
        self._path = self.folder = Path(path)
        self._readonly = readonly
        self._options: dict[str, Any] = {
            "readonly": readonly,
            "exclusive": exclusive,
            "timeout_s": lock_timeout_s,
            "map_bytes": map_size_bytes,
        }
        self.blobs = Blobs(self._path / "blobs")
        self.quarantine = Quarantine(self._path)
        self._closed = False
        # Fetches an object that is in a remote, and tells whether it could.
        self.elsewhere: Callable[[bytes], bool] | None = None
        self.damaged: set[bytes] = set()
        if not readonly:
            try:
                self._path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unavailable("make store", self._path, error) from error
        elif not (self._path / "data.mdb").exists():
            raise StoreUnavailable(f"there is no store at {str(self._path)!r}: nothing was ever written there")
        self._environment: Environment = acquire(self._path, **self._options)
        self.forget()
        self._commits = Commits(self, self._environment)

    # The snapshot that reads share.

    def forget(self) -> None:
        """Let go of the snapshot without ending it; see `redun.store.sources.environment.Holder`."""
        self._txn: Any = None
        self._held: Any = None
        self._row_of: Callable[[bytes], bytes | None] | None = None
        self._memo_db: Any = None
        self._opened = -1

    def drop(self) -> None:
        """End the snapshot, and what is held; the next read begins another."""
        self.refresh()
        self.let_go()

    def refresh(self) -> None:
        """See `Source.refresh`."""
        txn, held = self._txn, self._held
        if txn is not None:
            self.forget()
            self._held = held
            txn.abort()

    def moment(self) -> int:
        """See `Source.moment`: the number of LMDB's last transaction. About 3 us."""
        return self.environment().last_transaction()

    def hold(self) -> None:
        """See `Source.hold`: a read transaction that nobody reads from, for LMDB's table of readers to show."""
        if self._held is None:
            self.refresh()
            environment = self.environment()
            self._held = environment.begin()
            environment.holders.add(self)

    @property
    def holds(self) -> bool:
        """True between `hold` and `let_go`."""
        return self._held is not None

    def hold_anew(self, key: bytes, row: bytes | None) -> None:
        """Hold the state of now in place of an older one, if this row of table `meta` is still the same: nothing has been swept."""
        environment = self.environment()
        fresh = environment.begin()
        if fresh.get(key, db=environment.table("meta")) == row:
            self.let_go()
            self._held = fresh
            environment.holders.add(self)
        else:
            fresh.abort()

    def let_go(self) -> None:
        """See `Source.let_go`."""
        held, self._held = self._held, None
        if held is not None:
            held.abort()

    def give_back(self) -> None:
        """See `Source.give_back`."""
        self._commits.resident.trim()

    def environment(self) -> Environment:
        """Return the open environment of this process, opening it again after a fork."""
        if self._environment.forgotten:
            self._commits.forget()
            self._environment = acquire(self._path, **self._options)
        if self._closed:
            raise StoreUnavailable(f"store {str(self._path)!r} was closed")
        return self._environment

    def snapshot(self) -> Any:
        """Return the read transaction that reads share until `refresh` or the next commit."""
        txn = self._txn
        if txn is None:
            environment = self.environment()
            objects = environment.table("objects")
            self._memo_db = environment.table("memo")
            txn = self._txn = environment.begin(db=objects)
            self._opened = environment.opened
            self._row_of = txn.get if objects is not None else lambda oid: None
            environment.holders.add(self)
        return txn

    def table_handle(self, name: str, create: bool = False) -> Any:
        """Return LMDB's handle of a table, None if there is none. Reads from now on see it."""
        environment = self.environment()
        handle = environment.table(name, create=create)
        if environment.opened != self._opened:
            # Begun before that table was opened: LMDB knows nothing of it there.
            self.refresh()
        return handle

    # Reading.

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`. About 0.5 us for a small object."""
        row_of = self._row_of
        if row_of is None:
            self.snapshot()
            row_of = self._row_of
        try:
            row: bytes | None = row_of(oid)  # type: ignore[misc]
        except lmdb.Error as error:
            raise self._unreadable(oid, error) from error
        if row is not None and len(row) > 8 and row[8] == HERE_BYTE:
            data = row[9:]
            if xxh3_64_digest(data) == row[:8]:
                return data
        return self._get_slowly(oid)

    def view(self, oid: bytes) -> bytes | memoryview:
        """As `get`, but an object that is a file comes as a private, writable map of it: what is not touched is never read."""
        found = self._here_or_pointer(oid)
        if not isinstance(found, BlobPointer):
            return found or self._get_slowly(oid)
        try:
            return self.blobs.map(oid, found)
        except DamagedObject as error:
            raise self._bad_file(oid, error) from error

    def pieces(self, oid: bytes) -> bytes | Pieces:
        """As `get`, but an object that is a file comes with its header apart."""
        found = self._here_or_pointer(oid)
        if not isinstance(found, BlobPointer):
            return found or self._get_slowly(oid)
        try:
            return self.blobs.pieces(oid, found, HEADER_BYTES)
        except DamagedObject as error:
            raise self._bad_file(oid, error) from error

    def _here_or_pointer(self, oid: bytes) -> bytes | BlobPointer | None:
        """Return what the row of an object holds; None if it is damaged, or there is none in the snapshot."""
        row = self._row(oid)
        if row is None:
            return None
        if len(row) > 8 and row[8] == HERE_BYTE:
            data = row[9:]
            return data if xxh3_64_digest(data) == row[:8] else None
        return blob_pointer(row)

    def _get_slowly(self, oid: bytes) -> bytes:
        """Get what is a file, damaged, absent, or committed since the snapshot was taken."""
        self.refresh()
        found = self._here_or_pointer(oid)
        if found is None:
            if self._row(oid) is None:
                return lmdb_away.fetched(self, oid)
            self.damaged.add(oid)
            raise DamagedObject(
                f"object {oid.hex()} in store {str(self._path)!r} does not match its checksum: the disk or somebody changed it"
            )
        try:
            return found if isinstance(found, bytes) else self.blobs.read(oid, found)
        except DamagedObject as error:
            raise self._bad_file(oid, error) from error

    def _bad_file(self, oid: bytes, error: DamagedObject) -> DamagedObject | ObjectNotFound:
        """Return what a file that cannot be read means: decay, or that gc was here after the row was read."""
        self.refresh()
        if self._row(oid) is None:
            return lmdb_away.not_there(self, oid)
        self.damaged.add(oid)
        return error

    def _row(self, oid: bytes) -> bytes | None:
        self.snapshot()
        try:
            row: bytes | None = self._row_of(oid)  # type: ignore[misc]
        except lmdb.Error as error:
            raise self._unreadable(oid, error) from error
        return row

    def _pointer(self, oid: bytes) -> BlobPointer | None:
        row = self._row(oid)
        return None if row is None else blob_pointer(row)

    def _unreadable(self, oid: bytes, error: lmdb.Error) -> DamagedObject | StoreUnavailable:
        # LMDB gives up a transaction that met such a page; the next read begins another.
        self.refresh()
        if isinstance(error, DAMAGE):
            self.damaged.add(oid)
            return DamagedObject(
                f"object {oid.hex()} in store {str(self._path)!r} cannot be found: its index is damaged ({error})"
            )
        return unavailable("read store", self._path, error)

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`. An object that was found damaged is not there."""
        row_of = self._row_of
        if row_of is None:
            self.snapshot()
            row_of = self._row_of
        try:
            return row_of(oid) is not None and oid not in self.damaged  # type: ignore[misc]
        except DAMAGE as error:
            self._unreadable(oid, error)
            return False

    def links(self, oid: bytes) -> list[bytes] | None:
        """See `Source.links`. About 1 us; of a file only the beginning is read."""
        row = self._row(oid)
        if row is None:
            return None
        return links_in(row[OBJECT_START:] if row[8:9] == HERE else self.blobs.head(oid))

    def away(self, oid: bytes) -> int | None:
        """See `Source.away`."""
        gone = lmdb_away.find_gone(self, oid)
        return None if gone is None else gone.size

    def all_away(self) -> list[bytes]:
        """See `Source.all_away`."""
        return lmdb_away.all_away(self)

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """See `Source.memo_get`. About 0.4 us."""
        txn = self._txn
        if txn is None:
            txn = self.snapshot()
        if self._memo_db is None:
            return None
        try:
            row = txn.get(eval_hash, None, self._memo_db)
        except DAMAGE:
            self.refresh()
            return None
        if row is None:
            return None
        content: bytes = row[8:]
        if xxh3_64_digest(eval_hash + content) == row[:8]:
            return content
        # Checksums of format 1 leave the key out.
        return unguarded(row) if self._environment.format == 1 else None

    def read_ref(self, name: str) -> bytes | None:
        """See `Source.read_ref`.

        Raises:
            DamagedObject: its row is damaged.
        """
        return lmdb_names.read_ref(self, name)

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """See `Source.refs`."""
        return lmdb_names.list_refs(self, prefix)

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """See `Source.reflog`."""
        return lmdb_names.list_movements(self, after)

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """See `Source.find`."""
        return lmdb_names.find_ids(self, hex_prefix, limit)

    def ids(self) -> Iterator[bytes]:
        """See `Source.ids`."""
        return (key for key, _ in scan(self, "objects", values=False))

    # Writing.

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`."""
        check_batch(batch)
        if self._readonly:
            raise StoreUnavailable(f"store {str(self._path)!r} is open for reading only: nothing can be written to it")
        self._commits.commit(batch)

    def stage(self, pieces: Iterable[bytes]) -> tuple[bytes, Staged]:
        """See `Source.stage`."""
        try:
            oid, pointer = self.blobs.write_pieces(pieces)
        except OSError as error:
            raise unavailable("write a blob to", self._path, error, 0) from error
        return oid, Staged(pointer)

    def put_ahead(self, oid: bytes, data: Pieces) -> Staged:
        """See `Source.put_ahead`."""
        try:
            return Staged(self.blobs.write(oid, data, replace=oid in self.damaged))
        except OSError as error:
            raise unavailable("write a blob to", self._path, error, len(data)) from error

    def blob_path(self, oid: bytes) -> str | None:
        """Return the path of the file that an object is, None if it stands in its row or is not there."""
        pointer = self._pointer(oid)
        return None if pointer is None else str(self.blobs.path(oid))

    def table(self, name: str) -> LmdbTable:
        """See `Source.table`."""
        check_table_name(name)
        return LmdbTable(self, name)

    # Others.

    def distrust(self, oids: Collection[bytes]) -> None:
        """Count objects as damaged: they are not there until they are put again, which then overwrites them."""
        self.damaged.update(oids)

    def other_pids(self) -> list[int]:
        """List other processes that have this store open, as far as the system tells (Linux does)."""
        return self.environment().other_pids()

    def close(self) -> None:
        """See `Source.close`."""
        if not self._closed:
            self.drop()
            self._closed = True
            release(self._environment)

    def __enter__(self) -> LmdbSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
