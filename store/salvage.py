"""A new `data.mdb` from what can still be read of a damaged one.

Where pages themselves are damaged nothing can be mended in place: LMDB would follow them. So every row that can be read, and whose
checksum says that it is what was written, is copied into a new file, which then takes the place of the old; the old one goes into the
quarantine. Pages that no snapshot uses any more still hold older copies of rows: objects that are missing are looked for there (an
object proves itself by its id), refs are taken from the reflog where their own row is lost.

Derived tables are left away, they are made again. Whoever salvages has the store alone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from redun.store.disk import sync_folder, unavailable
from redun.store.errors import DamagedObject
from redun.store.fsck import best_head, check_ours, opened, unreadable
from redun.store.gone import TABLE as GONE_TABLE
from redun.store.ids import ID_BYTES, checksum, object_id
from redun.store.locks import FolderLock
from redun.store.pages import MAIN, Snapshot
from redun.store.quarantine import Quarantine
from redun.store.reach import links_in
from redun.store.rows import HERE, OBJECT_START, blob_pointer, guarded, ref_row, ref_target, reflog_entry, reflog_row, unguarded
from redun.store.sources.checks import MAX_TABLES
from redun.store.sources.environment import BASE_TABLES, MAP_BYTES
from redun.store.upgrades import write_format

SEQUENCE_BYTES = 8
_ROWS_AT_ONCE = 5000


@dataclass
class Salvaged:
    """What was saved.

    Attributes:
        objects: how many; older: how many of them from older pages.
        memo, refs, movements: how many rows.
        names_lost: pages with refs were lost, and what they held can only be guessed.
    """

    objects: int = 0
    older: int = 0
    memo: int = 0
    refs: int = 0
    movements: int = 0
    names_lost: bool = False


def salvage(folder: Path) -> Salvaged:
    """Make a store's database file again from what can be read of it. Nobody else may have the store open.

    Raises:
        StoreLocked: others have it open. StoreUnavailable: there is no room for a new file, or it cannot be written.
        StoreError: nothing can be read.
    """
    lock = FolderLock(folder, readonly=False, timeout_s=10)
    try:
        with lock.alone("be repaired"):
            return _salvage(folder)
    finally:
        lock.close()


def _salvage(folder: Path) -> Salvaged:
    path = folder / "data.mdb"
    try:
        fresh = Path(tempfile.mkdtemp(prefix="salvage-", dir=folder))
    except OSError as error:
        raise unavailable("repair store", folder, error) from error
    try:
        # Not through LMDB's table of readers: this process has the lock, and must not open its file twice.
        with Snapshot(path, best_head(path)) as snapshot, _Fresh(fresh) as target:
            check_ours(snapshot, folder)
            done = _Salvage(snapshot, target).run()
        os.chmod(fresh / "data.mdb", path.stat().st_mode & 0o777)
        Quarantine(folder).link("data.mdb", path)
        os.rename(fresh / "data.mdb", path)
        sync_folder(folder)
        return done
    except ValueError as error:
        raise unreadable(folder, error) from error
    except (OSError, lmdb.Error) as error:
        raise unavailable("repair store", folder, error, path.stat().st_size) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


class _Fresh:
    """The new database file."""

    def __init__(self, folder: Path) -> None:
        self._env = lmdb.open(str(folder), map_size=MAP_BYTES, max_dbs=MAX_TABLES, max_spare_txns=0)
        self._tables: dict[str, Any] = {}
        with self._env.begin(write=True) as txn:
            for name in BASE_TABLES:
                self._tables[name] = self._env.open_db(name.encode(), txn=txn)
            write_format(txn, self._tables["meta"])

    def put(self, table: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Write rows, some thousands in a transaction."""
        if table not in self._tables:
            with self._env.begin(write=True) as txn:
                self._tables[table] = self._env.open_db(table.encode(), txn=txn)
        iterator = iter(rows)
        while some := list(islice(iterator, _ROWS_AT_ONCE)):
            with self._env.begin(write=True) as txn:
                txn.cursor(self._tables[table]).putmulti(some, dupdata=False)

    def __enter__(self) -> _Fresh:
        return self

    def __exit__(self, *error: object) -> None:
        self._tables.clear()
        self._env.close()


