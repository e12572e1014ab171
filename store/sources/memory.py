"""A source in memory: for `Scheduler()` without configuration, and for tests."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from redun.store.errors import MissingLinks, ObjectNotFound, RefConflict
from redun.store.refs import check_ref_name
from redun.store.sources.base import Batch, ReflogEntry


class MemoryTable:
    """A derived table: a dict whose keys are sorted when somebody scans."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] | None = None

    def get(self, key: bytes) -> bytes | None:
        """See `Table.get`."""
        return self._rows.get(key)

    def put_many(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_many`."""
        self._rows.update(rows)
        self._keys = None

    def scan(self, prefix: bytes = b"", *, start: bytes | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See `Table.scan`."""
        if self._keys is None:
            self._keys = sorted(self._rows)
        keys = self._keys
        low, high = bisect_left(keys, prefix), _end(keys, prefix)
        if start is not None:
            if reverse:
                high = min(high, bisect_left(keys, start + b"\x00"))
            else:
                low = max(low, bisect_left(keys, start))
        rows = [(key, self._rows[key]) for key in keys[low:high]]
        return iter(rows[::-1] if reverse else rows)

    def clear(self) -> None:
        """See `Table.clear`."""
        self._rows.clear()
        self._keys = None


def _end(keys: list[bytes], prefix: bytes) -> int:
    """The place after the last key that begins with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return bisect_left(keys, stripped[:-1] + bytes((stripped[-1] + 1,))) if stripped else len(keys)


class MemorySource:
    """Implements `redun.store.sources.base.Source` with dicts; gone when the process is."""

    def __init__(self) -> None:
        self._objects: dict[bytes, bytes] = {}
        self._memo: dict[bytes, bytes] = {}
        self._refs: dict[str, bytes] = {}
        self._reflog: list[ReflogEntry] = []
        self._tables: dict[str, MemoryTable] = {}

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`."""
        try:
            return self._objects[oid]
        except KeyError:
            raise ObjectNotFound(oid) from None

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`."""
        return oid in self._objects

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """See `Source.memo_get`."""
        return self._memo.get(eval_hash)

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`."""
        missing = frozenset(oid for oid in batch.links if oid not in self._objects and oid not in batch.objects)
        if missing:
            raise MissingLinks(missing)
        for update in batch.refs:
            check_ref_name(update.name)
            found = self._refs.get(update.name)
            if found != update.old:
                raise RefConflict.between(update.name, update.old, found)
        for oid, data in batch.objects.items():
            self._objects.setdefault(oid, data)
        self._memo.update(batch.memo)
        now = time.time_ns() // 1000
        for update in batch.refs:
            if update.new is None:
                del self._refs[update.name]
            else:
                self._refs[update.name] = update.new
            self._reflog.append(ReflogEntry(len(self._reflog) + 1, update.name, update.old, update.new, now, update.message))

    def refresh(self) -> None:
        """See `Source.refresh`: nobody else can have written."""

    def read_ref(self, name: str) -> bytes | None:
        """See `Source.read_ref`."""
        return self._refs.get(name)

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """See `Source.refs`."""
        return sorted((name, oid) for name, oid in self._refs.items() if name.startswith(prefix))

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """See `Source.reflog`."""
        return iter(self._reflog[after:])

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """See `Source.find`."""
        return sorted(oid for oid in self._objects if oid.hex().startswith(hex_prefix.lower()))[:limit]

    def ids(self) -> Iterator[bytes]:
        """See `Source.ids`."""
        return iter(sorted(self._objects))

    def table(self, name: str) -> MemoryTable:
        """See `Source.table`."""
        return self._tables.setdefault(name, MemoryTable())

    def close(self) -> None:
        """See `Source.close`."""
