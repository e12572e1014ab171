"""Changes to a store that only a repair makes: rows taken away, refs set beside what they were, objects given up.

Whatever is taken away goes into the quarantine first. Everything is a write transaction of its own, bounded, and safe beside running
executions.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from redun.store.blobs import Blobs
from redun.store.errors import StoreError
from redun.store.gone import LOST, Gone, put_gone, read_gone
from redun.store.gone import TABLE as GONE
from redun.store.quarantine import Quarantine
from redun.store.rows import OBJECT_START, blob_pointer, ref_row, reflog_row, sequence_key, unguarded
from redun.store.sources.base import Batch, ReflogEntry
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.lmdb_table import scan

_AT_ONCE = 2000


class Repair:
    """Repairs one store.

    Args:
        source: of the store, open for writing.
        folder: of the store.
    """

    def __init__(self, source: LmdbSource, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._quarantine = Quarantine(folder)

    def put(self, objects: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
        """Write objects in place of what stands under their ids; return those."""
        done: set[bytes] = set()
        iterator = iter(objects)
        while some := dict(islice(iterator, _AT_ONCE)):
            self._source.distrust(some)
            self._source.commit(Batch(objects=some))
            done.update(some)
        return done

    def give_up(self, objects: Collection[bytes]) -> None:
        """Take away what stands under ids that nothing can be found for, and note that they are gone."""
        blobs = Blobs(self._folder / "blobs")
        ordered = sorted(objects)
        for at in range(0, len(ordered), _AT_ONCE):
            some = ordered[at : at + _AT_ONCE]
            rows = self.delete("objects", some)
            now_us = time.time_ns() // 1000
            gone = []
            for oid in some:
                pointer = blob_pointer(rows.get(oid, b""))
                if pointer is not None and blobs.path(oid).exists():
                    self._quarantine.take(oid.hex(), blobs.path(oid))
                size = pointer.size if pointer is not None else max(0, len(rows.get(oid, b"")) - OBJECT_START)
                gone.append(Gone(oid, LOST, size, now_us))
            table = self._source.environment().table(GONE, create=True)

            def note(txn: Any, gone: list[Gone] = gone, table: Any = table) -> None:
                for one in gone:
                    put_gone(txn, table, one)

            self._source.refresh()
            self._source.environment().write(note)

    def gone(self) -> Iterator[Gone]:
        """Yield what is known to be gone, or was at some time and has been put again."""
        for key, row in scan(self._source, GONE):
            content = unguarded(row, key)
            if content is not None:
                yield read_gone(key, content)

    def delete(self, table: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """Take rows away; return what they were."""
        environment = self._source.environment()
        found: dict[bytes, bytes] = {}
        handle = environment.table(table)
        if handle is None or not keys:
            return found

        def work(txn: Any) -> None:
            found.clear()
            for key in keys:
                row = txn.pop(key, db=handle)
                if row is not None:
                    found[key] = bytes(row)

        self._source.refresh()
        environment.write(work)
        self._source.refresh()
        for key, row in found.items():
            self._quarantine.keep(f"{table}-{key.hex()[:80]}", row)
        return found

    def delete_damaged(self, table: str) -> int:
        """Take away the damaged rows of a table that cannot be made again; return how many."""
        environment = self._source.environment()
        handle = environment.table(table)
        if handle is None:
            return 0
        with environment.begin(db=handle) as txn:
            keys = [bytes(key) for key, row in txn.cursor() if unguarded(row, key) is None]
        return len(self.delete(table, keys))

    def memo(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the sound rows of the memo."""
        for key, row in scan(self._source, "memo"):
            content = unguarded(row, key)
            if content is not None:
                yield key, content

    def set_ref(self, name: str, target: bytes | None, message: str) -> None:
        """Set a ref, whatever it was, or take it away."""
        environment = self._source.environment()
        key = name.encode()

        def work(txn: Any) -> None:
            if target is None:
                txn.delete(key, db=environment.table("refs"))
            else:
                txn.put(key, ref_row(name, target), db=environment.table("refs"))
            self._move(txn, name, None, target, message)

        self._source.refresh()
        environment.write(work)
        self._source.refresh()

    def note_movement(self, name: str, target: bytes, message: str) -> None:
        """Add a movement to the reflog for a ref that is where the reflog does not know it."""
        environment = self._source.environment()
        self._source.refresh()
        environment.write(lambda txn: self._move(txn, name, None, target, message))
        self._source.refresh()

    def _move(self, txn: Any, name: str, old: bytes | None, new: bytes | None, message: str) -> None:
        reflog = self._source.environment().table("reflog")
        cursor = txn.cursor(reflog)
        seq = 1 + (int.from_bytes(cursor.key(), "big") if cursor.last() else 0)
        if seq >= 1 << 63:
            raise StoreError("the reflog has no numbers left: its last key is damaged")
        entry = ReflogEntry(seq, name, old, new, time.time_ns() // 1000, message)
        txn.put(sequence_key(seq), reflog_row(entry), db=reflog)
