"""A source on disk does what a few dicts do, whatever is asked of it in whatever order, closed and opened in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redun.store.errors import MissingLinks, ObjectNotFound, RefConflict
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.memory import MemorySource

# Few distinct ids and names, so that steps meet.
IDS = [bytes([first, second]) + bytes(18) for first in (0, 0x0F, 0xF0, 0xFF) for second in (0, 1, 0xFF)]
NAMES = ["a", "a/b", "a/c", "b", "executions/1"]
ids = st.sampled_from(IDS)
sizes = st.sampled_from([0, 1, 40, 3000, 65536, 65537, 70_000])
contents = st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255))
keys = st.binary(min_size=1, max_size=3)
updates = st.builds(RefUpdate, st.sampled_from(NAMES), st.none() | ids, st.none() | ids, st.text(max_size=5))


class SourceAgainstDicts(RuleBasedStateMachine):
    """The model: objects, memo, refs, reflog and one table as plain containers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="redun-test-"))
        self.objects: dict[bytes, bytes] = {}
        self.first: dict[bytes, bytes] = {}
        self.memo: dict[bytes, bytes] = {}
        self.refs: dict[str, bytes] = {}
        self.moves: list[tuple[str, bytes | None, bytes | None, str]] = []
        self.rows: dict[bytes, bytes] = {}

    @initialize(on_disk=st.sampled_from([True, True, True, False]))
    def open(self, on_disk: bool) -> None:
        self.on_disk = on_disk
        self.source = LmdbSource(self.folder, map_size_bytes=1 << 20) if on_disk else MemorySource()
        self.table = self.source.table("rows")

    def teardown(self) -> None:
        if hasattr(self, "source"):
            self.source.close()
        shutil.rmtree(self.folder)

    @rule(
        added=st.dictionaries(ids, contents, max_size=5),
        memo=st.dictionaries(ids, st.binary(max_size=60), max_size=5),
        refs=st.lists(updates, max_size=3),
        links=st.lists(ids, max_size=4),
        honest=st.booleans(),
    )
    def commit(self, added, memo, refs, links, honest) -> None:
        # An id is the hash of its bytes, so it never names two contents; a blob's file, written before the row, relies on that.
        for oid, data in added.items():
            first = self.first.setdefault(oid, data)
            if max(len(first), len(data)) > 65536:
                added[oid] = first
        if honest:
            # Mostly what succeeds, or little would ever be in the store.
            links = [oid for oid in links if oid in self.objects or oid in added]
            now = dict(self.refs)
            fixed = []
            for update in refs:
                fixed.append(update._replace(old=now.get(update.name)))
                now[update.name] = update.new
            refs = fixed
        missing = {oid for oid in links if oid not in self.objects and oid not in added}
        after: dict[str, bytes | None] = dict(self.refs)
        conflict = False
        for update in refs:
            conflict = conflict or after.get(update.name) != update.old
            after[update.name] = update.new
        batch = Batch(objects=added, memo=memo, refs=refs, links=links)
        refused: frozenset[bytes] | None = frozenset()
        try:
            self.source.commit(batch)
        except MissingLinks as error:
            refused = error.missing
        except RefConflict:
            refused = None
        if missing or conflict:
            # Which of the two is found first is for the source to say.
            assert (refused is None and conflict) or refused == missing != set()
            return
        assert refused == frozenset()
        self.objects = {**added, **self.objects}
        self.memo.update(memo)
        self.refs = {name: oid for name, oid in after.items() if oid is not None}
        self.moves += [tuple(update) for update in refs]

    @rule(oid=ids)
    def get(self, oid) -> None:
        assert self.source.contains(oid) == (oid in self.objects)
        assert self.source.memo_get(oid) == self.memo.get(oid)
        try:
            found = self.source.get(oid)
        except ObjectNotFound:
            assert oid not in self.objects
        else:
            assert found == self.objects[oid]
            assert bytes(self.source.view(oid)) == found

    @rule(oid=ids, length=st.integers(0, 40), limit=st.integers(0, 4))
    def find(self, oid, length, limit) -> None:
        prefix = oid.hex()[:length]
        assert self.source.find(prefix, limit) == sorted(key for key in self.objects if key.hex().startswith(prefix))[:limit]

    @rule(prefix=st.sampled_from(["", "a", "a/", "exec", "b"]), after=st.integers(0, 30))
    def read_refs(self, prefix, after) -> None:
        assert self.source.refs(prefix) == sorted((name, oid) for name, oid in self.refs.items() if name.startswith(prefix))
        entries = list(self.source.reflog(after))
        assert [(entry.name, entry.old, entry.new, entry.message) for entry in entries] == self.moves[after:]
        assert [entry.seq for entry in entries] == list(range(after + 1, len(self.moves) + 1))

    @rule(rows=st.lists(st.tuples(keys, st.binary(max_size=9)), max_size=6))
    def put_rows(self, rows) -> None:
        self.table.put_many(rows)
        self.rows.update(rows)

    @rule()
    def clear_rows(self) -> None:
        self.table.clear()
        self.rows.clear()

    @rule(prefix=st.binary(max_size=2), start=st.none() | st.binary(max_size=3), reverse=st.booleans(), key=keys)
    def scan_rows(self, prefix, start, reverse, key) -> None:
        expected = [
            (key, row)
            for key, row in sorted(self.rows.items(), reverse=reverse)
            if key.startswith(prefix) and (start is None or (key <= start if reverse else key >= start))
        ]
        assert list(self.table.scan(prefix, start=start, reverse=reverse)) == expected
        assert self.table.get(key) == self.rows.get(key)

    @rule()
    def refresh(self) -> None:
        self.source.refresh()

    @precondition(lambda self: self.on_disk)
    @rule()
    def reopen(self) -> None:
        self.source.close()
        self.source = LmdbSource(self.folder)
        self.table = self.source.table("rows")

    @precondition(lambda self: self.on_disk)
    @rule(oid=ids, content=contents)
    def another_source_commits(self, oid, content) -> None:
        first = self.first.setdefault(oid, content)
        if max(len(first), len(content)) > 65536:
            content = first
        other = LmdbSource(self.folder)
        other.commit(Batch(objects={oid: content}))
        other.close()
        self.objects.setdefault(oid, content)
        self.source.refresh()

    @invariant()
    def lists_all_ids(self) -> None:
        if hasattr(self, "source"):
            assert list(self.source.ids()) == sorted(self.objects)


SourceAgainstDicts.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestSourceAgainstDicts = SourceAgainstDicts.TestCase
