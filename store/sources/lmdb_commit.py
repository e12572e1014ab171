"""Commits of an `LmdbSource`: one transaction, and for a large batch slices ahead of it.

Ids and eval hashes are as good as random, so a batch of n rows changes min(n, all) pages of a table, and LMDB copies every page that it
changes. In one transaction that is all of them at once in memory, and what it frees is used again only by the transaction after the next:
a file that holds the tree three times. So a large batch is written in key order, in **slices** of few pages (`slices.extent`), each in a
transaction of its own, and at last one that moves the refs. Each page is copied once either way.

In front of the last transaction come objects that link nothing else of the batch (nearly all calls), then memo rows that name these. So an
object that exists has all that it leads to, after each slice, and what a killed writer leaves is garbage that hangs together. gc beside
us is kept out in three ways: links are looked at before the first slice as well; a state of the store is held from before it to the end
(`Source.hold`), handed on from slice to slice so that pages get free; and if `sweeps` has moved by the last transaction, it puts
everything again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_digest

from redun.store.blobs import Blobs
from redun.store.disk import unavailable
from redun.store.errors import MissingLinks, StoreUnavailable
from redun.store.ids import ID_BYTES
from redun.store.reach import links_of
from redun.store.resident import Resident
from redun.store.rows import BLOB_ABOVE, BlobPointer, Staged, blob_row, object_row
from redun.store.sources import lmdb_away, lmdb_names, slices
from redun.store.sources.base import Batch
from redun.store.sources.environment import Environment
from redun.store.sources.lmdb_sweeps import SWEEPS, is_sweeping, note_put
from redun.store.sources.slices import extent, in_slices

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource

_SLICED_ABOVE = 4096
_KNOWN_LIMIT = 40_000
_MEMO_BYTES = 30

Rows = list[tuple[bytes, bytes]]


class Commits:
    """Writes batches.

    Args:
        source: what they are written to.
        environment: where it is.
    """

    def __init__(self, source: LmdbSource, environment: Environment) -> None:
        self.source = source
        self.sweeps = environment.meta(SWEEPS)
        self.resident = Resident(environment.folder / "data.mdb")
        # Ids that were there after the write transaction of this number.
        self._known: set[bytes] = set()
        self._known_at = -1

    def forget(self) -> None:
        """Take nothing for granted any more: the process was forked."""
        self._known.clear()

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`."""
        _Commit(self, batch).run()
        self.resident.trim()

    def missing(self, txn: Any, links: set[bytes]) -> list[bytes]:
        """List the links that do not exist, in a write transaction."""
        if txn.id() != self._known_at + 1:
            self._known.clear()
        is_there = txn.cursor(self.source.environment().table("objects")).set_key
        missing = [oid for oid in links - self._known if not is_there(oid)]
        if self.source.damaged:
            missing.extend(self.source.damaged.intersection(links))
        return missing

    def exist(self, number: int, *ids: Any) -> None:
        """Note what exists after a transaction of ours."""
        known = self._known
        if len(known) + sum(map(len, ids)) > _KNOWN_LIMIT:
            known.clear()
        for some in ids:
            if len(some) <= _KNOWN_LIMIT:
                known.update(some)
        self._known_at = number


class _Ahead:
    """What is written ahead of the last transaction.

    Attributes:
        oids, keys: of objects and memo rows that are left for that.
        sweeps: as it was before the first slice.
    """

    __slots__ = ("keys", "oids", "sweeps")

    def __init__(self, oids: Collection[bytes], keys: Collection[bytes], sweeps: bytes | None = None) -> None:
        self.oids = oids
        self.keys = keys
        self.sweeps = sweeps

    def holds(self, sweeps: bytes | None) -> bool:
        """True as long as no gc deletes, or has deleted meanwhile."""
        return sweeps == self.sweeps and not is_sweeping(sweeps)


