"""Derived tables of an `LmdbSource`, and scans of any of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from redun.store.disk import unavailable
from redun.store.errors import DamagedObject, DamagedStore, StoreError, StoreUnavailable
from redun.store.rows import guarded, unguarded
from redun.store.sources.checks import MAX_TABLES, after_prefix, check_table_keys
from redun.store.sources.environment import DAMAGE
from redun.store.sources.slices import extent, in_slices
from redun.store.upgrades import STORE_FORMAT

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource

_FIRST_ROWS, _MORE_ROWS = 16, 512


class LmdbTable:
    """A derived table.

    Args:
        source: where it is.
        name: its name, checked.
    """

    def __init__(self, source: LmdbSource, name: str) -> None:
        self._source = source
        self._name = name
        self._full_name = f"t_{name}"

    def get(self, key: bytes) -> bytes | None:
        """See `Table.get`.

        Raises:
            DamagedObject: the row is damaged; tables can be rebuilt.
        """
        handle = self._readable()
        if handle is None or not key:
            return None
        try:
            row = self._source.snapshot().get(key, None, handle)
        except lmdb.Error as error:
            raise self._unreadable(error) from error
        return None if row is None else self._content(key, row)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """See `Table.get_many`. Raises as `get`."""
        handle = self._readable()
        if handle is None:
            return {}
        try:
            rows = self._source.snapshot().cursor(handle).getmulti([key for key in keys if key])
        except lmdb.Error as error:
            raise self._unreadable(error) from error
        return {key: self._content(key, row) for key, row in rows}

    def _readable(self) -> Any:
        """Return LMDB's handle of the table, None if there is none, or only one of a store that is too old."""
        handle = self._source.table_handle(self._full_name)
        return None if self._source.environment().format < STORE_FORMAT else handle

    def _unreadable(self, error: lmdb.Error) -> StoreError:
        self._source.refresh()
        folder = self._source.environment().folder
        if isinstance(error, DAMAGE):
            return DamagedStore.at(folder, f"table {self._name!r} cannot be read ({error})")
        return unavailable("read store", folder, error)

    def _content(self, key: bytes, row: bytes) -> bytes:
        content = unguarded(row, key)
        if content is None:
            raise DamagedObject(f"a row of the derived table {self._name!r} is damaged: 'redun fsck --rebuild' makes it again")
        return content

    def put_many(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_many`."""
        handle, ordered = self._to_write(rows)
        self._put(handle, ordered)

    def put_parts(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Table.put_parts`. A part changes few pages, as those of a large commit do (`redun.store.sources.lmdb_commit`)."""
        handle, ordered = self._to_write(rows)
        with self._source.environment().begin() as txn:
            count = extent(txn, handle, len(ordered), sum([len(key) + len(row) for key, row in ordered])).slices
        for part in in_slices(ordered, count):
            self._put(handle, part)
            self._source.give_back()

    def _to_write(self, rows: Iterable[tuple[bytes, bytes]]) -> tuple[Any, list[tuple[bytes, bytes]]]:
        """Return the table's handle, made if it is new, and rows in order."""
        ordered = sorted(dict(rows).items())
        check_table_keys(self._name, [key for key, _ in ordered])
        environment = self._source.environment()
        handle = environment.table(self._full_name)
        if handle is None:
            if sum(name.startswith("t_") for name in environment.tables()) >= MAX_TABLES:
                raise StoreError(
                    f"table {self._name!r} would be number {MAX_TABLES + 1} of its store: at most {MAX_TABLES} are kept"
                )
            handle = environment.table(self._full_name, create=True)
        self._source.refresh()
        return handle, ordered

    def _put(self, handle: Any, ordered: Sequence[tuple[bytes, bytes]]) -> None:
        rows = [(key, guarded(content, key)) for key, content in ordered]
        wanted = sum([len(key) + len(row) for key, row in rows])
        self._source.environment().write(lambda txn: txn.cursor(handle).putmulti(rows, dupdata=False, overwrite=True), wanted)

    def scan(self, prefix: bytes = b"", *, start: bytes | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See `Table.scan`."""
        if self._source.environment().format < STORE_FORMAT:
            # A store that is too old and may not be written: what is derived counts as not there.
            return
        for key, row in scan(self._source, self._full_name, prefix, start=start, reverse=reverse):
            yield key, self._content(key, row)

    def delete_many(self, keys: Iterable[bytes]) -> None:
        """See `Table.delete_many`."""
        ordered = sorted(keys)
        environment = self._source.environment()
        handle = environment.table(self._full_name)
        if handle is None or not ordered:
            return
        self._source.refresh()

        def work(txn: Any) -> None:
            cursor = txn.cursor(handle)
            for key in ordered:
                if key and cursor.set_key(key):
                    cursor.delete()

        environment.write(work)

    def clear(self) -> None:
        """See `Table.clear`."""
        environment = self._source.environment()
        handle = environment.table(self._full_name)
        if handle is not None:
            self._source.refresh()
            environment.write(lambda txn: txn.drop(handle, delete=False))


def scan(
    source: LmdbSource,
    table: str,
    prefix: bytes = b"",
    *,
    start: bytes | None = None,
    reverse: bool = False,
    values: bool = True,
) -> Iterator[tuple[bytes, bytes]]:
    """Yield rows of a table of LMDB in order, from a snapshot of its own, that is held until the iterator ends or is closed.

    Args:
        table: full name, with `t_`.
        values: False yields empty rows, and reads only keys.
    """
    environment = source.environment()
    if environment.table(table) is None:
        return
    # No name here may hold anything of LMDB's while the generator is suspended: see `_Scan`.
    pinned = _Scan(environment.begin(db=environment.table(table)), environment.folder)
    environment.holders.add(pinned)
    try:
        pinned.place(prefix, start, reverse, values)
        # Where nothing holds a snapshot against our own commits, all of it is read at once.
        count = _FIRST_ROWS if environment.can_pin else None
        while rows := pinned.take(count, values):
            for key, row in rows:
                if not key.startswith(prefix):
                    return
                yield key, row
            if count is None:
                return
            if count == _MORE_ROWS:
                # Who reads all of a large table would have all of it mapped in the end.
                source.give_back()
            count = _MORE_ROWS
    finally:
        pinned.drop()


class _Scan:
    """A read transaction with an iterator, both held here only, so that they can be taken away (a fork, a growing map)."""

    def __init__(self, txn: Any, folder: Path) -> None:
        self._txn = txn
        self._folder = folder
        self._rows: Any = iter(())

    def place(self, prefix: bytes, start: bytes | None, reverse: bool, values: bool) -> None:
        """Go to the first row to be yielded."""
        try:
            cursor = self._txn.cursor()
            if reverse:
                if _to_last(cursor, prefix, start):
                    self._rows = cursor.iterprev(keys=True, values=values)
            else:
                low = max(prefix, start or b"")
                if cursor.set_range(low) if low else cursor.first():
                    self._rows = cursor.iternext(keys=True, values=values)
        except lmdb.Error as error:
            raise self._unreadable(error) from error

    def take(self, count: int | None, values: bool) -> list[tuple[bytes, bytes]]:
        """Return the next rows, [] at the end."""
        if self._txn is None:
            raise StoreUnavailable(
                f"the listing of store {str(self._folder)!r} was cut off, as its map grew or its process forked: list again"
            )
        try:
            rows: list[Any] = list(islice(self._rows, count))
        except lmdb.Error as error:
            raise self._unreadable(error) from error
        return rows if values else [(key, b"") for key in rows]

    def _unreadable(self, error: lmdb.Error) -> StoreError:
        if isinstance(error, DAMAGE):
            return DamagedStore.at(self._folder, f"it cannot be listed ({error})")
        return unavailable("list store", self._folder, error)

    def drop(self) -> None:
        """End the transaction."""
        txn = self._txn
        if txn is not None:
            self.forget()
            txn.abort()

    def forget(self) -> None:
        """Let go of the transaction."""
        self._txn = None
        self._rows = iter(())


def _to_last(cursor: Any, prefix: bytes, start: bytes | None) -> bool:
    """Place a cursor on the last row at or before `start` among those that begin with `prefix`, or behind which none does."""
    after = after_prefix(prefix)
    if start is not None and (after is None or start < after):
        if start and cursor.set_key(start):
            return True
        bound: bytes | None = start
    else:
        bound = after
    if bound is None:
        return bool(cursor.last())
    if not bound:
        return False
    return bool(cursor.prev() if cursor.set_range(bound) else cursor.last())