class _Salvage:
    """One salvage: from what to where."""

    def __init__(self, snapshot: Snapshot, target: _Fresh) -> None:
        self._snapshot = snapshot
        self._target = target
        self._done = Salvaged()
        self._there: set[bytes] = set()
        self._wanted: set[bytes] = set()
        self._keyed = _is_keyed(snapshot)

    def run(self) -> Salvaged:
        """Copy everything."""
        done = self._done
        self._target.put("objects", self._objects(self._snapshot.rows("objects")))
        self._target.put("memo", self._memo())
        self._names()
        gone = ((key, row) for key, row in self._snapshot.rows(GONE_TABLE) if unguarded(row, key) is not None)
        self._target.put(GONE_TABLE, gone)
        while self._wanted - self._there:
            before = len(self._there)
            for rows in self._snapshot.leaves():
                self._target.put("objects", self._objects((key, row) for key, row in rows if key in self._wanted))
            done.older += len(self._there) - before
            if len(self._there) == before:
                break
        done.objects = len(self._there)
        return done

    def _objects(self, rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for oid, row in rows:
            if oid not in self._there and is_sound_object(oid, row):
                self._there.add(oid)
                if row[8:9] == HERE:
                    self._wanted.update(links_in(row[OBJECT_START:]))
                yield oid, row

    def _memo(self) -> Iterator[tuple[bytes, bytes]]:
        for key, row in self._snapshot.rows("memo"):
            content = unguarded(row, key if self._keyed else b"")
            if content is not None and len(key) == ID_BYTES:
                self._done.memo += 1
                if any(content[:ID_BYTES]):
                    self._wanted.add(content[:ID_BYTES])
                yield key, guarded(content, key)

    def _names(self) -> None:
        """Copy refs and reflog; older copies of movements may lie about where the newer ones are lost."""
        reflog = dict(self._snapshot.rows("reflog"))
        refs: dict[str, bytes] = {}
        damaged: set[str] = set()
        for key, row in self._snapshot.rows("refs"):
            name = key.decode(errors="replace")
            try:
                refs[name] = ref_target(name, row, keyed=self._keyed)
            except DamagedObject:
                damaged.add(name)
        # Only where pages are lost: what was dropped on purpose must not come back.
        broken = {problem.table for problem in self._snapshot.problems}
        for rows in self._snapshot.leaves() if broken & {"reflog", MAIN} else ():
            for key, row in rows:
                if len(key) == SEQUENCE_BYTES and not self._is_movement(key, reflog.get(key, b"")):
                    reflog[key] = row
        last: dict[str, bytes | None] = {}
        sound: list[tuple[bytes, bytes]] = []
        for key in sorted(reflog):
            if self._is_movement(key, reflog[key]):
                entry = reflog_entry(key, reflog[key], keyed=self._keyed)
                sound.append((key, reflog_row(entry)))
                last[entry.name] = entry.new
        for name, target in last.items():
            if target is not None and name not in refs and (name in damaged or broken & {"refs", MAIN}):
                refs[name] = target
        self._wanted.update(refs.values())
        self._target.put("reflog", sound)
        self._target.put("refs", [(name.encode(), ref_row(name, target)) for name, target in sorted(refs.items())])
        self._done.names_lost = bool(broken & {"refs", MAIN})
        self._done.refs, self._done.movements = len(refs), len(sound)

    def _is_movement(self, key: bytes, row: bytes) -> bool:
        try:
            reflog_entry(key, row, keyed=self._keyed)
        except DamagedObject:
            return False
        return True


def _is_keyed(snapshot: Snapshot) -> bool:
    """Tell whether checksums take in the key, as they do since format 2."""
    with Snapshot(snapshot.path, snapshot.meta) as again:
        for key, row in again.rows("meta"):
            if key == b"format" and row.isdigit():
                return int(row) > 1
        for name in ("refs", "reflog"):
            for _, row in again.rows(name):
                if unguarded(row) is not None:
                    return False
    return True


def is_sound_object(oid: bytes, row: bytes) -> bool:
    """Tell whether a row is that of an object, and of the one with this id; of one that is a file, whether the row is sound."""
    if len(oid) != ID_BYTES:
        return False
    if row[8:9] == HERE:
        data = row[OBJECT_START:]
        return checksum(data) == row[:8] and object_id(data) == oid
    return blob_pointer(row) is not None


def find_older(folder: Path, wanted: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield id and bytes of objects that are still to be found on pages that nobody uses any more."""
    left = set(wanted)
    with opened(folder) as (snapshot, _):
        for rows in snapshot.leaves():
            for key, row in rows:
                if key in left and row[8:9] == HERE and is_sound_object(key, row):
                    left.discard(key)
                    yield key, row[OBJECT_START:]
