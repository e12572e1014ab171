"""Deleting what nothing reaches, in bounded transactions, beside whoever works in the store.

What must hold after each transaction, wherever the process dies: **an object that exists has all that it leads to.** A commit
looks only whether the objects that it links directly are there, so that is what makes it safe. Hence

- memo rows go first. A run that has taken a result from the memo and not committed it yet *holds* a state of the store from
  before (`Source.hold`); nothing is deleted until all those are gone. So whatever a run finds in the memo stays for it.
- objects go in an order in which all that refers to one goes before it (`ObjectGraph.in_waves`).
- each transaction begins by reading which refs have moved and what was put since the last one (`redun.store.sources.lmdb_sweeps`).
  What that leads to is spared from then on, though nothing reached it when the graph was read; memo rows that named it are put back.
  What was put after that reading and before commits began to note it is found by one look through all ids.
- a file goes after the row that names it, in a transaction that sees that there is none; a commit that has written the file
  again looks, in its transaction, whether it is still there. It is renamed there and unlinked later, which may take long.

A transaction works for about 6 ms, and others get their turn after it (`redun.store.locks`).
"""

from __future__ import annotations

import contextlib
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from redun.store.disk import FULL
from redun.store.errors import StoreUnavailable
from redun.store.gone import DROPPED, Gone, put_gone
from redun.store.gone import TABLE as GONE
from redun.store.ids import ID_BYTES
from redun.store.object_graph import ObjectGraph, Progress
from redun.store.objects import Kind
from redun.store.reach import links_in
from redun.store.resident import Resident
from redun.store.rows import HERE_BYTE, OBJECT_START, reflog_entry
from redun.store.sources import lmdb_sweeps
from redun.store.sources.environment import Environment

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource

WORK_S = 0.006
"""Seconds that one transaction works, before its commit."""

_BETWEEN_LOOKS = 32
_LOOK_S = 0.005


