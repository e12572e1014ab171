"""Garbage collection: what no ref reaches goes, beside whoever works in the store.

    plan     which refs go, what the others reach (marked in the arrays of an `ObjectGraph`), and so what goes; writes nothing
    carry out  refs, memo rows, objects, files, rows of other tables, in this order, in bounded transactions (`redun.store.sweep`)

Which executions stay is for the caller to say: the store knows no policy, only names of refs that are to go. What is running is
spared whatever the caller says. Refs of other kinds are roots, but for two: a tag keeps nothing alive and goes with what it is
about (`tags/...`; the caller tells for entities that are no objects), and what an import wrote (`incoming/...`) is kept as long
as it goes on.

A gc that is killed, at any point, has done less; the next one does the rest. Several at once do no harm.

Cost: two passes over the objects, about 3 us for each object and 0.5 us for each link; 10 us more for each one that goes. 45 bytes
of memory for each object, 4 for each link, 65 for each memo row that goes.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redun.store.blobs import unlink_if_left
from redun.store.errors import RefConflict, StoreError, StoreUnavailable
from redun.store.gone import TABLE as GONE
from redun.store.gone import read_gone
from redun.store.ids import ID_BYTES, LINK_MARK
from redun.store.object_graph import ObjectGraph, Progress, silent
from redun.store.objects import Kind
from redun.store.resident import Resident
from redun.store.rows import CHECKSUM_BYTES, ref_target, reflog_entry, unguarded
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sweep import Sweeper

if TYPE_CHECKING:
    from redun.store.repository import Store
    from redun.store.sources.lmdb import LmdbSource

EXECUTIONS, TAGS, INCOMING = "executions/", "tags/", "incoming/"
READERS_WAIT_S = 60.0
STRAY_AFTER_S = 600.0
_REFS_AT_ONCE = 200
_NOTHING = bytes(ID_BYTES)
_INVERSE = b"\1" + bytes(255)

Count = tuple[int, int]
"""How many, and how many bytes."""


@dataclass
class Census:
    """What a store holds.

    Attributes:
        kinds: name of a kind of objects -> count and bytes. files: those of them that are files.
        executions: how many there are. refs, memo: how many rows. dropped: values of which only the size is left.
    """

    kinds: dict[str, Count] = field(default_factory=dict)
    files: Count = (0, 0)
    executions: int = 0
    refs: int = 0
    memo: int = 0
    dropped: int = 0

    @property
    def total(self) -> Count:
        """All objects."""
        return sum(count for count, _ in self.kinds.values()), sum(size for _, size in self.kinds.values())


@dataclass
class Report:
    """What a gc did, or would do.

    Attributes:
        before, after: what the store held and holds.
        refs: names that went. spared: those that were to go but belong to executions that run.
        waited_for: pid of a process that went on reading an old state of the store, and was not waited for any longer.
    """

    before: Census
    after: Census
    refs: list[str]
    spared: list[str]
    waited_for: int | None = None


Gone = Callable[[list[tuple[str, str, bytes]], "Plan"], Collection[str]]
"""Is given the tags whose entities are no objects, (ref, kind, entity), and returns the refs of those whose entity has gone."""

Choose = Callable[["Plan"], Iterable[int]]
"""Is given what would stay and returns the numbers of values to drop, first those to go first."""


def _no_tag(tags: list[tuple[str, str, bytes]], plan: Plan) -> Collection[str]:
    return ()


class Plan:
    """What a gc would do to a store as it is now; `carry_out` does it.

    Args:
        store: on disk.
        drop: names of refs that are to go. `executions/<uuid>` takes those below it along.
        tags_gone: decides on tags of jobs, executions and values that are no objects.
        choose: decides which values are dropped though they are linked.
        progress: is told how far it is.

    Attributes:
        graph: what there is. live: a byte for each object: 1 it stays.
        dropped: numbers of values that go although what links them stays, in the order in which they go.
        refs, spared: see `Report`.

    Raises:
        StoreError: the store is in memory, which goes with its process anyway.
        StoreUnavailable: it cannot be read.
    """

    def __init__(
        self,
        store: Store,
        drop: Collection[str] = (),
        *,
        tags_gone: Gone = _no_tag,
        choose: Choose | None = None,
        progress: Progress = silent,
    ) -> None:
        self._store = store
        self._progress = progress
        self.source = source = _on_disk(store)
        source.environment().check_readers()
        source.refresh()
        self._missing: dict[bytes, list[int]] | None = None
        self._resident = Resident(source.folder / "data.mdb")
        self._began_us = time.time_ns() // 1000
        with _reading(source) as txn:
            self._read_refs(txn)
            self._choose_refs(drop)
            self.graph = ObjectGraph(txn, source.table_handle("objects"), source.blobs, self._resident, progress)
            self._mark(tags_gone)
            # What the census counts as there before anything is dropped.
            self._read_dropped(txn)
            self.before = self._census(b"\1" * self.graph.count, len(self._executions()), len(self._refs), len(self._dropped))
            self.dropped = array("I")
            self.live = self._reached()
            if choose is not None:
                self._drop(choose)
            self._read_memo(txn)

    # Refs.

    def _read_refs(self, txn: Any) -> None:
        environment = self.source.environment()
        self._refs: dict[str, bytes] = {}
        for key, row in txn.cursor(environment.table("refs")):
            name = bytes(key).decode()
            self._refs[name] = ref_target(name, bytes(row))
        log = txn.cursor(environment.table("reflog"))
        self.seen = int.from_bytes(bytes(log.key()), "big") if log.last() else 0

    def _executions(self) -> set[str]:
        return {name.split("/")[1] for name in self._refs if name.startswith(EXECUTIONS)}

    def _choose_refs(self, drop: Collection[str]) -> None:
        """Settle which refs go, tags aside: those that were named and what is left of runs and imports that died."""
        going = {name.split("/")[1] for name in drop if name.startswith(EXECUTIONS)}
        heads = {name.split("/")[1] for name in self._refs if name.startswith(EXECUTIONS) and name.count("/") == 1}
        self.refs: list[str] = []
        self.spared: list[str] = []
        for name in self._refs:
            if name.startswith(EXECUTIONS):
                execution = name.split("/")[1]
                if execution in going or execution not in heads:
                    (self.spared if self._is_going_on(name) else self.refs).append(name)
            elif name.startswith(INCOMING):
                if not self._is_going_on(name):
                    self.refs.append(name)
            elif name in drop:
                self.refs.append(name)

    def _is_going_on(self, name: str) -> bool:
        try:
            return self._store.is_alive(name.split("/")[1])
        except StoreError:
            return False

    # What stays.

    def _mark(self, tags_gone: Gone) -> None:
        graph = self.graph
        going = set(self.refs)
        kept = [oid for name, oid in self._refs.items() if name not in going and not name.startswith(TAGS)]
        self.live = bytearray(graph.count)
        self._reach(kept, self.live)
        self.going_executions = {name.split("/")[1] for name in going if name.startswith(EXECUTIONS)}
        asked, staying = [], []
        for name, oid in self._refs.items():
            if not name.startswith(TAGS) or name in going:
                continue
            _, kind, entity, _ = (*name.split("/", 3), "", "")[:4]
            try:
                about = bytes.fromhex(entity)
            except ValueError:
                about = b""
            number = graph.number(about) if len(about) == ID_BYTES else -1
            if number < 0:
                asked.append((name, kind, about))
            elif self.live[number]:
                staying.append(oid)
            else:
                self.refs.append(name)
        if asked:
            gone = set(tags_gone(asked, self))
            self.refs.extend(sorted(gone))
            staying.extend([self._refs[name] for name, _, _ in asked if name not in gone])
        self._roots = [*kept, *staying]

    def _reach(self, oids: Iterable[bytes], met: bytearray, barred: bytearray | None = None) -> None:
        numbers = [number for number in map(self.graph.number, oids) if number >= 0]
        self.graph.reach(numbers, met, barred)

    def _reached(self, barred: bytearray | None = None) -> bytearray:
        live = bytearray(self.graph.count)
        self._reach(self._roots, live, barred)
        return live

    def _drop(self, choose: Choose) -> None:
        barred = bytearray(self.graph.count)
        for number in choose(self):
            barred[number] = 1
            self.dropped.append(number)
        # What only they lead to goes like any garbage.
        self.live = self._reached(barred)

    def pinned(self) -> bytearray:
        """Mark what pins lead to."""
        met = bytearray(self.graph.count)
        self._reach([oid for name, oid in self._refs.items() if name.startswith("pins/")], met)
        return met

    def heads(self) -> dict[str, bytes]:
        """Return the refs of executions that stay, with their newest segments."""
        going = set(self.refs)
        return {name: oid for name, oid in self._refs.items() if name.startswith(EXECUTIONS) and name not in going}

    def is_live(self, oid: bytes) -> bool:
        """Tell whether an object is there and stays."""
        number = self.graph.number(oid)
        return number >= 0 and self.live[number] == 1

    # Rows of other tables.

    def _read_dropped(self, txn: Any) -> None:
        handle = self.source.table_handle(GONE)
        self._dropped = [] if handle is None else [bytes(key) for key in txn.cursor(handle).iternext(values=False)]

    def _read_memo(self, txn: Any) -> None:
        """Find the memo rows that go: those that name a call or a reduction that goes, or is not there."""
        graph, live = self.graph, self._with_dropped()
        noted = set(self._dropped)
        number, gone = graph.number, bytearray()
        unnamed: list[bytes] = []
        total = 0
        for key, row in txn.cursor(self.source.table_handle("memo")):
            total += 1
            if not total % 10_000:
                self._resident.trim()
            content = row[CHECKSUM_BYTES:]
            if len(content) > ID_BYTES:
                call = bytes(content[:ID_BYTES])
                if call != _NOTHING:
                    at = number(call)
                    stays = at >= 0 and live[at]
                elif content[ID_BYTES] != LINK_MARK:
                    unnamed.append(bytes(key))
                    continue
                else:
                    stays = True
                if stays and content[ID_BYTES] == LINK_MARK:
                    oid = bytes(content[ID_BYTES + 1 :])
                    at = number(oid)
                    stays = live[at] if at >= 0 else oid in noted
                if stays:
                    continue
            gone += key
        if unnamed:
            known = self._reductions()
            gone += b"".join([key for key in unnamed if key not in known])
        self._memo_gone = bytes(gone)
        self._memo_total = total

    def _with_dropped(self) -> bytearray:
        live = bytearray(self.live)
        for number in self.dropped:
            live[number] = 1
        return live

    def _reductions(self) -> set[bytes]:
        """Read from the journals that stay which calls have been reduced but not finished."""
        from redun.store.journal import decode_segment

        known = set()
        for number in self.graph.of_kind(Kind.SEGMENT):
            if self.live[number]:
                try:
                    known.update([key for key, _ in decode_segment(self.source.get(self.graph.id(number))).reductions])
                except StoreError:
                    continue
        return known

    def _stale_dropped(self) -> list[bytes]:
        """List rows of `dropped` that say nothing any more: the value is back, or nothing that stays links it."""
        return [oid for oid in self._dropped if not self._is_missed(oid)]

    def _is_missed(self, oid: bytes) -> bool:
        if self._missing is None:
            self._missing = {}
            for number, missing in self.graph.dangling:
                self._missing.setdefault(missing, []).append(number)
        return any(self.live[number] for number in self._missing.get(oid, ()))

    # What it comes to.

    def _census(self, stays: bytes | bytearray, executions: int, refs: int, dropped: int) -> Census:
        graph = self.graph
        counts, sizes = [0] * 256, [0] * 256
        files = files_bytes = 0
        kinds, all_sizes, in_files = graph.kinds, graph.sizes, graph.in_files
        for number in range(graph.count):
            if stays[number]:
                kind = kinds[number]
                counts[kind] += 1
                sizes[kind] += all_sizes[number]
                if in_files[number]:
                    files += 1
                    files_bytes += all_sizes[number]
        names = {int(kind): kind.name.lower() for kind in Kind}
        found: dict[str, Count] = {}
        for kind in range(256):
            if counts[kind]:
                name = names.get(kind, "unreadable")
                before = found.get(name, (0, 0))
                found[name] = (before[0] + counts[kind], before[1] + sizes[kind])
        return Census(found, (files, files_bytes), executions, refs, 0, dropped)

    def report(self) -> Report:
        """Say what it would do."""
        before = self.before
        before.memo = self._memo_total
        executions = len(self._executions() - self.going_executions)
        dropped = len(self._dropped) - len(self._stale_dropped()) + len(self.dropped)
        after = self._census(self.live, executions, len(self._refs) - len(self.refs), dropped)
        after.memo = self._memo_total - len(self._memo_gone) // ID_BYTES
        return Report(before, after, sorted(self.refs), sorted(self.spared))

    # Doing it.

    def carry_out(
        self,
        *,
        readers_wait_s: float = READERS_WAIT_S,
        stray_after_s: float = STRAY_AFTER_S,
        between: Callable[[str], None] | None = None,
    ) -> Report:
        """Do it.

        Args:
            readers_wait_s: how long to wait for processes that read an old state of the store.
            stray_after_s: files that nothing refers to go when they are that old.
            between: called after each transaction, for tests.

        Raises:
            StoreUnavailable: the store cannot be written; what was deleted before is deleted, and the store is sound.
        """
        if self._store.readonly:
            raise StoreUnavailable(
                f"store {str(self._store.folder)!r} is open for reading only: nothing can be deleted from it"
            )
        report = self.report()
        self._drop_refs(between)
        sweeper = Sweeper(self.source, self.graph, self.live, self.seen, self._progress, self._resident, between)
        gone = self.live.translate(_INVERSE)
        for number in self.dropped:
            gone[number] = 0
        if self._memo_gone:
            sweeper.forget_memo(self._memo_gone)
        if self.dropped or 1 in gone:
            with sweeper.sweeping():
                waited = sweeper.wait_for_readers(readers_wait_s)
                report.waited_for = None if waited is None else waited[1]
                sweeper.drop_values(self.dropped, time.time_ns() // 1000)
                sweeper.delete(self.graph.in_waves(gone))
        self._delete_rows(sweeper)
        self._delete_strays(sweeper, stray_after_s)
        self._store.clear_leases()
        return report

    def _drop_refs(self, between: Callable[[str], None] | None) -> None:
        """Delete refs; what has moved since it was read stays, and so does what it leads to."""
        waiting = list(self.refs)
        while waiting:
            part, waiting = waiting[:_REFS_AT_ONCE], waiting[_REFS_AT_ONCE:]
            self.source.refresh()
            updates = [
                RefUpdate(name, self._refs[name], None, "gc") for name in part if self.source.read_ref(name) == self._refs[name]
            ]
            if updates:
                self._commit(updates)
            if between is not None:
                between("dropping refs")

    def _commit(self, updates: list[RefUpdate]) -> None:
        try:
            self.source.commit(Batch(refs=updates))
        except RefConflict:
            for update in updates:
                try:
                    self.source.commit(Batch(refs=[update]))
                except RefConflict:
                    continue

    def _delete_rows(self, sweeper: Sweeper) -> None:
        source = self.source
        refs = source.table_handle("refs")
        objects = source.table_handle("objects")
        dropped = {self.graph.id(number) for number in self.dropped}
        # One that had come back may have been dropped once more just now.
        stale = [oid for oid in self._stale_dropped() if oid not in dropped]
        noted = source.table_handle(GONE)

        def is_needed(txn: Any, key: bytes) -> bool:
            content = unguarded(txn.get(key, db=noted), key)
            if content is not None and read_gone(key, content).time_us >= self._began_us:
                # Noted since, for something that came since and links it.
                return True
            return txn.get(key, db=objects) is None and self._is_missed(key)

        sweeper.delete_rows(GONE, stale, "tidying", is_needed)
        source.refresh()
        there = {name for name, _ in source.refs()}
        old: list[bytes] = []
        with _reading(source) as txn:
            log = txn.cursor(source.table_handle("reflog"))
            # The last one stays: numbers are never used twice.
            last = bytes(log.key()) if log.last() else b""
            for key, row in log.iternext() if log.first() else ():
                if bytes(key) == last:
                    break
                try:
                    if reflog_entry(bytes(key), bytes(row)).name not in there:
                        old.append(bytes(key))
                except StoreError:
                    continue
        sweeper.delete_rows("reflog", old, "tidying", lambda txn, key: _names_a_ref(txn, key, refs, source))

    def _delete_strays(self, sweeper: Sweeper, after_s: float) -> None:
        """Delete files that no row names: of writers that died between the two, and what they had not finished."""
        before = time.time() - after_s
        strays = []
        self.source.refresh()
        for oid, path, status in self.source.blobs.files():
            if oid is None:
                unlink_if_left(path, before)
            elif status.st_mtime <= before and not self.source.contains(oid):
                strays.append(oid)
        sweeper.delete_strays(strays)


def _names_a_ref(txn: Any, key: bytes, refs: Any, source: LmdbSource) -> bool:
    row = txn.get(key, db=source.table_handle("reflog"))
    if row is None:
        return True
    return txn.get(reflog_entry(key, bytes(row)).name.encode(), db=refs) is not None


def _on_disk(store: Store) -> LmdbSource:
    if store.folder is None:
        raise StoreError("a store in memory goes with its process: there is nothing to collect")
    return store.source  # type: ignore[return-value]


@contextmanager
def _reading(source: LmdbSource) -> Iterator[Any]:
    """A read transaction whose rows are views of the map."""
    environment = source.environment()
    for name in ("objects", "refs", "reflog", "memo", GONE):
        environment.table(name)
    txn = environment.begin(buffers=True)
    try:
        yield txn
    finally:
        txn.abort()
