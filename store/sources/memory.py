"""A source in memory: for `Scheduler()` without configuration, and for tests."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from redun.store.errors import MissingLinks, ObjectNotFound, RefConflict, StoreError
from redun.store.ids import Pieces, object_id
from redun.store.reach import links_in
from redun.store.sources.base import Batch, ReflogEntry
from redun.store.sources.checks import (
    MAX_TABLES,
    after_prefix,
    check_batch,
    check_table_keys,
    check_table_name,
    prefix_digits,
)


class MemoryTable:
    """A derived table: a dict whose keys are sorted when somebody scans.

    Args:
        name: its name.
        siblings: all tables of the source that hold something.
    """

    def __init__(self, name: str, siblings: dict[str, MemoryTable]) -> None:
        self._name = name
        self._siblings = siblings
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] | None = None

    def get(self, key: bytes) -> bytes | None:
        """See `Table.get`."""
        return self._rows.get(key)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """See `Table.get_many`."""
        rows = self._rows
        return {key: rows[key] for key in keys if key in rows}

    def put_many(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_many`."""
        added = dict(rows)
        check_table_keys(self._name, list(added))
        if self._name not in self._siblings and len(self._siblings) >= MAX_TABLES:
            raise StoreError(
                f"table {self._name!r} would be number {MAX_TABLES + 1} of its store: at most {MAX_TABLES} are kept"
            )
        self._siblings[self._name] = self
        self._rows.update(added)
        self._keys = None

    def put_parts(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_parts`."""
        self.put_many(rows)

    def scan(self, prefix: bytes = b"", *, start: bytes | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See `Table.scan`."""
        if self._keys is None:
            self._keys = sorted(self._rows)
        keys = self._keys
        after = after_prefix(prefix)
        low, high = bisect_left(keys, prefix), len(keys) if after is None else bisect_left(keys, after)
        if start is not None:
            if reverse:
                high = min(high, bisect_left(keys, start + b"\x00"))
            else:
                low = max(low, bisect_left(keys, start))
        rows = [(key, self._rows[key]) for key in keys[low:high]]
        yield from reversed(rows) if reverse else rows

    def delete_many(self, keys: Iterable[bytes]) -> None:
        """See `Table.delete_many`."""
        for key in keys:
            self._rows.pop(key, None)
        self._keys = None

    def clear(self) -> None:
        """See `Table.clear`."""
        self._rows.clear()
        self._keys = None


class MemorySource:
    """Implements `redun.store.sources.base.Source` with dicts; gone when the process is. One thread at a time."""

    def __init__(self) -> None:
        self._objects: dict[bytes, bytes] = {}
        self._memo: dict[bytes, bytes] = {}
        self._away: dict[bytes, int] = {}
        self._refs: dict[str, bytes] = {}
        self._reflog: list[ReflogEntry] = []
        self._tables: dict[str, MemoryTable] = {}
        self._filled: dict[str, MemoryTable] = {}

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`."""
        try:
            return self._objects[oid]
        except KeyError:
            raise ObjectNotFound(oid) from None

    def view(self, oid: bytes) -> bytes | memoryview:
        """As `get`; see `LmdbSource.view`."""
        return self.get(oid)

    def pieces(self, oid: bytes) -> bytes:
        """As `get`; see `LmdbSource.pieces`."""
        return self.get(oid)

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`."""
        return oid in self._objects

    def away(self, oid: bytes) -> int | None:
        """See `Source.away`."""
        return None if oid in self._objects else self._away.get(oid)

    def all_away(self) -> list[bytes]:
        """See `Source.all_away`."""
        return [oid for oid in self._away if oid not in self._objects]

    def links(self, oid: bytes) -> list[bytes] | None:
        """See `Source.links`."""
        data = self._objects.get(oid)
        return None if data is None else links_in(data)

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """See `Source.memo_get`."""
        return self._memo.get(eval_hash)

    def stage(self, pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
        """See `Source.stage`: here the bytes themselves."""
        data = b"".join(pieces)
        return object_id(data), data

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`."""
        check_batch(batch)
        objects = self._objects
        missing = frozenset(
            [
                oid
                for oid in (*batch.links, *batch.read)
                if oid not in objects and oid not in batch.objects and oid not in batch.away
            ]
        )
        if missing:
            raise MissingLinks(missing)
        moved: dict[str, bytes | None] = {}
        for update in batch.refs:
            found = moved[update.name] if update.name in moved else self._refs.get(update.name)
            if found != update.old:
                raise RefConflict.between(update.name, update.old, found)
            moved[update.name] = update.new
        for oid, data in batch.objects.items():
            objects.setdefault(oid, bytes(data))
        for key in batch.forget:
            self._memo.pop(key, None)
        self._memo.update(batch.memo)
        self._away.update(batch.away)
        now = time.time_ns() // 1000
        for name, new in moved.items():
            if new is None:
                self._refs.pop(name, None)
            else:
                self._refs[name] = new
        for update in batch.refs:
            self._reflog.append(ReflogEntry(len(self._reflog) + 1, update.name, update.old, update.new, now, update.message))

    def moment(self) -> int:
        """See `Source.moment`. A look at a dict costs nothing, so nobody asks when it was taken."""
        return 0

    def refresh(self) -> None:
        """See `Source.refresh`: nobody else can have written."""

    def put_ahead(self, oid: bytes, data: Pieces) -> bytes:
        """See `Source.put_ahead`."""
        return bytes(data.head) + bytes(data.body)

    def give_back(self) -> None:
        """See `Source.give_back`: there is none."""

    def hold(self) -> None:
        """See `Source.hold`: nothing is swept here."""

    def let_go(self) -> None:
        """See `Source.let_go`."""

    def read_ref(self, name: str) -> bytes | None:
        """See `Source.read_ref`."""
        return self._refs.get(name)

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """See `Source.refs`."""
        return sorted((name, oid) for name, oid in self._refs.items() if name.startswith(prefix))

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """See `Source.reflog`."""
        return iter(self._reflog[max(after, 0) :])

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """See `Source.find`."""
        digits = prefix_digits(hex_prefix)
        if digits is None or limit <= 0:
            return []
        return sorted(oid for oid in self._objects if oid.hex().startswith(digits))[:limit]

    def ids(self) -> Iterator[bytes]:
        """See `Source.ids`."""
        return iter(sorted(self._objects))

    def table(self, name: str) -> MemoryTable:
        """See `Source.table`."""
        check_table_name(name)
        if name not in self._tables:
            self._tables[name] = MemoryTable(name, self._filled)
        return self._tables[name]

    def close(self) -> None:
        """See `Source.close`."""