class _Commit:
    """One batch on its way."""

    def __init__(self, commits: Commits, batch: Batch) -> None:
        self.commits = commits
        self.batch = batch
        self.source = commits.source
        self.environment = self.source.environment()
        self.blobs: Blobs = self.source.blobs
        self.objects: Mapping[bytes, Any] = batch.objects
        self.links = set(batch.links).difference(batch.objects, batch.away)
        self.replaced = self.source.damaged.intersection(batch.objects)
        self.aside: dict[bytes, bytes] = {}
        self.large: dict[bytes, BlobPointer] = {}
        self.size_bytes = 0

    def run(self) -> None:
        """Write it."""
        source, batch, objects = self.source, self.batch, self.objects
        self.large = self._write_blobs()
        self.size_bytes = sum(map(len, objects.values()))
        wanted = self.size_bytes + 200 * (len(objects) + len(batch.memo)) + (64 << 10)
        held_before = source.holds
        ahead: _Ahead | None = None
        try:
            if len(objects) + len(batch.memo) > _SLICED_ABOVE and not self.replaced:
                ahead = self._write_ahead(wanted)
            number: int = self.environment.write(lambda txn: self._write_all(txn, ahead), wanted)
        except OSError as error:
            if isinstance(error, StoreUnavailable):
                raise
            raise unavailable("write a blob to", source.folder, error, wanted) from error
        finally:
            if not held_before:
                source.let_go()
        if self.replaced:
            source.damaged.difference_update(self.replaced)
            for oid, found in self.aside.items():
                source.quarantine.keep(oid.hex(), found)
        self.commits.exist(number, objects, self.links)

    # Objects that are files.

    def _write_blobs(self) -> dict[bytes, BlobPointer]:
        objects, source, blobs = self.objects, self.source, self.blobs
        if not objects or max(map(len, objects.values())) <= BLOB_ABOVE:
            return {}
        large: dict[bytes, BlobPointer] = {}
        for oid, data in objects.items():
            if isinstance(data, Staged):
                large[oid] = data.pointer
            elif len(data) > BLOB_ABOVE:
                if oid in source.damaged and os.path.lexists(blobs.path(oid)):
                    source.quarantine.take(oid.hex(), blobs.path(oid))
                try:
                    large[oid] = blobs.write(oid, data, replace=oid in source.damaged)
                except OSError as error:
                    raise unavailable("write a blob to", source.folder, error, len(data)) from error
        return large

    # Rows.

    def _object_rows(self, oids: Sequence[bytes]) -> Rows:
        objects, large = self.objects, self.large
        if large:
            return [(oid, blob_row(large[oid]) if oid in large else object_row(objects[oid])) for oid in oids]
        return [(oid, object_row(objects[oid])) for oid in oids]

    def _memo_rows(self, keys: Sequence[bytes]) -> Rows:
        memo = self.batch.memo
        return [(key, xxh3_64_digest(key + memo[key]) + memo[key]) for key in keys]

    # Slices.

    def _write_ahead(self, wanted: int) -> _Ahead | None:
        """Write what may come first in slices; None if that is not worth while, or could not be done to the end."""
        source, environment = self.source, self.environment
        parts, ahead = self._slices()
        if len(parts) < 2:
            return None
        source.refresh()
        source.hold()
        for place, (table, keys) in enumerate(parts):

            def work(txn: Any, place: int = place, table: str = table, keys: Sequence[bytes] = keys) -> bool:
                sweeps = self._sweeps(txn)
                if place == 0:
                    self._check_links(txn, sweeps)
                    ahead.sweeps = sweeps
                if not ahead.holds(sweeps):
                    return False
                self._put(txn, table, keys)
                return True

            if not environment.write(work, wanted):
                return None
            source.hold_anew(SWEEPS, ahead.sweeps)
            self.commits.resident.trim()
        return ahead

    def _slices(self) -> tuple[list[tuple[str, Sequence[bytes]]], _Ahead]:
        """Choose what may come first, and cut it: table and keys of each slice, and what is left for the last transaction."""
        objects, memo = self.objects, self.batch.memo
        inside = objects.keys()
        first = {oid for oid, data in objects.items() if oid not in self.large and inside.isdisjoint(links_of(data))}
        rest = inside - first
        rows = {key for key, row in memo.items() if row[:ID_BYTES] not in rest and row[ID_BYTES + 1 :] not in rest}
        ahead = _Ahead(rest, memo.keys() - rows)
        parts = ("objects", first, sum([len(objects[oid]) for oid in first])), ("memo", rows, _MEMO_BYTES * len(rows))
        table = self.environment.table
        with self.environment.begin() as txn:
            extents = [extent(txn, table(name), len(keys), size) for name, keys, size in parts]
        if sum([found.pages for found in extents]) <= slices.PAGES_AT_ONCE:
            return [], ahead
        cut = [
            (name, keys)
            for (name, part, _), found in zip(parts, extents, strict=True)
            for keys in in_slices(sorted(part), found.slices)
        ]
        return cut, ahead

    def _put(self, txn: Any, table: str, keys: Sequence[bytes]) -> bool:
        cursor = txn.cursor(self.environment.table(table))
        if table == "memo":
            cursor.putmulti(self._memo_rows(keys), dupdata=False, overwrite=True)
            return True
        added: int = cursor.putmulti(self._object_rows(keys), dupdata=False, overwrite=False)[1]
        return added > 0

    # The transaction that counts.

    def _sweeps(self, txn: Any) -> bytes | None:
        found: bytes | None = txn.get(SWEEPS, db=self.environment.table("meta"))
        return found

    def _check_links(self, txn: Any, sweeps: bytes | None) -> None:
        batch, objects, relied = self.batch, self.objects, self.links
        if batch.read and txn.id() - 1 != batch.moment:
            relied = relied.union(batch.read).difference(objects)
        if sweeps != self.commits.sweeps or is_sweeping(sweeps):
            # Whatever it was that somebody believed to be there for good.
            relied = relied.union(*map(links_of, objects.values())).difference(objects, batch.away)
        missing = self.commits.missing(txn, relied)
        if missing:
            raise MissingLinks(frozenset(missing))

    def _write_all(self, txn: Any, ahead: _Ahead | None) -> int:
        """Write what has not been written ahead, move the refs, and return the number of the transaction."""
        batch, environment, objects = self.batch, self.environment, self.objects
        sweeps = self._sweeps(txn)
        self._check_links(txn, sweeps)
        oids: Collection[bytes] = objects
        keys: Collection[bytes] = batch.memo
        if ahead is not None and ahead.holds(sweeps):
            oids, keys = ahead.oids, ahead.keys
        # Nothing can be swept any more, and pages that only we still show are free to be used again.
        self.source.drop()
        for oid, pointer in self.large.items():
            if not self.blobs.has(oid, pointer.size):
                # Swept between our write and this transaction, in which no sweep can run.
                data = objects[oid]
                if isinstance(data, Staged):
                    raise MissingLinks(frozenset((oid,)))
                self.blobs.write(oid, data)
        changed = bool(batch.memo or batch.refs or self.replaced or batch.away)
        if is_sweeping(sweeps):
            # All of it: what was written ahead as well.
            note_put(txn, environment.table("meta"), objects)
        if oids:
            changed = self._put(txn, "objects", sorted(oids)) or changed
        if self.replaced:
            self._replace(txn)
        for key in batch.forget:
            changed = txn.delete(key, db=environment.table("memo")) or changed
        if keys:
            self._put(txn, "memo", sorted(keys))
        if batch.away:
            lmdb_away.note_away(txn, environment, batch.away)
        if batch.refs:
            lmdb_names.move_refs(txn, environment, batch.refs)
        number: int = txn.id()
        # A transaction that changed nothing leaves its number to the next one, maybe another process's.
        return number if changed else number - 1

    def _replace(self, txn: Any) -> None:
        """Write over what was found damaged, and keep that."""
        table = self.environment.table("objects")
        for oid, row in self._object_rows(sorted(self.replaced)):
            found = txn.get(oid, db=table)
            if found is not None and found != row:
                self.aside[oid] = found
            txn.put(oid, row, db=table)