class Sweeper:
    """Deletes, and knows what must be spared.

    Args:
        source: the store.
        graph: what there was when the reflog ended at `seen`.
        live: a byte for each object of the graph, not 0 where it stays; grows as refs move.
        seen: number of the last movement that `live` accounts for.
        progress: is told how far it is.
        resident: gives pages of the map back.
        between: called after each transaction, for tests that want something to happen there.
    """

    def __init__(
        self,
        source: LmdbSource,
        graph: ObjectGraph,
        live: bytearray,
        seen: int,
        progress: Progress,
        resident: Resident,
        between: Callable[[str], None] | None = None,
    ) -> None:
        self._source = source
        self._environment: Environment = source.environment()
        self._graph = graph
        self._live = live
        self._seen = seen
        # Number of the last note of what was put; None until commits leave such notes.
        self._put_seen: int | None = None
        self._progress = progress
        self._resident = resident
        self._between = between
        self._new: set[bytes] = set()
        # Memo rows that were deleted, one after the other: length, key, row. And those to be put back.
        self._removed = bytearray()
        self._back: list[tuple[bytes, bytes]] = []
        # Objects that are files and whose rows are gone.
        self._files: list[bytes] = []

    # What others do meanwhile.

    def _follow(self, txn: Any) -> None:
        """Spare what refs reach that have moved since the last look, and what was put since then leads to."""
        cursor = txn.cursor(self._environment.table("reflog"))
        heads = []
        for key, row in cursor if cursor.set_range((self._seen + 1).to_bytes(8, "big")) else ():
            entry = reflog_entry(bytes(key), bytes(row))
            self._seen = entry.seq
            if entry.new is not None:
                heads.append(entry.new)
        if self._put_seen is not None:
            self._put_seen, put = lmdb_sweeps.put_since(txn, self._environment.table("meta"), self._put_seen)
            heads += put
        if heads:
            self._spare(txn, heads)

    def _spare(self, txn: Any, heads: Iterable[bytes]) -> None:
        graph, live, new = self._graph, self._live, self._new
        objects = self._environment.table("objects")
        revived = []
        stack = list(heads)
        while stack:
            oid = stack.pop()
            number = graph.number(oid)
            if number >= 0:
                if not live[number]:
                    revived.append(number)
                elif graph.kinds[number] == Kind.CALL:
                    # It stays in any case, but its values were perhaps about to be dropped.
                    revived.extend([target for target in graph.targets(number) if not live[target]])
            elif oid not in new:
                row = txn.get(oid, db=objects)
                if row is not None:
                    # Not of one that is not there: it may come yet.
                    new.add(oid)
                    here = len(row) > OBJECT_START and row[8] == HERE_BYTE
                    stack.extend(links_in(row[OBJECT_START:] if here else self._source.blobs.head(oid)))
        if revived:
            before = bytes(live)
            graph.reach(revived, live)
            self._find_again(before)

    def _find_again(self, before: bytes) -> None:
        """Have the memo rows put back that name calls which are spared since `before`: they were good ones."""
        graph, live, removed = self._graph, self._live, self._removed
        at = 0
        while at < len(removed):
            end = at + 2 + int.from_bytes(removed[at : at + 2], "big")
            key, row = bytes(removed[at + 2 : at + 2 + ID_BYTES]), bytes(removed[at + 2 + ID_BYTES : end])
            number = graph.number(row[8 : 8 + ID_BYTES])
            if number >= 0 and live[number] and not before[number]:
                self._back.append((key, row))
            at = end

    def _catch_up(self, txn: Any) -> None:
        self._follow(txn)
        for key, row in self._back:
            txn.put(key, row, db=self._environment.table("memo"), overwrite=False)

    # Transactions.

    def _in_steps(self, doing: str, total: int, step: Callable[[Any, int, int], int]) -> None:
        """Run `step(txn, at, end)`, which returns how far it came, in one transaction after the other.

        On a full disk deleting has nowhere to write to, as pages are never changed in place; what a small transaction frees makes
        room for the next one.
        """
        at, most = 0, total
        while at < total:
            end = min(total, at + most)

            def work(txn: Any, start: int = at, end: int = end) -> int:
                self._catch_up(txn)
                return step(txn, start, end)

            try:
                at = self._environment.write(work)
            except StoreUnavailable as error:
                if error.errno not in FULL or end - at == 1:
                    raise
                most = max(1, min(most, end - at, _BETWEEN_LOOKS) // 4)
                continue
            self._back.clear()
            most = min(total, most * 2)
            self._progress(doing, min(at, total), total)
            self._resident.trim()
            if self._between is not None:
                self._between(doing)
            self._delete_files()

    def forget_memo(self, keys: bytes) -> None:
        """Delete memo rows, those excepted that name what is spared by now.

        Args:
            keys: eval hashes, one after the other.
        """
        graph, live = self._graph, self._live
        memo = self._environment.table("memo")
        total = len(keys) // ID_BYTES

        def step(txn: Any, at: int, end: int) -> int:
            cursor = txn.cursor(memo)
            until = time.perf_counter() + WORK_S
            mark = len(self._removed)
            try:
                while at < end:
                    key = keys[at * ID_BYTES : (at + 1) * ID_BYTES]
                    at += 1
                    if cursor.set_key(key):
                        row = bytes(cursor.value())
                        number = graph.number(row[8 : 8 + ID_BYTES])
                        if number < 0 or not live[number]:
                            cursor.delete()
                            self._removed += (len(key) + len(row)).to_bytes(2, "big") + key + row
                    if not at % _BETWEEN_LOOKS and time.perf_counter() > until:
                        break
            except BaseException:
                del self._removed[mark:]
                raise
            return at

        self._in_steps("forgetting results", total, step)

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[None]:
        """Have commits check all that they link and note what they put, while objects are deleted.

        Processes that have the store open now check until they close it. A sweep that dies leaves things so until the next one ends,
        which costs commits some microseconds, and 20 bytes for each object that links others.
        """
        environment = self._environment
        meta = environment.table("meta")
        lock = environment.lock()
        lock.join_sweep()
        ended = False
        try:
            self._put_seen = environment.write(lambda txn: lmdb_sweeps.begin(txn, meta))
            if self._between is not None:
                self._between("announcing")
            self._look_around()
            yield
            ended = True
        finally:
            with lock.leave_sweep() as nobody_else:
                if ended and nobody_else:
                    environment.write(lambda txn: lmdb_sweeps.end(txn, meta))

    def _look_around(self) -> None:
        """Spare what objects lead to that came since the graph was read: until now nobody noted them."""
        txn = self._environment.begin()
        try:
            self._spare(txn, self._graph.others(txn, self._environment.table("objects")))
        finally:
            txn.abort()

    def wait_for_readers(self, timeout_s: float) -> tuple[int, int] | None:
        """Wait until nobody holds a state of the store from before now.

        Returns:
            the state and the process that still does after that time; None if nobody does.
        """
        self._source.drop()
        now = self._environment.write(lambda txn: txn.id())
        deadline = time.monotonic() + timeout_s
        while True:
            oldest = self._environment.oldest_reader()
            # The number of a transaction that changed nothing is the next one's too.
            if oldest is None or oldest[0] >= now - 1:
                self._environment.write(self._catch_up)
                # What is reached from here on was made anew, with memo rows of its own.
                self._back.clear()
                self._removed.clear()
                return None
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return oldest
            self._progress(f"waiting for process {oldest[1]}", int(timeout_s - left_s), int(timeout_s))
            self._environment.check_readers()
            time.sleep(min(_LOOK_S, left_s))

    def delete(self, order: array[int]) -> None:
        """Delete objects in this order, those excepted that are spared by now, and their files."""
        graph, live = self._graph, self._live
        objects = self._environment.table("objects")

        def step(txn: Any, at: int, end: int) -> int:
            cursor = txn.cursor(objects)
            until = time.perf_counter() + WORK_S
            mine = []
            while at < end:
                number = order[at]
                at += 1
                if not live[number] and cursor.set_key(graph.id(number)):
                    if graph.in_files[number]:
                        mine.append(graph.id(number))
                    cursor.delete()
                if not at % _BETWEEN_LOOKS and time.perf_counter() > until:
                    break
            self._files.extend(mine)
            return at

        self._in_steps("deleting", len(order), step)

    def drop_values(self, numbers: array[int], now_us: int) -> None:
        """Delete values that stay linked, and note how large they were; not those that somebody has linked meanwhile.

        Args:
            now_us: UTC microseconds.
        """
        graph = self._graph
        objects, dropped = self._environment.table("objects"), self._environment.table(GONE)
        live = self._live

        def step(txn: Any, at: int, end: int) -> int:
            cursor = txn.cursor(objects)
            until = time.perf_counter() + WORK_S
            mine = []
            while at < end:
                number = numbers[at]
                oid = graph.id(number)
                at += 1
                if not live[number] and cursor.set_key(oid):
                    if graph.in_files[number]:
                        mine.append(oid)
                    cursor.delete()
                    put_gone(txn, dropped, Gone(oid, DROPPED, graph.sizes[number], now_us))
                if not at % _BETWEEN_LOOKS and time.perf_counter() > until:
                    break
            self._files.extend(mine)
            return at

        self._in_steps("dropping values", len(numbers), step)

    def delete_rows(
        self, table: str, keys: list[bytes], doing: str, spared: Callable[[Any, bytes], bool] | None = None
    ) -> None:
        """Delete rows of another table.

        Args:
            spared: tells, in the transaction, whether a row must stay after all.
        """
        handle = self._environment.table(table)
        if handle is None:
            return

        def step(txn: Any, at: int, end: int) -> int:
            cursor = txn.cursor(handle)
            until = time.perf_counter() + WORK_S
            while at < end:
                key = keys[at]
                at += 1
                if cursor.set_key(key) and not (spared is not None and spared(txn, key)):
                    cursor.delete()
                if not at % _BETWEEN_LOOKS and time.perf_counter() > until:
                    break
            return at

        self._in_steps(doing, len(keys), step)

    # Files.

    def delete_strays(self, oids: list[bytes]) -> None:
        """Delete the files of objects that have no row."""
        self._files.extend(oids)
        self._delete_files()

    def _delete_files(self) -> None:
        oids, self._files = self._files, []
        objects, blobs = self._environment.table("objects"), self._source.blobs
        at = 0
        while at < len(oids):
            aside: list[str] = []

            def work(txn: Any, here: int = at, aside: list[str] = aside) -> int:
                until = time.perf_counter() + WORK_S
                while here < len(oids):
                    if txn.get(oids[here], db=objects) is None:
                        name = blobs.set_aside(oids[here])
                        if name is not None:
                            aside.append(name)
                    here += 1
                    if time.perf_counter() > until:
                        break
                return here

            at = self._environment.write(work)
            for name in aside:
                with contextlib.suppress(OSError):
                    os.unlink(name)
            if self._between is not None:
                self._between("deleting files")
